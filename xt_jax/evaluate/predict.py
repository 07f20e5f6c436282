"""Predictions of a model for every feature, in fixed shapes, whatever their number."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from xt_jax.data.packing import Features, Plan, materialise, plan_evaluation
from xt_jax.sharding import place_batch

TOKENS_PER_STEP = 8192  # on each device

# (model, batch) -> {"fields": {name: [R, S, ...]}, "tokens": {name: [R, T, ...]}}
PredictFn = Callable[[Any, dict[str, jax.Array]], dict[str, dict[str, jax.Array]]]


def plan_all(
    splits: Sequence[Features], *, packing: bool = True, devices: int = 1, row_multiple: int = 8
) -> list[Plan]:
    """One plan per split, all of one shape, so that one compiled function serves them all."""
    longest = max((int(f.lengths.max()) for f in splits if len(f)), default=1)
    length = -(-longest // row_multiple) * row_multiple
    budget = max(1, devices * TOKENS_PER_STEP // length)
    most = max(1, length // 8) if packing else 1
    needed = max(-(-int(f.lengths.sum()) // length) if packing else len(f) for f in splits)
    rows = -(-max(1, min(budget, needed)) // devices) * devices
    plans = [
        plan_evaluation(f.lengths, rows=rows, length=length, segments=most, packing=packing)
        for f in splits
    ]
    used = max(int(plan.slot.max(initial=0)) + 1 for plan in plans)
    return [dataclasses.replace(plan, segments=used) for plan in plans]


def predict(
    graphdef: Any,
    params: nnx.State,
    predict_fn: PredictFn,
    features: Features,
    plan: Plan,
    *,
    mesh: Mesh,
    pad_id: int,
) -> dict[str, np.ndarray]:
    """What `predict_fn` says of each feature, in the order of `features`.

    Returns:
        For every name under "fields" an array [N, ...]; for every name under "tokens" an array
        [sum(lengths), ...], aligned with `features.tokens`.

    Raises:
        AssertionError: not every feature was predicted exactly once.
    """
    results: dict[str, np.ndarray] = {}
    splits = features.splits
    seen = np.zeros(len(features), np.int32)
    for step, outputs in _outputs(graphdef, params, predict_fn, features, plan, mesh, pad_id):
        here = slice(plan.splits[step], plan.splits[step + 1])
        feature, row = plan.feature[here], plan.row[here]
        np.add.at(seen, feature, 1)
        for name, values in outputs["fields"].items():
            _room(results, name, len(features), values)[feature] = values[row, plan.slot[here]]
        for name, values in outputs["tokens"].items():
            room = _room(results, name, int(splits[-1]), values)
            for f, r, column in zip(feature, row, plan.column[here], strict=True):
                length = features.lengths[f]
                room[splits[f] : splits[f] + length] = values[r, column : column + length]
    assert (seen == 1).all(), f"{(seen != 1).sum()} features were not predicted exactly once"
    return results


def _outputs(
    graphdef: Any,
    params: nnx.State,
    predict_fn: PredictFn,
    features: Features,
    plan: Plan,
    mesh: Mesh,
    pad_id: int,
) -> Iterator[tuple[int, dict[str, dict[str, np.ndarray]]]]:
    """(step, outputs on the host), the device one step ahead of the host."""
    pending: tuple[int, Any] | None = None
    for step in range(plan.steps):
        batch = place_batch(materialise(plan, features, step, pad_id), mesh)
        outputs = _compiled(graphdef, params, batch, predict_fn)
        if pending is not None:
            yield pending[0], jax.device_get(pending[1])
        pending = (step, outputs)
    if pending is not None:
        yield pending[0], jax.device_get(pending[1])


@functools.partial(jax.jit, static_argnums=(0, 3))
def _compiled(graphdef: Any, params: nnx.State, batch: dict[str, jax.Array], predict_fn: PredictFn):
    return predict_fn(nnx.merge(graphdef, params), batch)


def _room(results: dict[str, np.ndarray], name: str, size: int, like: np.ndarray) -> np.ndarray:
    if name not in results:
        results[name] = np.zeros((size, *like.shape[2:]), like.dtype)
    return results[name]
