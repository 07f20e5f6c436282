"""How sure a mean of paired differences is, about other seeds and other test examples at once.

Seeds and examples are crossed: every seed is scored on the same examples. What other examples would
do is found by resampling them with replacement. What other seeds would do is not: three to five
are too few to resample, so their part has Student's tails. Both parts are added, less what they
share: the spread over seeds already holds each run's own luck with the examples.

Dimensions: R runs, S seeds, n test examples, B draws.
"""

from __future__ import annotations

import functools
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from xt_jax.report.statistics.compare import CONFIDENCE

DRAWS = 1000

_AT_ONCE = 1 << 24  # numbers in memory


@dataclass(frozen=True)
class Estimate:
    """A number with its interval at `compare.CONFIDENCE`.

    Attributes:
        value: percentage points; of a slope, percentage points for ten times the parameters.
        low, high: NaN where one seed is all there is.
        positive: probability that it is above 0; NaN likewise.
        seeds: how many it is from; of a slope, those of the size that has fewest.
        examples: whether other test examples are part of the interval, or seeds alone.
    """

    value: float
    low: float
    high: float
    positive: float
    seeds: int
    examples: bool


@dataclass(frozen=True)
class Paired:
    """Differences that seeds alone tell apart.

    Attributes:
        seeds: [S], ascending.
        values: [S] percentage points.
        shifts: [S, B] what other test examples add to `values` (see `shifts`), the same examples
            in every draw; None where they are not known.
        examples: how many there are; of several sets, of the smallest.
    """

    seeds: tuple[int, ...]
    values: np.ndarray
    shifts: np.ndarray | None = None
    examples: int = 0

    def of(self, seeds: Sequence[int]) -> Paired:
        """Those of some of the seeds."""
        index = [self.seeds.index(seed) for seed in seeds]
        drawn = None if self.shifts is None else self.shifts[index]
        return Paired(tuple(seeds), self.values[index], drawn, self.examples)


@dataclass(frozen=True)
class Term:
    """Part of a weighted sum of means over seeds.

    Attributes:
        model: terms of one model with the same seed share a run, those of two models do not.
    """

    weight: float
    model: str
    paired: Paired


def shifts(example_scores: np.ndarray, draws: int = DRAWS) -> np.ndarray:
    """[R, B] float32: the scores, 0..100, on resampled examples, less those on the examples.

    A draw takes the same of the n examples whatever the runs, the language or the task: test sets
    that are translations of each other are resampled together, and for others of equal size, whose
    examples are paired at random, what that adds to a covariance has mean 0.

    Args:
        example_scores: [R, n, 2] numerators and denominators, see `xt_jax.tasks.family`.
    """
    numerators, denominators = np.moveaxis(example_scores.astype(np.float32), -1, 0)
    runs, n = numerators.shape
    if not n:
        return np.zeros((runs, draws), np.float32)
    is_same = bool((denominators == denominators[:, :1]).all())
    found = np.empty((runs, draws), np.float32)
    for first, weights in _weights(n, draws):
        drawn = slice(first, first + len(weights))
        below = n * denominators[:, :1] if is_same else denominators @ weights.T
        found[:, drawn] = _percent(numerators @ weights.T, below)
    return found - _percent(numerators.sum(axis=1), denominators.sum(axis=1))[:, None]


def estimate(terms: Sequence[Term]) -> Estimate:
    """The weighted sum of means over seeds, with its interval; NaN where a mean is of one seed.

    The variance is that over seeds (each model's own, terms of one seed together) and that over
    draws of examples, less their overlap. The interval is Student's, with Satterthwaite's
    degrees of freedom (Biometrics Bulletin 2, 1946); where few seeds vary little by luck these are
    too many, so it is never narrower, and the sign never surer, than from seeds alone.
    """
    value = math.fsum(term.weight * float(term.paired.values.mean()) for term in terms)
    fewest = min(len(term.paired.seeds) for term in terms)
    if fewest < 2:
        return Estimate(value, math.nan, math.nan, math.nan, fewest, False)
    by_model: dict[str, list[Term]] = defaultdict(list)
    for term in terms:
        by_model[term.model].append(term)
    parts = [
        (float(_over_seeds(some, [term.paired.values for term in some])), _freedom(some))
        for some in by_model.values()
    ]
    views = [_sum(parts)]
    drawn = [term.paired.shifts for term in terms if term.paired.shifts is not None]
    has_examples = len(drawn) == len(terms)
    if has_examples:
        more = _over_examples(list(by_model.values()))
        smallest = min(term.paired.examples for term in terms)
        views.append(_sum([*parts, (more, max(smallest - 1, 1))]))
    half = max(_quantile(freedom) * math.sqrt(variance) for variance, freedom in views)
    sure = min((_positive(value, *view) for view in views), key=lambda p: abs(p - 0.5))
    return Estimate(value, value - half, value + half, sure, fewest, has_examples)


