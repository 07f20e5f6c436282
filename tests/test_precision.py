"""What is computed in which type, and what is kept for the backward pass."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from encoders import new_encoder, packed_batch, small_config
from flax import nnx

from xt_jax import model as xm
from xt_jax.errors import ConfigError
from xt_jax.model.config import REMAT_POLICIES
from xt_jax.model.layers import LayerNorm, Linear, gelu, product
from xt_jax.tasks.recipes import Recipe
from xt_jax.train.optim import make_optimizer

TOLERANCE = 1e-5
POLICIES = tuple(REMAT_POLICIES)
# Primitives whose rounding adds up or is magnified: statistics, sums over tokens, exponentials.
DELICATE = {"reduce_sum", "reduce_max", "exp", "log", "erf", "erfc", "rsqrt", "sqrt", "tanh"}


@pytest.fixture(autouse=True)
def highest_precision():
    with jax.default_matmul_precision("highest"):
        yield


def equations(jaxpr):
    """Every equation, those of the functions it calls included."""
    for equation in jaxpr.eqns:
        yield equation
        for inner in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda p: hasattr(p, "eqns")
        ):
            inner = getattr(inner, "jaxpr", inner)
            if hasattr(inner, "eqns"):
                yield from equations(inner)


def program(config: xm.EncoderConfig, *, mlm: bool):
    """The equations of value and gradient of an encoder, with dropout, alone or in MLM."""
    encoder = xm.abstract_encoder(config)
    head = jax.eval_shape(lambda: xm.MlmHead(config, 0, nnx.Rngs(0)))
    batch = packed_batch(np.random.default_rng(0), [[9, 5]], 16, 50)

    def loss(model):
        states = model.encoder(*batch, key=jax.random.key(0))
        if not mlm:
            return (states.astype(jnp.float32) * jnp.cos(jnp.arange(16.0))).sum()
        logits = model.head(states, model.encoder.embeddings.word.embedding[...])
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch[0]).sum()

    graphdef, params = nnx.split(xm.Model(encoder, head))
    jaxpr = jax.make_jaxpr(jax.value_and_grad(lambda p: loss(nnx.merge(graphdef, p))))(params)
    assert {str(v.aval.dtype) for v in jaxpr.jaxpr.outvars} == {"float32"}
    return list(equations(jaxpr.jaxpr))


def dtypes(equation) -> set[str]:
    return {str(v.aval.dtype) for v in equation.invars if hasattr(v.aval, "dtype")}


@pytest.mark.parametrize("model_type", ["xlm-roberta", "xlm-roberta-xl"])
@pytest.mark.parametrize("remat", ["none", "dots"])
def test_bfloat16_multiplies_in_bfloat16_and_sums_in_float32(model_type, remat):
    """Neither the encoder nor its gradient has a float32 product or a sum in bfloat16."""
    config = small_config(model_type=model_type, dtype="bfloat16", remat=remat)
    found = program(config, mlm=False)
    products = [e for e in found if e.primitive.name == "dot_general"]
    assert len(products) >= 8 * 3  # six weights and two of attention, forward and two backward
    assert {frozenset(dtypes(e)) for e in products} == {frozenset({"bfloat16"})}
    delicate = [e for e in found if e.primitive.name in DELICATE]
    assert {"reduce_sum", "exp", "rsqrt"} <= {e.primitive.name for e in delicate}
    assert not [e for e in delicate if "bfloat16" in dtypes(e)]


def test_bfloat16_mlm_multiplies_with_the_vocabulary_in_bfloat16():
    """The head's own dense layer is float32, the products with the word table are not."""
    found = program(small_config(dtype="bfloat16"), mlm=True)
    products = [e for e in found if e.primitive.name == "dot_general"]
    wide = [e for e in products if "float32" in dtypes(e)]
    assert len(wide) == 3
    assert not [e for e in wide if 50 in e.invars[0].aval.shape + e.invars[1].aval.shape]
    assert not [e for e in found if e.primitive.name in DELICATE and "bfloat16" in dtypes(e)]


def test_moments_are_float32():
    config = small_config(dtype="bfloat16")
    params = nnx.state(xm.abstract_encoder(config))
    optimizer = make_optimizer(Recipe(), 10)
    state = jax.eval_shape(optimizer.init, params)
    floats = {str(x.dtype) for x in jax.tree.leaves(state) if jnp.issubdtype(x.dtype, jnp.floating)}
    assert floats == {"float32"}


def test_bias_gradients_are_summed_in_float32():
    """4,096 equal gradients: a sum in bfloat16 stops at 256."""
    layer = Linear(4, 3, 1.0, rngs=nnx.Rngs(0))
    x = jnp.ones((4096, 4), jnp.bfloat16)
    grads = jax.jit(jax.grad(lambda layer: layer(x).astype(jnp.float32).sum()))(layer)
    np.testing.assert_array_equal(grads.bias[...], 4096.0)
    np.testing.assert_array_equal(grads.kernel[...], 4096.0)


