"""Masked language modelling: predicts tokens that were masked in plain text.

The masks are drawn on the device, anew at each step, as in BERT (Devlin et al. 2019, section 3.1)
and RoBERTa: 15 % of the tokens, of which 80 % become the mask token, 10 % a random one and 10 %
stay as they are.

Legend: R rows, T columns, S segments, M masked tokens at most in a row, V words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from xt_jax.data.examples import TextExample
from xt_jax.data.packing import Features
from xt_jax.data.tokenize import Template, Tokenizer, ragged, subwords, token_types
from xt_jax.errors import ConfigError
from xt_jax.model.batch import Batch, Sums
from xt_jax.model.heads import MlmHead, Model, take_tokens
from xt_jax.model.hf import load_mlm_head
from xt_jax.model.layers import exact_key, split_key
from xt_jax.tasks.family import Family, Labels, Metrics, Outputs, Task
from xt_jax.tasks.packed import run_encoder

PERCENT = 15  # of the tokens of a row are masked
HIDDEN, REPLACED = 0.8, 0.1  # shares of them; the rest stays
EVALUATION_SEED = 0


class Masked(NamedTuple):
    """Rows of which some tokens are masked.

    `input_ids` [R, T] are what the encoder sees; `position` [R, M] are distinct columns, `chosen`
    [R, M] says which of them are masked.
    """

    input_ids: jax.Array
    position: jax.Array
    chosen: jax.Array


def tokenize(
    examples: Sequence[TextExample], tokenizer: Tokenizer, labels: Labels, **limits: int
) -> Features:
    """Makes features of up to `max_length` tokens from each line; an empty line gives none.

    The token array `maskable` is 0 on special tokens. The fields carry what masking must know of
    the vocabulary: `mask_id`, and the range [`first_word`, `end_words`) of random replacements.

    Raises:
        ConfigError: a tokenizer without a mask token.
    """
    if tokenizer.mask_token_id is None:
        raise ConfigError(
            "The tokenizer has no mask token.",
            where="--config.model.tokenizer",
            remedy="use the tokenizer of a masked language model",
        )
    template = Template.of(tokenizer)
    room = limits["max_length"] - template.single
    lines, _ = subwords(tokenizer, [e.text for e in examples])
    chunks = [
        (i, line[first : first + room])
        for i, line in enumerate(lines)
        for first in range(0, len(line), room)
    ]
    special = set(tokenizer.all_special_ids)
    before, after = [0] * len(template.before), [0] * len(template.after)
    rows = {
        "input_ids": [template.before + chunk + template.after for _, chunk in chunks],
        "maskable": [
            before + [int(token not in special) for token in chunk] + after for _, chunk in chunks
        ],
    }
    if token_types(tokenizer, 0, 0) is not None:
        rows["token_type_ids"] = [[0] * len(ids) for ids in rows["input_ids"]]
    first_word, end_words = _words(tokenizer)
    count = len(chunks)
    return ragged(
        rows,
        {
            "example": [i for i, _ in chunks],
            "mask_id": [tokenizer.mask_token_id] * count,
            "first_word": [first_word] * count,
            "end_words": [end_words] * count,
        },
    )


def loss(model: Model, batch: Batch, key: jax.Array | None) -> Sums:
    """Returns the cross-entropy summed over masked tokens; weight = their number.

    Without a key nothing is dropped, and every call masks the same columns.
    """
    mask_key, encoder_key = split_key(key, 2)
    masked, each = _losses(model, batch, mask_key, encoder_key)
    return {"loss": (jnp.sum(each), jnp.sum(masked.chosen))}


def predict(model: Model, batch: Batch) -> dict[str, dict[str, jax.Array]]:
    """Returns `loss` [R, S], the sum over a segment's masked tokens, and their `count` [R, S].

    The masks depend only on the shape and the filling of the rows, so that models can be compared.
    """
    masked, each = _losses(model, batch, None, None)
    segment = jnp.take_along_axis(batch["segment_ids"], masked.position, axis=1)
    slots = jnp.arange(1, batch["starts"].shape[1] + 1)
    counted = (segment[:, :, None] == slots) & masked.chosen[:, :, None]
    return {
        "fields": {
            "loss": jnp.sum(counted * each[:, :, None], axis=1),
            "count": jnp.sum(counted, axis=1),
        },
        "tokens": {},
    }


def decode(outputs: Outputs, features: Features, examples: Sequence, labels: Labels) -> list:
    """Returns (sum of the losses, number of masked tokens) for each example."""
    example = features.fields["example"]
    total = np.bincount(example, outputs["loss"], len(examples))
    count = np.bincount(example, outputs["count"], len(examples))
    return [(float(t), int(c)) for t, c in zip(total, count, strict=True)]


def mask_tokens(batch: Batch, key: jax.Array) -> Masked:
    """Masks exactly 15 % (rounded) of each row's maskable tokens, all equally likely."""
    ids, maskable = batch["input_ids"], batch["maskable"]
    choice_key, fate_key, word_key = jax.random.split(exact_key(key), 3)
    most = max(1, _share(ids.shape[1]))
    order = jnp.where(maskable == 1, jax.random.uniform(choice_key, ids.shape), -1.0)
    # Sorted, since XLA would gather the rows of all devices for its top_k.
    position = jnp.argsort(order, axis=1, descending=True)[:, :most]
    chosen = jnp.arange(most) < _share(jnp.sum(maskable, axis=1, keepdims=True))
    of_row = {
        name: jnp.max(batch[name], axis=1, keepdims=True)  # 0 in empty slots
        for name in ("mask_id", "first_word", "end_words")
    }
    fate = jax.random.uniform(fate_key, position.shape)
    word = jax.random.randint(word_key, position.shape, of_row["first_word"], of_row["end_words"])
    old = jnp.take_along_axis(ids, position, axis=1)
    new = jnp.where(fate < HIDDEN + REPLACED, word, old)
    new = jnp.where(fate < HIDDEN, of_row["mask_id"], new)
    new = jnp.where(chosen, new, old)
    replaced = jax.vmap(lambda row, columns, values: row.at[columns].set(values))
    return Masked(replaced(ids, position, new), position, chosen)


