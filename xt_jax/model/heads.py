"""Task heads on the encoder's output, and the model that is trained. Heads compute in float32."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import nnx

from xt_jax.model.config import EncoderConfig
from xt_jax.model.encoder import Encoder
from xt_jax.model.hf_table import Entry, linear, norm
from xt_jax.model.layers import LayerNorm, Linear, dropout, gelu, product, split_key

INITIALIZER_RANGE = 0.02  # of random heads, as published encoders have it
_POOLED = (*linear("pooler.dense", "dense"), *linear("classifier", "out_proj"))


class Head(nnx.Module):
    """The layers that a task adds to the encoder, and their names in a Hugging Face folder.

    Attributes:
        hf_class: the end of the name of the `transformers` class with this head.
        hf_entries: all its parameters but the embeddings that an MLM head shares.
        bert_entries: the same for BERT where the names differ; () where they do not.
    """

    hf_class: ClassVar[str]
    hf_entries: ClassVar[tuple[Entry, ...]]
    bert_entries: ClassVar[tuple[Entry, ...]] = ()

    def __init__(
        self, config: EncoderConfig, labels: int, rngs: nnx.Rngs, dropout: float | None = None
    ):
        """Creates a new head for an encoder; a head ignores the arguments that it does not need.

        Args:
            dropout: the rate; None: that of the encoder.
        """
        raise NotImplementedError

    @classmethod
    def entries(cls, config: EncoderConfig) -> tuple[Entry, ...]:
        """Returns the head's parameters and their names in a folder of such an encoder."""
        return (config.model_type == "bert" and cls.bert_entries) or cls.hf_entries


class ClassificationHead(Head):
    """Classifies segments: dropout -> dense -> tanh -> dropout -> out_proj on the `<s>` vectors.

    The head of RoBERTa's sequence classification; BERT's has no first dropout, and its dense
    layer is the pooler.
    """

    hf_class = "ForSequenceClassification"
    hf_entries = (
        *linear("classifier.dense", "dense"),
        *linear("classifier.out_proj", "out_proj"),
    )
    bert_entries = _POOLED

    def __init__(
        self, config: EncoderConfig, labels: int, rngs: nnx.Rngs, dropout: float | None = None
    ):
        self.dropout = config.dropout if dropout is None else dropout
        dim = config.hidden_size
        self.dense = Linear(dim, dim, INITIALIZER_RANGE, rngs=rngs)
        self.out_proj = Linear(dim, labels, INITIALIZER_RANGE, rngs=rngs)

    def __call__(self, x: jax.Array, *, key: jax.Array | None = None) -> jax.Array:
        """Maps [..., D] to logits [..., num_labels]; `key` None means no dropout."""
        first_key, second_key = split_key(key, 2)
        x = dropout(x.astype(jnp.float32), self.dropout, first_key)
        x = dropout(jnp.tanh(self.dense(x)), self.dropout, second_key)
        return self.out_proj(x)


class ChoiceHead(Head):
    """Scores choices: dense (BERT's pooler) -> tanh -> dropout -> one score, on `<s>` vectors."""

    hf_class = "ForMultipleChoice"
    hf_entries = _POOLED

    def __init__(
        self, config: EncoderConfig, labels: int, rngs: nnx.Rngs, dropout: float | None = None
    ):
        self.dropout = config.dropout if dropout is None else dropout
        dim = config.hidden_size
        self.dense = Linear(dim, dim, INITIALIZER_RANGE, rngs=rngs)
        self.out_proj = Linear(dim, 1, INITIALIZER_RANGE, rngs=rngs)

    def __call__(self, x: jax.Array, *, key: jax.Array | None = None) -> jax.Array:
        """Maps [..., D] to scores [..., 1]; `key` None means no dropout."""
        x = jnp.tanh(self.dense(x.astype(jnp.float32)))
        return self.out_proj(dropout(x, self.dropout, key))


