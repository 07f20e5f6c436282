"""Fits how the contrasts that answer a study's question change with model size.

The unit of a slope is the pretraining run. Where every size has several, the interval is over runs
(and examples), and the deviation of the sizes from the line can be tested; where it has one, the
interval is over sizes and holds only if they lie on a line.

Dimensions: K sizes, U units of a size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import fdtrc, stdtrit

from xt_jax.report.statistics.bootstrap import (
    RUNS,
    Estimate,
    Paired,
    Term,
    estimate,
    over_sizes,
    slope_weights,
)
from xt_jax.report.statistics.combined import Sizes, combined
from xt_jax.report.statistics.design import UNKNOWN, Deviations, deviations
from xt_jax.report.statistics.families import MIN_SIZES
from xt_jax.report.statistics.scores import CONFIDENCE

_BAND = 21  # points along a line


@dataclass(frozen=True)
class Prediction:
    """A size's mean beside what the line through the other sizes predicts for it, in points.

    Attributes:
        low, high: the interval of the prediction at `CONFIDENCE`, over sizes.
    """

    size: str
    seen: float
    predicted: float
    low: float
    high: float

    @property
    def is_inside(self) -> bool:
        return self.low <= self.seen <= self.high


@dataclass(frozen=True)
class Scaling:
    """One contrast against model size, within one family.

    Attributes:
        contrast: TRAINED, RETRIEVAL (with its layer) or BEST; means over all languages but English.
        intermediates: the tasks that are averaged, or chosen from.
        targets: the targets that are averaged.
        sizes, encoder_params: [K], ascending.
        means: [K] the mean of each size over its units.
        units: [K] of [U] the mean of each unit.
        slope: points per tenfold encoder parameters.
        lack_of_fit: p-value of the sizes' deviation from the line beside that of the runs within
            them; NaN where a size has one run.
        band: (encoder parameters, value, low, high) of points along the line; low and high are
            NaN where the slope has no interval.
        errors: root mean square error in points, over the sizes, of predicting one from the others,
            by the form of the curve; {} below four sizes.
        left_out: the predictions of the line.
        deviations: what a study of another design can expect its interval from.
    """

    family: str
    contrast: str
    intermediates: tuple[str, ...]
    targets: tuple[str, ...]
    sizes: tuple[str, ...]
    encoder_params: tuple[int, ...]
    means: tuple[Estimate, ...]
    units: tuple[tuple[float, ...], ...]
    slope: Estimate
    lack_of_fit: float
    band: tuple[tuple[float, float, float, float], ...]
    errors: dict[str, float]
    left_out: tuple[Prediction, ...]
    deviations: Deviations = UNKNOWN


def scalings(
    family: str,
    sizes: Sizes,
    by_layer: Mapping[str, Sizes],
    not_learnt: Collection[str],
) -> Iterator[Scaling]:
    """Yields the contrasts of a family whose intermediate tasks and targets every size has.

    Args:
        sizes, by_layer, not_learnt: as in `combined`, in ascending order of the sizes.
    """
    for one in combined(sizes, by_layer, not_learnt):
        params = [c.encoder_params for c in one.sizes]
        known = one.gaps
        slope = slope_of(params, [[of_size] for of_size in known])
        if slope is None:
            continue
        names = [c.size for c in one.sizes]
        x, means = np.log10(params), np.array([of_size.values.mean() for of_size in known])
        units = tuple(tuple(of_size.values.tolist()) for of_size in known)
        yield Scaling(
            family,
            one.contrast,
            one.intermediates,
            one.targets,
            tuple(names),
            tuple(params),
            one.means,
            units,
            slope,
            lack_of_fit(x, units) if slope.unit == RUNS else math.nan,
            tuple(line_band(x, known, slope)),
            leave_one_out_errors(params, means),
            tuple(left_out(names, x, means)),
            deviations(params, one.by_seed),
        )


def slope_of(params: Sequence[int], sizes: Sequence[Sequence[Paired]]) -> Estimate | None:
    """Returns the least-squares slope over log10(`params`) of the sizes' means.

    The interval is over pretraining runs where every size has at least two, else over sizes.

    Args:
        sizes: what is averaged at each size.

    Returns:
        None below `MIN_SIZES` different sizes.
    """
    x = np.log10(params) if len(params) else np.empty(0)
    if len(set(params)) < MIN_SIZES:
        return None
    if all(paired.unit == RUNS for size in sizes for paired in size):
        weights = slope_weights(x.tolist()).tolist()
        terms = [
            Term(weight / len(size), str(i), paired)
            for i, (weight, size) in enumerate(zip(weights, sizes, strict=True))
            for paired in size
        ]
        return estimate(terms)
    means = [np.mean([paired.values.mean() for paired in size]) for size in sizes]
    return over_sizes(x.tolist(), [float(mean) for mean in means])


def line_band(
    x: np.ndarray, paired: Sequence[Paired], slope: Estimate
) -> Iterator[tuple[float, float, float, float]]:
    """Yields points along the line with the interval of its height, over what the slope's is."""
    means = np.array([of_size.values.mean() for of_size in paired])
    for at in np.linspace(x.min(), x.max(), _BAND):
        if slope.unit == RUNS:
            weights = (1 / len(x) + (at - x.mean()) * slope_weights(x.tolist())).tolist()
            terms = zip(weights, paired, strict=True)
            height = estimate([Term(w, str(i), one) for i, (w, one) in enumerate(terms)])
            yield float(10**at), height.value, height.low, height.high
        elif len(x) > 2:
            yield float(10**at), *predicted(x, means, float(at), new=False)


