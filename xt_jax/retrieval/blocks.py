"""Compares a tile of queries with one block of the corpus: the pure part of `cosine_topk`.

Dimensions: T queries, B corpus rows in G groups of M consecutive ones, D embedding, k neighbours.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

MEMBERS = 16  # rows of a group
# Rows come in multiples of this. With a single row, or rows that do not fill whole vectors, the
# order of a dot product's sum depends on the row's place, and equal rows may differ in a bit.
ROWS = 32


class Rows(NamedTuple):
    """Normalised rows; the cosine of two is the dot product of their values times both scales.

    Attributes:
        values: [R, D] fp32 of unit norm, or bfloat16 with 2 <= largest magnitude < 8.
        scale: [R] fp32, one over the norm, or 0 for a row of norm zero; None: all 1.
    """

    values: jax.Array
    scale: jax.Array | None


class Block(NamedTuple):
    """Corpus rows in the order of multiplication: the first members of all groups come first.

    Attributes:
        values: [M * G, D].
        scale: [M, G] or None.
    """

    values: jax.Array
    scale: jax.Array | None


class Best(NamedTuple):
    """The k nearest corpus rows of each query so far, nearest first; ties go to the lowest index.

    Attributes:
        scores: [T, k] fp32; -inf where there is none.
        indices: [T, k] int32; -1 where there is none.
    """

    scores: jax.Array
    indices: jax.Array


def none(tile: int, k: int) -> Best:
    """Returns a `Best` without neighbours, to start from."""
    return Best(jnp.full((tile, k), -jnp.inf, jnp.float32), jnp.full((tile, k), -1, jnp.int32))


def prepare(x: jax.Array, dtype: Any) -> Rows:
    """Normalises rows `x` [R, D] for products in `dtype`, fp32 or bfloat16."""
    x = x.astype(jnp.float32)
    # Scaling by a power of two is exact and keeps squares of small or large values in range.
    power = _inverse_power(jnp.max(jnp.abs(x), axis=-1, keepdims=True))
    norm = jnp.sqrt(jnp.sum(jnp.square(x * power), axis=-1, keepdims=True))
    norm = jnp.where(norm == 0, 1.0, norm)
    if dtype == jnp.bfloat16:
        return Rows((x * power).astype(dtype), 1 / norm[:, 0])
    return Rows(x * (power / norm), None)


def group(rows: Rows) -> Block:
    """Orders B rows as a block, in which one reduction finds the best member of every group."""
    values = rows.values.reshape(-1, MEMBERS, rows.values.shape[1]).swapaxes(0, 1)
    scale = None if rows.scale is None else rows.scale.reshape(-1, MEMBERS).T
    return Block(values.reshape(rows.values.shape), scale)


def merge(best: Best, tile: Rows, block: Block, first: jax.Array, count: jax.Array) -> Best:
    """Updates the nearest rows of a tile with those of one more block.

    Groups are ranked by their best members. A row among the k best is in one of the k best groups,
    or each of those would have a member before it: a higher score, or an equal one earlier. One
    more group is examined, since rows that do not count may rank one too high.

    Args:
        best: of rows before `first`.
        first: index of the block's first row.
        count: rows of the corpus; any of the block beyond them do not count.
    """
    k, groups = best.scores.shape[1], len(block.values) // MEMBERS
    product = lax.dot_general(
        tile.values,
        block.values,
        (((1,), (1,)), ((), ())),
        precision=lax.Precision.HIGHEST,
        preferred_element_type=jnp.float32,
    ).reshape(-1, MEMBERS, groups)
    if block.scale is not None:
        product = product * block.scale
    start = first + jnp.arange(groups) * MEMBERS
    greatest = jnp.where(start < count, _no_negative_zero(product.max(axis=1)), -jnp.inf)
    _, chosen = lax.top_k(greatest, min(k + 1, groups))
    chosen = jnp.sort(chosen, axis=1)
    score = _in_order(jnp.take_along_axis(product, chosen[:, None, :], axis=2))
    index = _in_order(start[chosen][:, None, :] + jnp.arange(MEMBERS)[:, None])
    if tile.scale is not None:
        score = score * tile.scale[:, None]
    score = jnp.where(index < count, _no_negative_zero(score), -jnp.inf)
    # top_k keeps the first of equals, so results of earlier blocks must come first.
    scores = jnp.concatenate([best.scores, score], axis=1)
    indices = jnp.concatenate([best.indices, index], axis=1)
    scores, kept = lax.top_k(scores, k)
    indices = jnp.take_along_axis(indices, kept, axis=1)
    return Best(scores, jnp.where(scores == -jnp.inf, -1, indices))


def _inverse_power(x: jax.Array) -> jax.Array:
    """Returns the power of two that scales `x` >= 0 to [2, 4), or the greatest if none does."""
    exponent = jnp.clip(lax.bitcast_convert_type(x, jnp.int32) >> 23, 1, 253)
    return lax.bitcast_convert_type((255 - exponent) << 23, jnp.float32)


def _in_order(x: jax.Array) -> jax.Array:
    """Reshapes [T, M, groups] to [T, groups * M], in the order of the rows."""
    return x.swapaxes(1, 2).reshape(len(x), -1)


def _no_negative_zero(x: jax.Array) -> jax.Array:
    """Replaces -0.0, which top_k ranks below 0.0, so that ties keep their order."""
    return jnp.where(x == 0, 0.0, x)
