"""Sentence embeddings, exact nearest-neighbour search, and mining of translations."""

from xt_jax.retrieval.encode import ALL_LAYERS, SentenceEncoder
from xt_jax.retrieval.mining import mine
from xt_jax.retrieval.topk import cosine_topk

__all__ = ["ALL_LAYERS", "SentenceEncoder", "cosine_topk", "mine"]
