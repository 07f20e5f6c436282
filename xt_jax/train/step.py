"""Defines one optimizer step as a pure function, and compiles it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from xt_jax import hosts
from xt_jax.model.batch import Batch, Sums
from xt_jax.model.layers import dropout_key

LossFn = Callable[[Any, Batch, jax.Array | None], Sums]


class TrainState(NamedTuple):
    """The training state: updates made so far, parameters, optimizer moments and dropout key.

    The states of several seeds that are trained as one program are one state whose arrays all
    carry a leading axis of that size.
    """

    step: jax.Array
    params: nnx.State
    opt_state: optax.OptState
    key: jax.Array


@dataclass(frozen=True)
class StepSpec:
    """The parts of a training step that never change.

    Attributes:
        graphdef: the model without its parameters.
        head: the name of the task's head in multi-task training, with the parameters
            `{"encoder": ..., "heads": {name: ...}}`. "" for one task: `{"encoder", "head"}`.
        loss: `(model, batch, key) -> {name: (sum, weight)}`; the gradient is that of `loss`.
        accumulate: micro-batches; batch arrays then carry a leading axis of that size.
        clip_norm: the most that the norm of the whole gradient may be; 0: no clipping.
        dropout: False runs the loss without a key.
    """

    graphdef: Any
    loss: LossFn
    optimizer: optax.GradientTransformation
    accumulate: int = 1
    clip_norm: float = 0.0
    dropout: bool = True
    head: str = ""


def task_params(params: nnx.State, head: str) -> nnx.State:
    """Returns the parameters `{"encoder", "head"}` of one task; `head` as in `StepSpec`."""
    if not head:
        return params
    return nnx.State({"encoder": params["encoder"], "head": params["heads"][head]})


def model_of(graphdef: Any, params: nnx.State, head: str = "") -> Any:
    """Returns the model of one task; `head` as in `StepSpec`."""
    return nnx.merge(graphdef, task_params(params, head))


def init_state(
    params: nnx.State, optimizer: optax.GradientTransformation, mesh: Mesh, seeds: Sequence[int]
) -> TrainState:
    """Returns the state before the first update, with moments laid out like the parameters.

    Args:
        params: of one seed; for several those of all, stacked on a leading axis (`stack_params`).
        seeds: of dropout.
    """
    replicated = NamedSharding(mesh, P())
    step, key = jnp.zeros(len(seeds), jnp.int32), jnp.stack([dropout_key(s) for s in seeds])
    init = jax.vmap(optimizer.init)
    if len(seeds) == 1:
        step, key, init = step[0], key[0], optimizer.init
    layout = jax.tree.map(lambda leaf: leaf.sharding, _moments(init, optimizer, params, mesh))
    step, key = hosts.put(step, replicated), hosts.put(key, replicated)
    return TrainState(step, params, jax.jit(init, out_shardings=layout)(params), key)


def abstract_state(
    params: nnx.State,
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
    platform: str,
    seeds: int = 1,
) -> TrainState:
    """Returns the shapes and layout of `init_state` for a `platform` that need not be present.

    Args:
        params: of one seed, arrays or shapes, with shardings.
    """
    replicated = NamedSharding(mesh, P())
    step, key = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=replicated),
        jax.eval_shape(lambda: (jnp.zeros((), jnp.int32), dropout_key(0, platform))),
    )
    state = TrainState(step, params, _moments(optimizer.init, optimizer, params, mesh), key)
    return state if seeds == 1 else jax.tree.map(lambda leaf: _stacked(leaf, seeds), state)


def _moments(
    init: Callable, optimizer: optax.GradientTransformation, params: nnx.State, mesh: Mesh
) -> optax.OptState:
    """Returns the shapes that `init` makes, laid out like the parameters."""
    shapes = jax.eval_shape(init, params)
    layout = optax.tree.map_params(
        optimizer,
        lambda _, sharding: sharding,
        shapes,
        jax.tree.map(lambda array: array.sharding, params),
        transform_non_params=lambda _: NamedSharding(mesh, P()),
    )
    return jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        shapes,
        layout,
    )


def _stacked(leaf: Any, seeds: int) -> jax.ShapeDtypeStruct:
    """Returns the shape of `seeds` such arrays on a leading axis that is not sharded."""
    layout = NamedSharding(leaf.sharding.mesh, P(None, *leaf.sharding.spec))
    return jax.ShapeDtypeStruct((seeds, *leaf.shape), leaf.dtype, sharding=layout)


def stack_params(each: Sequence[nnx.State]) -> nnx.State:
    """Stacks several seeds' parameters on a leading, unsharded axis; one seed's stay the same."""
    if len(each) == 1:
        return each[0]
    layout = jax.tree.map(lambda array: _stacked(array, len(each)).sharding, each[0])
    stack = jax.jit(
        lambda *each: jax.tree.map(lambda *arrays: jnp.stack(arrays), *each), out_shardings=layout
    )
    return stack(*each)


def all_finite(state: TrainState) -> bool:
    """Returns whether all parameters and moments are finite; all processes must call this."""
    return bool(_all_finite(state.params, state.opt_state))


@jax.jit
def _all_finite(*trees: Any) -> jax.Array:
    leaves = [leaf for leaf in jax.tree.leaves(trees) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in leaves]).all()


def params_of(state: TrainState, seed: int) -> nnx.State:
    """Returns the parameters of the seed at index `seed`."""
    if state.step.ndim == 0:
        return state.params
    return jax.tree.map(lambda array: array[seed], state.params)


def train_step(state: TrainState, batch: Batch, spec: StepSpec) -> tuple[TrainState, Sums]:
    """Makes one update from the mean gradient over the whole batch.

    Gradients and weights are summed over micro-batches and divided once, so the result does not
    depend on how the examples are spread over rows, micro-batches or devices.

    Returns:
        The next state, and the loss's sums with `grad_norm` (before clipping, weight 1).
    """
    key = jax.random.fold_in(state.key, state.step) if spec.dropout else None
    grads, sums = _summed_gradients(state.params, batch, key, spec)
    weight = jnp.maximum(sums["loss"][1], 1).astype(jnp.float32)
    with jax.named_scope("optimizer"):
        norm = optax.tree.norm(grads) / weight
        scale = 1 / weight
        if spec.clip_norm:
            scale *= jnp.minimum(1, spec.clip_norm / norm)
        grads = jax.tree.map(lambda g: g * scale, grads)
        updates, opt_state = spec.optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        sums = {**sums, "grad_norm": (norm, jnp.ones(()))}
    return TrainState(state.step + 1, params, opt_state, state.key), sums


def compile_step(spec: StepSpec, state: TrainState) -> jax.stages.Wrapped:
    """Wraps `train_step` for compilation; the state is donated and keeps its layout on the mesh.

    With several seeds, every array of the batch and of the sums has the seeds' axis.
    """
    step = functools.partial(train_step, spec=spec)
    layout = jax.tree.map(lambda array: array.sharding, state)
    return jax.jit(
        jax.vmap(step) if state.step.ndim else step,
        donate_argnums=0,
        out_shardings=(layout, None),
    )


def _summed_gradients(
    params: nnx.State, batch: Batch, key: jax.Array | None, spec: StepSpec
) -> tuple[nnx.State, Sums]:
    def summed_loss(params: nnx.State, batch: Batch, key: jax.Array | None):
        sums = spec.loss(model_of(spec.graphdef, params, spec.head), batch, key)
        return sums["loss"][0], sums

    gradient = jax.grad(summed_loss, has_aux=True)
    if spec.accumulate == 1:
        return gradient(params, batch, key)

    def add(total, micro):
        index, micro_batch = micro
        micro_key = None if key is None else jax.random.fold_in(key, index)
        return jax.tree.map(jnp.add, total, gradient(params, micro_batch, micro_key)), None

    shapes = jax.eval_shape(gradient, params, jax.tree.map(lambda a: a[0], batch), key)
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    return jax.lax.scan(add, zeros, (jnp.arange(spec.accumulate), batch))[0]