def _losses(
    model: Model, batch: Batch, mask_key: jax.Array | None, encoder_key: jax.Array | None
) -> tuple[Masked, jax.Array]:
    """Returns the masked rows, and cross-entropies [R, M], 0 where nothing is masked.

    Hidden states are gathered before they meet the vocabulary: logits are [R, M, V].
    """
    if mask_key is None:
        mask_key = jax.random.key(EVALUATION_SEED)
    masked = mask_tokens(batch, mask_key)
    hidden = run_encoder(model.encoder, {**batch, "input_ids": masked.input_ids}, encoder_key)
    logits = model.head(
        take_tokens(hidden, masked.position), model.encoder.embeddings.word.embedding[...]
    )
    gold = jnp.take_along_axis(batch["input_ids"], masked.position, axis=1)
    each = optax.softmax_cross_entropy_with_integer_labels(logits, gold)
    return masked, jnp.where(masked.chosen, each, 0.0)


def _share(count):
    """Returns 15 % of a number of tokens, rounded half up in exact integer arithmetic."""
    return (PERCENT * count + 50) // 100


def _words(tokenizer: Tokenizer) -> tuple[int, int]:
    """Returns the first and last + 1 of the longest range of ids without special tokens.

    In XLM-R that is all other tokens; in BERT it also leaves out the unused entries before them.
    """
    special = set(tokenizer.all_special_ids)
    ids = np.array(sorted(set(tokenizer.get_vocab().values()) - special))
    ranges = np.split(ids, np.flatnonzero(np.diff(ids) > 1) + 1)
    longest = max(ranges, key=len)
    return int(longest[0]), int(longest[-1]) + 1


def score(task: Task, examples: Sequence, predictions: Sequence, language: str) -> Metrics:
    """Returns minus the mean loss over masked tokens."""
    losses, counts = zip(*predictions, strict=True)
    return {"neg_loss": -sum(losses) / max(sum(counts), 1)}


FAMILY = Family(
    "mlm",
    TextExample,
    tokenize,
    predict,
    score,
    head=MlmHead,
    loss=loss,
    decode=decode,
    published_head=load_mlm_head,
    plain_text=True,
)
