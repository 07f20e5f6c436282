"""Draws the contrasts that answer a study's question against model size, with their lines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from xt_jax.report.figures.style import GAP, LEVEL, SIZES, Margins, abreast, label, size_axis
from xt_jax.report.statistics.bootstrap import RUNS
from xt_jax.report.statistics.scaling import Scaling

_COLOUR = "#0072b2"


def scaling_figure(fits: Sequence[Scaling]) -> Figure:
    """Draws a panel for each contrast: every run, the mean of each size, the line and its band."""
    margins = Margins(top=0.45, bottom=0.95, across=0.5, down=0.9)
    figure, panels = abreast(len(fits), 2.6, margins)
    for axes, fit in zip(panels, fits, strict=True):
        axes.set_title(fit.contrast, fontsize=10, fontweight="bold")
        _draw(axes, fit)
    several = all(fit.slope.unit == RUNS for fit in fits)
    dots = "dots: pretraining runs" if several else "dots: fine-tuning seeds of one pretraining run"
    over = "pretraining runs" if several else "sizes"
    label(figure, f"{SIZES}\n{dots}; band: {LEVEL} interval of the line, over {over}", GAP)
    return figure


def _draw(axes: Axes, fit: Scaling) -> None:
    axes.axhline(0, color="0.25", linewidth=0.9, zorder=2)
    if fit.band:
        x, height, low, high = np.array(fit.band).T
        axes.plot(x, height, color=_COLOUR, linewidth=1.4, zorder=3)
        axes.fill_between(x, low, high, color=_COLOUR, alpha=0.18, linewidth=0)
    for params, values in zip(fit.encoder_params, fit.units, strict=True):
        axes.plot([params] * len(values), values, "o", color="0.45", markersize=3.5, zorder=4)
    means = [estimate.value for estimate in fit.means]
    axes.plot(fit.encoder_params, means, "D", color=_COLOUR, markersize=6, zorder=5)
    size_axis(axes, fit.encoder_params, 0.1)
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10], min_n_ticks=4))
    # The scale follows the points: the band of few sizes may be many times wider.
    points = [0.0, *means, *(value for values in fit.units for value in values)]
    room = 0.35 * (max(points) - min(points)) + 0.5
    axes.set_ylim(min(points) - room, max(points) + room)
