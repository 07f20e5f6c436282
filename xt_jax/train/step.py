"""Defines one optimizer step as a pure function, and compiles it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from xt_jax import hosts
from xt_jax.model.batch import Batch, Sums
from xt_jax.model.layers import dropout_key
from xt_jax.model.sharding import MEMBER, abstract_params, members_of, whole_mesh

LossFn = Callable[[Any, Batch, jax.Array | None], Sums]


class TrainState(NamedTuple):
    """The training state: updates made so far, parameters, optimizer moments and dropout key.

    The states of several members (seeds that are trained as one program) are one state whose arrays
    all carry a leading axis of that size, which a `member_mesh` divides over groups of devices.
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
        params: of one member; for several those of all, stacked on a leading axis (`stack_params`).
        seeds: of dropout, one a member.
    """
    step, key = jnp.zeros(len(seeds), jnp.int32), jnp.stack([dropout_key(s) for s in seeds])
    init, small = jax.vmap(optimizer.init), members_of(mesh)
    if len(seeds) == 1 and MEMBER not in mesh.axis_names:
        step, key, init, small = step[0], key[0], optimizer.init, P()
    moments = _moments(init, optimizer, params, mesh, small)
    layout = jax.tree.map(lambda leaf: leaf.sharding, moments)
    step, key = (hosts.put(array, NamedSharding(mesh, small)) for array in (step, key))
    return TrainState(step, params, jax.jit(init, out_shardings=layout)(params), key)


def abstract_state(
    params: nnx.State,
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
    platform: str,
    members: int = 1,
) -> TrainState:
    """Returns the shapes and layout of `init_state` for a `platform` that need not be present.

    Args:
        params: of one member, arrays or shapes, with shardings.
    """
    replicated = NamedSharding(mesh, P())
    step, key = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=replicated),
        jax.eval_shape(lambda: (jnp.zeros((), jnp.int32), dropout_key(0, platform))),
    )
    moments = _moments(optimizer.init, optimizer, params, mesh, P())
    state = TrainState(step, params, moments, key)
    if members == 1 and MEMBER not in mesh.axis_names:
        return state
    return jax.tree.map(lambda leaf: _stacked(leaf, members), state)


def _moments(
    init: Callable,
    optimizer: optax.GradientTransformation,
    params: nnx.State,
    mesh: Mesh,
    small: P,
) -> optax.OptState:
    """Returns the shapes that `init` makes, laid out like the parameters, counters as `small`."""
    shapes = jax.eval_shape(init, params)
    layout = optax.tree.map_params(
        optimizer,
        lambda _, sharding: sharding,
        shapes,
        jax.tree.map(lambda array: array.sharding, params),
        transform_non_params=lambda _: NamedSharding(mesh, small),
    )
    return jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        shapes,
        layout,
    )


def _stacked(leaf: Any, members: int) -> jax.ShapeDtypeStruct:
    """Returns the shape and layout of as many arrays like `leaf`, stacked on the members' axis."""
    mesh = leaf.sharding.mesh
    layout = NamedSharding(mesh, P(*members_of(mesh), *leaf.sharding.spec))
    return jax.ShapeDtypeStruct((members, *leaf.shape), leaf.dtype, sharding=layout)


def stack_params(each: Sequence[nnx.State], mesh: Mesh, layout: str) -> nnx.State:
    """Stacks several members' parameters on a leading axis; a single one's stay the same.

    For a `member_mesh` the arrays are those of the host, where all members have room.
    """
    if MEMBER in mesh.axis_names:
        laid_out = abstract_params(each[0], mesh, layout)
        return jax.tree.map(
            lambda leaf, *arrays: hosts.put(
                np.stack(arrays), NamedSharding(mesh, P(MEMBER, *leaf.sharding.spec))
            ),
            laid_out,
            *each,
        )
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


def _mesh_of(state: TrainState) -> Mesh:
    layout = state.step.sharding
    assert isinstance(layout, NamedSharding)
    assert isinstance(layout.mesh, Mesh)
    return layout.mesh


def params_of(state: TrainState, member: int) -> nnx.State:
    """Returns the parameters of the member at index `member`, over all devices."""
    if state.step.ndim == 0:
        return state.params
    mesh = _mesh_of(state)
    if MEMBER not in mesh.axis_names:
        return jax.tree.map(lambda array: array[member], state.params)
    whole = whole_mesh(mesh)
    return jax.tree.map(
        lambda array: jax.device_put(
            array[member], NamedSharding(whole, P(*array.sharding.spec[1:]))
        ),
        state.params,
    )


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

    With several members, every array of the batch and of the sums has the members' axis. Groups of
    devices compute apart, each for its own members: nothing passes between them, and a member alone
    in its group runs the program that it would run alone on such devices.
    """
    step: Callable = functools.partial(train_step, spec=spec)
    layout = jax.tree.map(lambda array: array.sharding, state)
    mesh = _mesh_of(state)
    if MEMBER in mesh.axis_names:
        each = step
        step = jax.shard_map(
            lambda state, batch: _one_or_several(each, state, batch),
            mesh=mesh,
            in_specs=P(MEMBER),
            out_specs=P(MEMBER),
            axis_names={MEMBER},
            check_vma=False,
        )
    elif state.step.ndim:
        step = jax.vmap(step)
    return jax.jit(step, donate_argnums=0, out_shardings=(layout, None))


def _one_or_several(step: Callable, *arguments: Any) -> Any:
    """Runs `step` for each member on the arguments' leading axis; a single one without `vmap`."""
    if len(jax.tree.leaves(arguments)[0]) > 1:
        return jax.vmap(step)(*arguments)
    results = step(*jax.tree.map(lambda array: array[0], arguments))
    with jax.named_scope("optimizer"):  # the compiler fuses its update into what follows
        return jax.tree.map(lambda array: array[None], results)


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
