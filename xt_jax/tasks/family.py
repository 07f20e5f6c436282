"""Defines a task (a row of the table) and a family of tasks (the module that implements them).

A family decides how examples become features, what is trained on them, how outputs become
predictions, and how those are scored and submitted. The rest of the program asks the family and
compares no names. A new one is a module that ends with `FAMILY = Family(...)`, and an entry of
`xt_jax.tasks.table.FAMILIES`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flax import nnx

from xt_jax.data.packing import Features
from xt_jax.model.config import EncoderConfig
from xt_jax.model.heads import Head
from xt_jax.retrieval.mining import Search
from xt_jax.retrieval.topk import cosine_topk
from xt_jax.tasks.metrics import squad
from xt_jax.tasks.recipes import Recipe

INTERMEDIATE, TARGET = "intermediate", "target"
AT_LAYER = "{metric}@layer={layer}"  # the name of a metric at another hidden state than the task's

Array = np.ndarray
Outputs = dict[str, Array]
Labels = Sequence[str]
Metrics = dict[str, float]
Scores = Metrics | None  # None: the examples have no labels


@dataclass(frozen=True)
class Task:
    """A task: its recipe, languages, labels and metrics, and the family that implements it.

    Attributes:
        family: key of FAMILIES.
        recipe: how it is trained and cut into features.
        languages: the official list, codes of `xt_jax.languages`; English alone for intermediate
            tasks.
        labels: names in the order of the head's outputs; () where spans or texts need none, and
            for tags that the training split decides (see `min_count`).
        metrics: names that the family's `score` gives; the first selects the checkpoint.
        train: the tasks whose training and dev splits it uses, joined; () for one only scored.
        role: INTERMEDIATE or TARGET.
        min_count: a label seen less often in training is not learnt, and is wrong whatever is
            predicted.
        majority: percent of the English test examples that have the most frequent label, where
            that is known to be more than an even share.
        normaliser: from a language to what is done to answers before they are compared.
    """

    name: str
    family: str
    recipe: Recipe
    languages: tuple[str, ...]
    metrics: tuple[str, ...]
    labels: tuple[str, ...] = ()
    train: tuple[str, ...] = ()
    role: str = TARGET
    min_count: int = 0
    majority: float = 0.0
    normaliser: Callable[[str], squad.Normalise] = squad.normaliser


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A data set in one language, a model's outputs for it, and the options for scoring them.

    Attributes:
        examples: in the order that `features.fields["example"]` counts.
        outputs: what `Family.predict` gave, one row per feature or token.
        layers: the hidden states (0 = embeddings) of which the outputs are embeddings.
        layer: the one that counts.
        search: exact nearest-neighbour search.
    """

    task: Task
    language: str
    features: Features
    examples: Sequence[Any]
    labelled: bool
    outputs: Outputs
    layers: range = range(1)
    layer: int = 0
    search: Search = cosine_topk


@dataclass(frozen=True)
class Family:
    """The functions shared by all tasks of one kind; `xt_jax.tasks.pairs` is a short example.

    Attributes:
        example: the class of its examples, one of `xt_jax.data.examples` or like them.
        tokenize: (examples, tokenizer, labels, max_length=, doc_stride=) to Features.
        predict: (model, batch) to `{"fields": ..., "tokens": ...}`, arrays per segment and per
            token, on the device. The model is the encoder alone where there is no head.
        score: (task, examples, predictions, language) to metrics, at least those of the task.
        head: (encoder's config, number of labels, rngs) to a new head; None: nothing is trained.
        loss: (model, batch, dropout key or None) to `{"loss": (sum, weight)}`.
        decode: (outputs, features, examples, labels) to predictions, one per example.
        example_scores: as `score`, to [n, 2] numerators and denominators; None where the first
            metric is no such ratio.
        chance: (task, number of examples) to the highest score, 0..100, that takes no learning;
            None where any score counts.
        chance_loss: (task) to the loss of an equal probability for every label; None where labels
            are far from equally frequent, or there are none.
        group: (labels) to the number of consecutive features that training keeps in one row.
        min_length: tokens that a feature needs at least.
        kinds: what its examples are counted by in place of labels, where a task lists none.
        published_head: a model's folder to the head that it was pretrained with, or None.
        layer_scores: (task, what `find` gave, labelled examples, language) to the first metric at
            each layer. Such a family compares embeddings: its `predict` also takes `layers` and
            `pooling`, and `find` gives a dictionary by layer.
        find: from an Evaluation to what `fit` and `conclude` need, in place of `decode`.
        fit: (what `find` gave, the examples) to a setting, on a labelled dev split.
        conclude: (what `find` gave, Evaluation, the setting) to (predictions, scores).
        whole: a split is predicted as a whole: predictions are pairs of ids, not one per example,
            and fewer examples would be another task.
        plain_text: examples are lines of text without labels: they are drawn by language, have a
            fixed share of a mixture, and select the checkpoint only where no other task does.
    """

    name: str
    example: type
    tokenize: Callable[..., Features]
    predict: Callable[..., Any]
    score: Callable[..., Metrics]
    head: Callable[[EncoderConfig, int, nnx.Rngs], Head] | None = None
    loss: Callable[..., Any] | None = None
    decode: Callable[..., list] | None = None
    example_scores: Callable[..., Array] | None = None
    chance: Callable[[Task, int], float | None] = lambda task, n: None
    chance_loss: Callable[[Task], float | None] = lambda task: None
    group: Callable[[Labels], int] = lambda labels: 1
    min_length: int = 8
    kinds: tuple[str, ...] = ()
    published_head: Callable[[Any], Head | None] | None = None
    layer_scores: Callable[..., dict[int, float]] | None = None
    find: Callable[[Evaluation], Any] | None = None
    fit: Callable[[Any, Sequence[Any]], Any] | None = None
    conclude: Callable[[Any, Evaluation, Any], tuple[list, Scores]] | None = None
    whole: bool = False
    plain_text: bool = False

    def decoded(self, evaluation: Evaluation) -> Any:
        """Returns what `fit` and `results` work on: the output of `find`, else the predictions."""
        if self.find is not None:
            return self.find(evaluation)
        assert self.decode is not None
        e = evaluation
        return self.decode(e.outputs, e.features, e.examples, e.task.labels)

    def results(self, decoded: Any, evaluation: Evaluation, fitted: Any) -> tuple[list, Scores]:
        """Returns (predictions, scores) from the output of `decoded` and of `fit` on dev."""
        if self.conclude is not None:
            return self.conclude(decoded, evaluation, fitted)
        return decoded, self.scores_of(evaluation, decoded)

    def scores_of(self, evaluation: Evaluation, predictions: list) -> Scores:
        """Returns every metric of the task; None where there are no labels."""
        e = evaluation
        return self.scores(e.task, e.examples, predictions, e.language) if e.labelled else None

    def scores(
        self, task: Task, examples: Sequence[Any], predictions: Sequence, language: str
    ) -> Metrics:
        """Returns every metric of the task, 0..100, in the task's order.

        Args:
            examples: labelled ones, all of a language.
            predictions: what `decode` gave: one per example, such as a label or the text of an
                answer; where the family is `whole`, all pairs of ids.
            language: a code, or a pair of them for a context and its question.
        """
        computed = self.score(task, examples, predictions, language)
        return {name: computed[name] for name in task.metrics}
