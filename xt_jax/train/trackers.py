"""Sends the numbers of a training log to TensorBoard and Weights & Biases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from etils import epath

from xt_jax.config import TrainConfig
from xt_jax.errors import ConfigError


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

    def write(self, run: str, step: int, values: Mapping[str, float]) -> None:
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
