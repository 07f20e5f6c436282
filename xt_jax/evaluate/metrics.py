"""Accuracy on host data, 0..100."""

from __future__ import annotations

from collections.abc import Sequence


def accuracy(gold: Sequence, predicted: Sequence) -> float:
    """Percentage of positions where `predicted` equals `gold` (XNLI, PAWS-X, Tatoeba).

    Args:
        gold: the right labels, one per example.
        predicted: the predicted labels, in the order of `gold`.

    Raises:
        ValueError: the lengths differ, or there is no example.
    """
    if len(gold) != len(predicted):
        raise ValueError(f"{len(gold)} gold labels but {len(predicted)} predictions")
    if len(gold) == 0:
        raise ValueError("accuracy of no example is undefined")
    correct = sum(bool(g == p) for g, p in zip(gold, predicted, strict=True))
    return 100.0 * correct / len(gold)
