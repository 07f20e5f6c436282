"""The mean of a gap over targets, from seeds alone: for findings that do not have it."""

from __future__ import annotations

import math
from statistics import fmean, stdev

from scipy.special import stdtr

from xt_jax.study.compare import Columns, gap, half_width, seed_means
from xt_jax.study.findings import Estimate


def mean_over_targets(targets: list[Columns], intermediate: str) -> Estimate | None:
    """Of the seeds that every target has in which there is a gap; None where there is none.

    The targets of a seed share their intermediate phase, so that its mean over targets is one
    observation: Student's interval is over seeds and knows nothing of other test examples.
    """
    gaps = [numbers for columns in targets if (numbers := gap(columns, intermediate))]
    if not gaps:
        return None
    by_seed = [dict(zip(numbers, seed_means(numbers), strict=True)) for numbers in gaps]
    seeds = sorted(set.intersection(*(set(values) for values in by_seed)))
    if not seeds:
        return None
    means = [fmean(values[seed] for values in by_seed) for seed in seeds]
    value, half = fmean(means), half_width(means)
    return Estimate(value, value - half, value + half, _positive(means), len(seeds), False)


def _positive(means: list[float]) -> float:
    n, value = len(means), fmean(means)
    if n < 2:
        return math.nan
    error = stdev(means) / math.sqrt(n)
    return float(stdtr(n - 1, value / error)) if error else float(value > 0)
