"""What each test example contributes to a task's first metric, so that others can be imagined."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from xt_jax.data.examples import (
    ChoiceExample,
    Example,
    MiningExample,
    PairExample,
    SentenceExample,
    SpanExample,
    TagExample,
)
from xt_jax.evaluate import squad
from xt_jax.evaluate.metrics import matches, set_counts
from xt_jax.evaluate.score import gold_answers, gold_tags, normaliser
from xt_jax.evaluate.squad_v2 import Prediction, each_best_f1
from xt_jax.evaluate.tagging import entity_counts, tag_counts
from xt_jax.tasks.mining import gold_pairs
from xt_jax.tasks.table import Task


def example_scores(
    task: Task, examples: Sequence[Example], predictions: Sequence, language: str
) -> np.ndarray:
    """[n, 2] numerator and denominator of each example, in the order of `examples`.

    100 times the sum of the one over the sum of the other is the task's first metric. What is an
    example: a question, a pair, a sentence to be tagged (with its tags, or its right entities
    twice over its predicted and gold ones); in mining a foreign sentence (its right pairs twice
    over its predicted and gold ones: every pair has exactly one), while the English ones
    contribute nothing. A threshold on null odds or on margins is taken as given.

    Args:
        predictions: as `xt_jax.evaluate.score.score` takes them; in retrieval the line of the
            nearest foreign sentence.

    Raises:
        ValueError: masked language modelling, whose metric is no such ratio.
    """
    if task.family not in _EXAMPLE_SCORES:
        raise ValueError(f"{task.name} has no outcome per example")
    return np.asarray(
        _EXAMPLE_SCORES[task.family](task, examples, predictions, language), np.float64
    )


def _labels(
    task: Task, examples: Sequence[PairExample | ChoiceExample], predictions: Sequence[str], _: str
) -> np.ndarray:
    return _over_one(matches([e.label for e in examples], predictions))


def _tags(
    task: Task, examples: Sequence[TagExample], predictions: Sequence[list[str]], _: str
) -> np.ndarray:
    gold = gold_tags(examples)
    if task.metrics[0] == "accuracy":
        return tag_counts(gold, predictions)
    return _f1(entity_counts(gold, predictions))


def _spans(
    task: Task, examples: Sequence[SpanExample], predictions: Sequence[str], language: str
) -> np.ndarray:
    each = squad.each_answer(gold_answers(examples), predictions, normaliser(task, language))
    return _over_one([f1 / 100 for _, f1 in each])


def _spans_or_none(
    task: Task, examples: Sequence[SpanExample], predictions: Sequence[Prediction], _: str
) -> np.ndarray:
    return _over_one(each_best_f1(gold_answers(examples), predictions))


def _retrieval(
    task: Task, examples: Sequence[SentenceExample], predictions: Sequence[int], _: str
) -> np.ndarray:
    return _over_one(matches([e.match for e in examples], predictions))


def _mining(
    task: Task, examples: Sequence[MiningExample], predictions: Sequence[tuple[str, str]], _: str
) -> np.ndarray:
    row = {e.id: i for i, e in enumerate(examples) if not e.english}
    counts = np.zeros((len(examples), 3), np.int64)
    for pair, each in set_counts(gold_pairs(examples), map(tuple, predictions)).items():
        counts[row[pair[0]]] += each
    return _f1(counts)


def _over_one(each: Sequence[float]) -> np.ndarray:
    return np.stack([np.asarray(each, np.float64), np.ones(len(each))], axis=-1)


def _f1(counts: np.ndarray) -> np.ndarray:
    """[n, 2] from [n, 3]: F1 is twice the right ones over all predicted and all gold ones."""
    right, predicted, gold = counts.T
    return np.stack([2 * right, predicted + gold], axis=-1)


_EXAMPLE_SCORES: dict[str, Callable[..., np.ndarray]] = {
    "pairs": _labels,
    "choices": _labels,
    "tags": _tags,
    "spans": _spans,
    "spans_or_none": _spans_or_none,
    "retrieval": _retrieval,
    "mining": _mining,
}
