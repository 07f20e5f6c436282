"""Several processes on one mesh write what one process writes."""

from __future__ import annotations

import json
import re
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest
from commands import SMALL, Run

from xt_jax.errors import DataError
from xt_jax.study import check, runner
from xt_jax.train import batches

pytestmark = pytest.mark.slow

DEVICES = 4
ARGUMENTS = (
    *SMALL,
    *("--config.intermediates=mnli", "--config.targets=panx", "--config.targets=tatoeba"),
)
LAYOUTS = {
    "replicated": ("--config.train.accumulate=2",),
    "fsdp": ("--config.train.sharding=fsdp",),
}


def start(workdir: Path, processes: int, *more: str, first: Callable = bool) -> list[Run]:
    """Starts the processes, which have `DEVICES` devices together."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        coordinator = f"localhost:{free.getsockname()[1]}"
    together = [f"--coordinator={coordinator}", f"--processes={processes}"]
    return [
        Run(
            *(*ARGUMENTS, *more, f"--workdir={workdir}"),
            *([*together, f"--process={i}"] if processes > 1 else ()),
            first=first,
            jax_num_cpu_devices=DEVICES // processes,
            # Programs for several CPU devices crash when they come from the cache (jaxlib 0.10.2).
            jax_enable_compilation_cache=False,
        )
        for i in range(processes)
    ]


def run(workdir: Path, processes: int, *more: str) -> list[str]:
    """Returns what each process printed."""
    ended = [each.end() for each in start(workdir, processes, *more)]
    for status, output in ended:
        assert status == 0, output[-3000:]
    return [output for _, output in ended]


def files(workdir: Path) -> list[str]:
    """Returns the names of all files that a run leaves, apart from those that contain a time."""
    names = sorted(str(path.relative_to(workdir)) for path in workdir.rglob("*") if path.is_file())
    # A resumed training opens a further event file.
    return sorted({re.sub(r"tfevents.*", "tfevents", name) for name in names})


@pytest.fixture(scope="module", params=LAYOUTS)
def alone(request, tmp_path_factory) -> tuple[Path, tuple[str, ...]]:
    """The folder of a run in one process, and the layout's flags."""
    workdir = tmp_path_factory.mktemp(request.param)
    run(workdir, 1, *LAYOUTS[request.param])
    return workdir, LAYOUTS[request.param]


@pytest.mark.parametrize("alone", ["replicated"], indirect=True)
def test_several_processes_write_what_one_writes(alone, tmp_path):
    one, layout = alone
    outputs = run(tmp_path, 2, *layout)
    assert_same(tmp_path, one)
    for mine in tmp_path.glob("phases/*/log.jsonl"):
        np.testing.assert_allclose(losses(mine), losses(one / mine.relative_to(tmp_path)), 1e-5)
    assert "| panx" in outputs[0]  # the first alone speaks
    assert not any("xt_jax" in output or "panx" in output for output in outputs[1:])


@pytest.mark.parametrize("alone", ["fsdp"], indirect=True)
def test_asked_to_end_all_do_and_more_processes_carry_on(alone, tmp_path):
    """SIGTERM to the last of two, before the first phase is compiled; then there are four."""
    one, layout = alone
    started = start(tmp_path, 2, *layout)
    while " steps of " not in started[0].output:
        assert started[0].process.is_alive(), started[0].output
        time.sleep(0.02)
    started[1].process.terminate()
    ended = [each.end() for each in started]
    assert [status for status, _ in ended] == [143, 143], ended[0][1][-3000:]
    run(tmp_path, 4, *layout)
    assert_same(tmp_path, one)


def assert_same(workdir: Path, one: Path) -> None:
    rows = (one / "results.jsonl").read_bytes()
    assert len(rows.splitlines()) == 2 + 1 + 3
    assert (workdir / "results.jsonl").read_bytes() == rows
    assert files(workdir) == files(one)
    for mine in workdir.glob("phases/*/predictions/*/*.jsonl"):
        assert mine.read_bytes() == (one / mine.relative_to(workdir)).read_bytes()


def fail_as_the_second() -> None:
    """Lets the first wait for a step that the second never makes."""

    def fail(*_):
        raise DataError("No disk.")

    initialize = jax.distributed.initialize
    jax.distributed.initialize = partial(initialize, heartbeat_timeout_seconds=10)
    if "--process=1" in sys.argv:
        batches.materialise, runner._PATIENCE = fail, 1


def test_an_error_of_one_process_ends_all(tmp_path):
    started = start(tmp_path, 2, first=fail_as_the_second)
    (first, output), (second, others) = (each.end() for each in started)
    assert second == 1
    assert "Process 1 ends: No disk." in others
    assert first != 0, output[-3000:]
    assert not (tmp_path / "results.jsonl").exists()


def allow_any_rate() -> None:
    check.LIMITS["target.learning_rate"] = check._RECIPE["learning_rate"] = 0, 1e38


def test_an_error_of_all_processes_ends_that_job_alone(tmp_path):
    """The loss is not finite; targets that need no training are scored."""
    rate = "--config.target.learning_rate=1e30"
    ended = [each.end() for each in start(tmp_path, 2, rate, first=allow_any_rate)]
    assert [status for status, _ in ended] == [1, 1], ended[0][1][-1500:]
    assert "The loss is nan" in ended[0][1]
    rows = map(json.loads, (tmp_path / "results.jsonl").read_text().splitlines())
    assert {row["target"] for row in rows} == {"tatoeba"}


def losses(path: Path) -> list[float]:
    lines = map(json.loads, path.read_text().splitlines())
    found = [line["loss"] for line in lines if "loss" in line]
    assert len(found) > 3
    return found
