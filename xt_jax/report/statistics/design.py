"""How wide the interval of a slope will be in a study that has not run, from one that has.

A mean gap is taken as a line over the logarithm of the size, plus three independent deviations: of
the size from the line, of the pretraining run from its size, and of the seed from its run. The
part of the interval that is over test examples is not in it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import gammaln, stdtrit

from xt_jax.report.statistics.bootstrap import slope_weights
from xt_jax.report.statistics.families import MIN_SIZES
from xt_jax.report.statistics.scores import CONFIDENCE

_DRAWS = 10_000  # of the variances that a study over runs would estimate

BySeed = Sequence[Sequence[Sequence[float]]]  # of each size, of each run, of each seed


class Deviations(NamedTuple):
    """Standard deviations in points; NaN where a study cannot tell.

    Attributes:
        line: of a size's true mean from the line; with one run of each size, that run's too.
        runs: of pretraining runs of one size.
        seeds: of fine-tuning seeds of one run.
    """

    line: float
    runs: float
    seeds: float


UNKNOWN = Deviations(math.nan, math.nan, math.nan)


def deviations(params: Sequence[int], gaps: BySeed) -> Deviations:
    """Estimates the deviations from the gaps of each size by run and seed.

    A part is what the observed variance has beyond the parts below it, and 0 where it has less.
    """
    means = [[float(np.mean(run)) for run in size] for size in gaps]
    seeds = _pooled([run for size in gaps for run in size])
    in_run = _or_0(seeds) * float(np.mean([1 / len(run) for size in gaps for run in size]))
    over_runs = _pooled(means)
    runs = max(over_runs - in_run, 0.0)  # NaN stays
    in_size = (in_run if math.isnan(runs) else over_runs) * float(
        np.mean([1 / len(size) for size in means])
    )
    y, x = np.array([np.mean(size) for size in means]), np.log10(params)
    line = math.nan
    if len(y) >= MIN_SIZES:
        residual = y - np.polyval(np.polyfit(x, y, 1), x)
        line = max(float(residual @ residual) / (len(y) - 2) - in_size, 0.0)
    return Deviations(*(math.nan if math.isnan(v) else math.sqrt(v) for v in (line, runs, seeds)))


def expected_half_width(params: Sequence[int], runs: int, seeds: int, known: Deviations) -> float:
    """Returns the expected half-width of the interval of a slope, in points per tenfold size.

    With several runs of each size it is over runs, and the sizes' deviation from the line widens
    it only where `known` cannot tell runs from sizes; with one it is over sizes. NaN where the
    study would give no interval.

    Args:
        params: of the different sizes.
        runs: pretraining runs of each size.
        seeds: fine-tuning seeds of each run.
    """
    if len(set(params)) < MIN_SIZES:
        return math.nan
    weights, freedom = slope_weights(np.log10(params).tolist()), len(params) - 2
    of_seeds = _or_0(known.seeds) ** 2 / seeds
    if runs == 1:
        deviation = math.sqrt(known.line**2 + _or_0(known.runs) ** 2 + of_seeds)
        half = _quantile(freedom) * deviation * math.sqrt(float(weights @ weights))
        return half * _mean_of_deviation(freedom)
    of_runs = known.line if math.isnan(known.runs) else known.runs
    variance = (of_runs**2 + of_seeds) / runs
    if not variance:
        return 0.0
    # What such a study estimates, and its degrees of freedom (see `bootstrap.estimate`).
    drawn = np.random.default_rng(0).chisquare(runs - 1, (_DRAWS, len(weights))) / (runs - 1)
    parts = weights**2 * variance * drawn
    total = parts.sum(axis=1)
    of_total = total**2 / (parts**2 / (runs - 1)).sum(axis=1)
    return float(np.mean(stdtrit(of_total, (1 + CONFIDENCE) / 2) * np.sqrt(total)))


def _pooled(groups: Sequence[Sequence[float]]) -> float:
    """Returns the variance within groups; NaN where each has a single value."""
    freedom = sum(len(group) - 1 for group in groups)
    within = math.fsum(float(np.var(group)) * len(group) for group in groups)
    return within / freedom if freedom else math.nan


def _mean_of_deviation(freedom: int) -> float:
    """Returns the expected sample standard deviation of a normal variable with deviation 1."""
    log = gammaln((freedom + 1) / 2) - gammaln(freedom / 2)
    return math.sqrt(2 / freedom) * math.exp(log)


def _quantile(freedom: float) -> float:
    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2))


def _or_0(value: float) -> float:
    return 0.0 if math.isnan(value) else value
