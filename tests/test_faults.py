"""Kills a run in training, saves, evaluations, writes and anywhere: results stay the same.

    XT_JAX_KILLS=33 python -m pytest -m slow tests/test_faults.py

kills more often, at other random moments (`XT_JAX_SEED=1`).
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from commands import SMALL, Run
from etils import epath

from xt_jax.model import hf, predict
from xt_jax.train import loop
from xt_jax.train.checkpoint import SavedStates

pytestmark = pytest.mark.slow

ARGUMENTS = (
    *SMALL,
    *("--config.languages=tr", "--config.submission=true", "--config.intermediates=mnli+squad"),
    *("--config.targets=xnli", "--config.targets=panx", "--config.targets=tatoeba"),
)
KILLS, SEED = (int(os.environ.get(f"XT_JAX_{n}", v)) for n, v in (("KILLS", 6), ("SEED", 0)))
DEADLY = (-signal.SIGKILL, -signal.SIGALRM)


MOMENTS: dict[str, tuple[Any, str]] = {
    "step": (loop, "place_batch"),
    "save": (SavedStates, "save"),
    "evaluation": (predict, "place_batch"),
    "write": (type(epath.Path("/")), "replace"),
    "weights": (hf, "write_safetensors"),
}


def kill_at(moment: str, count: int, delay: float) -> None:
    """Kills this process at the `count`-th call of the function that defines the moment.

    Args:
        delay: seconds after the call has returned (by a timer), below 0 before it is made; for
            "anywhere", seconds from now.
    """
    if moment == "anywhere":
        signal.setitimer(signal.ITIMER_REAL, delay)
        return
    owner, name = MOMENTS[moment]
    original: Callable = getattr(owner, name)
    calls = 0

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls != count:
            return original(*args, **kwargs)
        if moment == "weights":
            signal.setitimer(signal.ITIMER_REAL, 0.001)  # in the middle of the file
        elif delay < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args, **kwargs)
        signal.setitimer(signal.ITIMER_REAL, max(delay, 1e-6))
        return result

    setattr(owner, name, counted)


def run(workdir: Path, *kill) -> tuple[int | None, str]:
    """Returns the exit status and what was printed; `kill`: arguments of `kill_at`."""
    first = partial(kill_at, *kill) if kill else bool
    return Run(*ARGUMENTS, f"--workdir={workdir}", first=first).end()


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[str, str]:
    """The digests of what an undisturbed run leaves."""
    workdir = tmp_path_factory.mktemp("whole")
    status, output = run(workdir)
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


def drawn(rng: random.Random, turn: int) -> tuple[str, int, float]:
    """Returns every kind of moment in turn, at random times."""
    moment = ("step", "save", "evaluation", "write", "weights", "anywhere")[turn % 6]
    if moment == "anywhere":
        return moment, 1, rng.uniform(1, 5)
    delay = rng.choice((-1.0, 0.0, rng.uniform(0, 0.05)))
    most = {"step": 6, "save": 3, "evaluation": 4, "write": 8, "weights": 2}[moment]
    return moment, rng.randint(1, most), delay


def test_a_run_killed_again_and_again_leaves_what_an_undisturbed_one_leaves(whole, tmp_path):
    """A run that came to its end before its next kill is compared, and another one begun."""
    rng = random.Random(SEED)
    runs = killed = turn = resumed = 0
    while killed < KILLS:
        kill = drawn(rng, turn)
        status, output = run(tmp_path / str(runs), *kill)
        assert status in (0, *DEADLY), (kill, output[-3000:])
        turn += 1
        killed += status != 0
        resumed += "carrying on after step" in output
        if status == 0:
            assert left(tmp_path / str(runs)) == whole, kill
            runs += 1
    status, output = run(tmp_path / str(runs))
    assert status == 0, output[-3000:]
    assert left(tmp_path / str(runs)) == whole
    assert resumed


def test_a_full_disk_is_named_and_with_more_room_the_run_carries_on(whole, tmp_path):
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
            status, output = run(disk / "run")
            assert status == 1
            assert "There is no room left on the disk" in output, output[-3000:]
        subprocess.run(["mount", "-o", "remount,size=99m", str(disk)], check=True)
        status, output = run(disk / "run")
        assert status == 0, output[-3000:]
        assert left(disk / "run") == whole
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
