"""Makes the batches of a training run, step by step."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np
from jax.sharding import Mesh

from xt_jax.data.mixture import turns
from xt_jax.data.packing import Features, Plan, materialise
from xt_jax.model.sharding import local_rows
from xt_jax.train.feed import made_ahead
from xt_jax.train.step import StepSpec


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
    accumulate: int = 1,
    begun: int = 0,
) -> Generator[dict[str, np.ndarray], None, None]:
    """Yields the batches of all steps after the first `begun`, made ahead in a thread.

    A batch has only the rows that this process's devices hold. Arrays are [R, ...]; with several
    micro-batches [accumulate, R / accumulate, ...]; with several members there is a further
    leading axis.

    Args:
        order: [steps] which of `tasks` each step trains.
    """
    earlier = turns(order)
    rows = [local_rows(mesh, task.plans[0].rows, accumulate) for task in tasks]

    def batch_of(step: int) -> dict[str, np.ndarray]:
        task = tasks[order[step]]
        return _stacked_batch(task, int(earlier[step]), pad_id, rows[order[step]], accumulate)

    return made_ahead(batch_of, range(begun, len(order)))


def _stacked_batch(
    task: TrainedTask, step: int, pad_id: int, rows: np.ndarray | None, accumulate: int
) -> dict[str, np.ndarray]:
    """Makes the task's own `step`-th batch, with the axes of micro-batches and of members."""
    batches = [materialise(plan, task.features, step, pad_id, rows) for plan in task.plans]
    if accumulate > 1:
        batches = [
            {name: a.reshape(accumulate, -1, *a.shape[1:]) for name, a in batch.items()}
            for batch in batches
        ]
    if len(batches) == 1:
        return batches[0]
    return {name: np.stack([batch[name] for batch in batches]) for name in batches[0]}
