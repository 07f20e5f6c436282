"""Predictions of a model for every feature of several data sets, in one shape and one stream."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from xt_jax import hosts, preemption
from xt_jax.data.packed_sets import PackedSets, pack_sets
from xt_jax.data.packing import Features, spread
from xt_jax.data.shape import Shape
from xt_jax.model.config import EncoderConfig
from xt_jax.model.sharding import local_rows, place_batch, row_multiple, step_tokens

# (model, batch) -> {"fields": {name: [R, S, ...]}, "tokens": {name: [R, T, ...]}}
PredictFn = Callable[[Any, dict[str, jax.Array]], dict[str, dict[str, jax.Array]]]
Outputs = dict[str, np.ndarray]


@dataclass(frozen=True)
class Predictor:
    """A model without its parameters, what to ask of it, and where it runs."""

    graphdef: Any
    predict_fn: PredictFn
    mesh: Mesh
    config: EncoderConfig

    def stream(
        self, sets: Sequence[Features], *, packing: bool = True, shape: Shape | None = None
    ) -> PackedSets:
        """The data sets in the given shape, or in one that suits them and the devices."""
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
        self, params: nnx.State, stream: PackedSets, wanted: Collection[int] | None = None
    ) -> Iterator[tuple[int, Outputs]]:
        """(number of the data set, what `predict_fn` says of each feature, in their order).

        A data set comes as soon as its last row is computed. Of all steps those are run that hold
        something `wanted` (None: all), just as they would be among all others: with equal
        parameters what is left after a stop has the same bits.

        Yields:
            For every name under "fields" an array [N, ...]; for every name under "tokens" an array
            [sum(lengths), ...], aligned with the data set's `tokens`.

        Raises:
            Preempted: the run was asked to end.
            AssertionError: not every feature was predicted exactly once.
        """
        left = sorted(set(range(len(stream.sets)) if wanted is None else wanted))
        gathered = {i: _Gathered(stream.sets[i]) for i in left}
        yield from _complete(left, gathered)
        for step, outputs in self._outputs(params, stream, stream.steps(gathered)):
            for i, at in stream.parts(step):
                if i in gathered:
                    gathered[i].add(outputs, stream, i, at)
            yield from _complete(left, gathered)
        assert not left, f"the data sets {left} were not predicted as a whole"

    def lower(self, params: nnx.State, batch: dict[str, jax.Array]) -> jax.stages.Lowered:
        """The program of a step, for shapes as well as for arrays."""
        return _compiled.lower(self.graphdef, params, batch, self.predict_fn)

    def _outputs(
        self, params: nnx.State, stream: PackedSets, steps: Sequence[int]
    ) -> Iterator[tuple[int, dict[str, dict[str, np.ndarray]]]]:
        """(step, outputs on the host), the device one step ahead of the host."""
        pending: tuple[int, Any] | None = None
        rows = local_rows(self.mesh, stream.plan.rows)
        for step in steps:
            preemption.end_if_asked()
            batch = place_batch(stream.batch(step, self.config.pad_id, rows), self.mesh)
            outputs = _compiled(self.graphdef, params, batch, self.predict_fn)
            if pending is not None:
                yield pending[0], hosts.get(pending[1])
            pending = (step, outputs)
        if pending is not None:
            yield pending[0], hosts.get(pending[1])


@functools.partial(jax.jit, static_argnums=(0, 3))
def _compiled(graphdef: Any, params: nnx.State, batch: dict[str, jax.Array], predict_fn: PredictFn):
    return predict_fn(nnx.merge(graphdef, params), batch)


class _Gathered:
    """A data set's outputs so far."""

    def __init__(self, features: Features):
        self.outputs: Outputs = {}
        self._features = features
        self._seen = np.zeros(len(features), np.int32)

    @property
    def is_complete(self) -> bool:
        assert self._seen.max(initial=0) <= 1, "a feature was predicted twice"
        return bool(self._seen.all())

    def add(self, outputs: dict[str, Outputs], stream: PackedSets, which: int, at: slice) -> None:
        """What a step says of the features placed `at`."""
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


def _complete(left: list[int], gathered: dict[int, _Gathered]) -> Iterator[tuple[int, Outputs]]:
    """Those that are complete, taken away from what is left."""
    while left and gathered[left[0]].is_complete:
        which = left.pop(0)
        yield which, gathered.pop(which).outputs
