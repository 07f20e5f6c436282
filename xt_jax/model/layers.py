"""The few parts that encoder and heads are made of. Parameters are float32, whatever computes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

_BITS = 16


class Linear(nnx.Module):
    """`x @ kernel + bias` in the dtype of x; kernel [in, out]."""

    def __init__(self, in_size: int, out_size: int, stddev: float, *, rngs: nnx.Rngs):
        self.kernel = nnx.Param(stddev * jax.random.normal(rngs.params(), (in_size, out_size)))
        self.bias = nnx.Param(jnp.zeros((out_size,)))

    def __call__(self, x: jax.Array) -> jax.Array:
        return x @ self.kernel[...].astype(x.dtype) + self.bias[...].astype(x.dtype)


class Embedding(nnx.Module):
    """A table [size, D]; row `zero_row` starts at zero. An id outside the table gives NaN."""

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

    def __call__(self, x: jax.Array, eps: float) -> jax.Array:
        centred = x.astype(jnp.float32)
        centred = centred - centred.mean(-1, keepdims=True)
        variance = jnp.square(centred).mean(-1, keepdims=True)
        y = centred * jax.lax.rsqrt(variance + eps) * self.scale[...] + self.bias[...]
        return y.astype(x.dtype)


def dropout(x: jax.Array, rate: float, key: jax.Array | None) -> jax.Array:
    """Zeroes each element with probability `rate` and rescales the rest; x itself without a key.

    One 32-bit random word serves two elements, which makes dropout about three times cheaper on a
    CPU than `jax.random.bernoulli`. The rate is rounded to 1/65536, and the rescaling uses the
    rounded rate, so the expectation is exact.
    """
    threshold = round(rate * 2**_BITS)
    if key is None or threshold == 0:
        return x
    *rest, n = x.shape
    words = jax.random.bits(key, (*rest, (n + 1) // 2), jnp.uint32)
    bits = jax.lax.bitcast_convert_type(words, jnp.uint16).reshape(*rest, -1)[..., :n]
    keep_rate = 1 - threshold / 2**_BITS
    return jnp.where(bits >= threshold, x / keep_rate, jnp.zeros_like(x))


def split_key(key: jax.Array | None, n: int) -> list[jax.Array | None]:
    """n independent keys, or n times None."""
    return [None] * n if key is None else list(jax.random.split(key, n))
