"""The layers of encoders and heads, with their dropout and random keys.

Parameters are always float32. In bfloat16 the products are of bfloat16 arrays; sums
over tokens, statistics and transcendental functions are float32, forward and backward.
"""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
from flax import nnx
from jax.ad_checkpoint import checkpoint_name
from jax.custom_batching import custom_vmap
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

PRODUCT = "product_with_weights"  # the checkpoint name of a product with a kernel
_BITS = 16
_RBG = "rbg"


class Linear(nnx.Module):
    """A linear layer, `x @ kernel + bias` with kernel [in, out]; the result has x's dtype."""

    def __init__(self, in_size: int, out_size: int, stddev: float, *, rngs: nnx.Rngs):
        self.kernel = nnx.Param(stddev * jax.random.normal(rngs.params(), (in_size, out_size)))
        self.bias = nnx.Param(jnp.zeros((out_size,)))

    def __call__(self, x: jax.Array) -> jax.Array:
        y = checkpoint_name(_times_kernel(x, self.kernel[...]), PRODUCT)
        return (y.astype(jnp.float32) + self.bias[...]).astype(x.dtype)


class Embedding(nnx.Module):
    """An embedding table [size, D] whose row `zero_row` starts at zero; unknown ids give NaN."""

    def __init__(
        self, size: int, dim: int, stddev: float, *, rngs: nnx.Rngs, zero_row: int | None = None
    ):
        table = stddev * jax.random.normal(rngs.params(), (size, dim))
        self.embedding = nnx.Param(table if zero_row is None else table.at[zero_row].set(0.0))

    def __call__(self, ids: jax.Array) -> jax.Array:
        return jnp.take(self.embedding[...], ids, axis=0, mode="fill")


class LayerNorm(nnx.Module):
    """Normalises the last axis; mean and two-pass variance in float32, result in x's dtype."""

    def __init__(self, dim: int):
        self.scale = nnx.Param(jnp.ones((dim,)))
        self.bias = nnx.Param(jnp.zeros((dim,)))

    @jax.named_scope("norm")
    def __call__(self, x: jax.Array, eps: float) -> jax.Array:
        return _normalised(eps, x, self.scale[...], self.bias[...])


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _normalised(eps: float, x: jax.Array, scale: jax.Array, bias: jax.Array) -> jax.Array:
    return _normalised_forward(eps, x, scale, bias)[0]


def _normalised_forward(eps: float, x: jax.Array, scale: jax.Array, bias: jax.Array):
    """Normalises x, and keeps for the gradient x itself but no float32 array of its size."""
    mean = x.astype(jnp.float32).mean(-1, keepdims=True)
    centred = x.astype(jnp.float32) - mean
    inverse = jax.lax.rsqrt(jnp.square(centred).mean(-1, keepdims=True) + eps)
    y = centred * inverse * scale + bias
    return y.astype(x.dtype), (x, mean, inverse, scale)


def _normalised_backward(eps: float, kept, gradient: jax.Array):
    x, mean, inverse, scale = kept
    tokens = tuple(range(x.ndim - 1))
    unit = (x.astype(jnp.float32) - mean) * inverse
    gradient = gradient.astype(jnp.float32)
    of_unit = gradient * scale
    of_x = of_unit - of_unit.mean(-1, keepdims=True)
    of_x = inverse * (of_x - unit * (of_unit * unit).mean(-1, keepdims=True))
    return of_x.astype(x.dtype), (gradient * unit).sum(tokens), gradient.sum(tokens)


_normalised.defvjp(_normalised_forward, _normalised_backward)


@jax.custom_vjp
def gelu(x: jax.Array) -> jax.Array:
    """Computes the erf GELU in float32, so that its gradient needs x alone."""
    wide = x.astype(jnp.float32)
    return (wide * _normal_cdf(wide)).astype(x.dtype)


def _gelu_forward(x: jax.Array):
    return gelu(x), x


def _gelu_backward(x: jax.Array, gradient: jax.Array):
    wide = x.astype(jnp.float32)
    slope = _normal_cdf(wide) + wide * jnp.exp(-0.5 * wide**2) / math.sqrt(2 * math.pi)
    return ((gradient.astype(jnp.float32) * slope).astype(x.dtype),)


def _normal_cdf(x: jax.Array) -> jax.Array:
    """Computes the standard normal distribution function from erf, which is cheaper than erfc."""
    return 0.5 * (1 + jax.lax.erf(x * math.sqrt(0.5)))


gelu.defvjp(_gelu_forward, _gelu_backward)


