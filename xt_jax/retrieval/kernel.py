"""Computes `blocks.merge` in one Pallas kernel for TPU, with the product in fast memory only.

Dimensions: T queries, B corpus rows in G groups of M, D embedding, k neighbours; a step of the grid
takes `t` queries and `b` columns.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

from xt_jax.retrieval.blocks import MEMBERS, Best, Block, Rows

LANES = 128  # of a TPU's vector register: k at most, and what B must be a multiple of
_TILE = 256
_COLUMNS = (512, 256, 128)
_LAST = jnp.iinfo(jnp.int32).max


def merge(
    best: Best,
    tile: Rows,
    block: Block,
    first: jax.Array,
    count: jax.Array,
    *,
    interpret: bool = False,
) -> Best:
    """Does the same as `blocks.merge`, for k up to 128, T a multiple of 8 and B of 128.

    Args:
        interpret: runs the kernel step by step on any platform, for tests.
    """
    (queries, k), (size, dim) = best.scores.shape, block.values.shape
    t = next(n for n in range(min(_TILE, queries), 0, -8) if queries % n == 0)
    b = next(n for n in _COLUMNS if size % n == 0)
    padding = ((0, 0), (0, LANES - k))
    scores = jnp.pad(best.scores, padding, constant_values=-jnp.inf)
    indices = jnp.pad(best.indices, padding, constant_values=-1)
    row_scale = jnp.ones((queries, 1)) if tile.scale is None else tile.scale[:, None]
    column_scale = jnp.ones((1, size)) if block.scale is None else block.scale.reshape(1, size)
    best_spec: Any = pl.BlockSpec((t, LANES), lambda i, j, *_: (i, 0))
    scores, indices = pl.pallas_call(
        functools.partial(_kernel, k=k, groups=size // MEMBERS),
        out_shape=[jax.ShapeDtypeStruct(x.shape, x.dtype) for x in (scores, indices)],
        grid_spec=pltpu.PrefetchScalarGridSpec(
            num_scalar_prefetch=1,
            grid=(queries // t, size // b),
            in_specs=[
                pl.BlockSpec((t, dim), lambda i, j, *_: (i, 0)),
                pl.BlockSpec((t, 1), lambda i, j, *_: (i, 0)),
                pl.BlockSpec((b, dim), lambda i, j, *_: (j, 0)),
                pl.BlockSpec((1, b), lambda i, j, *_: (0, j)),
                best_spec,
                best_spec,
            ],
            out_specs=[best_spec, best_spec],
            scratch_shapes=[pltpu.VMEM((t, b), jnp.float32)],
        ),
        compiler_params=pltpu.CompilerParams(dimension_semantics=("parallel", "arbitrary")),
        interpret=interpret,
    )(
        jnp.stack([first, count]).astype(jnp.int32),
        tile.values,
        row_scale,
        block.values,
        column_scale,
        scores,
        indices,
    )
    scores = jnp.where(scores == jnp.inf, jnp.nan, scores)
    return Best(scores[:, :k], indices[:, :k])


def _kernel(at, tile, row_scale, block, column_scale, *refs, k: int, groups: int):
    """Multiplies, then inserts scores as long as any row has one above its k-th best."""
    best_scores, best_indices, scores, indices, remaining = refs

    @pl.when(pl.program_id(1) == 0)
    def _():
        scores[...], indices[...] = best_scores[...], best_indices[...]

    product = lax.dot_general(
        tile[...],
        block[...],
        (((1,), (1,)), ((), ())),
        precision=lax.Precision.HIGHEST if tile.dtype == jnp.float32 else None,
        preferred_element_type=jnp.float32,
    )
    score = product * row_scale[...] * column_scale[...]
    score = jnp.where(score == score, score, jnp.inf)  # NaN ranks first, so that it shows
    column = lax.broadcasted_iota(jnp.int32, (1, product.shape[1]), 1)
    column += pl.program_id(1) * product.shape[1]
    index = at[0] + lax.rem(column, groups) * MEMBERS + lax.div(column, groups)
    remaining[...] = jnp.where(index < at[1], score, -jnp.inf)
    lane = lax.broadcasted_iota(jnp.int32, scores.shape, 1)

    def take_one(_):
        """Inserts each row's best remaining score, of equals that with the lowest index."""
        top = remaining[...].max(axis=1, keepdims=True)
        place = jnp.where(remaining[...] == top, index, _LAST).min(axis=1, keepdims=True)
        remaining[...] = jnp.where(index == place, -jnp.inf, remaining[...])
        ahead = (scores[...] > top) | ((scores[...] == top) & (indices[...] < place))
        rank = jnp.where(ahead & (lane < k), 1, 0).sum(axis=1, keepdims=True)
        rank = jnp.where(top == -jnp.inf, k, rank)
        for held, new in ((scores, top), (indices, place)):
            moved = jnp.where(lane == rank, new, pltpu.roll(held[...], 1, 1))
            held[...] = jnp.where((lane < rank) | (lane >= k), held[...], moved)
        return jnp.min(rank)

    lax.while_loop(lambda rank: rank < k, take_one, 0)
