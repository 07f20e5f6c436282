"""Functions that the task families share: tokenising texts, and encoding packed rows.

Legend: R rows, T columns, D hidden size.
"""

from __future__ import annotations

from typing import Any

import jax

from xt_jax.data.tokenize import Tokenizer
from xt_jax.model.batch import Batch
from xt_jax.model.encoder import Encoder


def encode(
    tokenizer: Tokenizer, max_length: int, texts: list[str], others: list[str] | None = None
) -> dict[str, Any]:
    """Tokenises texts or pairs of texts, cutting the longer one first where they do not fit."""
    if not texts:
        return {"input_ids": []}
    cut = {"truncation": "longest_first", "max_length": max_length}
    return dict(tokenizer(texts, others, **cut, return_attention_mask=False))


def run_encoder(encoder: Encoder, batch: Batch, key: jax.Array | None) -> jax.Array:
    """Returns the last hidden states [R, T, D] of a batch; dropout needs a key."""
    return encoder(
        batch["input_ids"],
        batch["positions"],
        batch["segment_ids"],
        token_type_ids=batch.get("token_type_ids"),
        key=key,
    )
