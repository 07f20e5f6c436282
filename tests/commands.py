"""Runs `run.py` in forks of one process that has everything imported, which saves its seconds."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import jax
from conftest import ROOT

# A study of minutes, without its tasks.
SMALL = (
    "--config=configs/quickstart.py:size=mini-32,seeds=1,random=True",
    *("--config.languages=en", "--config.languages=de"),
    *("--config.data.max_train_examples=120", "--config.data.max_eval_examples=30"),
    *("--config.intermediate.eval_every=4", "--config.target.eval_every=4"),
    *("--config.train.save_every_steps=2", "--config.train.log_every=2"),
)

_PACKAGE = ("xt_jax.study.runner", "xt_jax.report.write", "xt_jax.hosts", "xt_jax.preemption")
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["pytest", "ml_collections.config_flags", *_PACKAGE])


class Run:
    """A run of the command, on one device.

    Args:
        first: what the process does first.
        settings: JAX's, by name.
    """

    def __init__(self, *arguments: str, first: Callable = bool, **settings: object):
        handle, name = tempfile.mkstemp(suffix=".log")
        os.close(handle)
        self._log = Path(name)
        settings = {"jax_num_cpu_devices": 1, **settings}
        self.process = _FORKS.Process(target=_work, args=(name, arguments, first, settings))
        self.process.start()

    @property
    def output(self) -> str:
        return self._log.read_text()

    def end(self) -> tuple[int | None, str]:
        """Returns the exit status and what was printed."""
        self.process.join(600)
        self.process.kill()
        output = self.output
        self._log.unlink()
        return self.process.exitcode, output


def finish(*arguments: str, **options) -> str:
    """Returns what a run printed that came to its end."""
    status, output = Run(*arguments, **options).end()
    assert status == 0, output[-3000:]
    return output


def _work(log: str, arguments: tuple[str, ...], first: Callable, settings: dict) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    for each in (1, 2):
        os.dup2(descriptor, each)
    os.chdir(ROOT)
    for name, value in settings.items():
        jax.config.update(name, value)
    sys.argv = ["run.py", *arguments]  # ml_collections looks there
    first()
    runpy.run_path("run.py", run_name="__main__")