def test_kernel_gradients_keep_their_bits():
    """1 + 2^-10 has no bfloat16: the gradient of a kernel is not rounded on its way."""
    layer = Linear(1, 1, 1.0, rngs=nnx.Rngs(0))
    x = jnp.array([[1.0], [2.0**-10]], jnp.bfloat16)
    grads = jax.grad(lambda layer: layer(x).astype(jnp.float32).sum())(layer)
    np.testing.assert_array_equal(grads.kernel[...], [[1 + 2.0**-10]])


@pytest.mark.parametrize("shape", [(7, 5), (2, 3, 5)])
def test_own_gradients_equal_those_of_the_plain_formulas(shape):
    rng = np.random.default_rng(0)
    x, weights = (jnp.asarray(rng.normal(size=shape), jnp.float32) for _ in range(2))
    layer = Linear(5, 5, 1.0, rngs=nnx.Rngs(0))
    table = jnp.asarray(rng.normal(size=(5, 5)), jnp.float32)

    def ours(x, layer):
        return (product("...i,ji->...j", gelu(layer(x)), table) * weights).sum()

    def plain(x, layer):
        y = jax.nn.gelu(x @ layer.kernel[...] + layer.bias[...], approximate=False)
        return (jnp.einsum("...i,ji->...j", y, table) * weights).sum()

    grads = [jax.tree.leaves(jax.grad(f, (0, 1))(x, layer)) for f in (ours, plain)]
    assert len(grads[0]) == 3
    for a, b in zip(*grads, strict=True):
        assert jnp.abs(b).max() > 0.1
        np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(("model_type", "seed"), [("xlm-roberta", 3), ("xlm-roberta-xl", None)])
def test_remat_policies_give_equal_gradients(model_type, seed):
    """With dropout too: what is computed again must drop the same elements."""
    key = None if seed is None else jax.random.key(seed)
    encoder = new_encoder(small_config(model_type=model_type, initializer_range=0.3))
    batch = packed_batch(np.random.default_rng(0), [[9, 5], [12]], 16, 50)

    @jax.jit
    @jax.grad
    def gradient(encoder):
        hidden = encoder(*batch, key=key)
        return (hidden * jnp.cos(jnp.arange(16.0))).sum(-1).mean()

    plain = gradient(encoder)
    assert min(jnp.abs(g).max() for g in jax.tree.leaves(plain.layers.ffn)) > 0.1
    for remat in POLICIES[1:]:
        other = gradient(xm.with_options(encoder, remat=remat))
        assert other.config.remat == remat
        for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(other), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE)


def test_policies_keep_less_and_less():
    """By what is handed from the forward to the backward pass, and by the compiler's account."""
    config = small_config(hidden_size=32, intermediate_size=128, num_layers=8)
    encoder = new_encoder(config)
    batch = packed_batch(np.random.default_rng(0), [[100, 28], [90]], 128, 50)

    def sizes(remat: str) -> tuple[int, int]:
        graphdef, params = nnx.split(xm.with_options(encoder, remat=remat))

        def loss(params):
            return nnx.merge(graphdef, params)(*batch, key=jax.random.key(0)).sum()

        pullback = jax.eval_shape(lambda params: jax.vjp(loss, params)[1], params)
        handed = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(pullback))
        compiled = jax.jit(jax.grad(loss)).lower(params).compile()
        return handed, compiled.memory_analysis().temp_size_in_bytes

    handed, temporary = zip(*(sizes(remat) for remat in POLICIES), strict=True)
    assert list(handed) == sorted(set(handed), reverse=True)
    assert list(temporary) == sorted(set(temporary), reverse=True)
    full, outputs = handed[-1], handed[-2]
    assert outputs - full == 8 * 2 * 128 * 32 * 4  # an attention output a layer


def test_every_policy_is_named_where_one_is_wrong():
    with pytest.raises(ConfigError, match=", ".join(POLICIES)):
        small_config(remat="some")


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_layer_norm_and_its_gradient_are_those_of_the_formula(dtype):
    """Compares LayerNorm and its gradients with the formula in float64, for inputs around 7."""
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(3, 5, 16)) * 2 + 7, dtype)
    scale, bias, direction = (rng.normal(size=shape) for shape in ((16,), (16,), x.shape))
    norm = LayerNorm(16)
    norm.scale[...], norm.bias[...] = jnp.float32(scale), jnp.float32(bias)
    y, pull = jax.vjp(lambda norm, x: norm(x, 1e-5), norm, x)
    of_norm, of_x = pull(jnp.asarray(direction, dtype))

    wide, g = np.float64(x), np.float64(jnp.asarray(direction, dtype))
    mean, variance = wide.mean(-1, keepdims=True), wide.var(-1, keepdims=True)
    unit = (wide - mean) / np.sqrt(variance + 1e-5)
    centre = np.eye(16) - 1 / 16
    jacobian = centre - unit[..., :, None] * unit[..., None, :] / 16  # of unit, times its deviation
    expected = np.einsum("...i,...ij->...j", g * scale, jacobian) / np.sqrt(variance + 1e-5)
    tolerance = 1e-5 if dtype == jnp.float32 else 1e-2
    for actual, wanted in (
        (y, unit * scale + bias),
        (of_x, expected),
        (of_norm.scale[...], (g * unit).sum((0, 1))),
        (of_norm.bias[...], g.sum((0, 1))),
    ):
        np.testing.assert_allclose(np.float64(actual), wanted, rtol=tolerance, atol=tolerance)