@jax.custom_vjp
def _times_kernel(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Computes `x @ kernel` in x's dtype; the kernel's gradient is summed and kept in float32."""
    return x @ kernel.astype(x.dtype)


def _times_kernel_forward(x: jax.Array, kernel: jax.Array):
    return _times_kernel(x, kernel), (x, kernel)


def _times_kernel_backward(operands, gradient: jax.Array):
    x, kernel = operands
    # Of matrices: XLA's CPU compiler would transpose three axes, and compute x's producer in there.
    flat_x, flat_gradient = (array.reshape(-1, array.shape[-1]) for array in (x, gradient))
    of_kernel = jnp.matmul(flat_x.T, flat_gradient, preferred_element_type=jnp.float32)
    return gradient @ kernel.astype(x.dtype).T, of_kernel.astype(kernel.dtype)


_times_kernel.defvjp(_times_kernel_forward, _times_kernel_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def product(spec: str, a: jax.Array, b: jax.Array) -> jax.Array:
    """Computes `jnp.einsum(spec, a, b)` in a's dtype, backward too, with float32 sums and result.

    Without this the gradient, which is float32 like the result, would make both products of the
    backward pass float32 ones.
    """
    return jnp.einsum(spec, a, b, preferred_element_type=jnp.float32)


def _product_forward(spec: str, a: jax.Array, b: jax.Array):
    return product(spec, a, b), (a, b)


def _product_backward(spec: str, operands, gradient: jax.Array):
    _, pullback = jax.vjp(functools.partial(jnp.einsum, spec), *operands)
    return pullback(gradient.astype(operands[0].dtype))


product.defvjp(_product_forward, _product_backward)


@jax.named_scope("dropout")
def dropout(x: jax.Array, rate: float, key: jax.Array | None) -> jax.Array:
    """Zeroes each element with probability `rate` and rescales the rest; x itself without a key.

    Sixteen random bits an element: the rate is rounded to 1/65536, and the rescaling uses the
    rounded rate, so the expectation is exact. Under `jax.vmap` over keys each key drops what it
    drops alone. With a threefry key the mesh makes no difference either; with an `rbg` key every
    slice of the rows along `data` has bits of its own, so they depend on the size of that axis.
    """
    threshold = round(rate * 2**_BITS)
    if key is None or threshold == 0:
        return x
    keep_rate = 1 - threshold / 2**_BITS
    return jnp.where(_bits_for(x, key) >= threshold, x / keep_rate, jnp.zeros_like(x))


def dropout_key(seed: int, platform: str = "") -> jax.Array:
    """Returns a seed's random key for dropout; update k folds k into it."""
    return jax.random.key(seed, dtype=key_impl(platform))


def key_impl(platform: str = "") -> str:
    """Returns the cheapest random generator for dropout on a platform ("": the default backend).

    threefry2x32 on a CPU, where it took 0.4 times as long as rbg (XLM-R base, 8 rows of 192
    tokens); rbg on a TPU, which has an instruction for it, and on a GPU.
    """
    return "threefry2x32" if (platform or jax.default_backend()) == "cpu" else _RBG


def exact_key(key: jax.Array) -> jax.Array:
    """Derives a threefry key from `key`, for draws that are few and must be reproducible.

    `jax.random` with an rbg key gives other numbers under `jax.vmap` than alone.
    """
    if _impl(key) != _RBG:
        return key
    return jax.random.wrap_key_data(jax.random.key_data(key)[..., :2], dtype="threefry2x32")


def rows_stay(x: jax.Array) -> jax.Array:
    """Keeps the rows of x on the devices of the mesh axis `data` that hold them.

    Otherwise the compiler may move the activations of prediction, which has no backward pass,
    instead of the parameters, which FSDP shards along the same axis.
    """
    mesh = jax.typeof(x).sharding.mesh
    data = dict(mesh.shape).get("data", 1)
    if data == 1 or x.shape[0] % data:
        return x
    return jax.lax.with_sharding_constraint(x, NamedSharding(mesh, P("data")))


def split_key(key: jax.Array | None, n: int) -> list[jax.Array | None]:
    """Splits a random key into n independent ones; None gives a list of n None."""
    return [None] * n if key is None else list(jax.random.split(key, n))


def _impl(key: jax.Array) -> str:
    return str(jax.random.key_impl(key))


def _bits_for(x: jax.Array, key: jax.Array) -> jax.Array:
    """Draws uint16 random bits in x's shape."""
    if _impl(key) != _RBG:
        return _threefry_bits(key, x.shape)
    mesh = jax.typeof(x).sharding.mesh
    data = dict(mesh.shape).get("data", 1)
    if x.ndim == 0 or data == 1 or x.shape[0] % data:
        return _rbg_bits(x.shape)(key)
    # Otherwise the compiler makes every device generate the bits of all devices.
    rows = (x.shape[0] // data, *x.shape[1:])

    def of_one_slice(key):
        return _rbg_bits(rows)(jax.random.fold_in(key, jax.lax.axis_index("data")))

    types = zip(mesh.axis_names, mesh.axis_types, strict=True)
    free = {name for name, kind in types if kind != AxisType.Manual}  # not the members' axis
    return jax.shard_map(
        of_one_slice, mesh=mesh, in_specs=P(), out_specs=P("data"), axis_names=free
    )(key)


def _threefry_bits(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Draws 16 random bits for each element by threefry-2x32-20 (Salmon et al. 2011).

    A block gives the bits of four elements. Its rounds are written out, so that XLA fuses them: on
    a CPU that is 3 times as fast as `jax.random.bits`, whose rounds pass through memory in a loop
    and which uses half the bits of a block.
    """
    *rest, n = shape
    rows, blocks = math.prod(rest), -(-n // 4)
    row, block = (jax.lax.broadcasted_iota(jnp.uint32, (rows, blocks), axis) for axis in (0, 1))
    first, second = jax.random.key_data(key)
    keys = first, second, first ^ second ^ jnp.uint32(0x1BD11BDA)
    a, b = row + keys[0], block + keys[1]
    for i in range(5):
        for rotation in ((13, 15, 26, 6), (17, 29, 16, 24))[i % 2]:
            a = a + b
            b = a ^ (b << rotation | b >> 32 - rotation)
        a, b = a + keys[(i + 1) % 3], b + keys[(i + 2) % 3] + jnp.uint32(i + 1)
    parts = [word.astype(jnp.uint16) for word in (a, a >> _BITS, b, b >> _BITS)]
    return jnp.concatenate(parts, axis=1)[:, :n].reshape(shape)


def _rbg_bits(shape: tuple[int, ...]):
    """Returns a function from key to bits; under `vmap` it runs key by key, as XLA's must."""

    @custom_vmap
    def bits(key):
        return jax.random.bits(key, shape, jnp.uint16)

    @bits.def_vmap
    def one_by_one(axis_size, in_batched, keys):
        return jax.lax.map(bits, keys), True

    return bits
