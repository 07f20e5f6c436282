"""Draws scores and gaps: a row of panels per model, and score against model size per target."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection
from statistics import mean
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from xt_jax.report.figures.looks import (
    GAP,
    LEVEL,
    WIDTH,
    Look,
    branch_handle,
    legend_columns,
    legend_lines,
    size_axis,
    wrapped,
)
from xt_jax.report.statistics.compare import (
    Columns,
    Numbers,
    deviation,
    gap,
    half_width,
    seed_means,
    values_of,
)
from xt_jax.report.wording import between, size
from xt_jax.tasks.table import DIRECT


class Panel(NamedTuple):
    """What is drawn of one model; `scores` has one metric of each target."""

    model: str
    encoder_params: int
    scores: dict[tuple[str, str], Columns]


_BAND = 0.72  # of the distance between two targets: what their branches take
_ACROSS = 3  # panels of sizes


def report_figure(panels: list[Panel], looks: dict[str, Look]) -> Figure:
    """A row per model: scores on the left and, where any model has one, gaps on the right."""
    with_gaps = any(_gaps(panel) for panel in panels)
    heights = [0.15 * len(p.scores) * max(2, len(_branches(p, looks))) + 0.9 for p in panels]
    figure = Figure(
        figsize=(WIDTH, sum(heights) + 0.2 * legend_lines(looks) + 0.3), layout="constrained"
    )
    axes = figure.subplots(
        len(panels),
        2 if with_gaps else 1,
        squeeze=False,
        sharex="col",
        sharey="row",
        height_ratios=heights,
    )
    score_bars, gap_bars = False, False
    for panel, row in zip(panels, axes, strict=True):
        score_bars |= _draw_scores(row[0], panel, looks)
        if with_gaps:
            gap_bars |= _draw_gaps(row[1], panel, looks)
    _label(axes[:, 0], "mean score over languages (%)", "standard deviation", score_bars)
    if with_gaps:
        interval = f"{LEVEL} t-interval"
        _label(axes[:, 1], GAP, interval, gap_bars)
    gaps = [numbers for p in panels for of in _gaps(p).values() for numbers in of.values()]
    _legend(figure, looks, [_language_handle()] if any(map(_by_language, gaps)) else [])
    return figure


def sizes_figure(families: dict[str, list[Panel]], looks: dict[str, Look]) -> Figure:
    """A small panel per target, three abreast; families one after the other."""
    cells = [
        (family, key, panels)
        for family, panels in families.items()
        for key in dict.fromkeys(key for panel in panels for key in panel.scores)
    ]
    across = min(_ACROSS, len(cells))
    down = math.ceil(len(cells) / across)
    height = 2.4 * down + 0.2 * legend_lines(looks) + 0.4
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False)
    bars = False
    for axes, (family, key, panels) in zip(grid.flat, cells, strict=False):
        bars |= _draw_sizes(axes, key, panels, looks)
        of_family = f" ({family})" if len(families) > 1 else ""
        axes.set_title(wrapped(", ".join(key) + of_family, 40), fontsize=10)
    for axes in grid.flat[len(cells) :]:
        axes.remove()
    note = "; bars: standard deviation over seeds" if bars else ""
    figure.supxlabel(f"encoder parameters, without embeddings (log scale){note}", fontsize=10)
    figure.supylabel("mean score over languages (%)", fontsize=10)
    _legend(figure, looks, [])
    return figure


def _branches(panel: Panel, looks: dict[str, Look]) -> list[str]:
    """Those that the model has, in the order of `looks`."""
    names = {name for columns in panel.scores.values() for name in columns}
    return [name for name in looks if name in names]


def _gaps(panel: Panel) -> dict[str, dict[int, Numbers]]:
    """Of each intermediate task, by the number of the target; where there is a gap."""
    gaps: dict[str, dict[int, Numbers]] = defaultdict(dict)
    for i, columns in enumerate(panel.scores.values()):
        for name in columns:
            if name != DIRECT and (numbers := gap(columns, name)):
                gaps[name][i] = numbers
    return gaps


def _shifts(names: list[str]) -> dict[str, float]:
    """How far below the middle of a target's band each branch lies."""
    middle = (len(names) - 1) / 2
    return {name: (i - middle) * _BAND / len(names) for i, name in enumerate(names)}


def _draw_scores(axes: Axes, panel: Panel, looks: dict[str, Look]) -> bool:
    """Whether anything has an error bar."""
    n = len(panel.scores)
    axes.set_yticks(range(n), [f"{target} ({metric})" for target, metric in panel.scores])
    axes.set_ylim(n - 0.5, -0.5)
    title = f"{panel.model}: {size(panel.encoder_params)} encoder parameters, {_seeds(panel)}"
    axes.set_title(wrapped(title, 90), loc="left", fontweight="bold", fontsize=11)
    _stripes(axes, panel)
    bars = False
    for name, shift in _shifts(_branches(panel, looks)).items():
        points = []
        for i, columns in enumerate(panel.scores.values()):
            if numbers := values_of(columns).get(name):
                means = seed_means(numbers)
                points.append((mean(means), i + shift, deviation(means)))
        bars |= _across(axes, name, points, looks[name])
    return bars


