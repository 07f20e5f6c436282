"""A linear classifier that sees which words occur in two texts, but not their order."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from xt_jax.data.examples import PairExample


def accuracy(train: Sequence[PairExample], test: Sequence[PairExample], sides: str = "ab") -> float:
    """Returns the percentage of test labels that logistic regression on word counts predicts.

    `sides`: "ab" counts the words of both texts, each on its own; "b" those of the second only.
    """
    bags = [_bag(example, sides) for example in (*train, *test)]
    vocabulary = {word: i for i, word in enumerate(sorted({w for bag in bags for w in bag}))}
    features = np.zeros((len(bags), len(vocabulary)), np.float32)
    for row, bag in zip(features, bags, strict=True):
        for word in bag:
            row[vocabulary[word]] += 1
    names = sorted({example.label for example in train})
    labels = np.array([names.index(example.label) for example in (*train, *test)])
    weights = _fit(
        features[: len(train)], np.eye(len(names), dtype=np.float32)[labels[: len(train)]]
    )
    predicted = np.argmax(features[len(train) :] @ weights, axis=1)
    return 100 * float(np.mean(predicted == labels[len(train) :]))


def _bag(example: PairExample, sides: str) -> list[str]:
    texts = {"a": example.text_a, "b": example.text_b}
    return [side + word for side in sides for word in re.findall(r"[\w:]+", texts[side].lower())]


def _fit(features: np.ndarray, targets: np.ndarray, steps: int = 60) -> np.ndarray:
    """Returns weights of softmax regression, fitted by Adam on all examples with a little decay."""
    weights = np.zeros((features.shape[1], targets.shape[1]), np.float32)
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, steps + 1):
        scores = features @ weights
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        errors = odds / odds.sum(axis=1, keepdims=True) - targets
        slope = features.T @ errors / len(features) + 1e-3 * weights
        first = 0.9 * first + 0.1 * slope
        second = 0.999 * second + 0.001 * slope**2
        steady = np.sqrt(second / (1 - 0.999**step)) + 1e-8
        weights -= 0.03 * (first / (1 - 0.9**step)) / steady
    return weights
