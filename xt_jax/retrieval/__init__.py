"""Sentences as vectors, exact neighbours among them, and translations found that way."""

from xt_jax.retrieval.encode import ALL_LAYERS, SentenceEncoder
from xt_jax.retrieval.mining import mine
from xt_jax.retrieval.topk import cosine_topk

__all__ = ["ALL_LAYERS", "SentenceEncoder", "cosine_topk", "mine"]