def _draw_gaps(axes: Axes, panel: Panel, looks: dict[str, Look]) -> bool:
    """Whether anything has an interval; a small dot is a language, its mean over seeds."""
    gaps = _gaps(panel)
    if not gaps:
        text = f"no gap: no seed was scored\non the same examples after {DIRECT}"
        axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color="0.4")
        axes.set_axis_off()
        return False
    _stripes(axes, panel)
    axes.axvline(0, color="0.25", linewidth=1, zorder=1)
    names = _branches(panel, looks)
    below = 0.36 * _BAND / len(names)
    bars = False
    for name, shift in _shifts(names).items():
        points, dots = [], []
        for i, numbers in gaps.get(name, {}).items():
            means = seed_means(numbers)
            points.append((mean(means), i + shift, half_width(means)))
            dots += [(value, i + shift + below) for value in _by_language(numbers)]
        axes.plot(
            [x for x, _ in dots],
            [y for _, y in dots],
            label=f"_{name}",
            linestyle="",
            marker="o",
            markersize=2.6,
            markeredgewidth=0,
            alpha=0.55,
            color=looks[name].colour,
        )
        bars |= _across(axes, name, points, looks[name])
    return bars


def _by_language(numbers: Numbers) -> list[float]:
    """The mean over seeds of each language; [] where one language is all there is."""
    found: dict[str, list[float]] = defaultdict(list)
    for values in numbers.values():
        for language, value in values.items():
            found[language].append(value)
    return [mean(found[language]) for language in sorted(found)] if len(found) > 1 else []


def _draw_sizes(
    axes: Axes, key: tuple[str, str], panels: list[Panel], looks: dict[str, Look]
) -> bool:
    """Whether anything has an error bar."""
    sizes = sorted({panel.encoder_params for panel in panels})
    span = math.log(sizes[-1] / sizes[0])
    bars = False
    for name, shift in _shifts(list(looks)).items():
        points = []
        for panel in panels:
            if numbers := values_of(panel.scores.get(key, {})).get(name):
                means = seed_means(numbers)
                x = panel.encoder_params * math.exp(0.04 * shift * span)  # beside one another
                points.append((x, mean(means), deviation(means)))
        bars |= _upright(axes, name, points, looks[name])
    size_axis(axes, sizes, 0.2)
    return bars


Points = list[tuple[float, float, float]]


def _across(axes: Axes, name: str, points: Points, look: Look) -> bool:
    """Dots at (x, y) with x ± the third, no bar where it is NaN; whether there is a bar."""
    return _dots(axes, name, points, look, along="xerr", linestyle="")


def _upright(axes: Axes, name: str, points: Points, look: Look) -> bool:
    """Dots at (x, y) with y ± the third, joined by a line; whether there is a bar."""
    return _dots(axes, name, points, look, along="yerr", linewidth=1.2)


def _dots(axes: Axes, name: str, points: Points, look: Look, *, along: str, **line: Any) -> bool:
    if points:
        xs, ys, bars = zip(*points, strict=True)
        options: dict[str, Any] = {along: bars, **line}
        axes.errorbar(
            xs,
            ys,
            **options,
            label=name,
            color=look.colour,
            marker=look.marker,
            markersize=5.5,
            elinewidth=1.4,
            capsize=2.5,
        )
    return not all(math.isnan(bar) for _, _, bar in points)


def _stripes(axes: Axes, panel: Panel) -> None:
    """Every other target on grey, so that the eye keeps the line."""
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    for i in range(0, len(panel.scores), 2):
        axes.axhspan(i - 0.5, i + 0.5, color="#f5f5f5", linewidth=0, zorder=0)


def _label(column: Collection[Axes], unit: str, uncertainty: str, has_bars: bool) -> None:
    """Numbers below every panel of a column, and what they are below the last one."""
    drawn = [axes for axes in column if axes.axison]
    for axes in drawn:
        axes.tick_params(axis="x", labelbottom=True)
    drawn[-1].set_xlabel(unit + (f"\nbars: {uncertainty} over seeds" if has_bars else ""))


def _seeds(panel: Panel) -> str:
    """`3 seeds`, or `1-3 seeds` where branches or targets differ."""
    counts = {len(seeds) for c in panel.scores.values() for seeds in c.values() if seeds}
    return between(counts, "seed")


def _language_handle() -> Line2D:
    return Line2D(
        [],
        [],
        label="gap of one language",
        linestyle="",
        marker="o",
        markersize=2.6,
        markeredgewidth=0,
        color="0.5",
    )


def _legend(figure: Figure, looks: dict[str, Look], more: list[Line2D]) -> None:
    figure.legend(
        handles=[*(branch_handle(name, look) for name, look in looks.items()), *more],
        loc="outside upper center",
        ncols=legend_columns(looks),
        frameon=False,
    )
