"""Sends the numbers of a training log to TensorBoard and Weights & Biases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from etils import epath

from xt_jax.config import TrainConfig
from xt_jax.errors import ConfigError


class Trackers:
    """The TensorBoard and Weights & Biases runs of a training, opened with the first number.

    Args:
        folders: the folder of each run by its name; TensorBoard's event files are written there.
        begun: steps made before, whose numbers are kept; later ones are dropped.
    """

    def __init__(self, config: TrainConfig, folders: Mapping[str, epath.Path], begun: int):
        self._config, self._folders, self._begun = config, folders, begun
        self._writers: dict[str, Any] = {}
        self._wandb: dict[str, Any] = {}
        if config.wandb:
            _installed_wandb()

    def write(self, run: str, step: int, values: Mapping[str, float]) -> None:
        if self._config.tensorboard:
            writer = self._writer(run)
            for name, value in values.items():
                writer.add_scalar(name, value, step)
        if self._config.wandb:
            self._wandb_run(run).log(dict(values), step=step)

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        for run in self._wandb.values():
            run.finish()

    def _writer(self, run: str) -> Any:
        if run not in self._writers:
            from tensorboardX import SummaryWriter

            folder = str(self._folders[run])
            self._writers[run] = SummaryWriter(folder, purge_step=self._begun + 1)
        return self._writers[run]

    def _wandb_run(self, run: str) -> Any:
        if run not in self._wandb:
            self._wandb[run] = _installed_wandb().init(
                project=self._config.wandb,
                name=run,
                id=run.replace("+", "-")[:128],
                dir=str(self._folders[run]),
                resume="allow",
                reinit="create_new",
            )
        return self._wandb[run]


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
