"""Classification of pairs of texts: MNLI, XNLI, PAWS-X."""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import optax

from xt_jax.data.examples import PairExample
from xt_jax.data.packing import Features
from xt_jax.data.tokenize import Tokenizer, ragged
from xt_jax.model.batch import Batch, Sums
from xt_jax.model.heads import ClassificationHead, Model, take_tokens
from xt_jax.model.layers import split_key
from xt_jax.model.predict import most_probable
from xt_jax.tasks.family import Array, Family, Labels, Metrics, Outputs, Task
from xt_jax.tasks.metrics.basic import accuracy, binary_f1, matches, over_one
from xt_jax.tasks.packed import encode, run_encoder

_ERRORS = 2  # standard errors above chance that are still chance


def tokenize(
    examples: Sequence[PairExample], tokenizer: Tokenizer, labels: Labels, **limits: int
) -> Features:
    """Makes one feature per pair, cutting the longer text first to fit `max_length`."""
    sides = [e.text_a for e in examples], [e.text_b for e in examples]
    index = {label: i for i, label in enumerate(labels)}
    gold = [index[e.label] if e.label is not None else -1 for e in examples]
    encoded = encode(tokenizer, limits["max_length"], *sides)
    return ragged(encoded, {"example": range(len(examples)), "label": gold})


def loss(model: Model, batch: Batch, key: jax.Array | None) -> Sums:
    """Returns the cross-entropy summed over pairs; weight = number of pairs."""
    encoder_key, head_key = split_key(key, 2)
    hidden = run_encoder(model.encoder, batch, encoder_key)
    logits = model.head(take_tokens(hidden, batch["starts"]), key=head_key)
    valid = batch["feature"] >= 0
    each = optax.softmax_cross_entropy_with_integer_labels(
        logits.astype(jnp.float32), jnp.maximum(batch["label"], 0)
    )
    return {"loss": (jnp.sum(each * valid), jnp.sum(valid))}


def predict(model: Model, batch: Batch) -> dict[str, dict[str, jax.Array]]:
    """Returns the most probable label of each segment."""
    hidden = run_encoder(model.encoder, batch, None)
    logits = model.head(take_tokens(hidden, batch["starts"]))
    return {"fields": {"label": most_probable(logits)}, "tokens": {}}


def decode(outputs: Outputs, features: Features, examples: Sequence, labels: Labels) -> list[str]:
    """Returns one label per example."""
    predictions = [""] * len(examples)
    for example, label in zip(features.fields["example"], outputs["label"], strict=True):
        predictions[example] = labels[label]
    return predictions


def score(task: Task, examples: Sequence, predictions: Sequence, language: str) -> Metrics:
    """Returns the accuracy, and the F1 of the label "1" where the task has it (QQP)."""
    gold = [e.label for e in examples]
    scores = {"accuracy": accuracy(gold, predictions)}
    if "f1" in task.metrics:
        scores["f1"] = binary_f1(gold, predictions)
    return scores


def example_scores(task: Task, examples: Sequence, predictions: Sequence, language: str) -> Array:
    """Returns for each example 1 or 0, whether the label is right, over 1."""
    return over_one(matches([e.label for e in examples], predictions))


def chance(task: Task, n: int) -> float:
    """Returns the score of one label for every example, plus two standard errors of n examples."""
    share = max(100 / len(task.labels), task.majority)
    return share + _ERRORS * math.sqrt(share * (100 - share) / n)


def chance_loss(task: Task) -> float:
    """Returns the loss of an equal probability for every label."""
    return math.log(len(task.labels))


FAMILY = Family(
    "pairs",
    PairExample,
    tokenize,
    predict,
    score,
    head=ClassificationHead,
    loss=loss,
    decode=decode,
    example_scores=example_scores,
    chance=chance,
    chance_loss=chance_loss,
)
