"""Draws the contrasts that answer a study's question against model size, with their lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from xt_jax.report.figures.panels import Margins, abreast, label
from xt_jax.report.figures.size_axis import size_axis
from xt_jax.report.figures.style import GAP, LEVEL, SIZES, SMALL, legend, legend_height
from xt_jax.report.statistics.bootstrap import RUNS
from xt_jax.report.statistics.scaling import Scaling
from xt_jax.report.study_results import StudyResults

_BLUE = "#0072b2"
_MUCH = 0.5  # of a size's scores
_UNIT: dict[str, Any] = {"color": "0.45", "marker": "o", "ls": "", "ms": 3.5}
_MEAN: dict[str, Any] = {"color": _BLUE, "marker": "D", "ls": "", "ms": 6}
_AT_CHANCE: dict[str, Any] = _MEAN | {"markerfacecolor": "white", "markeredgewidth": 1.5}


def scaling_figure(study: StudyResults, fits: Sequence[Scaling]) -> Figure:
    """Draws a panel for each contrast: every run, the mean of each size, the line and its band."""
    hollow = [_at_chance(study, fit) for fit in fits]
    shown = _entries(fits, has_hollow=any(map(any, hollow)))
    margins = Margins(top=legend_height(shown) + 0.1, bottom=0.65, across=0.55, down=0.3)
    titles, ladders = [fit.contrast for fit in fits], [_params(fit) for fit in fits]
    figure, panels = abreast(titles, 2.6, margins, ladders=ladders)
    for axes, fit, at_chance in zip(panels, fits, hollow, strict=True):
        _draw(axes, fit, at_chance)
    legend(figure, shown)
    label(figure, SIZES, GAP)
    return figure


def _params(fit: Scaling) -> list[int]:
    return sorted(set(fit.encoder_params))


def _at_chance(study: StudyResults, fit: Scaling) -> list[bool]:
    """Returns for each size whether much of what the contrast is made of is at chance."""
    found = []
    for size in fit.sizes:
        gaps = [study.gap(size, name, of) for name in fit.intermediates for of in fit.targets]
        shares = [share for gap in gaps if gap for share in (gap.chance_direct, gap.chance_after)]
        found.append(bool(shares) and float(np.mean(shares)) >= _MUCH)
    return found


def _entries(fits: Sequence[Scaling], *, has_hollow: bool) -> list[Line2D | Patch]:
    several = all(fit.slope.unit == RUNS for fit in fits)
    unit = "pretraining run" if several else "seed of fine-tuning"
    over = "pretraining runs" if several else "sizes"
    band = f"{LEVEL} interval of the line over {over}, cut at the edge"
    shown: list[Line2D | Patch] = [Line2D([], [], label="mean of a size", **_MEAN)]
    if has_hollow:
        at_chance = f"mean, {100 * _MUCH:.0f} % of its scores or more at chance"
        shown.append(Line2D([], [], label=at_chance, **_AT_CHANCE))
    shown.append(Line2D([], [], label=unit, **_UNIT))
    if any(fit.band for fit in fits):
        shown.append(Patch(facecolor=_BLUE, alpha=0.18, label=band))
    return shown


def _draw(axes: Axes, fit: Scaling, at_chance: Sequence[bool]) -> None:
    axes.axhline(0, color="0.25", linewidth=0.9, zorder=2)
    if fit.band:
        x, height, low, high = np.array(fit.band).T
        axes.plot(x, height, color=_BLUE, linewidth=1.4, zorder=3)
        axes.fill_between(x, low, high, color=_BLUE, alpha=0.18, linewidth=0)
    means = [estimate.value for estimate in fit.means]
    for params, values, mean, hollow in zip(
        fit.encoder_params, fit.units, means, at_chance, strict=True
    ):
        axes.plot(params, mean, zorder=4, **(_AT_CHANCE if hollow else _MEAN))
        if len(values) > 1:
            axes.plot([params] * len(values), values, zorder=5, **_UNIT)
    size_axis(axes, _params(fit))
    axes.tick_params(labelsize=SMALL)
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], min_n_ticks=4))
    # The scale follows the points: the band of few sizes may be many times wider.
    points = [0.0, *means, *(value for values in fit.units for value in values)]
    room = 0.35 * (max(points) - min(points)) + 0.5
    axes.set_ylim(min(points) - room, max(points) + room)
