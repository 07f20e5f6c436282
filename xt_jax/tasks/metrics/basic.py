"""Accuracy, F1 and ranks on host data, 0..100, and what each example contributes to them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T", bound=Hashable)


def accuracy(gold: Sequence, predicted: Sequence) -> float:
    """Returns the percentage of positions where `predicted` equals `gold` (pairs, choices)."""
    right = matches(gold, predicted)
    if not right:
        raise ValueError("accuracy of no example is undefined")
    return 100.0 * sum(right) / len(right)


def matches(gold: Sequence, predicted: Sequence) -> list[bool]:
    """Returns where `predicted` equals `gold`, which must be as long."""
    _check_aligned(gold, predicted)
    return [bool(g == p) for g, p in zip(gold, predicted, strict=True)]


def binary_f1(gold: Sequence, predicted: Sequence, positive: Hashable = "1") -> float:
    """Returns the F1 of one label of two, GLUE's second metric of QQP; 0 if it is never right."""
    _check_aligned(gold, predicted)
    right = sum(g == p == positive for g, p in zip(gold, predicted, strict=True))
    counts = (sum(label == positive for label in side) for side in (predicted, gold))
    return precision_recall_f1(right, *counts)["f1"]


def set_scores(gold: Iterable[Hashable], predicted: Iterable[Hashable]) -> dict[str, float]:
    """Returns F1, precision and recall of a set, counting repetitions once (BUCC's pairs)."""
    counts = set_counts(gold, predicted).values()
    return precision_recall_f1(*(sum(column) for column in zip((0, 0, 0), *counts, strict=True)))


def set_counts(gold: Iterable[T], predicted: Iterable[T]) -> dict[T, tuple[bool, bool, bool]]:
    """Returns for every item of either set whether it is (right, predicted, gold)."""
    right, guessed = set(gold), set(predicted)
    return {
        item: (item in right and item in guessed, item in guessed, item in right)
        for item in right | guessed
    }


def precision_recall_f1(right: int, predicted: int, gold: int) -> dict[str, float]:
    """Returns precision, recall and F1 from counts, with 0 in place of a division by zero."""
    precision, recall = (right / n if n else 0.0 for n in (predicted, gold))
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    return {"f1": 100.0 * f1, "precision": 100.0 * precision, "recall": 100.0 * recall}


def mean_reciprocal_rank(
    gold: Sequence[str], ranked: Sequence[Sequence[str]], k: int = 20
) -> float:
    """Returns the mean of 100 / rank of the right entity, 0 where it is not among the first `k`.

    With one right entity a mention it is Mewsli-X's mean average precision at k.
    """
    _check_aligned(gold, ranked)
    if not gold:
        raise ValueError("a mean over no mention is undefined")
    ranks = (
        list(entities).index(right) + 1
        for right, entities in zip(gold, ranked, strict=True)
        if right in entities[:k]
    )
    return 100.0 * sum(1 / rank for rank in ranks) / len(gold)


def over_one(each: Sequence[float]) -> np.ndarray:
    """Returns [n, 2]: each example's score as numerator, and 1 as denominator."""
    return np.stack([np.asarray(each, np.float64), np.ones(len(each))], axis=-1)


def f1_ratios(counts: np.ndarray) -> np.ndarray:
    """Converts counts [n, 3] (right, predicted, gold) to numerators and denominators of F1 [n, 2].

    F1 is the sum of the first column over that of the second: twice the right ones over all
    predicted and all gold ones.
    """
    right, predicted, gold = counts.T
    return np.stack([2.0 * right, predicted + gold], axis=-1)


def _check_aligned(gold: Sequence, predicted: Sequence) -> None:
    if len(gold) != len(predicted):
        raise ValueError(f"{len(gold)} gold labels but {len(predicted)} predictions")
