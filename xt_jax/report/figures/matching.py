"""Draws the gap against the direct score, by size: one line for each pretraining run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from xt_jax.report.figures.panels import Margins, abreast, label
from xt_jax.report.figures.style import GAP, SMALL, legend, legend_height
from xt_jax.report.statistics.matching import Point
from xt_jax.report.text import size


def matching_figure(points: Sequence[Point]) -> Figure:
    """Draws a panel for each contrast; darker lines are larger sizes."""
    contrasts = list(dict.fromkeys(point.contrast for point in points))
    params = sorted({point.encoder_params for point in points})
    shades = matplotlib.colormaps["viridis_r"]
    colours = {n: shades(0.1 + 0.9 * i / max(len(params) - 1, 1)) for i, n in enumerate(params)}
    along = {run: _along(points, run) for run in dict.fromkeys(p.pretraining for p in points)}
    has_lines = any(len({point.steps for point in of_run}) > 1 for of_run in along.values())
    line: dict[str, Any] = {"marker": "o", "lw": 1.2 if has_lines else 0, "ms": 4.5}
    shown = [Line2D([], [], color=colours[n], label=size(n), **line) for n in params]
    margins = Margins(top=legend_height(shown) + 0.1, bottom=0.85, across=0.6, down=0.3)
    figure, panels = abreast(contrasts, 2.6, margins)
    for axes, contrast in zip(panels, contrasts, strict=True):
        axes.axhline(0, color="0.25", linewidth=0.9, zorder=2)
        for of_run in along.values():
            of_contrast = [point for point in of_run if point.contrast == contrast]
            x, y = [p.direct for p in of_contrast], [p.gap for p in of_contrast]
            axes.plot(x, y, color=colours[of_run[0].encoder_params], zorder=3, **line)
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10], min_n_ticks=4))
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10], min_n_ticks=4))
        axes.tick_params(labelsize=SMALL)
    legend(figure, shown)
    of_lines = "; a line: the checkpoints of one pretraining run" if has_lines else ""
    note = f"colours: encoder parameters, without embeddings{of_lines}"
    label(figure, f"score of direct fine-tuning (%), mean over languages but English\n{note}", GAP)
    return figure


def _along(points: Sequence[Point], run: str) -> list[Point]:
    return sorted((p for p in points if p.pretraining == run), key=lambda point: point.steps)
