"""Tagging of every word: UD-POS, PAN-X, CCG supertags.

As in XTREME's preparation (google-research/xtreme, utils_preprocess.py): a word's tag stands on
its first subword, a sentence that is too long is split between words into several features, and a
word that tokenises to nothing, or to more than a whole row, becomes the unknown token, so that no
word is ever lost.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax

from xt_jax.data.examples import TagExample
from xt_jax.data.packing import IGNORE, Features
from xt_jax.data.tokenize import Template, Tokenizer, ragged, subwords, token_types
from xt_jax.model.batch import Batch, Sums
from xt_jax.model.heads import Model, TaggingHead
from xt_jax.model.layers import split_key
from xt_jax.model.predict import most_probable
from xt_jax.tasks.family import Array, Family, Labels, Metrics, Outputs, Task
from xt_jax.tasks.metrics.basic import f1_ratios
from xt_jax.tasks.metrics.tagging import entity_counts, entity_scores, tag_accuracy, tag_counts
from xt_jax.tasks.packed import run_encoder

_CHANCE = 5.0  # percent F1 of a tag for every word, whatever the word


def tokenize(
    examples: Sequence[TagExample], tokenizer: Tokenizer, labels: Labels, **limits: int
) -> Features:
    """Makes features of each sentence; the host array `word` is -1 except on first subwords.

    A tag that is no label (the labels are then the frequent tags of a training split) counts as
    untagged.
    """
    template = Template.of(tokenizer)
    room = limits["max_length"] - template.single
    pieces = _pieces_of_words(examples, tokenizer, room)
    index = {label: i for i, label in enumerate(labels)}
    features = [
        (i, part)
        for i, example in enumerate(examples)
        for part in _split(example.words, pieces, room)
    ]
    rows: dict[str, list[list[int]]] = {"input_ids": [], "labels": []}
    word_of: list[list[int]] = []
    for i, part in features:
        tags, words = examples[i].tags, examples[i].words
        ids, gold, word = list(template.before), [IGNORE] * len(template.before), []
        for w in part:
            rest = len(pieces[words[w]]) - 1
            ids += pieces[words[w]]
            gold += [index.get(tags[w], IGNORE) if tags else IGNORE] + [IGNORE] * rest
            word += [w] + [-1] * rest
        rows["input_ids"].append(ids + template.after)
        rows["labels"].append(gold + [IGNORE] * len(template.after))
        word_of.append([-1] * len(template.before) + word + [-1] * len(template.after))
    if token_types(tokenizer, 0, 0) is not None:
        rows["token_type_ids"] = [[0] * len(ids) for ids in rows["input_ids"]]
    return ragged(rows, {"example": [i for i, _ in features]}, {"word": word_of})


def loss(model: Model, batch: Batch, key: jax.Array | None) -> Sums:
    """Returns the cross-entropy summed over words; weight = number of words."""
    encoder_key, head_key = split_key(key, 2)
    logits = model.head(run_encoder(model.encoder, batch, encoder_key), key=head_key)
    valid = batch["labels"] != IGNORE
    each = optax.softmax_cross_entropy_with_integer_labels(
        logits.astype(jnp.float32), jnp.where(valid, batch["labels"], 0)
    )
    return {"loss": (jnp.sum(each * valid), jnp.sum(valid))}


def predict(model: Model, batch: Batch) -> dict[str, dict[str, jax.Array]]:
    """Returns the most probable tag of every token."""
    logits = model.head(run_encoder(model.encoder, batch, None))
    return {"fields": {}, "tokens": {"tag": most_probable(logits)}}


def decode(outputs: Outputs, features: Features, examples: Sequence, labels: Labels) -> list:
    """Returns one tag for each word of every example.

    Raises:
        ValueError: a word without a prediction, or with two (a fault of the features).
    """
    predictions = [[""] * len(example.words) for example in examples]
    example_of = np.repeat(features.fields["example"], features.lengths)
    word = features.host["word"]
    for token in np.flatnonzero(word >= 0):
        example, w = example_of[token], word[token]
        if predictions[example][w]:
            raise ValueError(f"word {w} of example {examples[example].id} was predicted twice")
        predictions[example][w] = labels[outputs["tag"][token]]
    missing = [e.id for e, tags in zip(examples, predictions, strict=True) if "" in tags]
    if missing:
        raise ValueError(f"words without a prediction in examples {missing[:5]}")
    return predictions


def _pieces_of_words(
    examples: Sequence[TagExample], tokenizer: Tokenizer, room: int
) -> dict[str, list[int]]:
    words = sorted({word for example in examples for word in example.words})
    # After a blank, as in running text: to RoBERTa's tokenizer a word without one goes on another.
    ids, _ = subwords(tokenizer, [f" {word}" for word in words])
    unknown = [tokenizer.unk_token_id]
    return {
        word: pieces if 0 < len(pieces) <= room else unknown
        for word, pieces in zip(words, ids, strict=True)
    }


def _split(words: Sequence[str], pieces: dict[str, list[int]], room: int) -> list[list[int]]:
    """Returns the word indices of each feature: as many words as fit, then the next feature."""
    parts: list[list[int]] = [[]]
    used = 0
    for w, word in enumerate(words):
        size = len(pieces[word])
        if used + size > room:
            parts.append([])
            used = 0
        parts[-1].append(w)
        used += size
    return parts


def score(task: Task, examples: Sequence, predictions: Sequence, language: str) -> Metrics:
    """Returns the accuracy over words, and the scores of entities where the task has them."""
    gold = _gold(examples)
    entities = entity_scores(gold, predictions) if "f1" in task.metrics else {}
    return {**entities, "accuracy": tag_accuracy(gold, predictions)}


def example_scores(task: Task, examples: Sequence, predictions: Sequence, language: str) -> Array:
    """Returns right tags over all tags, or twice the right entities over predicted plus gold."""
    gold = _gold(examples)
    if task.metrics[0] == "accuracy":
        return tag_counts(gold, predictions).astype(np.float64)
    return f1_ratios(entity_counts(gold, predictions))


def _gold(examples: Sequence[TagExample]) -> list[list[str]]:
    return [list(e.tags or ()) for e in examples]


FAMILY = Family(
    "tags",
    TagExample,
    tokenize,
    predict,
    score,
    head=TaggingHead,
    loss=loss,
    decode=decode,
    example_scores=example_scores,
    chance=lambda task, n: _CHANCE,
)
