"""What the task families share: texts to tokens, and reading packed rows on the device.

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
    """Tokens of each text, or pair of texts, the longer one cut first where they do not fit."""
    if not texts:
        return {"input_ids": []}
    cut = {"truncation": "longest_first", "max_length": max_length}
    return dict(tokenizer(texts, others, **cut, return_attention_mask=False))


def run_encoder(encoder: Encoder, batch: Batch, key: jax.Array | None) -> jax.Array:
    """[R, T, D]; dropout only with a key."""
    return encoder(
        batch["input_ids"],
        batch["positions"],
        batch["segment_ids"],
        token_type_ids=batch.get("token_type_ids"),
        key=key,
    )