def lack_of_fit(x: np.ndarray, units: Sequence[Sequence[float]]) -> float:
    """Returns the p-value of the F test that the sizes' means lie on a line, given their units."""
    everywhere = np.repeat(x, [len(size) for size in units])
    y = np.array([value for size in units for value in size])
    residual = y - np.polyval(np.polyfit(everywhere, y, 1), everywhere)
    within = math.fsum(float(np.var(size) * len(size)) for size in units)
    of_lack, of_error = len(units) - 2, len(y) - len(units)
    if of_lack < 1 or of_error < 1 or not within:
        return math.nan
    ratio = (float(residual @ residual) - within) / of_lack / (within / of_error)
    return float(fdtrc(of_lack, of_error, max(ratio, 0.0)))


def left_out(sizes: Sequence[str], x: np.ndarray, means: np.ndarray) -> Iterator[Prediction]:
    """Yields for each size what the line through all others predicts, where these are at least 3.

    A prediction's interval is Student's, over sizes, for the mean of a new one.
    """
    for i, size in enumerate(sizes):
        others = np.arange(len(x)) != i
        if others.sum() < MIN_SIZES:
            return
        yield Prediction(size, float(means[i]), *predicted(x[others], means[others], float(x[i])))


def predicted(
    x: np.ndarray, y: np.ndarray, at: float, *, new: bool = True
) -> tuple[float, float, float]:
    """Returns (value, low, high) of the least-squares line through at least 3 points.

    Args:
        new: whether the interval is that of the mean of a new size, or of the line itself.
    """
    slope = float(slope_weights(x.tolist()) @ y)
    centre, freedom = float(x.mean()), len(x) - 2
    value = float(y.mean()) + slope * (at - centre)
    residual = y - y.mean() - slope * (x - centre)
    spread = new + 1 / len(x) + (at - centre) ** 2 / float(((x - centre) ** 2).sum())
    variance = float(residual @ residual) / freedom * spread
    half = float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * math.sqrt(variance)
    return value, value - half, value + half


def leave_one_out_errors(params: Sequence[int], means: np.ndarray) -> dict[str, float]:
    """Returns the root mean square error of predicting each size from the others, by form."""
    size, errors = np.asarray(params, np.float64), {}
    if len(size) <= MIN_SIZES:
        return {}
    for name, form in FORMS.items():
        missed = []
        for i in range(len(size)):
            others = np.arange(len(size)) != i
            missed.append(form(size[others], means[others], size[i]) - means[i])
        errors[name] = float(np.sqrt(np.mean(np.square(missed))))
    return errors


def _broken_line(size: np.ndarray, y: np.ndarray, at: float) -> float:
    """Predicts with two lines over log10(size) that meet at an inner size, the best of these."""
    x, best = np.log10(size), (math.inf, math.nan)
    for knot in np.sort(x)[1:-1]:
        columns = np.stack([np.ones_like(x), x, np.maximum(x - knot, 0)], axis=1)
        solution, *_ = np.linalg.lstsq(columns, y, rcond=None)
        error = float(np.square(columns @ solution - y).sum())
        value = float(np.array([1, np.log10(at), max(np.log10(at) - knot, 0)]) @ solution)
        best = min(best, (error, value))
    return best[1]


# The forms of a curve: (sizes, means, a new size) to its prediction.
FORMS: dict[str, Callable[[np.ndarray, np.ndarray, float], float]] = {
    "constant": lambda size, y, at: float(y.mean()),
    "line over the logarithm": lambda size, y, at: float(
        np.polyval(np.polyfit(np.log10(size), y, 1), np.log10(at))
    ),
    "line": lambda size, y, at: float(np.polyval(np.polyfit(size, y, 1), at)),
    "broken line over the logarithm": _broken_line,
}
