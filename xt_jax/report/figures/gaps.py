"""Draws gaps to direct fine-tuning against model size, with their intervals."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from xt_jax.report.figures.style import (
    GAP,
    LEVEL,
    SIZES,
    SMALL,
    Margins,
    Style,
    abreast,
    grid,
    label,
    legend,
    legend_height,
    row_label,
    size_axis,
    wrapped,
)
from xt_jax.report.statistics.bootstrap import Estimate
from xt_jax.report.study_results import MEAN, Model, StudyResults

MEAN_LABEL = "mean of targets"
_TOGETHER = 3  # intermediate tasks whose bands fit into one panel
_BANDS = f"bands: {LEVEL} intervals, cut at the edge of the panel"
_ROOM = 1.6  # a panel shows intervals to this share beyond its largest gap


class Line(NamedTuple):
    """The gap of one intermediate task on one target, by encoder parameters from small to large."""

    sizes: list[int]
    estimates: list[Estimate]


def gap_figure(
    study: StudyResults,
    models: Sequence[Model],
    names: Sequence[str],
    styles: dict[str, Style],
    *,
    apart: bool,
) -> Figure:
    """Draws gaps against encoder parameters for one family, with intervals as bands.

    Args:
        apart: whether each of `names` has its own column of panels, with the others in grey; else
            all of them share one panel for each target.
    """
    every = (MEAN, *study.targets)
    lines = {(n, target): _line(study, models, n, target) for n in names for target in every}
    targets = [target for target in every if any(lines[n, target].sizes for n in names)]
    sizes = sorted({model.encoder_params for model in models})
    figure, panels = (_columns if apart else _panels)(targets, names, styles)
    for (target, name), axes in panels.items():
        for task in names:
            if name in ("", task):
                _draw(axes, lines[task, target], styles[task], task)
            else:
                values = [e.value for e in lines[task, target].estimates]
                axes.plot(lines[task, target].sizes, values, color="#c4c4c4", lw=0.8, zorder=1.5)
        axes.axhline(0, color="0.25", linewidth=0.9, zorder=2)
        size_axis(axes, sizes, 0.4 if apart else 0.17)
        axes.set_ylim(_limits([e for task in names for e in lines[task, target].estimates]))
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        if apart:
            axes.tick_params(labelsize=SMALL, labelbottom=target == targets[-1])
            axes.tick_params(labelleft=name == names[0])
    text = SIZES
    if any(e.has_interval for line in lines.values() for e in line.estimates):
        text += f"\n{_BANDS}" + ("; grey: the other intermediate tasks" if apart else "")
    label(figure, text, GAP)
    return figure


def are_apart(names: Collection[str]) -> bool:
    """Returns whether there are so many intermediate tasks that each needs its own column."""
    return len(names) > _TOGETHER


Panels = dict[tuple[str, str], Axes]  # by target and intermediate task, "" for all of them


def _panels(
    targets: Sequence[str], names: Sequence[str], styles: dict[str, Style]
) -> tuple[Figure, Panels]:
    """Returns a panel for each target."""
    used = {name: styles[name] for name in names}
    margins = Margins(top=legend_height(used) + 0.35, bottom=0.78, across=0.5, down=0.62)
    figure, panels = abreast(len(targets), 1.7, margins)
    for axes, target in zip(panels, targets, strict=True):
        weight = "normal" if target else "bold"
        axes.set_title(target or MEAN_LABEL, fontsize=10, fontweight=weight)
    legend(figure, used, line=True)
    return figure, {(target, ""): axes for target, axes in zip(targets, panels, strict=True)}


def _columns(
    targets: Sequence[str], names: Sequence[str], styles: dict[str, Style]
) -> tuple[Figure, Panels]:
    """Returns a row of panels for each target, with a column for each intermediate task."""
    titles = [wrapped(name, 20) for name in names]
    top = 0.16 * max(title.count("\n") + 1 for title in titles) + 0.2
    margins = Margins(left=1.35, top=top, bottom=0.78, down=0.12)
    figure, rows = grid([1.05] * len(targets), len(names), margins)
    for axes, name, title in zip(rows[0], names, titles, strict=True):
        axes.set_title(title, fontsize=9, fontweight="bold", color=styles[name].colour)
    for row, target in zip(rows, targets, strict=True):
        row_label(row[0], target or MEAN_LABEL, bold=not target)
    return figure, {
        (target, name): axes
        for target, row in zip(targets, rows, strict=True)
        for name, axes in zip(names, row, strict=True)
    }


def _line(study: StudyResults, models: Sequence[Model], name: str, target: str) -> Line:
    gaps = [(m.encoder_params, study.gap(m.name, name, target)) for m in models]
    known = [(params, gap.estimate) for params, gap in gaps if gap is not None]
    return Line([params for params, _ in known], [estimate for _, estimate in known])


def _draw(axes: Axes, line: Line, style: Style, name: str) -> None:
    values = [e.value for e in line.estimates]
    axes.plot(line.sizes, values, label=name, zorder=3, **style.line)
    if any(e.has_interval for e in line.estimates):
        lows, highs = zip(*((e.low, e.high) for e in line.estimates), strict=True)
        axes.fill_between(line.sizes, lows, highs, color=style.colour, alpha=0.18, linewidth=0)
        # A band between neighbours alone would not show a size that stands by itself.
        axes.vlines(line.sizes, lows, highs, color=style.colour, alpha=0.45, linewidth=1)


def _limits(estimates: Sequence[Estimate]) -> tuple[float, float]:
    """Returns the limits of a panel: all gaps, and as much of the intervals as stays legible."""
    most = (1 + _ROOM) * max((abs(e.value) for e in estimates), default=0) + 0.5
    ends = [
        0.0,
        *(end for e in estimates for end in (e.value, e.low, e.high) if not math.isnan(end)),
    ]
    low, high = (min(most, max(0.25, *(sign * end for end in ends))) for sign in (-1, 1))
    room = 0.08 * (low + high)  # for the markers
    return -low - room, high + room
