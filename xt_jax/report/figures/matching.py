"""Draws the gap against the direct score, by size: one line for each pretraining run."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from xt_jax.report.figures.style import GAP, WIDTH, Margins, abreast, label
from xt_jax.report.statistics.matching import Point
from xt_jax.report.text import size


def matching_figure(points: Sequence[Point]) -> Figure:
    """Draws a panel for each contrast; darker lines are larger sizes."""
    contrasts = list(dict.fromkeys(point.contrast for point in points))
    params = sorted({point.encoder_params for point in points})
    shades = matplotlib.colormaps["viridis_r"]
    colours = {n: shades(0.1 + 0.9 * i / max(len(params) - 1, 1)) for i, n in enumerate(params)}
    margins = Margins(top=0.75, bottom=0.75, across=0.5, down=0.7)
    figure, panels = abreast(len(contrasts), 2.6, margins)
    for axes, contrast in zip(panels, contrasts, strict=True):
        axes.set_title(contrast, fontsize=10, fontweight="bold")
        axes.axhline(0, color="0.25", linewidth=0.9, zorder=2)
        of_contrast = [point for point in points if point.contrast == contrast]
        for run in dict.fromkeys(point.pretraining for point in of_contrast):
            along = sorted((p for p in of_contrast if p.pretraining == run), key=lambda p: p.steps)
            x, y = [p.direct for p in along], [p.gap for p in along]
            axes.plot(x, y, "o-", color=colours[along[0].encoder_params], lw=1.2, ms=4.5, zorder=3)
    handles = [
        Line2D([], [], color=colours[n], marker="o", label=f"{size(n)} parameters") for n in params
    ]
    figure.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, 1 - 0.05 / figure.get_figheight()),
        ncols=min(len(handles), int(WIDTH // 1.7)),
        frameon=False,
        borderaxespad=0,
    )
    label(
        figure, "direct score (%), mean over languages but English; lines: along pretraining", GAP
    )
    return figure
