"""Where the numbers of a training log go besides its file: TensorBoard, Weights & Biases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from etils import epath

from xt_jax.config import TrainConfig
from xt_jax.errors import ConfigError


class Trackers:
    """Those of some runs, which are opened with the first number.

    Args:
        folders: of each run by its name; TensorBoard's event files go there.
        begun: steps made before, whose numbers are there; later ones are dropped.
    """

    def __init__(self, config: TrainConfig, folders: Mapping[str, epath.Path], begun: int):
        self._config, self._folders, self._begun = config, folders, begun
        self._boards: dict[str, Any] = {}
        self._wandb: dict[str, Any] = {}
        if config.wandb:
            _installed_wandb()

    def write(self, run: str, step: int, values: Mapping[str, float]) -> None:
        if self._config.tensorboard:
            board = self._board(run)
            for name, value in values.items():
                board.add_scalar(name, value, step)
        if self._config.wandb:
            self._wandb_run(run).log(dict(values), step=step)

    def close(self) -> None:
        for board in self._boards.values():
            board.close()
        for run in self._wandb.values():
            run.finish()

    def _board(self, run: str) -> Any:
        if run not in self._boards:
            from tensorboardX import SummaryWriter

            folder = str(self._folders[run])
            self._boards[run] = SummaryWriter(folder, purge_step=self._begun + 1)
        return self._boards[run]

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
