"""Finds exact nearest neighbours by cosine, streaming over blocks of the corpus.

Dimensions: Q queries, N corpus rows, D embedding.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from xt_jax.errors import ConfigError
from xt_jax.retrieval import blocks
from xt_jax.retrieval import kernel as pallas
from xt_jax.retrieval.blocks import Best, Block, Rows
from xt_jax.ticker import Ticker

_AXIS = "corpus"
_CUT, _WHOLE = P(_AXIS), P()
_CUT_BLOCK = Block._make((_CUT, P(None, _AXIS)))  # the layout of each part
_LENGTHS = 32  # different lengths of tiles, and of blocks
_INTERPRET = False  # True: tests run the TPU's kernel step by step on a CPU

Merge = Callable[[Best, Rows, Block, jax.Array, jax.Array], Best]


class Sizes(NamedTuple):
    """How many rows are compared at a time.

    Attributes:
        tile: queries.
        block: corpus rows on each device.
        held: bytes of queries in one pass over the corpus.
    """

    tile: int
    block: int
    held: int


SIZES = {"cpu": Sizes(1024, 4096, 2**24)}
ON_ACCELERATORS = Sizes(8192, 8192, 2**30)


def cosine_topk(
    queries: Any,
    corpus: Any,
    k: int,
    *,
    block: int = 0,
    mesh: Mesh | None = None,
    kernel: str = "xla",
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the `k` rows of `corpus` nearest to each query, nearest first.

    Exact: similarities are summed in fp32, of fp32 rows at `Precision.HIGHEST`, of bfloat16 rows
    from exact products. A row of norm zero has similarity 0 to everything, and of equal
    similarities the lowest index comes first. A tile of queries times a block of the corpus is held
    on a device at a time (`SIZES`: 16 MiB on a CPU), never Q x N. Tiles and blocks have one of 32
    lengths each, so that another Q or N seldom needs another compilation. Values must be finite: a
    row with NaN or infinity shows as a score of NaN.

    Args:
        queries: [Q, D], any real dtype, need not be normalised; a numpy, memory-mapped or JAX array
            or anything else with a shape, a dtype, and arrays for slices of its rows.
        corpus: [N, D], likewise; read in blocks, so it may be larger than memory.
        k: neighbours per query, at least 1.
        block: corpus rows compared at a time on each device, rounded up to a multiple of 32 (of 128
            for `pallas`); 0: that of `SIZES`.
        mesh: the corpus is split over all its devices; None: the default device alone.
        kernel: `xla`, or `pallas`, one kernel that keeps the product in a TPU's fast memory (k up
            to 128). It compiles for TPU v4 and v5e and needs none of the memory that `xla` takes
            for similarities; which is faster has not been measured on a TPU.

    Returns:
        Cosines [Q, k] fp32 and corpus indices [Q, k] int32; -inf and -1 in the last columns where
        N < k.

    Raises:
        ValueError: the arrays are not [Q, D] and [N, D], k is below 1 or above what the kernel
            takes, or block below 0.
        ConfigError: the kernel does not run on the devices.
    """
    _check(queries, corpus, k, block)
    (n_queries, dim), n_corpus = queries.shape, corpus.shape[0]
    devices = tuple(mesh.devices.flat) if mesh is not None else (jax.local_devices()[0],)
    platform = devices[0].platform
    merge_block = _merge_function(kernel, k, platform)
    mesh = Mesh(np.array(devices), (_AXIS,))
    cut, whole = NamedSharding(mesh, _CUT), NamedSharding(mesh, _WHOLE)
    dtype = jnp.bfloat16 if queries.dtype == corpus.dtype == jnp.bfloat16 else jnp.float32
    tile, rows = _lengths(n_queries, n_corpus, len(devices), block, platform, kernel)
    held = max(1, SIZES.get(platform, ON_ACCELERATORS).held // (tile * dim * 4)) * tile
    nothing = jax.tree.map(lambda x: np.tile(x, (len(devices), 1, 1)), blocks.none(tile, k))
    nearest: list[Best] = []
    ticker = Ticker("searched blocks", -(-n_queries // held) * -(-n_corpus // rows))
    for start in range(0, n_queries, held):
        pieces = _pieces(queries[start : start + held], tile)
        tiles = [_prepare(jax.device_put(piece, whole), dtype) for _, piece in pieces]
        best = before = [jax.device_put(nothing, cut)] * len(tiles)
        for first, piece in _pieces(corpus, rows):
            placed = _prepare_block(jax.device_put(piece, cut), mesh, dtype)
            at = np.array([first, n_corpus], np.int32)
            merged = [
                _merge(of_tile, prepared, placed, at, mesh, merge_block)
                for of_tile, prepared in zip(best, tiles, strict=True)
            ]
            before, best = best, merged
            jax.block_until_ready(before)  # blocks must not pile up before a slower device
            ticker.advance()
        nearest += jax.device_get(best)
    return _of_all_devices(nearest, k, n_queries)


def lower(
    n_queries: int, n_corpus: int, dim: int, k: int, mesh: Mesh, *, kernel: str = "xla"
) -> jax.stages.Lowered:
    """Lowers the program with which `cosine_topk` compares a tile of fp32 queries with a block."""
    devices = tuple(mesh.devices.flat)
    platform = devices[0].platform
    tile, rows = _lengths(n_queries, n_corpus, len(devices), 0, platform, kernel)
    over = Mesh(np.array(devices), (_AXIS,))

    def shape(dims: tuple[int, ...], dtype: Any, *spec: str) -> Any:
        return jax.ShapeDtypeStruct(dims, dtype, sharding=NamedSharding(over, P(*spec)))

    nearest = len(devices), tile, k
    best = Best(shape(nearest, jnp.float32, _AXIS), shape(nearest, jnp.int32, _AXIS))
    queries = Rows(shape((tile, dim), jnp.float32), None)
    block = Block(shape((rows, dim), jnp.float32, _AXIS), None)
    at = shape((2,), jnp.int32)
    return _merge.lower(best, queries, block, at, over, _merge_function(kernel, k, platform))


_prepare = jax.jit(blocks.prepare, static_argnums=1)


@functools.partial(jax.jit, static_argnums=(1, 2))
def _prepare_block(x: jax.Array, mesh: Mesh, dtype: Any) -> Block:
    """Normalises and groups corpus rows [devices * B, D] as the block of each device."""

    def on_one_device(rows: jax.Array) -> Block:
        return blocks.group(blocks.prepare(rows, dtype))

    return jax.shard_map(on_one_device, mesh=mesh, in_specs=_CUT, out_specs=_CUT_BLOCK)(x)


@functools.partial(jax.jit, static_argnums=(4, 5))
def _merge(
    best: Best, tile: Rows, block: Block, at: jax.Array, mesh: Mesh, merge_block: Merge
) -> Best:
    """Runs `merge_block` on every device for its rows; `Best` has a leading device axis.

    Args:
        at: [index of the block's first row, N].
    """

    def on_one_device(best: Best, tile: Rows, block: Block, at: jax.Array) -> Best:
        first = at[0] + jax.lax.axis_index(_AXIS) * len(block.values)
        merged = merge_block(jax.tree.map(lambda x: x[0], best), tile, block, first, at[1])
        return jax.tree.map(lambda x: x[None], merged)

    specs = (_CUT, _WHOLE, _CUT_BLOCK, _WHOLE)
    # Kernels do not declare over which axes their results vary.
    return jax.shard_map(on_one_device, mesh=mesh, in_specs=specs, out_specs=_CUT, check_vma=False)(
        best, tile, block, at
    )


def _merge_function(kernel: str, k: int, platform: str) -> Merge:
    """Returns the function that merges a block, by the name of its kernel."""
    if kernel == "xla":
        return blocks.merge
    if kernel != "pallas":
        raise ValueError(f"kernel must be xla or pallas, got {kernel!r}")
    if k > pallas.LANES:
        raise ValueError(f"the kernel pallas finds up to {pallas.LANES} neighbours, not {k}")
    if platform != "tpu" and not _INTERPRET:
        raise ConfigError(
            f"The kernel `pallas` runs on a TPU, not on {platform}.",
            where="kernel",
            remedy="use kernel='xla'",
        )
    return functools.partial(pallas.merge, interpret=True) if _INTERPRET else pallas.merge


def _check(queries: Any, corpus: Any, k: int, block: int) -> None:
    if len(queries.shape) != 2 or len(corpus.shape) != 2 or queries.shape[1] != corpus.shape[1]:
        raise ValueError(
            f"expected [Q, D] and [N, D], got queries {queries.shape} and corpus {corpus.shape}"
        )
    for name, value, least in (("k", k, 1), ("block", block, 0)):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")


def _lengths(
    n_queries: int, n_corpus: int, devices: int, block: int, platform: str, kernel: str
) -> tuple[int, int]:
    """Returns (queries of a tile, rows of a block on all devices together)."""
    sizes = SIZES.get(platform, ON_ACCELERATORS)
    multiple = blocks.ROWS if kernel == "xla" else pallas.LANES
    rows = _even(-(-n_corpus // devices), block or sizes.block, multiple) * devices
    return _even(n_queries, sizes.tile, blocks.ROWS), rows


def _even(n: int, most: int, multiple: int) -> int:
    """Returns the length of the fewest equal parts of at most `most` rows that hold `n` rows."""
    most = _ceil(most, multiple)
    length = -(-n // max(1, -(-n // most)))
    return min(most, max(multiple, _ceil(length, _ceil(most // _LENGTHS, multiple))))


def _ceil(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple


def _pieces(x: Any, length: int) -> Iterator[tuple[int, Any]]:
    """Yields (index of the first row, rows [length, D]), the last ones padded with zeros."""
    for first in range(0, x.shape[0], length):
        piece = x[first : first + length]
        if missing := length - piece.shape[0]:
            xp = jnp if isinstance(piece, jax.Array) else np
            piece = xp.pad(piece, ((0, missing), (0, 0)))
        yield first, piece


def _of_all_devices(tiles: Sequence[Best], k: int, n_queries: int) -> tuple[np.ndarray, np.ndarray]:
    """Merges tiles [devices, T, k] into the k best of the first `n_queries` queries."""
    if not tiles:
        return np.empty((0, k), np.float32), np.empty((0, k), np.int32)
    scores, indices = (
        np.concatenate(parts, axis=1)[:, :n_queries].swapaxes(0, 1).reshape(n_queries, -1)
        for parts in zip(*tiles, strict=True)
    )
    if scores.shape[1] > k:
        ahead = np.where(np.isnan(scores), np.inf, scores)
        order = np.lexsort((indices, -ahead))[:, :k]
        scores, indices = (np.take_along_axis(x, order, axis=1) for x in (scores, indices))
    return scores, indices
