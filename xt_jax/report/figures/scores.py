"""Draws scores against model size, with a panel for each target."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xt_jax.report.figures.style import (
    SIZES,
    SMALL,
    Margins,
    Style,
    abreast,
    label,
    legend,
    legend_height,
    size_axis,
    wrapped,
)
from xt_jax.report.statistics.scores import deviation, seed_means
from xt_jax.report.study_results import Model


def score_figure(families: dict[str, list[Model]], styles: dict[str, Style]) -> Figure:
    """Draws the first metric of each target, one family of models after the other."""
    cells = [
        (family, target, models)
        for family, models in families.items()
        for target in dict.fromkeys(target for model in models for target in model.first)
    ]
    margins = Margins(left=0.8, top=legend_height(styles) + 0.35, across=0.45, down=0.62)
    figure, panels = abreast(len(cells), 1.7, margins)
    has_bars = False
    for axes, (family, target, models) in zip(panels, cells, strict=True):
        has_bars |= _draw(axes, target, models, styles)
        metric = next(model.first[target][0] for model in models if target in model.first)
        of_family = f" ({family})" if len(families) > 1 else ""
        axes.set_title(wrapped(f"{target}, {metric}{of_family}", 40), fontsize=10)
        axes.tick_params(labelsize=SMALL)
    legend(figure, styles, line=True)
    note = "; bars: standard deviation over seeds" if has_bars else ""
    label(figure, SIZES + note, "mean score over languages (%)")
    return figure


def _draw(axes: Axes, target: str, models: Sequence[Model], styles: dict[str, Style]) -> bool:
    """Draws a line for each intermediate task; returns whether any point has an error bar."""
    sizes = sorted({model.encoder_params for model in models})
    step = 0.03 * math.log(sizes[-1] / sizes[0]) or 0.2  # so that points do not hide each other
    has_bars = False
    for i, (name, style) in enumerate(styles.items()):
        shift = math.exp(step * (i / max(len(styles) - 1, 1) - 0.5))
        scores = [
            (m.encoder_params, m.first[target][1].scores) for m in models if target in m.first
        ]
        seeds = [(params * shift, seed_means(by[name])) for params, by in scores if name in by]
        points = np.array([(x, means.mean(), deviation(means)) for x, means in seeds])
        if len(points):
            has_bars |= not np.isnan(points[:, 2]).all()
            axes.errorbar(*points.T, label=name, elinewidth=1.4, capsize=2.5, **style.line)
    size_axis(axes, sizes, 0.2)
    return has_bars
