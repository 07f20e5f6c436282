"""Logs training as lines of JSON, to TensorBoard and Weights & Biases, and on the console.

With several processes only the first one writes.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from absl import logging
from etils import epath
from tqdm import tqdm

from xt_jax import hosts
from xt_jax.config import TrainConfig
from xt_jax.errors import ConfigError, DivergedError
from xt_jax.files import AppendedFile
from xt_jax.model.batch import Sums
from xt_jax.ticker import SILENCE

Values = Mapping[str, float]


class Log:
    """The log of one or several runs that are trained together.

    Args:
        folders: the folder of each run by its name; `log.jsonl` is written there.
        steps: planned.
        begun: steps made before.
        mixed: multi-task training; a loss then has its task's name behind a slash.
    """

    def __init__(
        self,
        folders: Mapping[str, epath.Path],
        steps: int,
        config: TrainConfig,
        *,
        begun: int = 0,
        mixed: bool = False,
    ):
        self._folders, self._steps, self._mixed = folders, steps, mixed
        self._every, self._said_at = config.log_every, time.monotonic()
        self._began = time.time()
        first, *others = folders
        self.title = f"{first} and {len(others)} more" if others else first
        written = folders if hosts.is_first() else {}
        self._files = {run: AppendedFile(f / "log.jsonl") for run, f in written.items()}
        self._trackers = Trackers(config, written, begun)

    def is_due(self, step: int) -> bool:
        """Whether losses are logged after this step; all processes get the same answer."""
        due = step % self._every == 0 or step == self._steps
        return due or hosts.have_passed(SILENCE, self._said_at, step)

    def bar(self, start: int) -> tqdm:
        return tqdm(
            total=self._steps,
            initial=start,
            desc=self.title,
            unit="step",
            disable=not sys.stderr.isatty(),
            leave=False,
        )

    def compiled(self, lowered: jax.stages.Lowered) -> jax.stages.Compiled:
        """Compiles a program and logs how long it took and how much memory it needs."""
        began = time.perf_counter()
        program = lowered.compile()
        text = f"compiled in {time.perf_counter() - began:.1f} s"
        memory = program.memory_analysis()
        if memory is not None:
            state, work = memory.argument_size_in_bytes, memory.temp_size_in_bytes
            text += f"; on each device {_size(state)} of state and batch, {_size(work)} temporary"
        self._say(text)
        return program

    def losses(self, step: int, latest: Mapping[str, Sums], rates: Values) -> None:
        """Logs every task's latest losses; the console shows the mean over the runs.

        Raises:
            DivergedError: a loss is not finite.
        """
        means = {}
        for task, sums in latest.items():
            for name, (total, weight) in sums.items():
                label = f"{name}/{task}" if self._mixed else name
                means[label] = np.atleast_1d(total) / np.maximum(np.atleast_1d(weight), 1e-9)
        for i, run in enumerate(self._folders):
            values = {label: float(mean[i]) for label, mean in means.items()}
            _check_finite(values, step, run)
            self._append(run, step, {**values, **rates})
        shown = {label: float(mean.mean()) for label, mean in means.items()}
        self._say(f"step {step} of {self._steps}  {_shown({**shown, **rates})}")

    def write(self, run: str, step: int, values: Values) -> None:
        """Logs values of one run after a step."""
        self._append(run, step, values)
        self._say(f"step {step} of {self._steps}  {_shown(values)}", run)

    def close(self) -> None:
        self._trackers.close()
        for file in self._files.values():
            file.close()

    def _append(self, run: str, step: int, values: Values) -> None:
        if not hosts.is_first():
            return
        self._trackers.write(run, step, values)
        line = {"step": step, **values, "seconds": round(time.time() - self._began, 3)}
        self._files[run].append(json.dumps(line).encode() + b"\n")

    def _say(self, text: str, run: str = "") -> None:
        self._said_at = time.monotonic()
        with tqdm.external_write_mode(sys.stderr):  # the bar makes room for the line
            logging.info("%s: %s", run or self.title, text)


class Trackers:
    """The TensorBoard and Weights & Biases runs of a training.

    Args:
        folders: the folder of each run by its name; TensorBoard's event files are written there.
        begun: steps made before, whose numbers are kept; later ones are dropped.
    """

    def __init__(self, config: TrainConfig, folders: Mapping[str, epath.Path], begun: int):
        self._writers: dict[str, Any] = {}
        self._wandb: dict[str, Any] = {}
        if config.tensorboard:
            from tensorboardX import SummaryWriter

            self._writers = {
                run: SummaryWriter(str(folder), purge_step=begun + 1)
                for run, folder in folders.items()
            }
        if config.wandb:
            init = _installed_wandb().init
            self._wandb = {
                run: init(
                    project=config.wandb,
                    name=run,
                    id=run.replace("+", "-")[:128],
                    dir=str(folder),
                    resume="allow",
                    reinit="create_new",
                )
                for run, folder in folders.items()
            }

    def write(self, run: str, step: int, values: Values) -> None:
        if run in self._writers:
            for name, value in values.items():
                self._writers[run].add_scalar(name, value, step)
        if run in self._wandb:
            self._wandb[run].log(dict(values), step=step)

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        for run in self._wandb.values():
            run.finish()


def _check_finite(values: Values, step: int, run: str) -> None:
    for label, value in values.items():
        if label.startswith("loss") and not math.isfinite(value):
            raise DivergedError(
                f"The loss is {value} at step {step}.",
                where=f"{run} ({label})",
                remedy="lower the learning rate, or check the data of the steps before",
            )


def _shown(values: Values) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in values.items())


def _size(count: int) -> str:
    return f"{count / 2**30:.2f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"


def _installed_wandb() -> Any:
    try:
        import wandb
    except ImportError as error:
        raise ConfigError(
            "Weights & Biases is not installed.",
            where="--config.train.wandb",
            remedy="pip install wandb, or leave the field empty",
        ) from error
    return wandb
