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
from xt_jax.report.statistics.scores import ENGLISH, Grid, deviation, seed_means
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
    label(figure, SIZES + note, "mean score over languages but English (%)")
    return figure


def _title(target: str, models: Sequence[Model], family: str) -> str:
    metric = next(model.first[target][0] for model in models if target in model.first)
    return f"{target}, {metric}" + (f" ({family})" if family else "")


def _draw(axes: Axes, target: str, models: Sequence[Model], styles: dict[str, Style]) -> bool:
    """Draws a line for each intermediate task; returns whether any point has an error bar."""
    sizes = _sizes(models)
    step = 0.03 * math.log(sizes[-1] / sizes[0]) or 0.06  # so that points do not hide each other
    has_bars = False
    grids = [(m.encoder_params, m.first[target][1]) for m in models if target in m.first]
    names = [name for name in styles if any(name in grid.scores for _, grid in grids)]
    for i, name in enumerate(names):
        shift = math.exp(step * (i - (len(names) - 1) / 2) / max(len(names) - 1, 1))
        seeds = [(n * shift, _means(grid, name)) for n, grid in grids if name in grid.scores]
        points = np.array([(x, means.mean(), deviation(means)) for x, means in seeds])
        if len(points):
            has_bars |= not np.isnan(points[:, 2]).all()
            axes.errorbar(*points.T, label=name, elinewidth=1.4, capsize=2.5, **styles[name].line)
    size_axis(axes, sizes)
    return has_bars


def _means(grid: Grid, name: str) -> np.ndarray:
    """Returns the mean of each seed over the languages, English only where there is no other."""
    others = grid.languages != ENGLISH
    return seed_means(grid.scores[name][:, others] if others.any() else grid.scores[name])


def _sizes(models: Sequence[Model]) -> list[int]:
    return sorted({model.encoder_params for model in models})
