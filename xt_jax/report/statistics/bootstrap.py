"""Computes intervals of mean paired differences over other units and other test examples.

A unit is a pretraining run where a size has several (fine-tuning seeds lie within it), else a
fine-tuning seed. Units and examples are crossed: every unit is scored on the same examples. The
variance over examples comes from resampling them with replacement. Three to five units are too few
to resample, so the variance over units is the sample's, with Student's tails. The two are added,
less their overlap: the spread over units already contains how each alone varies with the examples.

Dimensions: R scored runs, U units, n test examples, B draws.
"""

from __future__ import annotations

import functools
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import stdtr, stdtrit

from xt_jax.report.statistics.scores import CONFIDENCE

DRAWS = 1000
SEEDS, RUNS, SIZES = "seeds", "pretraining runs", "sizes"  # what an interval is over

_AT_ONCE = 1 << 24  # numbers in memory at once


@dataclass(frozen=True)
class Estimate:
    """A gap or slope with its interval at `scores.CONFIDENCE`.

    Attributes:
        value: percentage points; for a slope, per tenfold number of parameters.
        low, high: the interval; NaN from a single unit.
        positive: one-sided p-value of a value of 0 or more; NaN from a single unit.
        units: how many units it is from; for a slope over runs, the number at the size with fewest.
        examples: whether the interval covers other test examples too, or other units alone.
        unit: SEEDS, RUNS or SIZES.
    """

    value: float
    low: float
    high: float
    positive: float
    units: int
    examples: bool
    unit: str = SEEDS

    @property
    def has_interval(self) -> bool:
        return not math.isnan(self.positive)

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Paired:
    """Differences to direct fine-tuning, one per unit.

    Attributes:
        units: [U] seeds or names of runs, ascending.
        values: [U] percentage points.
        shifts: [U, B] how `values` change on resampled test examples (see `shifts`), which are
            the same examples in each draw; None without per-example scores.
        examples: the number of test examples, in the smallest of several test sets.
        unit: SEEDS or RUNS.
    """

    units: tuple[Any, ...]
    values: np.ndarray
    shifts: np.ndarray | None = None
    examples: int = 0
    unit: str = SEEDS

    def of(self, units: Sequence[Any]) -> Paired:
        """Returns the differences of the given units alone."""
        index = [self.units.index(unit) for unit in units]
        drawn = None if self.shifts is None else self.shifts[index]
        return replace(self, units=tuple(units), values=self.values[index], shifts=drawn)


@dataclass(frozen=True)
class Term:
    """A mean over units and its weight in the sum that `estimate` computes.

    Attributes:
        size: terms of one size and unit share scored runs; terms of different sizes share none.
    """

    weight: float
    size: str
    paired: Paired


def shifts(example_scores: np.ndarray, draws: int = DRAWS) -> np.ndarray:
    """Returns how runs' scores (0..100) change on resampled test examples, [R, B] float32.

    A draw depends on n alone, so that test sets which are translations of each other are resampled
    together. Other sets of equal size are paired at random, which adds 0 to a covariance on
    average.

    Args:
        example_scores: [R, n, 2] numerators and denominators, see `xt_jax.tasks.family`.
    """
    numerators, denominators = np.moveaxis(example_scores.astype(np.float32), -1, 0)
    runs, n = numerators.shape
    if not n:
        return np.zeros((runs, draws), np.float32)
    is_same = bool((denominators == denominators[:, :1]).all())
    scores = np.empty((runs, draws), np.float32)
    for first, weights in _weights(n, draws):
        drawn = slice(first, first + len(weights))
        below = n * denominators[:, :1] if is_same else denominators @ weights.T
        scores[:, drawn] = _percent(numerators @ weights.T, below)
    return scores - _percent(numerators.sum(axis=1), denominators.sum(axis=1))[:, None]


