"""Several processes on one mesh, run for real: what they write is what one process writes."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
DEVICES = 4
ARGUMENTS = (
    "--config=configs/quickstart.py:size=mini-32,seeds=1,random=True",
    "--config.data.max_train_examples=120",
    "--config.data.max_eval_examples=30",
    "--config.intermediates=mnli",
    "--config.targets=panx",
    "--config.targets=tatoeba",
    "--config.languages=en",
    "--config.languages=de",
    "--config.target.eval_every=4",
    "--config.intermediate.eval_every=4",
    "--config.train.save_every_steps=2",
    "--config.train.log_every=2",
    "--compilation_cache=",
)
LAYOUTS = {
    "replicated": ("--config.train.accumulate=2",),
    "fsdp": ("--config.train.sharding=fsdp",),
}


def run(workdir: Path, processes: int, *more: str) -> list[str]:
    """What each of the processes printed; together they have `DEVICES` devices."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        coordinator = f"localhost:{free.getsockname()[1]}"
    environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    environment["JAX_NUM_CPU_DEVICES"] = str(DEVICES // processes)
    environment["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "true"
    # Programs for several CPU devices crash when they come from the cache (jaxlib 0.10.2).
    environment["JAX_ENABLE_COMPILATION_CACHE"] = "false"
    together = [f"--coordinator={coordinator}", f"--processes={processes}"]
    started = [
        subprocess.Popen(
            [
                *(sys.executable, "run.py", *ARGUMENTS, *more, f"--workdir={workdir}"),
                *([*together, f"--process={i}"] if processes > 1 else ()),
            ],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for i in range(processes)
    ]
    try:
        outputs = [process.communicate(timeout=600)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    for process, output in zip(started, outputs, strict=True):
        assert process.returncode == 0, output[-3000:]
    return outputs


def files(workdir: Path) -> list[str]:
    """The names of all that a run leaves but what bears a time of day."""
    names = sorted(str(path.relative_to(workdir)) for path in workdir.rglob("*") if path.is_file())
    return [re.sub(r"tfevents.*", "tfevents", name) for name in names]


@pytest.fixture(scope="module", params=LAYOUTS)
def alone(request, tmp_path_factory) -> tuple[Path, tuple[str, ...]]:
    """The folder of one process, and the layout's flags."""
    workdir = tmp_path_factory.mktemp(request.param)
    run(workdir, 1, *LAYOUTS[request.param])
    return workdir, LAYOUTS[request.param]


@pytest.mark.parametrize("processes", [2, 4])
def test_several_processes_write_what_one_writes(alone, processes, tmp_path):
    one, layout = alone
    outputs = run(tmp_path, processes, *layout)
    rows = (one / "results.jsonl").read_bytes()
    assert len(rows.splitlines()) == 2 + 1 + 3
    assert (tmp_path / "results.jsonl").read_bytes() == rows
    assert files(tmp_path) == files(one)
    for mine in tmp_path.glob("phases/*/predictions/*/*.jsonl"):
        assert mine.read_bytes() == (one / mine.relative_to(tmp_path)).read_bytes()
    for mine in tmp_path.glob("phases/*/log.jsonl"):
        np.testing.assert_allclose(losses(mine), losses(one / mine.relative_to(tmp_path)), 1e-5)
    assert "| panx" in outputs[0]  # the first alone speaks
    assert not any("xt_jax" in output or "panx" in output for output in outputs[1:])


def losses(path: Path) -> list[float]:
    lines = map(json.loads, path.read_text().splitlines())
    found = [line["loss"] for line in lines if "loss" in line]
    assert len(found) > 3
    return found
