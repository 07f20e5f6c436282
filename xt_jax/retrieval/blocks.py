"""A tile of queries against one block of the corpus: the pure part of `cosine_topk`.

Dimensions: T queries, B corpus rows in G groups of M consecutive ones, D embedding, k neighbours.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

MEMBERS = 32  # of a group; a power of 2
# Rows come in multiples of this. With a single row, or rows left over from whole vectors, the order
# of a dot product's sum depends on the place, and equal rows differ in a bit.
ROWS = 32


class Rows(NamedTuple):
    """Rows to be compared: the cosine of two is the product of their values and their scales.

    Attributes:
        values: [R, D] fp32 of unit norm, or bfloat16 with 1 <= largest magnitude < 2.
        scale: [R] fp32: 1, or one over the norm; 0 for a row of norm zero.
    """

    values: jax.Array
    scale: jax.Array


class Best(NamedTuple):
    """The nearest rows so far, nearest first; of equals the lowest index.

    Attributes:
        scores: [T, k] fp32; -inf where there is none.
        indices: [T, k] int32; -1 where there is none.
    """

    scores: jax.Array
    indices: jax.Array


def none(tile: int, k: int) -> Best:
    """Nothing found yet."""
    return Best(jnp.full((tile, k), -jnp.inf, jnp.float32), jnp.full((tile, k), -1, jnp.int32))


def prepare(x: jax.Array, dtype: Any) -> Rows:
    """`x` [R, D] for products in `dtype`, fp32 or bfloat16."""
    x = x.astype(jnp.float32)
    # By a power of two, which rounds nothing, lest squares of small or large values vanish.
    _, exponent = jnp.frexp(jnp.max(jnp.abs(x), axis=-1, keepdims=True))
    x = jnp.ldexp(x, 1 - exponent)
    norm = jnp.sqrt(jnp.sum(x * x, axis=-1, keepdims=True))
    norm = jnp.where(norm == 0, 1.0, norm)
    if dtype == jnp.bfloat16:
        return Rows(x.astype(dtype), 1 / norm[:, 0])
    return Rows(x / norm, jnp.ones(len(x)))


def group(rows: Rows) -> Rows:
    """The block [B, D] as [M, G, D]: the best members of all groups are one vector operation."""

    def by_member(x: jax.Array) -> jax.Array:
        return x.reshape(-1, MEMBERS, *x.shape[1:]).swapaxes(0, 1)

    return Rows(*map(by_member, rows))


def merge(best: Best, tile: Rows, block: Rows, first: jax.Array, count: jax.Array) -> Best:
    """`best` of what came before and of the block.

    Groups are ranked by their best members. A row among the k best is in one of the k best groups,
    or each of those would have a member before it: a higher score, or an equal one earlier.

    Args:
        best: of rows before `first`.
        tile: [T, D].
        block: [M, G, D].
        first: index of the block's first row.
        count: the corpus has so many rows; those of the block from there on do not count.
    """
    k = best.scores.shape[1]
    members, groups = block.scale.shape
    product = jnp.einsum(
        "td,mgd->tmg",
        tile.values,
        block.values,
        precision=lax.Precision.HIGHEST,
        preferred_element_type=jnp.float32,
    )
    index = first + jnp.arange(groups) * members + jnp.arange(members)[:, None]
    score = product * tile.scale[:, None, None] * block.scale
    score = jnp.where(index < count, score, -jnp.inf)
    _, chosen = lax.top_k(_no_negative_zero(score.max(axis=1)), min(k, groups))
    chosen = jnp.sort(chosen, axis=1)
    found = jnp.take_along_axis(score, chosen[:, None, :], axis=2)  # [T, M, k]
    indices = jnp.arange(members)[:, None] + chosen[:, None, :] * members + first

    def in_order(x: jax.Array) -> jax.Array:
        return x.swapaxes(1, 2).reshape(len(x), -1)

    # top_k keeps the first of equals: what was found in earlier blocks has to stand first.
    scores = jnp.concatenate([best.scores, _no_negative_zero(in_order(found))], axis=1)
    indices = jnp.concatenate([best.indices, in_order(indices)], axis=1)
    scores, kept = lax.top_k(scores, k)
    indices = jnp.take_along_axis(indices, kept, axis=1)
    return Best(scores, jnp.where(scores == -jnp.inf, -1, indices))


def _no_negative_zero(x: jax.Array) -> jax.Array:
    """top_k ranks -0.0 below 0.0, which would break the order of ties."""
    return jnp.where(x == 0, 0.0, x)
