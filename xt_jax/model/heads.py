"""Task heads on the encoder's output, and the model that is trained. Heads compute in float32."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from xt_jax.model.encoder import Encoder
from xt_jax.model.layers import LayerNorm, Linear, dropout, gelu, product, split_key

INITIALIZER_RANGE = 0.02


class ClassificationHead(nnx.Module):
    """dropout -> dense -> tanh -> dropout -> out_proj on the vectors of `<s>`.

    The head of RoBERTa's sequence classification; BERT's has no first dropout, and its dense
    layer is the pooler.
    """

    def __init__(
        self,
        dim: int,
        num_labels: int,
        dropout: float,
        *,
        rngs: nnx.Rngs,
        initializer_range: float = INITIALIZER_RANGE,
    ):
        self.dropout = dropout
        self.dense = Linear(dim, dim, initializer_range, rngs=rngs)
        self.out_proj = Linear(dim, num_labels, initializer_range, rngs=rngs)

    def __call__(self, x: jax.Array, *, key: jax.Array | None = None) -> jax.Array:
        """[..., D] to logits [..., num_labels]; `key` None means no dropout."""
        first_key, second_key = split_key(key, 2)
        x = dropout(x.astype(jnp.float32), self.dropout, first_key)
        x = dropout(jnp.tanh(self.dense(x)), self.dropout, second_key)
        return self.out_proj(x)


class ChoiceHead(nnx.Module):
    """dense -> tanh -> dropout -> one score, on the vectors of `<s>`; the dense layer is BERT's
    pooler."""

    def __init__(
        self,
        dim: int,
        dropout: float,
        *,
        rngs: nnx.Rngs,
        initializer_range: float = INITIALIZER_RANGE,
    ):
        self.dropout = dropout
        self.dense = Linear(dim, dim, initializer_range, rngs=rngs)
        self.out_proj = Linear(dim, 1, initializer_range, rngs=rngs)

    def __call__(self, x: jax.Array, *, key: jax.Array | None = None) -> jax.Array:
        """[..., D] to scores [..., 1]; `key` None means no dropout."""
        x = jnp.tanh(self.dense(x.astype(jnp.float32)))
        return self.out_proj(dropout(x, self.dropout, key))


class TaggingHead(nnx.Module):
    """dropout -> linear on every token."""

    def __init__(
        self,
        dim: int,
        num_labels: int,
        dropout: float,
        *,
        rngs: nnx.Rngs,
        initializer_range: float = INITIALIZER_RANGE,
    ):
        self.dropout = dropout
        self.out_proj = Linear(dim, num_labels, initializer_range, rngs=rngs)

    def __call__(self, x: jax.Array, *, key: jax.Array | None = None) -> jax.Array:
        """[..., D] to logits [..., num_labels]; `key` None means no dropout."""
        return self.out_proj(dropout(x.astype(jnp.float32), self.dropout, key))


class SpanHead(nnx.Module):
    """A linear layer to two scores a token: start and end of the answer."""

    def __init__(self, dim: int, *, rngs: nnx.Rngs, initializer_range: float = INITIALIZER_RANGE):
        self.out_proj = Linear(dim, 2, initializer_range, rngs=rngs)

    def __call__(self, x: jax.Array, *, key: jax.Array | None = None) -> jax.Array:
        """[..., D] to logits [..., 2] (start, end); `key` is accepted and not used."""
        return self.out_proj(x.astype(jnp.float32))


class MlmHead(nnx.Module):
    """dense -> GELU (erf) -> LayerNorm -> the word embeddings, which it shares, and a bias."""

    def __init__(
        self,
        dim: int,
        vocab_size: int,
        eps: float,
        *,
        rngs: nnx.Rngs,
        initializer_range: float = INITIALIZER_RANGE,
    ):
        self.eps = eps
        self.dense = Linear(dim, dim, initializer_range, rngs=rngs)
        self.norm = LayerNorm(dim)
        self.bias = nnx.Param(jnp.zeros((vocab_size,)))

    def __call__(
        self, x: jax.Array, embedding: jax.Array, *, key: jax.Array | None = None
    ) -> jax.Array:
        """[..., D] to float32 logits [..., V]; `key` is accepted and not used.

        Args:
            embedding: [V, D] of the encoder's words. The product with it is computed in x's dtype
                and summed in float32.
        """
        y = self.dense(x.astype(jnp.float32))
        y = self.norm(gelu(y), self.eps)
        return (
            product("...d,vd->...v", y.astype(x.dtype), embedding.astype(x.dtype)) + self.bias[...]
        )


Head = ClassificationHead | ChoiceHead | TaggingHead | SpanHead | MlmHead


class Model(nnx.Module):
    """What is trained: parameters `{'encoder': ..., 'head': ...}`.

    A task family knows what its head is called with.
    """

    def __init__(self, encoder: Encoder, head: Head):
        self.encoder = encoder
        self.head: Any = head


def num_labels(head: Head) -> int:
    """Logits that the head gives: 1 for choices, the vocabulary for MLM."""
    bias = head.bias if isinstance(head, MlmHead) else head.out_proj.bias
    return bias.shape[0]


def take_tokens(hidden: jax.Array, index: jax.Array) -> jax.Array:
    """[B, T, D] at the token indices [B, S] of each row: [B, S, D]; rows never mix."""
    return jnp.take_along_axis(hidden, index[..., None], axis=1)


def segment_mask(segment_ids: jax.Array, segments: int) -> jax.Array:
    """[B, T] to [B, S, T]: which tokens belong to which of the segments 1 .. `segments`."""
    return segment_ids[:, None, :] == jnp.arange(1, segments + 1)[None, :, None]
