"""The numbers of a training log as TensorBoard and Weights & Biases get them."""

from __future__ import annotations

import sys
import types

import pytest
from etils import epath
from tensorboardX.proto.event_pb2 import Event

from xt_jax.config import TrainConfig
from xt_jax.errors import ConfigError
from xt_jax.train.log import Trackers

NUMBERS = {"loss": 1.5, "dev": 40.0}


def events(folder) -> list[Event]:
    """Reads TFRecord files: 8 bytes of length, 4 of checksum, the message, 4 of checksum."""
    messages = []
    for path in sorted(folder.glob("events.out.tfevents.*"), key=lambda p: p.stat().st_mtime_ns):
        data = path.read_bytes()
        while data:
            length = int.from_bytes(data[:8], "little")
            messages.append(Event.FromString(data[12 : 12 + length]))
            data = data[12 + length + 4 :]
    return messages


def scalars(folder) -> list[tuple[str, int, float]]:
    return [
        (value.tag, event.step, value.simple_value)
        for event in events(folder)
        for value in event.summary.value
    ]


def test_event_files_of_each_run(tmp_path):
    folders = {name: epath.Path(tmp_path / name) for name in ("a", "b")}
    trackers = Trackers(TrainConfig(), folders, 0)
    trackers.write("a", 100, NUMBERS)
    trackers.write("b", 100, {"loss": 2.5})
    trackers.close()
    assert scalars(tmp_path / "a") == [("loss", 100, 1.5), ("dev", 100, 40.0)]
    assert scalars(tmp_path / "b") == [("loss", 100, 2.5)]


def test_after_a_stop_later_steps_are_dropped(tmp_path):
    """Purging is what a session log with the status START says of the steps from its own on."""
    folders = {"a": epath.Path(tmp_path)}
    for begun in (0, 100):
        trackers = Trackers(TrainConfig(), folders, begun)
        trackers.write("a", 150, NUMBERS)
        trackers.close()
    starts = [event.step for event in events(tmp_path) if event.HasField("session_log")]
    assert starts[-1] == 101


def test_no_files_unless_asked_for(tmp_path):
    trackers = Trackers(TrainConfig(tensorboard=False), {"a": epath.Path(tmp_path)}, 0)
    trackers.write("a", 1, NUMBERS)
    trackers.close()
    assert not list(tmp_path.iterdir())


def test_weights_and_biases(tmp_path, monkeypatch):
    """A substitute for the package, which takes what is logged."""
    log = []

    def init(**options):
        return types.SimpleNamespace(
            log=lambda values, step: log.append((options["name"], step, values)),
            finish=lambda: log.append((options["name"], options["project"], options["resume"])),
        )

    monkeypatch.setitem(sys.modules, "wandb", types.SimpleNamespace(init=init))
    folders = {name: epath.Path(tmp_path / name) for name in ("mnli+squad-s0", "b")}
    trackers = Trackers(TrainConfig(tensorboard=False, wandb="study"), folders, 0)
    trackers.write("b", 3, NUMBERS)
    trackers.close()
    ended = [(name, "study", "allow") for name in folders]
    assert log == [("b", 3, NUMBERS), *ended]


def test_without_the_package_the_error_comes_before_training(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ConfigError, match="not installed") as error:
        Trackers(TrainConfig(wandb="study"), {"a": epath.Path(tmp_path)}, 0)
    assert error.value.where == "--config.train.wandb"
