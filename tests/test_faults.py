"""Kills a run 33 times, in training, saves, evaluations, writes and anywhere."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import ROOT

pytestmark = pytest.mark.slow

ARGUMENTS = (
    "--config=configs/quickstart.py:size=mini-32,seeds=1,random=True",
    *("--config.languages=en", "--config.languages=de", "--config.languages=tr"),
    "--config.data.max_train_examples=160",
    "--config.data.max_eval_examples=30",
    "--config.intermediates=mnli+squad",
    *("--config.targets=xnli", "--config.targets=panx", "--config.targets=tatoeba"),
    "--config.intermediate.epochs=2",
    "--config.target.epochs=2",
    "--config.intermediate.eval_every=4",
    "--config.target.eval_every=4",
    "--config.train.save_every_steps=2",
    "--config.train.log_every=2",
    "--config.submission=true",
)
KILLS = 11  # of each of three runs
DEADLY = (-signal.SIGKILL, -signal.SIGALRM)


class Kill(NamedTuple):
    """A moment to kill at, see `faulty.kill_at`."""

    moment: str
    count: int
    delay: float


UNDISTURBED = Kill("", 0, 0.0)


class Server:
    """Runs commands in forks of one process that has everything imported."""

    def __init__(self, folder: Path):
        self._cache = folder / "xla"
        unwanted = ("XLA_FLAGS", "JAX_NUM_CPU_DEVICES")
        environment = {k: v for k, v in os.environ.items() if k not in unwanted}
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "faulty.py")],
            cwd=ROOT,
            env={**environment, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def run(self, workdir: Path, kill: Kill = UNDISTURBED) -> tuple[int, str]:
        """Returns the exit status and what was printed."""
        log = self._cache.with_suffix(".log")
        arguments = [*ARGUMENTS, f"--workdir={workdir}", f"--compilation_cache={self._cache}"]
        job = {"arguments": arguments, "log": str(log), **kill._asdict()}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline()), log.read_text()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("cache"))
    yield server
    server.close()


@pytest.fixture(scope="module")
def whole(server, tmp_path_factory) -> dict[str, str]:
    """The digests of what an undisturbed run leaves."""
    workdir = tmp_path_factory.mktemp("whole")
    status, output = server.run(workdir)
    assert status == 0, output[-3000:]
    return left(workdir)


def left(workdir: Path) -> dict[str, str]:
    """Returns the digest of every file with results: rows, weights, predictions, example scores."""
    patterns = (
        "results.jsonl",
        "phases/*/best/*/*",
        "phases/*/done.json",
        "phases/*/predictions/*/*",
        "example_scores/*",
        "submissions/*/*/*",
    )
    paths = [path for pattern in patterns for path in workdir.glob(pattern)]
    found = {
        str(path.relative_to(workdir)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
    }
    assert len(found) > 30
    return found


def drawn(rng: random.Random, turn: int) -> Kill:
    """Returns every kind of moment in turn, at random times."""
    moment = ("step", "save", "evaluation", "write", "weights", "anywhere")[turn % 6]
    if moment == "anywhere":
        return Kill(moment, 1, rng.uniform(1, 5))
    delay = rng.choice((-1.0, 0.0, rng.uniform(0, 0.05)))
    most = {"step": 6, "save": 3, "evaluation": 4, "write": 8, "weights": 2}[moment]
    return Kill(moment, rng.randint(1, most), delay)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_runs_killed_eleven_times_leave_what_an_undisturbed_one_leaves(
    server, whole, tmp_path, seed
):
    """A run that came to its end before its next kill is compared, and another one begun."""
    rng = random.Random(seed)
    runs = killed = turn = resumed = 0
    while killed < KILLS:
        kill = drawn(rng, turn)
        status, output = server.run(tmp_path / str(runs), kill)
        assert status in (0, *DEADLY), (kill, output[-3000:])
        turn += 1
        killed += status != 0
        resumed += "carrying on after step" in output
        if status == 0:
            assert left(tmp_path / str(runs)) == whole, kill
            runs += 1
    status, output = server.run(tmp_path / str(runs))
    assert status == 0, output[-3000:]
    assert left(tmp_path / str(runs)) == whole
    assert resumed


def test_a_full_disk_is_named_and_with_more_room_the_run_carries_on(server, whole, tmp_path):
    """Three sizes of disk: full in a saved state, in the best weights, in what was predicted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True
    ).returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        for size in ("1m", "2m", "3m"):
            subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)
            status, output = server.run(disk / "run")
            assert status == 1
            assert "There is no room left on the disk" in output, output[-3000:]
        subprocess.run(["mount", "-o", "remount,size=99m", str(disk)], check=True)
        status, output = server.run(disk / "run")
        assert status == 0, output[-3000:]
        assert left(disk / "run") == whole
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
