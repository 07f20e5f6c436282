"""The step: devices, layouts, accumulation, dropout."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from training import (
    CONFIG,
    ONE,
    TOLERANCE,
    new_params,
    pair_features,
    spec_of,
)

from xt_jax.data.packing import IGNORE, materialise, plan_training
from xt_jax.errors import ConfigError
from xt_jax.model import Encoder
from xt_jax.model.heads import Model
from xt_jax.model.sharding import make_mesh, place_batch, place_params
from xt_jax.tasks.table import FAMILIES
from xt_jax.train.batches import TrainedTask, batch_stream
from xt_jax.train.step import compile_step, dropout_key, init_state


def run_steps(devices: int, layout: str, accumulate: int = 1, model_axis: int = 1, steps: int = 6):
    """Returns the losses and parameters of a few steps without dropout."""
    features = pair_features()
    mesh = make_mesh(model_axis, jax.devices()[:devices])
    plan = plan_training(features.lengths, 16, 1, 0, rows_multiple=8)
    graphdef, params = new_params()
    params = place_params(params, mesh, layout)
    spec = spec_of(graphdef, plan.steps, accumulate=accumulate, dropout=False)
    state = init_state(params, spec.optimizer, mesh, [0])
    step_fn = compile_step(spec, state)
    losses = []
    order = np.zeros(plan.steps, np.int32)
    stream = TrainedTask("pairs", spec, (plan,), features)
    batches = iter(batch_stream([stream], order, 1, mesh, accumulate=accumulate))
    for _ in range(steps):
        batch = place_batch(next(batches), mesh, axis=int(accumulate > 1))
        state, sums = step_fn(state, batch)
        losses.append(float(sums["loss"][0] / sums["loss"][1]))
    assert float(sums["loss"][1]) == 16
    return losses, jax.device_get(state.params), step_fn


@pytest.fixture(scope="module")
def one_device():
    with jax.default_matmul_precision("highest"):
        return run_steps(1, "replicated")


@pytest.mark.parametrize(
    ("devices", "layout", "accumulate", "model_axis"),
    [
        (8, "replicated", 1, 1),
        (8, "fsdp", 1, 1),
        (8, "fsdp", 1, 2),
        (1, "replicated", 4, 1),
        (2, "replicated", 4, 1),
    ],
)
def test_devices_layout_and_accumulation_do_not_change_the_result(
    one_device, devices, layout, accumulate, model_axis
):
    with jax.default_matmul_precision("highest"):
        losses, params, _ = run_steps(devices, layout, accumulate, model_axis)
    np.testing.assert_allclose(losses, one_device[0], atol=TOLERANCE)
    for a, b in zip(jax.tree.leaves(params), jax.tree.leaves(one_device[1]), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_parameters_are_really_cut_and_the_state_keeps_its_layout():
    features = pair_features()
    mesh = make_mesh(2, jax.devices())
    plan = plan_training(features.lengths, 16, 1, 0, rows_multiple=4)
    graphdef, params = new_params()
    spec = spec_of(graphdef, plan.steps)
    state = init_state(place_params(params, mesh, "fsdp"), spec.optimizer, mesh, [0])
    batch = place_batch(materialise(plan, features, 0, 1), mesh)
    kernel = "encoder", "layers", "ffn", "up", "kernel"

    def pieces(tree):
        for name in kernel:
            tree = tree[name]
        return {shard.data.shape for shard in tree[...].addressable_shards}

    assert pieces(state.params) == {(2, 8, 32)}
    assert pieces(state.opt_state[0].mu) == {(2, 8, 32)}
    state, _ = compile_step(spec, state)(state, batch)
    assert pieces(state.params) == {(2, 8, 32)}
    assert {s.data.shape for s in batch["input_ids"].addressable_shards} == {
        (plan.rows // 4, plan.length)
    }


def test_a_phase_traces_its_step_once(one_device):
    assert one_device[2]._cache_size() == 1


def test_sharding_errors_name_the_field():
    with pytest.raises(ConfigError, match="model_axis"):
        make_mesh(3)
    odd = dataclasses.replace(CONFIG, hidden_size=36)
    _, params = nnx.split(Model(Encoder(odd, rngs=nnx.Rngs(0)), None))
    with pytest.raises(ConfigError, match="does not divide over 8"):
        place_params(params, make_mesh(), "fsdp")


def test_dropout_follows_seed_and_step():
    features = pair_features()
    plan = plan_training(features.lengths, 16, 1, 0)
    graphdef, params = new_params()
    batch = jax.tree.map(jnp.asarray, materialise(plan, features, 0, 1))

    spec = spec_of(graphdef, plan.steps)
    placed = place_params(params, ONE, "replicated")
    state = init_state(placed, spec.optimizer, ONE, [0])
    step_fn = compile_step(spec, state)

    def grad_norm(seed: int, step: int) -> float:
        changed = state._replace(key=dropout_key(seed), step=jnp.int32(step))
        copy = jax.tree.map(jnp.copy, changed)
        return float(step_fn(copy, batch)[1]["grad_norm"][0])

    assert grad_norm(0, 0) == grad_norm(0, 0)
    assert len({grad_norm(0, 0), grad_norm(0, 1), grad_norm(1, 0)}) == 3


def test_tokens_without_a_label_weigh_nothing():
    labels = jnp.array([[2, IGNORE, 1, IGNORE]])
    encoder = Encoder(CONFIG, rngs=nnx.Rngs(0))
    model = Model(encoder, FAMILIES["tags"].head(CONFIG, 3, nnx.Rngs(1)))
    batch = {
        "input_ids": jnp.array([[0, 5, 6, 2]]),
        "positions": jnp.arange(4)[None],
        "segment_ids": jnp.ones((1, 4), jnp.int32),
        "labels": labels,
    }
    _, weight = FAMILIES["tags"].loss(model, batch, None)["loss"]
    assert int(weight) == 2
