"""Saves and restores training states (parameters, optimizer, early stopping) by orbax."""

from __future__ import annotations

import collections
import contextlib
import math
import time
from typing import Any, NamedTuple

import jax
from absl import logging
from etils import epath
from orbax.checkpoint import v1 as ocp

from xt_jax import hosts
from xt_jax.config import TrainConfig
from xt_jax.errors import DivergedError
from xt_jax.places import literal_path
from xt_jax.train.step import TrainState, all_finite

Progress = dict[str, Any]
NOT_BEGUN: Progress = {"best": -math.inf, "best_step": 0, "without_gain": 0, "steps": 0}


class Position(NamedTuple):
    """How far a training run has come, as saved with its state in JSON.

    Attributes:
        batches: `Run.batches_digest`.
        done: updates made.
        evaluated: the last step after which there was an evaluation.
        members: the progress of each member.
    """

    batches: str
    done: int
    evaluated: int
    members: list[Progress]


class SavedStates:
    """The latest state of a training run in `directory`, which is there completely or not at all.

    Saved after every `save_every_steps` steps, and when `save_every_minutes` have passed.
    """

    def __init__(self, directory: epath.Path, config: TrainConfig):
        self._directory = directory
        self._open = contextlib.ExitStack()
        self._checkpointer = ocp.training.Checkpointer(
            self._open.enter_context(literal_path(directory)),
            preservation_policy=ocp.training.preservation_policies.LatestN(1),
        )
        self._every_steps, self._seconds = config.save_every_steps, 60 * config.save_every_minutes
        self._saved, self._saved_at = 0, time.monotonic()
        # Best steps of the last two states: if one is half written, the other counts.
        self._best: collections.deque[list[int]] = collections.deque(maxlen=2)

    def restored(self, state: TrainState, begin: Position) -> tuple[TrainState, Position]:
        """Returns the latest readable state with these batches, in the layout of `state`.

        A damaged one is named in the log and skipped; `state` and `begin` if there is none.
        """
        abstract = jax.tree.map(
            lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=a.sharding), _changing(state)
        )
        at = begin
        for saved in reversed(self._checkpointer.checkpoints):
            try:
                parts = self._checkpointer.load_checkpointables(
                    saved.step, {"state": abstract, "progress": None}
                )
            except Exception as error:  # orbax and tensorstore raise many types
                problem = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
                logging.warning("The state of step %d cannot be read (%s)", saved.step, problem)
                continue
            if parts["progress"].keys() != begin._asdict().keys():
                logging.warning("A saved state is from another version; the phase starts again")
            elif parts["progress"]["batches"] != begin.batches:
                logging.warning("A saved state belongs to other batches; the phase starts again")
            else:
                state, at = state._replace(**parts["state"]), Position(**parts["progress"])
            break
        self._note(at)
        return state, at

    def best_steps(self, member: int) -> set[int]:
        """Returns the best steps of a member whose parameters a restart may need."""
        return {best[member] for best in self._best}

    def save_if_due(self, state: TrainState, at: Position) -> None:
        """Saves if it is time; to be called after the step's evaluation, to save its score too."""
        if at.done > self._saved and self.is_due(at.done):
            self.save(state, at)

    def is_due(self, step: int) -> bool:
        """Returns whether it is time to save; all processes get the same answer."""
        due = step % self._every_steps == 0
        return due or hosts.have_passed(self._seconds, self._saved_at, step)

    def save(self, state: TrainState, at: Position) -> None:
        """Saves in the background; if the state is not finite, raises a DivergedError instead."""
        if at.done > self._saved:
            if not all_finite(state):
                raise DivergedError(
                    f"After step {at.done} parameters or moments are not finite.",
                    where=str(self._directory),
                    remedy="lower the learning rate, or check the data of the steps before; the "
                    f"state of step {self._saved} is kept",
                )
            parts = {"state": _changing(state), "progress": at._asdict()}
            self._checkpointer.save_checkpointables_async(at.done, parts, force=True)
            self._saved_at = time.monotonic()
            self._note(at)

    def close(self) -> None:
        """Waits for a save in progress."""
        self._checkpointer.close()
        self._open.close()

    def _note(self, at: Position) -> None:
        self._saved = at.done
        self._best.append([progress["best_step"] for progress in at.members])


def _changing(state: TrainState) -> dict[str, Any]:
    """Returns the parts of a state that steps change; the key follows from the seed."""
    return {name: part for name, part in state._asdict().items() if name != "key"}
