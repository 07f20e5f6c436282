"""Reading packed rows on the device, shared by the task families.

Legend: R rows, T columns, S segments a row, D hidden size.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from xt_jax.model.encoder import Encoder

Batch = dict[str, jax.Array]
Sums = dict[str, tuple[jax.Array, jax.Array]]  # name -> (sum, weight)


def run_encoder(encoder: Encoder, batch: Batch, key: jax.Array | None) -> jax.Array:
    """[R, T, D]; dropout only with a key."""
    return encoder(
        batch["input_ids"],
        batch["positions"],
        batch["segment_ids"],
        token_type_ids=batch.get("token_type_ids"),
        key=key,
    )


def segment_mask(segment_ids: jax.Array, segments: int) -> jax.Array:
    """[R, S, T]: which columns belong to which segment."""
    return segment_ids[:, None, :] == jnp.arange(1, segments + 1)[None, :, None]
