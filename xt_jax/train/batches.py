"""Makes the batches of a training run, step by step, in a thread before they are needed."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jax.sharding import Mesh

from xt_jax.data.mixture import turns
from xt_jax.data.packing import Features, Plan, materialise
from xt_jax.errors import DataError
from xt_jax.model.sharding import MEMBER, local_rows
from xt_jax.train.step import StepSpec

T = TypeVar("T")

AHEAD = 8
PATIENCE = 600.0  # seconds; what is read lies in memory or in a mapped file


@dataclass(frozen=True)
class TrainedTask:
    """One task of a training run: its step and its batches.

    Attributes:
        plans: one for each member, all of one shape.
    """

    name: str
    spec: StepSpec
    plans: tuple[Plan, ...]
    features: Features


def batch_stream(
    tasks: Sequence[TrainedTask],
    order: np.ndarray,
    pad_id: int,
    mesh: Mesh,
    *,
    members: int = 1,
    accumulate: int = 1,
    begun: int = 0,
) -> Generator[dict[str, np.ndarray], None, None]:
    """Yields the batches of all steps after the first `begun`, made ahead in a thread.

    A batch has only the rows that this process's devices hold. Arrays are [R, ...]; with several
    micro-batches [accumulate, R / accumulate, ...]; with several members, or on a `member_mesh`,
    there is a further leading axis.

    Args:
        order: [steps] which of `tasks` each step trains.
        members: the size of that axis, which the last member's batches fill.
    """
    turn = turns(order)
    rows = [local_rows(mesh, task.plans[0].rows, accumulate) for task in tasks]

    def batch_of(step: int) -> dict[str, np.ndarray]:
        task, local = tasks[order[step]], rows[order[step]]
        batches = [
            materialise(plan, task.features, int(turn[step]), pad_id, local) for plan in task.plans
        ]
        if accumulate > 1:
            batches = [
                {name: a.reshape(accumulate, -1, *a.shape[1:]) for name, a in batch.items()}
                for batch in batches
            ]
        if len(batches) == 1 and MEMBER not in mesh.axis_names:
            return batches[0]
        filling = filled(batches, members)
        return {name: np.stack([batch[name] for batch in filling]) for name in batches[0]}

    return made_ahead(batch_of, range(begun, len(order)))


def filled(items: Sequence[T], count: int) -> list[T]:
    """Returns `count` items: those given, then the last one again and again."""
    return [*items, *[items[-1]] * (count - len(items))]


def made_ahead(
    make: Callable[[int], T], steps: Sequence[int], *, patience: float = PATIENCE
) -> Generator[T, None, None]:
    """Yields `make(step)` for each of `steps` in order, made up to `AHEAD` steps in advance.

    Raises:
        DataError: an item is not ready `patience` seconds after it was asked for.
        Exception: what `make` raised, when that step's item is asked for.
    """
    ready: queue.Queue[T | Exception] = queue.Queue(AHEAD)
    closed = threading.Event()

    def work() -> None:
        for step in steps:
            try:
                item: T | Exception = make(step)
            except Exception as error:
                item = error
            while not closed.is_set():
                try:
                    ready.put(item, timeout=0.5)
                except queue.Full:
                    continue
                break
            if closed.is_set() or isinstance(item, Exception):
                return

    # A daemon: a thread that hangs must not keep the process from ending.
    threading.Thread(target=work, name="feed", daemon=True).start()
    try:
        for step in steps:
            try:
                item = ready.get(timeout=patience)
            except queue.Empty:
                raise DataError(
                    f"The batch of step {step} was not ready after {patience:g} seconds.",
                    where="the thread that makes batches",
                    remedy="check that the disk or the network folder of --config.data.cache_dir "
                    "still responds, then run the same command again: it resumes from the last "
                    "saved state",
                ) from None
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        closed.set()
