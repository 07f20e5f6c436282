"""Gaps to direct fine-tuning against model size, with their intervals."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from xt_jax.report.evidence import MEAN, Evidence, Model
from xt_jax.report.figures.looks import (
    GAP,
    LEVEL,
    SMALL,
    WIDTH,
    Look,
    Margins,
    grid,
    legend,
    legend_height,
    row_label,
    size_axis,
    wrapped,
)
from xt_jax.report.statistics.findings import Estimate

MEAN_LABEL = "mean of targets"
TOGETHER = 3  # intermediate tasks whose bands one panel can bear
_BANDS = f"bands: {LEVEL} intervals, cut at the edge of the panel"
_ROOM = 1.6  # a panel shows intervals to this share beyond its largest gap


class Line(NamedTuple):
    """The gap of one intermediate task on one target, by encoder parameters from small to large."""

    sizes: list[int]
    estimates: list[Estimate]


def gap_figure(
    evidence: Evidence,
    models: Sequence[Model],
    names: Sequence[str],
    looks: dict[str, Look],
    *,
    apart: bool,
) -> Figure:
    """Gap against encoder parameters of the models of one family, with intervals as bands.

    Args:
        apart: each of `names` has a column of panels, in which the others are grey; else all share
            a panel per target, which bears the bands of `TOGETHER`.
    """
    lines = _lines(evidence, models, names)
    targets = [t for t in (MEAN, *evidence.targets) if any(lines[name, t].sizes for name in names)]
    sizes = sorted({model.encoder_params for model in models})
    draw = _apart if apart else _together
    return draw(lines, targets, names, sizes, looks)


def _lines(
    evidence: Evidence, models: Sequence[Model], names: Sequence[str]
) -> dict[tuple[str, str], Line]:
    lines = {}
    for name in names:
        for target in (MEAN, *evidence.targets):
            found = [(m.encoder_params, evidence.gap(m.name, name, target)) for m in models]
            have = [(params, gap.estimate) for params, gap in found if gap is not None]
            lines[name, target] = Line([params for params, _ in have], [e for _, e in have])
    return lines


def _together(
    lines: dict[tuple[str, str], Line],
    targets: Sequence[str],
    names: Sequence[str],
    sizes: Sequence[int],
    looks: dict[str, Look],
) -> Figure:
    """A panel per target, three abreast."""
    across = min(3, len(targets))
    down = math.ceil(len(targets) / across)
    mine = {name: looks[name] for name in names}
    margins = Margins(left=0.75, top=legend_height(mine) + 0.35, bottom=0.78, across=0.5, down=0.62)
    figure, rows = grid([1.7] * down, across, margins)
    panels = [axes for row in rows for axes in row]
    for axes, target in zip(panels, targets, strict=False):
        for name in names:
            _draw(axes, lines[name, target], looks[name], name)
        _finish(axes, [lines[name, target] for name in names], sizes, 0.17)
        axes.set_title(target or MEAN_LABEL, fontsize=10, fontweight="normal" if target else "bold")
    for axes in panels[len(targets) :]:
        axes.remove()
    legend(figure, mine, line=True)
    _frame(figure, lines.values())
    return figure


def _apart(
    lines: dict[tuple[str, str], Line],
    targets: Sequence[str],
    names: Sequence[str],
    sizes: Sequence[int],
    looks: dict[str, Look],
) -> Figure:
    """A row per target, a column per intermediate task."""
    titles = {name: wrapped(name, 20) for name in names}
    lines_of_title = max(title.count("\n") + 1 for title in titles.values())
    margins = Margins(left=1.35, top=0.16 * lines_of_title + 0.2, bottom=0.78, down=0.12)
    figure, rows = grid([1.05] * len(targets), len(names), margins)
    for target, row in zip(targets, rows, strict=True):
        drawn = [lines[name, target] for name in names]
        for name, axes in zip(names, row, strict=True):
            for other in names:
                if other != name:
                    line = lines[other, target]
                    axes.plot(
                        line.sizes,
                        [e.value for e in line.estimates],
                        color="#c4c4c4",
                        linewidth=0.8,
                        zorder=1.5,
                    )
            _draw(axes, lines[name, target], looks[name], name)
            _finish(axes, drawn, sizes, 0.4)
            axes.tick_params(labelsize=SMALL, labelbottom=row is rows[-1])
            axes.tick_params(labelleft=name == names[0])
            if row is rows[0]:
                colour = looks[name].colour
                axes.set_title(titles[name], fontsize=9, fontweight="bold", color=colour)
        row_label(row[0], target or MEAN_LABEL, bold=not target)
    _frame(figure, lines.values(), "; grey: the other intermediate tasks")
    return figure


def _draw(axes: Axes, line: Line, look: Look, name: str) -> None:
    values = [e.value for e in line.estimates]
    axes.plot(
        line.sizes,
        values,
        label=name,
        color=look.colour,
        marker=look.marker,
        markersize=4.5,
        linewidth=1.5,
        zorder=3,
    )
    ends = [(e.low, e.high) for e in line.estimates]
    if any(not math.isnan(low) for low, _ in ends):
        lows, highs = zip(*ends, strict=True)
        axes.fill_between(line.sizes, lows, highs, color=look.colour, alpha=0.18, linewidth=0)
        # A band between neighbours alone would not show a size that stands by itself.
        axes.vlines(line.sizes, lows, highs, color=look.colour, alpha=0.45, linewidth=1)


def _finish(axes: Axes, lines: Sequence[Line], sizes: Sequence[int], apart: float) -> None:
    axes.axhline(0, color="0.25", linewidth=0.9, zorder=2)
    size_axis(axes, sizes, apart)
    estimates = [e for line in lines for e in line.estimates]
    low, high = (_end(estimates, sign) for sign in (-1, 1))
    room = 0.08 * (low + high)  # for the marks
    axes.set_ylim(-low - room, high + room)
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))


def _end(estimates: Sequence[Estimate], sign: int) -> float:
    """How far a panel reaches: all gaps, and of intervals what leaves the gaps to be seen."""
    values = [abs(e.value) for e in estimates]
    most = (1 + _ROOM) * max(values, default=0) + 0.5
    ends = [sign * (e.high if sign > 0 else e.low) for e in estimates]
    mine = [sign * e.value for e in estimates] + [end for end in ends if not math.isnan(end)]
    return min(most, max(0.25, *mine, 0.0)) if mine else 0.5


def _frame(figure: Figure, lines: Collection[Line], more: str = "") -> None:
    if any(not math.isnan(e.low) for line in lines for e in line.estimates):
        more = f"\n{_BANDS}{more}"
    height = figure.get_figheight()
    text = f"encoder parameters, without embeddings (log scale){more}"
    figure.supxlabel(text, fontsize=10, y=0.08 / height, va="bottom")
    figure.supylabel(GAP, fontsize=10, x=0.12 / WIDTH)
