"""Draws scores against model size, with a panel for each target."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xt_jax.report.figures.panels import Margins, abreast, label
from xt_jax.report.figures.size_axis import size_axis
from xt_jax.report.figures.style import SIZES, SMALL, Style, entries, legend, legend_height
from xt_jax.report.statistics.scores import deviation, seed_means
from xt_jax.report.study_results import Model


def score_figure(families: dict[str, list[Model]], styles: dict[str, Style]) -> Figure:
    """Draws the first metric of each target, one family of models after the other."""
    cells = [
        (family, target, models)
        for family, models in families.items()
        for target in dict.fromkeys(target for model in models for target in model.first)
    ]
    shown = entries(styles, line=True)
    margins = Margins(top=legend_height(shown) + 0.1, bottom=0.65, across=0.55, down=0.35)
    ladders = [_sizes(models) for models in families.values()]
    titles = [
        _title(target, models, family if len(families) > 1 else "")
        for family, target, models in cells
    ]
    figure, panels = abreast(titles, 1.7, margins, ladders=ladders, bold=False)
    has_bars = False
    for axes, (_, target, models) in zip(panels, cells, strict=True):
        has_bars |= _draw(axes, target, models, styles)
        axes.tick_params(labelsize=SMALL)
    legend(figure, shown)
    note = "; bars: standard deviation over seeds" if has_bars else ""
    label(figure, SIZES + note, "mean score over languages (%)")
    return figure


def _title(target: str, models: Sequence[Model], family: str) -> str:
    metric = next(model.first[target][0] for model in models if target in model.first)
    return f"{target}, {metric}" + (f" ({family})" if family else "")


def _draw(axes: Axes, target: str, models: Sequence[Model], styles: dict[str, Style]) -> bool:
    """Draws a line for each intermediate task; returns whether any point has an error bar."""
    sizes = _sizes(models)
    step = 0.03 * math.log(sizes[-1] / sizes[0]) or 0.06  # so that points do not hide each other
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
    size_axis(axes, sizes)
    return has_bars


def _sizes(models: Sequence[Model]) -> list[int]:
    return sorted({model.encoder_params for model in models})