def slope_weights(x: Sequence[float]) -> np.ndarray:
    """[sizes] weights with which a sum over sizes is the slope of the least-squares line.

    Raises:
        ValueError: all of `x` are the same.
    """
    centred = np.asarray(x, np.float64) - np.mean(x)
    if not centred.any():
        raise ValueError("a slope needs two sizes")
    return centred / (centred**2).sum()


def _weights(n: int, draws: int) -> Iterator[tuple[int, np.ndarray]]:
    """(first draw, [b, n] how often each example is in these draws), a block at a time."""
    size = max(_AT_ONCE // n, 1)
    for first in range(0, draws, size):
        yield first, _block(n, first, min(size, draws - first))


@functools.lru_cache(maxsize=1)
def _block(n: int, first: int, draws: int) -> np.ndarray:
    picks = np.random.default_rng((n, first)).integers(n, size=(draws, n))
    picks += n * np.arange(draws)[:, None]
    counts = np.bincount(picks.ravel(), minlength=draws * n)
    return counts.astype(np.float32).reshape(draws, n)


def _percent(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """0 where there is nothing to divide by."""
    shape = np.broadcast_shapes(numerator.shape, denominator.shape)
    found = np.zeros(shape, np.float32)
    return np.divide(100 * numerator, denominator, out=found, where=denominator > 0)


def _over_seeds(terms: Sequence[Term], arrays: Sequence[np.ndarray]) -> np.ndarray:
    """[...] the variance, for one model, of the weighted sum of means of [S, ...] `arrays`.

    With one term it is the sample variance over S. What terms share by the seed counts, also where
    they do not have the same seeds.
    """
    seeds = sorted({seed for term in terms for seed in term.paired.seeds})
    luck = np.zeros((len(seeds), *arrays[0].shape[1:]))
    for term, array in zip(terms, arrays, strict=True):
        size = len(array)
        index = [seeds.index(seed) for seed in term.paired.seeds]
        luck[index] += term.weight / math.sqrt(size * (size - 1)) * (array - array.mean(axis=0))
    return (luck**2).sum(axis=0)


def _over_examples(models: Sequence[Sequence[Term]]) -> float:
    """The variance over draws, less what of it is in the variance over seeds already.

    What is left is the covariance of different runs: what examples do to all of them alike.
    """
    total, shared = np.zeros(1), 0.0
    for terms in models:
        drawn = [term.paired.shifts for term in terms if term.paired.shifts is not None]
        for term, array in zip(terms, drawn, strict=True):
            total = total + term.weight * array.mean(axis=0)
        shared += float(_over_seeds(terms, drawn).mean())
    return max(float(total.var()) - shared, 0.0)


def _freedom(terms: Sequence[Term]) -> float:
    """Seeds less one, the mean over terms by their weight."""
    total = math.fsum(abs(term.weight) for term in terms)
    if not total:
        return 1.0
    return math.fsum(abs(t.weight) * (len(t.paired.seeds) - 1) for t in terms) / total


def _sum(parts: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """(variance, degrees of freedom) of a sum of independent parts."""
    total = math.fsum(variance for variance, _ in parts)
    if not total:
        return 0.0, 1.0
    return total, 1 / math.fsum((variance / total) ** 2 / freedom for variance, freedom in parts)


def _quantile(freedom: float) -> float:
    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2))


def _positive(value: float, variance: float, freedom: float) -> float:
    if not variance:
        return 0.5 + 0.5 * float(np.sign(value))
    return float(stdtr(freedom, value / math.sqrt(variance)))
