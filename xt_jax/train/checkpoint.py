"""Saves and restores training states (parameters, optimizer, early stopping) by orbax."""

from __future__ import annotations

import time
from typing import Any

import jax
from absl import logging
from etils import epath
from orbax.checkpoint import v1 as ocp

from xt_jax import hosts
from xt_jax.train.step import TrainState

_CLOCK = 16  # steps between requests for the first process's clock, if there are several


class Checkpoints:
    """The latest state of one phase in `directory`, which is there completely or not at all.

    Args:
        every_steps: save after so many steps.
        every_minutes: and whenever so much time has passed since the last save.
    """

    def __init__(self, directory: epath.Path, every_steps: int, every_minutes: float):
        local = "://" not in str(directory)
        self._checkpointer = ocp.training.Checkpointer(
            directory.absolute() if local else directory,  # orbax takes no relative paths
            preservation_policy=ocp.training.preservation_policies.LatestN(1),
        )
        self._every_steps, self._seconds = every_steps, 60 * every_minutes
        self._saved_at = time.monotonic()

    def is_due(self, step: int) -> bool:
        """Returns whether it is time to save; all processes get the same answer."""
        if step % self._every_steps == 0:
            return True
        if jax.process_count() > 1 and step % _CLOCK:
            return False
        return hosts.agree(time.monotonic() - self._saved_at >= self._seconds)

    def save(self, step: int, state: TrainState, progress: dict) -> None:
        """Saves a state in the background; `progress` must be JSON."""
        parts = {"state": _changing(state), "progress": progress}
        self._checkpointer.save_checkpointables_async(step, parts, force=True)
        self._saved_at = time.monotonic()

    def restore(self, state: TrainState) -> tuple[TrainState, dict] | None:
        """Returns the latest readable state in the layout of `state`; None if there is none.

        A damaged one is named in the log and skipped.
        """
        abstract = jax.tree.map(
            lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=a.sharding), _changing(state)
        )
        for saved in reversed(self._checkpointer.checkpoints):
            try:
                parts = self._checkpointer.load_checkpointables(
                    saved.step, {"state": abstract, "progress": None}
                )
            except Exception as error:  # orbax and tensorstore raise many types
                problem = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
                logging.warning("The state of step %d cannot be read (%s)", saved.step, problem)
                continue
            return state._replace(**parts["state"]), parts["progress"]
        return None

    def close(self) -> None:
        """Waits for a save in progress."""
        self._checkpointer.close()


def _changing(state: TrainState) -> dict[str, Any]:
    """Returns the parts of a state that steps change; the key follows from the seed."""
    return {name: part for name, part in state._asdict().items() if name != "key"}
