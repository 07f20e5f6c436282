"""Draws gaps to direct fine-tuning against model size, with their intervals."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from xt_jax.report.figures.panels import (
    Margins,
    abreast,
    grid,
    label,
    limits,
    row_label,
    title,
    title_height,
)
from xt_jax.report.figures.size_axis import further_rows, size_axis
from xt_jax.report.figures.style import (
    GAP,
    LEVEL,
    SIZES,
    SMALL,
    Style,
    entries,
    legend,
    legend_height,
)
from xt_jax.report.statistics.bootstrap import Estimate
from xt_jax.report.study_results import MEAN, Model, StudyResults

MEAN_LABEL = "mean of targets"
_TOGETHER = 3  # intermediate tasks whose bands fit into one panel
_BANDS = f"bands: {LEVEL} intervals, cut at the edge of the panel"


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
    figure, panels = (_columns if apart else _panels)(targets, names, styles, sizes)
    for (target, name), axes in panels.items():
        for task in names:
            if name in ("", task):
                _draw(axes, lines[task, target], styles[task], task)
            else:
                values = [e.value for e in lines[task, target].estimates]
                axes.plot(lines[task, target].sizes, values, color="#c4c4c4", lw=0.8, zorder=1.5)
        axes.axhline(0, color="0.25", linewidth=0.9, zorder=2)
        size_axis(axes, sizes)
        axes.set_ylim(limits([e for task in names for e in lines[task, target].estimates]))
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        axes.tick_params(labelsize=SMALL)
        if apart:
            is_last, is_first = target == targets[-1], name == names[0]
            axes.tick_params(bottom=is_last, labelbottom=is_last)
            axes.tick_params(left=is_first, labelleft=is_first)
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
    targets: Sequence[str], names: Sequence[str], styles: dict[str, Style], sizes: Sequence[int]
) -> tuple[Figure, Panels]:
    """Returns a panel for each target."""
    shown = entries({name: styles[name] for name in names}, line=True)
    margins = Margins(top=legend_height(shown) + 0.1, bottom=0.85, across=0.6, down=0.35)
    titles = [target or MEAN_LABEL for target in targets]
    figure, panels = abreast(titles, 1.7, margins, ladders=[sizes], bold=False)
    if targets[0] == MEAN:
        title(panels[0], MEAN_LABEL)
    legend(figure, shown)
    return figure, {(target, ""): axes for target, axes in zip(targets, panels, strict=True)}


def _columns(
    targets: Sequence[str], names: Sequence[str], styles: dict[str, Style], sizes: Sequence[int]
) -> tuple[Figure, Panels]:
    """Returns a row of panels for each target, with a column for each intermediate task."""
    margins = Margins(left=1.45, bottom=0.85, across=0.2, down=0.12)
    width = margins.panel(len(names))
    bottom = margins.bottom + further_rows(sizes, width)
    margins = replace(margins, top=title_height(names, width) + 0.05, bottom=bottom)
    figure, rows = grid([1.05] * len(targets), len(names), margins)
    for axes, name in zip(rows[0], names, strict=True):
        title(axes, name, colour=styles[name].colour)
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
