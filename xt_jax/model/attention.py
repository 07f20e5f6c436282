"""Bidirectional attention within the segments of a packed row."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from xt_jax.model.layers import dropout


def attention(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    segment_ids: jax.Array,
    *,
    dropout_rate: float = 0.0,
    key: jax.Array | None = None,
) -> jax.Array:
    """Softmax attention in which a token sees its own segment only.

    Padding (segment 0) sees padding, so that no row of the mask is empty.

    Args:
        q, k, v: [B, T, N, H]; q is scaled by 1/sqrt(H) here.
        segment_ids: [B, T], whole numbers.
        dropout_rate: share of the attention probabilities dropped, when `key` is given.
        key: a JAX random key; None means no dropout.

    Returns:
        [B, T, N, H] in the dtype of q; the softmax is in float32.
    """
    scores = jnp.einsum(
        "bqnh,bknh->bnqk", q * q.shape[-1] ** -0.5, k, preferred_element_type=jnp.float32
    )
    same_segment = segment_ids[:, None, :, None] == segment_ids[:, None, None, :]
    scores = jnp.where(same_segment, scores, jnp.finfo(jnp.float32).min)
    probs = dropout(jax.nn.softmax(scores, axis=-1), dropout_rate, key)
    return jnp.einsum("bnqk,bknh->bqnh", probs.astype(v.dtype), v)
