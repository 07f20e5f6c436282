"""Predicts every feature of several data sets in one stream of batches of one shape."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from xt_jax import hosts, preemption
from xt_jax.data.packed_sets import PackedSets, pack_sets
from xt_jax.data.packing import Features, spread
from xt_jax.data.shape import Shape
from xt_jax.errors import DataError
from xt_jax.model.config import EncoderConfig
from xt_jax.model.sharding import local_rows, place_batch, row_multiple, step_tokens
from xt_jax.ticker import Ticker

# (model, batch) -> {"fields": {name: [R, S, ...]}, "tokens": {name: [R, T, ...]}}; an integer below
# 0 stands for what cannot be said since a number is not finite (`most_probable`).
PredictFn = Callable[[Any, dict[str, jax.Array]], dict[str, dict[str, jax.Array]]]
Outputs = dict[str, np.ndarray]


def most_probable(logits: jax.Array) -> jax.Array:
    """Returns the index of the highest logit in the last axis; -1 where one is not finite."""
    return jnp.where(jnp.isfinite(logits).all(axis=-1), jnp.argmax(logits, axis=-1), -1)


@dataclass(frozen=True)
class Predictor:
    """A model without its parameters, its prediction function and its mesh.

    Attributes:
        name: of the model, for errors.
    """

    graphdef: Any
    predict_fn: PredictFn
    mesh: Mesh
    config: EncoderConfig
    name: str = "the model"

    def stream(
        self, sets: Sequence[Features], *, packing: bool = True, shape: Shape | None = None
    ) -> PackedSets:
        """Packs the data sets into rows of the given shape, or of one that suits the devices."""
        return pack_sets(
            sets,
            packing=packing,
            devices=self.mesh.shape["data"],
            row_multiple=row_multiple(),
            hidden_size=self.config.hidden_size,
            step_tokens=step_tokens(self.config.hidden_size),
            shape=shape,
        )

    def __call__(
        self,
        params: nnx.State,
        stream: PackedSets,
        wanted: Collection[int] | None = None,
        names: Sequence[str] = (),
    ) -> Iterator[tuple[int, Outputs]]:
        """Yields (index of the data set, outputs of `predict_fn` for its features in order).

        A data set is yielded as soon as its last row is computed. Only steps that hold a data set
        in `wanted` (None: all) are run, with the same batches as in a full run, so that the
        predictions after a restart are equal bit for bit.

        Args:
            names: of the data sets, for errors.

        Yields:
            For every name under "fields" an array [N, ...]; for every name under "tokens" an array
            [sum(lengths), ...], aligned with the data set's `tokens`.

        Raises:
            Preempted: the run was asked to end.
            DataError: an output holds NaN or infinity.
            AssertionError: not every feature was predicted exactly once.
        """
        remaining = sorted(set(range(len(stream.sets)) if wanted is None else wanted))
        gathered = {i: _Gathered(stream.sets[i]) for i in remaining}
        yield from _complete(remaining, gathered)
        for step, (outputs, is_finite) in self._outputs(params, stream, stream.steps(gathered)):
            for i, at in stream.parts(step):
                if i in gathered and not is_finite[stream.plan.row[at]].all():
                    raise DataError(
                        f"The outputs for {names[i] if names else 'the texts'} hold NaN or "
                        "infinity.",
                        where=self.name,
                        remedy="use a model with sound weights",
                    )
                if i in gathered:
                    gathered[i].add(outputs, stream, i, at)
            yield from _complete(remaining, gathered)
        assert not remaining, f"the data sets {remaining} were not predicted completely"

    def lower(self, params: nnx.State, batch: dict[str, jax.Array]) -> jax.stages.Lowered:
        """Lowers the program of a step, for shapes as well as for arrays."""
        return _compiled.lower(self.graphdef, params, batch, self.predict_fn)

    def _outputs(
        self, params: nnx.State, stream: PackedSets, steps: Sequence[int]
    ) -> Iterator[tuple[int, tuple[dict[str, dict[str, np.ndarray]], np.ndarray]]]:
        """Yields (step, what `_compiled` gave), with the device one step ahead of the host."""
        pending: tuple[int, Any] | None = None
        rows = local_rows(self.mesh, stream.plan.rows)
        ticker = Ticker("predicted batches", len(steps))
        for step in steps:
            preemption.end_if_asked()
            batch = place_batch(stream.batch(step, self.config.pad_id, rows), self.mesh)
            outputs = _compiled(self.graphdef, params, batch, self.predict_fn)
            if pending is not None:
                yield pending[0], hosts.get(pending[1])
                ticker.advance()
            pending = (step, outputs)
        if pending is not None:
            yield pending[0], hosts.get(pending[1])


@functools.partial(jax.jit, static_argnums=(0, 3))
def _compiled(graphdef: Any, params: nnx.State, batch: dict[str, jax.Array], predict_fn: PredictFn):
    """Returns the outputs, and for each row [R] whether all that count are finite."""
    outputs = predict_fn(nnx.merge(graphdef, params), batch)
    counts = {"fields": batch["feature"] >= 0, "tokens": batch["segment_ids"] > 0}
    is_finite = jnp.ones(len(batch["segment_ids"]), bool)
    for kind, arrays in outputs.items():
        for values in arrays.values():
            is_sound = jnp.isfinite(values) & (values >= 0 if values.dtype == jnp.int32 else True)
            each = is_sound.reshape(*values.shape[:2], -1).all(axis=-1)
            is_finite &= (each | ~counts[kind]).all(axis=-1)
    return outputs, is_finite


class _Gathered:
    """The outputs of one data set gathered so far."""

    def __init__(self, features: Features):
        self.outputs: Outputs = {}
        self._features = features
        self._seen = np.zeros(len(features), np.int32)

    @property
    def is_complete(self) -> bool:
        assert self._seen.max(initial=0) <= 1, "a feature was predicted twice"
        return bool(self._seen.all())

    def add(self, outputs: dict[str, Outputs], stream: PackedSets, which: int, at: slice) -> None:
        """Adds a step's outputs for the features placed at the slice `at` of the plan."""
        plan, features = stream.plan, self._features
        feature = plan.feature[at] - stream.first[which]
        row, slot, column = plan.row[at], plan.slot[at], plan.column[at]
        np.add.at(self._seen, feature, 1)
        for name, values in outputs["fields"].items():
            self._room(name, len(features), values)[feature] = values[row, slot]
        if outputs["tokens"]:
            begin = row.astype(np.int64) * plan.length + column
            source, offset, which_feature = spread(features.lengths[feature], begin)
            target = features.splits[feature][which_feature] + offset
            for name, values in outputs["tokens"].items():
                flat = values.reshape(-1, *values.shape[2:])
                self._room(name, int(features.splits[-1]), values)[target] = flat[source]

    def _room(self, name: str, size: int, like: np.ndarray) -> np.ndarray:
        if name not in self.outputs:
            self.outputs[name] = np.zeros((size, *like.shape[2:]), like.dtype)
        return self.outputs[name]


def _complete(
    remaining: list[int], gathered: dict[int, _Gathered]
) -> Iterator[tuple[int, Outputs]]:
    """Yields the first data sets that are complete and removes them from `remaining`."""
    while remaining and gathered[remaining[0]].is_complete:
        which = remaining.pop(0)
        yield which, gathered.pop(which).outputs