class TaggingHead(Head):
    """Labels every token: dropout -> linear."""

    hf_class = "ForTokenClassification"
    hf_entries = linear("classifier", "out_proj")

    def __init__(
        self, config: EncoderConfig, labels: int, rngs: nnx.Rngs, dropout: float | None = None
    ):
        self.dropout = config.dropout if dropout is None else dropout
        self.out_proj = Linear(config.hidden_size, labels, INITIALIZER_RANGE, rngs=rngs)

    def __call__(self, x: jax.Array, *, key: jax.Array | None = None) -> jax.Array:
        """Maps [..., D] to logits [..., num_labels]; `key` None means no dropout."""
        return self.out_proj(dropout(x.astype(jnp.float32), self.dropout, key))


class SpanHead(Head):
    """Scores every token as start and as end of the answer, by a linear layer."""

    hf_class = "ForQuestionAnswering"
    hf_entries = linear("qa_outputs", "out_proj")

    def __init__(
        self, config: EncoderConfig, labels: int, rngs: nnx.Rngs, dropout: float | None = None
    ):
        self.out_proj = Linear(config.hidden_size, 2, INITIALIZER_RANGE, rngs=rngs)

    def __call__(self, x: jax.Array, *, key: jax.Array | None = None) -> jax.Array:
        """Maps [..., D] to logits [..., 2] (start, end); `key` is not used."""
        return self.out_proj(x.astype(jnp.float32))


class MlmHead(Head):
    """Predicts words: dense -> GELU (erf) -> LayerNorm -> the shared word embeddings and a bias."""

    hf_class = "ForMaskedLM"
    hf_entries = (
        *linear("lm_head.dense", "dense"),
        *norm("lm_head.layer_norm", "norm"),
        Entry("lm_head.bias", "bias"),
    )
    bert_entries = (
        *linear("cls.predictions.transform.dense", "dense"),
        *norm("cls.predictions.transform.LayerNorm", "norm"),
        Entry("cls.predictions.bias", "bias"),
    )

    def __init__(
        self, config: EncoderConfig, labels: int, rngs: nnx.Rngs, dropout: float | None = None
    ):
        dim = config.hidden_size
        self.eps = config.layer_norm_eps
        self.dense = Linear(dim, dim, INITIALIZER_RANGE, rngs=rngs)
        self.norm = LayerNorm(dim)
        self.bias = nnx.Param(jnp.zeros((config.vocab_size,)))

    def __call__(
        self, x: jax.Array, embedding: jax.Array, *, key: jax.Array | None = None
    ) -> jax.Array:
        """Maps [..., D] to float32 logits [..., V]; `key` is not used.

        Args:
            embedding: [V, D] of the encoder's words. The product with it is computed in x's dtype
                and summed in float32.
        """
        y = self.dense(x.astype(jnp.float32))
        y = self.norm(gelu(y), self.eps)
        return (
            product("...d,vd->...v", y.astype(x.dtype), embedding.astype(x.dtype)) + self.bias[...]
        )


class Model(nnx.Module):
    """An encoder with a task head; its parameters are `{'encoder': ..., 'head': ...}`.

    Heads take different arguments; each task family calls its own kind.
    """

    def __init__(self, encoder: Encoder, head: Head):
        self.encoder = encoder
        self.head: Any = head


def num_labels(head: Any) -> int:
    """Returns the number of logits that a head gives: 1 for choices, the vocabulary for MLM."""
    bias = head.bias if isinstance(head, MlmHead) else head.out_proj.bias
    return bias.shape[0]


def head_type_of(hf_class: str) -> type[Head] | None:
    """Returns the head for the name of a `transformers` class; None where there is none."""
    return next((h for h in Head.__subclasses__() if hf_class.endswith(h.hf_class)), None)


def take_tokens(hidden: jax.Array, index: jax.Array) -> jax.Array:
    """Takes the tokens at `index` [B, S] of each row: [B, T, D] to [B, S, D]."""
    return jnp.take_along_axis(hidden, index[..., None], axis=1)


def segment_mask(segment_ids: jax.Array, segments: int) -> jax.Array:
    """Marks which tokens belong to each of the segments 1 .. `segments`: [B, T] to [B, S, T]."""
    return segment_ids[:, None, :] == jnp.arange(1, segments + 1)[None, :, None]
