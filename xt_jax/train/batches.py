"""The batches of a phase, step by step."""

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
class Stream:
    """One task of a phase: its step, and the batches for it.

    Attributes:
        plans: of each seed, all of one shape.
    """

    name: str
    spec: StepSpec
    plans: tuple[Plan, ...]
    features: Features


def batch_stream(
    streams: Sequence[Stream],
    order: np.ndarray,
    pad_id: int,
    mesh: Mesh,
    *,
    accumulate: int = 1,
    begun: int = 0,
) -> Generator[dict[str, np.ndarray], None, None]:
    """The batches of all steps after the first `begun` in order, made ahead in a thread.

    Of each batch, the rows that this process's devices hold. Arrays are [R, ...]; those of several
    micro-batches [accumulate, R / accumulate, ...]; those of several seeds have a further axis in
    front.

    Args:
        order: [steps] which of `streams` each step trains.
    """
    turn = turns(order)
    rows = [local_rows(mesh, stream.plans[0].rows, accumulate) for stream in streams]

    def make(step: int) -> dict[str, np.ndarray]:
        task = order[step]
        stream, at = streams[task], int(turn[step])
        batches = [
            materialise(plan, stream.features, at, pad_id, rows[task]) for plan in stream.plans
        ]
        if accumulate > 1:
            batches = [_micro_batches(batch, accumulate) for batch in batches]
        if len(batches) == 1:
            return batches[0]
        return {name: np.stack([batch[name] for batch in batches]) for name in batches[0]}

    return made_ahead(make, range(begun, len(order)))


def _micro_batches(batch: dict[str, np.ndarray], accumulate: int) -> dict[str, np.ndarray]:
    return {name: a.reshape(accumulate, -1, *a.shape[1:]) for name, a in batch.items()}
