"""Saved training states: parameters, optimizer, data position and early stopping, by orbax."""

from __future__ import annotations

import time
from typing import Any

import jax
from etils import epath
from orbax.checkpoint import v1 as ocp

from xt_jax.train.step import TrainState


class Checkpoints:
    """The latest state of one phase in `directory`, one folder a step, complete or not there.

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

    def maybe_save(self, step: int, state: TrainState, data: Any, progress: dict) -> bool:
        """Saves in the background if it is time to.

        `data` (a grain iterator) stands at the batch after `step`; `progress` is JSON.
        """
        late = time.monotonic() - self._saved_at >= self._seconds
        if step % self._every_steps and not late:
            return False
        parts = {"state": _changing(state), "data": data, "progress": progress}
        self._checkpointer.save_checkpointables_async(step, parts, force=True)
        self._saved_at = time.monotonic()
        return True

    def restore(self, state: TrainState, data: Any) -> tuple[TrainState, dict] | None:
        """The latest state in the layout of `state`, `data` moved to its position; None if none."""
        if self._checkpointer.latest is None:
            return None
        abstract = jax.tree.map(
            lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=a.sharding), _changing(state)
        )
        parts = self._checkpointer.load_checkpointables(
            None, {"state": abstract, "data": data, "progress": None}
        )
        return state._replace(**parts["state"]), parts["progress"]

    def close(self) -> None:
        """Waits for a save in progress."""
        self._checkpointer.close()


def _changing(state: TrainState) -> dict[str, Any]:
    """What steps change; the key follows from the seed."""
    return {name: part for name, part in state._asdict().items() if name != "key"}
