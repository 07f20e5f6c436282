"""Sentence embeddings: the mean over a sentence's tokens, special tokens included, at any layer.

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
    counted: jax.Array | None = None,
) -> jax.Array:
    """[R, S, L+1, D] fp32: mean hidden state of each segment of packed rows [R, T]; 0 if empty.

    Args:
        counted: [R, T], nonzero where a token enters the mean; None: all of the segment. The
            encoder sees every token.
    """
    states = encoder.all_hidden_states(
        input_ids, positions, segment_ids, token_type_ids=token_type_ids
    )
    counted_ids = segment_ids if counted is None else jnp.where(counted != 0, segment_ids, 0)
    return _segment_means("rst,lrtd->rsld", counted_ids, states, segments)


def pooled_hidden_state(
    encoder: Encoder,
    input_ids: jax.Array,
    positions: jax.Array,
    segment_ids: jax.Array,
    *,
    layer: int,
    segments: int,
    token_type_ids: jax.Array | None = None,
) -> jax.Array:
    """[R, S, D]: `pooled_hidden_states` at one `layer` (0..L); the layers above are not run."""
    if not 0 <= layer <= encoder.config.num_layers:
        raise ValueError(f"layer must be from 0 to {encoder.config.num_layers}, got {layer}")
    if layer == encoder.config.num_layers:
        state = encoder(input_ids, positions, segment_ids, token_type_ids=token_type_ids)
    else:
        state = encoder.embeddings(input_ids, positions, token_type_ids, encoder.config, None)

        def run_layer(i: jax.Array, x: jax.Array) -> jax.Array:
            stacked = jax.tree.map(lambda parameter: parameter[i], encoder.layers)
            return stacked(x, segment_ids, encoder.config, None)

        state = jax.lax.fori_loop(0, layer, run_layer, state)
    return _segment_means("rst,rtd->rsd", segment_ids, state, segments)


def _segment_means(
    equation: str, segment_ids: jax.Array, states: jax.Array, segments: int
) -> jax.Array:
    member = segment_mask(segment_ids, segments)
    weights = member / jnp.maximum(member.sum(axis=-1, keepdims=True), 1)
    return jnp.einsum(
        equation,
        weights.astype(jnp.float32),
        states.astype(jnp.float32),
        precision=jax.lax.Precision.HIGHEST,
    )
