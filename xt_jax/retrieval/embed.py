"""Sentence embeddings from packed rows: mean or first token, at one layer or at all in one pass.

Legend: R rows, T columns, S segments a row, D hidden size, L layers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from xt_jax.model.encoder import Encoder
from xt_jax.model.heads import segment_mask

# Hidden state (0 = embeddings) by depth. 24: google-research/xtreme, scripts/run_tatoeba.sh, and
# jiant. 12: the default of the same script, used there for mBERT.
TATOEBA_LAYER = {24: 14, 12: 8}
ALL_LAYERS = -1

Pool = Callable[[jax.Array], jax.Array]  # [R, T, D] -> [R, S, D] fp32


def tatoeba_layer(num_layers: int) -> int:
    """Returns the layer read for Tatoeba: as published for 24 or 12, else 7/12 of the depth."""
    return TATOEBA_LAYER.get(num_layers, max(1, round(num_layers * 14 / 24)))


def segment_means(segment_ids: jax.Array, segments: int, counted: jax.Array | None = None) -> Pool:
    """Returns a pooling: the mean over each segment's tokens, 0 for an empty segment.

    With special tokens, this is the pooling of XTREME's Tatoeba (google-research/xtreme,
    third_party/evaluate_retrieval.py) and of jiant (nyu-mll/jiant, jiant/tasks/retrieval.py).

    Args:
        segment_ids: [R, T].
        counted: [R, T], nonzero where a token enters the mean; None: all of the segment.
    """
    ids = segment_ids if counted is None else jnp.where(counted != 0, segment_ids, 0)
    member = segment_mask(ids, segments)
    weights = member / jnp.maximum(member.sum(axis=-1, keepdims=True), 1)

    def pool(state: jax.Array) -> jax.Array:
        return jnp.einsum(
            "rst,rtd->rsd",
            weights.astype(jnp.float32),
            state.astype(jnp.float32),
            precision=jax.lax.Precision.HIGHEST,
        )

    return pool


def segment_firsts(starts: jax.Array) -> Pool:
    """Returns a pooling: the state of each segment's first token (<s> or [CLS]).

    Args:
        starts: [R, S], the first column of each segment; anything where there is none.
    """
    return lambda state: jnp.take_along_axis(state, starts[:, :, None], axis=1).astype(jnp.float32)


def embed_batch(
    encoder: Encoder, batch: Mapping[str, jax.Array], *, layer: int, pooling: str = "mean"
) -> jax.Array:
    """Embeds the segments of packed rows: [R, S, D] fp32, or [R, S, L+1, D] of all layers.

    Args:
        batch: `input_ids`, `positions` and `segment_ids` [R, T], `starts` [R, S]; where there are,
            `token_type_ids` [R, T], and `counted` [R, T], which marks the tokens of a mean.
        layer: 0 (embeddings) to L, without running those above; or ALL_LAYERS, in one pass.
        pooling: `first`, or another name for a mean.
    """
    if pooling == "first":
        pool = segment_firsts(batch["starts"])
    else:
        segments = batch["starts"].shape[1]
        pool = segment_means(batch["segment_ids"], segments, batch.get("counted"))
    rows = (batch["input_ids"], batch["positions"], batch["segment_ids"])
    types = batch.get("token_type_ids")
    if layer == ALL_LAYERS:
        pooled = encoder.all_hidden_states(*rows, token_type_ids=types, keep=pool)
        return jnp.moveaxis(pooled, 0, 2)
    return pool(encoder.hidden_state(layer, *rows, token_type_ids=types))


def embed_layers(
    encoder: Encoder, batch: Mapping[str, jax.Array], *, layers: range, pooling: str = "mean"
) -> jax.Array:
    """Embeds the segments of packed rows at K consecutive layers: [R, S, K, D] fp32.

    The other arguments are those of `embed_batch`.
    """
    if len(layers) == 1:
        return embed_batch(encoder, batch, layer=layers.start, pooling=pooling)[:, :, None]
    every = embed_batch(encoder, batch, layer=ALL_LAYERS, pooling=pooling)
    return every[:, :, layers.start : layers.stop]
