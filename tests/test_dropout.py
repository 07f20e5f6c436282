"""Dropout: rates and scale, keys of both kinds under vmap and on a mesh."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from encoders import new_encoder, packed_batch, small_config
from flax import nnx
from jax.extend.random import threefry_2x32

from xt_jax.model.layers import _threefry_bits, dropout, dropout_key, exact_key, key_impl

IMPLS = ("threefry2x32", "rbg")


@jax.jit
def call(encoder, *batch, key=None):
    return encoder(*batch, key=key)


@pytest.mark.parametrize("impl", IMPLS)
def test_dropout_rate_scale_and_keys(impl):
    zero, one = (jax.random.key(seed, dtype=impl) for seed in (0, 1))
    x = jnp.ones((64, 1001))
    y = dropout(x, 0.1, zero)
    dropped = float((y == 0).mean())
    assert abs(dropped - 0.1) < 0.005
    np.testing.assert_allclose(np.unique(y), [0, 1 / 0.9], rtol=1e-4)
    assert abs(float(y.mean()) - 1) < 0.005
    by_column = (y == 0).mean(0)
    assert float(by_column.max()) < 0.4
    pairs = float(((y[:, :-1] == 0) & (y[:, 1:] == 0)).mean())
    assert abs(pairs - 0.01) < 0.002
    assert bool((dropout(x, 0.1, zero) == y).all())
    assert not bool((dropout(x, 0.1, one) == y).all())
    assert dropout(x, 0.1, None) is x
    assert dropout(x, 0.0, zero) is x


def test_threefry_bits_are_those_of_its_blocks():
    """Compares dropout's bits with those of JAX's threefry, of which a block gives four."""
    key, (rows, n) = jax.random.key(3), (5, 22)
    blocks = -(-n // 4)
    counters = np.stack(np.meshgrid(np.arange(rows), np.arange(blocks), indexing="ij"))
    words = threefry_2x32(jax.random.key_data(key), jnp.asarray(counters.reshape(-1), jnp.uint32))
    first, second = np.asarray(words).reshape(2, rows, blocks)
    parts = [first & 0xFFFF, first >> 16, second & 0xFFFF, second >> 16]
    expected = np.concatenate(parts, axis=1)[:, :n]
    np.testing.assert_array_equal(_threefry_bits(key, (rows, n)), expected)


@pytest.mark.parametrize("rates", [(0.2, 0.0), (0.0, 0.2)])
def test_encoder_dropout_follows_the_key(rates):
    config = small_config(dropout=rates[0], attention_dropout=rates[1], initializer_range=0.5)
    encoder = new_encoder(config)
    batch = packed_batch(np.random.default_rng(0), [[9, 5], [12]], 16, 50)
    still, first, again, second = (
        call(encoder, *batch, key=key)
        for key in (None, jax.random.key(0), jax.random.key(0), jax.random.key(1))
    )
    np.testing.assert_array_equal(first, again)
    assert jnp.abs(first - second).mean() > 0.01
    assert jnp.abs(first - still).mean() > 0.01


def test_layers_drop_different_elements():
    """Two layers of one key: at rate 0.5 the masks of attention outputs agree half the time."""
    config = small_config(dropout=0.5, attention_dropout=0.0, model_type="xlm-roberta-xl")
    encoder = new_encoder(config)
    state = nnx.state(encoder)
    for part in ("attention", "ffn"):  # both blocks add exactly 1 where they are kept
        for name, linear in state["layers"][part].items():
            linear["kernel"][...] = jnp.zeros_like(linear["kernel"][...])
            is_last = name in ("out", "down")
            linear["bias"][...] = jnp.full_like(linear["bias"][...], float(is_last))
    nnx.update(encoder, state)
    ids, positions, segments = packed_batch(np.random.default_rng(0), [[400]], 400, 50)
    x = encoder.embeddings(ids, positions, None, config, None)
    _, states = encoder._run_layers(x, segments, jax.random.key(0), keep=lambda state: state)
    steps = np.asarray(states - jnp.concatenate([x[None], states[:-1]])).round()
    for layer in steps:  # sum of two independent drops of {0, 2}
        shares = [(layer == value).mean() for value in (0, 2, 4)]
        np.testing.assert_allclose(shares, [0.25, 0.5, 0.25], atol=0.03)
    assert abs((steps[0] == steps[1]).mean() - 0.375) < 0.03


@pytest.mark.parametrize("impl", IMPLS)
def test_seeds_trained_together_drop_what_each_drops_alone(impl):
    """Through the encoder, its scan and its gradient, for keys and encoders mapped together."""
    config = small_config(dropout=0.2, attention_dropout=0.2, initializer_range=0.5)
    encoders = [new_encoder(config, seed) for seed in range(2)]
    batch = packed_batch(np.random.default_rng(0), [[9, 5], [12]], 16, 50)

    def run(encoder, seed):
        key = jax.random.fold_in(jax.random.key(seed, dtype=impl), 7)
        states = encoder(*batch, key=key)
        return (states * jnp.cos(jnp.arange(16.0))).mean(), states

    gradient = jax.grad(run, has_aux=True)
    seeds = jnp.arange(2)
    together = jax.jit(jax.vmap(gradient))(jax.tree.map(lambda *x: jnp.stack(x), *encoders), seeds)
    for i, encoder in enumerate(encoders):
        alone = jax.jit(gradient)(encoder, seeds[i])
        for a, b in zip(jax.tree.leaves(alone), jax.tree.leaves(together), strict=True):
            np.testing.assert_allclose(b[i], a, rtol=0, atol=5e-6)
    assert jnp.abs(together[1][0] - together[1][1]).mean() > 0.1


def test_rbg_itself_would_not():
    """Why the bits are drawn key by key: JAX's own batching gives others."""
    keys = jax.vmap(lambda seed: jax.random.key(seed, dtype="rbg"))(jnp.arange(3))
    together = jax.vmap(lambda key: jax.random.bits(key, (8,)))(keys)
    assert not bool((together[2] == jax.random.bits(keys[2], (8,))).all())
    ours = jax.vmap(jax.vmap(lambda key: dropout(jnp.ones(50), 0.5, key)))(keys[:, None])
    for i in range(3):
        np.testing.assert_array_equal(ours[i, 0], dropout(jnp.ones(50), 0.5, keys[i]))


