"""Sentence embeddings: the mean over a sentence's tokens, special tokens included, at every layer.

The pooling of XTREME's Tatoeba (google-research/xtreme, third_party/evaluate_retrieval.py) and of
jiant (nyu-mll/jiant, jiant/tasks/retrieval.py).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from xt_jax.model.encoder import Encoder
from xt_jax.model.heads import segment_mask

# Hidden state (0 = embeddings) by depth. 24: google-research/xtreme, scripts/run_tatoeba.sh, and
# jiant. 12: the default of the same script, used there for mBERT.
TATOEBA_LAYER = {24: 14, 12: 8}


def tatoeba_layer(num_layers: int) -> int:
    """The published layer for 24 and 12 layers; 7/12 of the depth, rounded, for others."""
    return TATOEBA_LAYER.get(num_layers, max(1, round(num_layers * 14 / 24)))


def pooled_hidden_states(
    encoder: Encoder,
    input_ids: jax.Array,
    positions: jax.Array,
    segment_ids: jax.Array,
    *,
    segments: int,
    token_type_ids: jax.Array | None = None,
) -> jax.Array:
    """[R, S, L+1, D] fp32: mean hidden state of each segment of packed rows [R, T]; 0 if empty."""
    states = encoder.all_hidden_states(
        input_ids, positions, segment_ids, token_type_ids=token_type_ids
    )
    member = segment_mask(segment_ids, segments)
    weights = member / jnp.maximum(member.sum(axis=-1, keepdims=True), 1)
    return jnp.einsum(
        "rst,lrtd->rsld",
        weights.astype(jnp.float32),
        states.astype(jnp.float32),
        precision=jax.lax.Precision.HIGHEST,
    )
