"""Exact nearest neighbours by cosine, streamed over blocks of the corpus.

Dimensions: Q queries, N corpus rows, D embedding, T rows of a query tile, B rows of a block.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

# Rows per tile and block come in multiples of this. With a single row, or rows left over from whole
# vectors, the order of a dot product's sum depends on the place, and equal rows differ in a bit.
_ROWS = 16


def cosine_topk(
    queries: jax.Array | np.ndarray,
    corpus: jax.Array | np.ndarray,
    k: int,
    *,
    block: int = 2048,
) -> tuple[jax.Array, jax.Array]:
    """The `k` rows of `corpus` nearest to each query, nearest first.

    Similarities are computed in fp32 at `Precision.HIGHEST`; a row of norm zero has similarity 0
    to everything, and of equal similarities the lowest index comes first. `block` x `block` of
    them are held at a time, never Q x N. Both sides are padded to whole blocks, so another N with
    as many blocks does not recompile the search. Values must be finite: a row with NaN or infinity
    shows as a score of NaN.

    Args:
        queries: [Q, D], any real dtype, need not be normalised.
        corpus: [N, D].
        k: neighbours per query, 1 <= k <= N.
        block: corpus rows compared at a time and the most queries at a time, rounded up to a
            multiple of 16.

    Returns:
        Cosines [Q, k] fp32 and corpus indices [Q, k] int32.

    Raises:
        ValueError: the arrays are not [Q, D] and [N, D], N < k, or k or block is below 1.
    """
    if queries.ndim != 2 or corpus.ndim != 2 or queries.shape[1] != corpus.shape[1]:
        raise ValueError(
            f"expected [Q, D] and [N, D], got queries {queries.shape} and corpus {corpus.shape}"
        )
    n_queries, n_corpus = len(queries), len(corpus)
    if not 1 <= k <= n_corpus:
        raise ValueError(f"k must be from 1 to the {n_corpus} rows of the corpus, got {k}")
    if block < 1:
        raise ValueError(f"block must be at least 1, got {block}")
    block = _round_up(block)
    tile = max(_ROWS, min(block, _round_up(n_queries)))
    scores, indices = _search(
        _as_blocks(queries, tile), _as_blocks(corpus, block), np.int32(n_corpus), k
    )
    return scores[:n_queries], indices[:n_queries]


@partial(jax.jit, static_argnames="k")
def _search(
    tiles: jax.Array, blocks: jax.Array, n_corpus: jax.Array, k: int
) -> tuple[jax.Array, jax.Array]:
    """tiles [Q/T, T, D] against blocks [N/B, B, D], of which the first `n_corpus` rows count."""
    n_blocks, block, _ = blocks.shape
    starts = jnp.arange(n_blocks, dtype=jnp.int32) * block
    column = jnp.arange(block, dtype=jnp.int32)

    def search_tile(tile):
        queries = _normalise(tile)

        def merge(best, start_and_rows):
            start, rows = start_and_rows
            similarity = jnp.einsum(
                "td,bd->tb",
                queries,
                _normalise(rows),
                precision=lax.Precision.HIGHEST,
                preferred_element_type=jnp.float32,
            )
            # top_k ranks -0.0 below 0.0, which would break the order of ties.
            similarity = jnp.where(similarity == 0, 0.0, similarity)
            similarity = jnp.where(start + column < n_corpus, similarity, -jnp.inf)
            scores, columns = lax.top_k(similarity, min(k, block))
            # top_k keeps the first of equals: what was found in earlier blocks has to stand first.
            scores = jnp.concatenate([best[0], scores], axis=1)
            indices = jnp.concatenate([best[1], start + columns], axis=1)
            scores, kept = lax.top_k(scores, k)
            return (scores, jnp.take_along_axis(indices, kept, axis=1)), None

        none = (jnp.full((len(tile), k), -jnp.inf), jnp.zeros((len(tile), k), jnp.int32))
        return lax.scan(merge, none, (starts, blocks))[0]

    scores, indices = lax.map(search_tile, tiles)
    n_rows = tiles.shape[0] * tiles.shape[1]
    return scores.reshape(n_rows, k), indices.reshape(n_rows, k)


def _round_up(n: int) -> int:
    return -(-n // _ROWS) * _ROWS


def _as_blocks(x: jax.Array | np.ndarray, block: int) -> jax.Array:
    """[M, D] to [ceil(M / block), block, D], the last block filled up with zeros."""
    xp = np if isinstance(x, np.ndarray) else jnp
    padded = xp.pad(x, ((0, -len(x) % block), (0, 0)))
    return jnp.asarray(padded.reshape(len(padded) // block, block, x.shape[1]))


def _normalise(x: jax.Array) -> jax.Array:
    """Rows of unit norm in fp32; scaled first, lest the squares of small or large values vanish."""
    x = x.astype(jnp.float32)
    largest = jnp.max(jnp.abs(x), axis=-1, keepdims=True)
    x = x / jnp.where(largest == 0, 1.0, largest)
    norm = jnp.sqrt(jnp.sum(x * x, axis=-1, keepdims=True))
    return x / jnp.where(norm == 0, 1.0, norm)