def estimate(terms: Sequence[Term]) -> Estimate:
    """Returns a weighted sum of means over units with its interval, NaN for a single unit.

    The variance is that over units (of each size, terms of one unit together) plus that over
    draws of examples, less their overlap. The interval is Student's with Satterthwaite's degrees
    of freedom (Biometrics Bulletin 2, 1946). Where few units happen to vary little these are too
    many, so the interval is never narrower, nor the sign more certain, than from units alone.
    """
    value = math.fsum(term.weight * float(term.paired.values.mean()) for term in terms)
    fewest, unit = min(len(term.paired.units) for term in terms), terms[0].paired.unit
    if fewest < 2:
        return Estimate(value, math.nan, math.nan, math.nan, fewest, False, unit)
    by_size: dict[str, list[Term]] = defaultdict(list)
    for term in terms:
        by_size[term.size].append(term)
    parts = [
        (
            float(_over_units(of_size, [term.paired.values for term in of_size])),
            _freedom(of_size),
        )
        for of_size in by_size.values()
    ]
    views = [_sum(parts)]
    drawn = [term.paired.shifts for term in terms if term.paired.shifts is not None]
    has_examples = len(drawn) == len(terms)
    if has_examples:
        smallest = min(term.paired.examples for term in terms)
        over_examples = _over_examples(list(by_size.values())), max(smallest - 1, 1)
        views.append(_sum([*parts, over_examples]))
    half = max(_quantile(freedom) * math.sqrt(variance) for variance, freedom in views)
    sure = min((_positive(value, *view) for view in views), key=lambda p: abs(p - 0.5))
    return Estimate(value, value - half, value + half, sure, fewest, has_examples, unit)


def over_sizes(x: Sequence[float], y: Sequence[float]) -> Estimate:
    """Returns the least-squares slope of one mean per size, with an interval over sizes.

    The interval holds where the sizes' true means lie on a line but for deviations that are
    independent and normal with one variance: Student's, with two degrees of freedom fewer than
    sizes. The deviations contain those between pretraining runs, of which each size has one.
    """
    means = np.asarray(y, np.float64)
    slope, freedom = float(slope_weights(x) @ means), len(means) - 2
    if freedom < 1:
        return Estimate(slope, math.nan, math.nan, math.nan, len(means), False, SIZES)
    centred = np.asarray(x, np.float64) - np.mean(x)
    residual = means - means.mean() - slope * centred
    variance = float(residual @ residual) / freedom / float(centred @ centred)
    half = _quantile(freedom) * math.sqrt(variance)
    sure = _positive(slope, variance, freedom)
    return Estimate(slope, slope - half, slope + half, sure, len(means), False, SIZES)


def slope_weights(x: Sequence[float]) -> np.ndarray:
    """Returns weights [sizes] whose weighted sum over sizes is the least-squares slope.

    Raises:
        ValueError: all of `x` are the same.
    """
    centred = np.asarray(x, np.float64) - np.mean(x)
    if not centred.any():
        raise ValueError("a slope needs two sizes")
    return centred / (centred**2).sum()


def _weights(n: int, draws: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yields blocks of draws: the first draw and each example's count in them, [draws, n]."""
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
    """Returns 100 times the ratio, and 0 where the denominator is 0."""
    zeros = np.zeros(np.broadcast_shapes(numerator.shape, denominator.shape), np.float32)
    return np.divide(100 * numerator, denominator, out=zeros, where=denominator > 0)


def _over_units(terms: Sequence[Term], arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Returns one size's variance [...] over units of the weighted sum of means of `arrays`.

    Each array is [U, ...]. Terms covary in the units that they share. With one term this is the
    sample variance of its mean.
    """
    units = sorted({unit for term in terms for unit in term.paired.units})
    deviations = np.zeros((len(units), *arrays[0].shape[1:]))
    for term, array in zip(terms, arrays, strict=True):
        size = len(array)
        index = [units.index(unit) for unit in term.paired.units]
        scale = term.weight / math.sqrt(size * (size - 1))
        deviations[index] += scale * (array - array.mean(axis=0))
    return (deviations**2).sum(axis=0)


def _over_examples(sizes: Sequence[Sequence[Term]]) -> float:
    """Returns the variance over draws of examples, less what the one over units contains.

    That is the covariance of different runs: how examples change all of them alike.
    """
    total, shared = np.zeros(1), 0.0
    for terms in sizes:
        drawn = [term.paired.shifts for term in terms if term.paired.shifts is not None]
        for term, array in zip(terms, drawn, strict=True):
            total = total + term.weight * array.mean(axis=0)
        shared += float(_over_units(terms, drawn).mean())
    return max(float(total.var()) - shared, 0.0)


def _freedom(terms: Sequence[Term]) -> float:
    """Returns one size's degrees of freedom: units less one, averaged over terms by weight."""
    total = math.fsum(abs(term.weight) for term in terms)
    if not total:
        return 1.0
    return math.fsum(abs(t.weight) * (len(t.paired.units) - 1) for t in terms) / total


def _sum(parts: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Returns the variance and degrees of freedom of a sum of independent parts, given theirs."""
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