@pytest.mark.parametrize("impl", IMPLS)
def test_dropout_on_a_mesh_moves_nothing(impl):
    """Rows over `data`: no device computes another's bits. threefry's do not depend on the mesh,
    rbg's slices differ from each other; mapped seeds keep theirs."""
    mesh = jax.make_mesh((4, 2), ("data", "model"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
    sharding = jax.sharding.NamedSharding(mesh, jax.P("data"))
    x = jnp.ones((8, 3, 500))
    on_mesh = jax.device_put(x, sharding)
    keys = jax.vmap(lambda seed: jax.random.key(seed, dtype=impl))(jnp.arange(2))
    run = jax.jit(lambda x, key: dropout(x, 0.25, key))
    y = run(on_mesh, keys[0])
    assert y.sharding.is_equivalent_to(sharding, 3)
    assert abs(float((y == 0).mean()) - 0.25) < 0.02
    slices = np.asarray(y).reshape(4, -1) == 0
    for i in range(4):
        for j in range(i):
            assert abs((slices[i] & slices[j]).mean() - 0.0625) < 0.02
    text = run.lower(on_mesh, keys[0]).compile().as_text()
    assert not [word for word in ("all-gather", "all-to-all", "all-reduce") if word in text]
    assert "u16[8,3,500]" not in text  # every device's rows together
    both = jax.jit(jax.vmap(run, in_axes=(None, 0)))(on_mesh, keys)
    np.testing.assert_array_equal(both[0], y)
    np.testing.assert_array_equal(both[1], run(on_mesh, keys[1]))
    if impl == "threefry2x32":
        np.testing.assert_array_equal(y, run(x, keys[0]))


def test_rows_that_do_not_divide_are_dropped_all_the_same():
    mesh = jax.make_mesh((4, 2), ("data", "model"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
    x = jax.device_put(jnp.ones((3, 500)), jax.sharding.NamedSharding(mesh, jax.P()))
    key = jax.random.key(0, dtype="rbg")
    np.testing.assert_array_equal(dropout(x, 0.5, key), dropout(jnp.ones((3, 500)), 0.5, key))


def test_keys_follow_the_platform_the_seed_and_the_step():
    assert [key_impl(name) for name in ("cpu", "tpu", "gpu")] == ["threefry2x32", "rbg", "rbg"]
    for platform, kind in (("cpu", "threefry2x32"), ("tpu", "rbg")):
        keys = [dropout_key(seed, platform) for seed in (0, 1)]
        assert {str(jax.random.key_impl(key)) for key in keys} == {kind}
        steps = [jax.random.fold_in(key, step) for key in keys for step in (0, 1)]
        assert len({bytes(np.asarray(jax.random.key_data(key))) for key in steps}) == 4


def test_exact_key():
    """Draws by it are the same under vmap as alone, and differ from key to key."""
    keys = jax.vmap(lambda seed: dropout_key(seed, "tpu"))(jnp.arange(2))

    def draw(key):
        return jax.random.uniform(exact_key(key), (8,))

    together = jax.vmap(draw)(keys)
    for i in range(2):
        np.testing.assert_array_equal(together[i], draw(keys[i]))
    assert not bool((together[0] == together[1]).any())
    threefry = jax.random.key(0)
    assert exact_key(threefry) is threefry
