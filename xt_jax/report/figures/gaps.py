"""Gaps to direct fine-tuning: against model size with their intervals, and as a heat map."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from xt_jax.report.evidence import MEAN, Evidence, Model
from xt_jax.report.figures.looks import (
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
from xt_jax.report.wording import excludes_zero, points, size
from xt_jax.statistics.compare import CONFIDENCE
from xt_jax.statistics.findings import Estimate
from xt_jax.tasks.table import DIRECT

MEAN_LABEL = "mean of targets"
TOGETHER = 3  # intermediate tasks whose bands one panel can bear
_UNIT = f"gap to {DIRECT} (percentage points)"
_LEVEL = f"{100 * CONFIDENCE:.0f} %"
_BANDS = f"bands: {_LEVEL} intervals, cut at the edge of the panel"
_COLOURS = "RdBu"  # blue is a gain; told apart by all kinds of colour vision
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


def heat_map(evidence: Evidence, models: Sequence[Model]) -> Figure:
    """A map per model: intermediate tasks down, targets across, the gap in each cell.

    Bold with a star: the interval excludes 0.
    """
    targets = [MEAN, *evidence.targets]
    shown = [
        m
        for m in models
        if any(evidence.gap(m.name, n, t) for n in evidence.others for t in targets)
    ]
    labels = [wrapped(name, 18) for name in evidence.others]
    tall = max(0.3, *(0.16 * (label.count("\n") + 1) for label in labels))
    heights = [tall * len(labels)] * len(shown)
    margins = Margins(left=1.6, right=0.15, top=0.95, bottom=0.15, down=0.62)
    figure, rows = grid(heights, 1, margins)
    values = [g.estimate.value for g in evidence.findings.gaps if not g.language]
    limit = max(1.0, float(np.quantile(np.abs(values), 0.95)) if values else 1.0)
    norm = Normalize(-limit, limit)
    for model, (axes,) in zip(shown, rows, strict=True):
        _draw_map(axes, evidence, model, targets, norm)
        axes.set_yticks(range(len(labels)), labels, fontsize=9)
        title = f"{model.name}, {size(model.encoder_params)} encoder parameters"
        axes.set_title(title, loc="left", fontweight="bold", fontsize=10, pad=22)
    _colour_bar(figure, limit)
    return figure


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
    figure.supylabel(_UNIT, fontsize=10, x=0.12 / WIDTH)


def _draw_map(
    axes: Axes, evidence: Evidence, model: Model, targets: Sequence[str], norm: Normalize
) -> None:
    rows, columns = len(evidence.others), len(targets)
    values = np.full((rows, columns), np.nan)
    for i, name in enumerate(evidence.others):
        for j, target in enumerate(targets):
            gap = evidence.gap(model.name, name, target)
            if gap is None:
                axes.text(j, i, "–", ha="center", va="center", color="0.5", fontsize=9)
                continue
            values[i, j] = gap.estimate.value
            sure = excludes_zero(gap.estimate)
            axes.text(
                j,
                i,
                points(gap.estimate.value) + ("*" if sure else ""),
                ha="center",
                va="center",
                fontsize=9,
                fontweight="bold" if sure else "normal",
                color=_ink(norm(gap.estimate.value)),
            )
    edges = np.arange(columns + 1) - 0.5, np.arange(rows + 1) - 0.5
    axes.set_facecolor("#eeeeee")
    axes.pcolormesh(
        *edges, np.ma.masked_invalid(values), cmap=_COLOURS, norm=norm, edgecolors="white"
    )
    axes.set_ylim(rows - 0.5, -0.5)
    axes.axvline(0.5, color="white", linewidth=5)
    axes.xaxis.tick_top()
    axes.set_xticks(range(columns), [target or "mean" for target in targets])
    axes.get_xticklabels()[0].set_fontweight("bold")
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def _ink(position: float) -> str:
    """Black or white, whichever is read better on the colour at this position of the map."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in colormaps[_COLOURS](position)[:3]
    ]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]  # WCAG 2.2
    return "white" if luminance < 0.179 else "black"


def _colour_bar(figure: Figure, limit: float) -> None:
    height = figure.get_figheight()
    axes = figure.add_axes((0.3, 1 - 0.2 / height, 0.4, 0.12 / height))
    ramp = np.linspace(-limit, limit, 256)[None]
    axes.imshow(ramp, cmap=_COLOURS, aspect="auto", extent=(-limit, limit, 0, 1))
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(labelsize=SMALL, length=2, pad=2)
    figure.text(0.29, 1 - 0.14 / height, _UNIT, ha="right", va="center", fontsize=9)
    figure.text(
        0.71, 1 - 0.14 / height, f"bold*: {_LEVEL} interval excludes 0", va="center", fontsize=9
    )
