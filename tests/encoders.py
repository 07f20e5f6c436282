"""Small encoders with random weights, and packed rows for them."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from flax import nnx

from xt_jax import model as xm


@functools.cache
def new_encoder(config: xm.EncoderConfig, seed: int = 0) -> xm.Encoder:
    return xm.Encoder(config, rngs=nnx.Rngs(seed))


def small_config(**changes) -> xm.EncoderConfig:
    config = xm.preset("tiny", vocab_size=50).config
    return dataclasses.replace(config, **{"hidden_size": 16, "intermediate_size": 32, **changes})


def packed_batch(rng: np.random.Generator, lengths: list[list[int]], row: int, vocab: int):
    """Returns input_ids, positions, segment_ids [B, row] of segments of the given lengths."""
    ids = np.full((len(lengths), row), 1, np.int32)
    positions, segments = np.zeros_like(ids), np.zeros_like(ids)
    for b, row_lengths in enumerate(lengths):
        start = 0
        for segment, n in enumerate(row_lengths, 1):
            part = slice(start, start + n)
            ids[b, part] = rng.integers(3, vocab, n)
            positions[b, part] = np.arange(n)
            segments[b, part] = segment
            start += n
    return ids, positions, segments
