"""Says how wide the interval of a slope would be in another study, from this one's deviations."""

from __future__ import annotations

import math

from xt_jax.report.document import Block, Folded, Table, Text
from xt_jax.report.statistics.design import expected_half_width
from xt_jax.report.statistics.scaling import Scaling
from xt_jax.report.statistics.scores import CONFIDENCE
from xt_jax.report.study_results import StudyResults
from xt_jax.report.text import count, listed

RUNS = (1, 3, 5)  # of each size
_DEVIATIONS = ("sizes from the line", "between runs", "between seeds")
_SENTENCE = (
    "With the deviations seen here ({known}), {confidence:.0f} % intervals of the slope of "
    "{contrast} in a study of {sizes} and {seeds} are expected to be {widths}."
)
_NOTE = (
    "Standard deviations in points, and half of the expected interval of the slope in a study of "
    "the same sizes and seeds. Empty: this study cannot tell. With one run of each size the "
    "deviation from the line holds that between runs, so the intervals of several runs are at most "
    "these. The part of the interval over test examples is not in them."
)


def next_study(study: StudyResults, family: str) -> list[Block]:
    """Returns a sentence on the family's first contrast, and a row per contrast; [] without."""
    fits = study.scalings(family)
    if not fits:
        return []
    seeds = seeds_of(study)
    rows = [["contrast", *_DEVIATIONS, *(f"± with {count(runs, 'run')}" for runs in RUNS)]]
    for fit in fits:
        numbers = *fit.deviations, *half_widths(fit, seeds)
        rows.append([fit.contrast, *map(_points, numbers)])
    known = [
        f"{name} {deviation:.1f}"
        for name, deviation in zip(_DEVIATIONS, fits[0].deviations, strict=True)
        if not math.isnan(deviation)
    ]
    widths = [
        f"±{half:.1f} points with {count(runs, 'pretraining run')} of each size"
        if runs == 1
        else f"±{half:.1f} with {runs}"
        for runs, half in zip(RUNS, half_widths(fits[0], seeds), strict=True)
    ]
    sentence = _SENTENCE.format(
        known=f"{listed(known)} points",
        confidence=100 * CONFIDENCE,
        contrast=fits[0].contrast,
        sizes=f"these {count(len(fits[0].sizes), 'size')}",
        seeds=count(seeds, "seed"),
        widths=listed(widths),
    )
    return [Text(sentence), Folded("Deviations in this study", (Table(rows), Text(_NOTE)))]


def half_widths(fit: Scaling, seeds: int) -> list[float]:
    """Returns the expected half-width of a slope for each of `RUNS`."""
    return [expected_half_width(fit.encoder_params, runs, seeds, fit.deviations) for runs in RUNS]


def seeds_of(study: StudyResults) -> int:
    """Returns the number of seeds of the phases that have fewest."""
    phases = study.rows.groupby(["model", "intermediate", "target"])
    return int(phases["seed"].nunique().min())


def _points(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.1f}"
