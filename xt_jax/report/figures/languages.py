"""What each language gains, in groups of one script or one family."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from xt_jax.languages import language
from xt_jax.report.evidence import Evidence, Model
from xt_jax.report.figures.looks import (
    GAP,
    SMALL,
    Look,
    Margins,
    grid,
    legend,
    legend_height,
    wrapped,
)
from xt_jax.report.gap_tables import groups_of, language_gains
from xt_jax.tasks.table import DIRECT

_LINE = 0.2  # inches
_BAND = 0.6  # of a line: what its branches take

Gains = dict[str, dict[str, float]]  # intermediate -> language -> gap


class Row(NamedTuple):
    """A group of several languages, or one language."""

    label: str
    codes: tuple[str, ...]
    is_group: bool
    group: int


def language_figure(
    evidence: Evidence, models: Sequence[Model], looks: dict[str, Look], kind: str
) -> Figure:
    """A dot per intermediate task in each line; a panel per model.

    Args:
        kind: `script` or `family`.
    """
    gains = {model.name: language_gains(evidence, model) for model in models}
    codes = {code for of in gains.values() for by in of.values() for code in by}
    rows = _rows(codes, kind)
    mine = {name: look for name, look in looks.items() if name != DIRECT}
    left = 0.2 + 0.073 * max(len(row.label) for row in rows)
    margins = Margins(left=left, top=legend_height(mine) + 0.35, bottom=0.55, across=0.14)
    figure, ((*panels,),) = grid([_LINE * len(rows) + 0.1], len(models), margins)
    values = [v for of in gains.values() for by in of.values() for v in by.values()]
    reach = (min([*values, 0.0]), max([*values, 0.0]))
    room = 0.06 * (reach[1] - reach[0]) or 1.0
    for model, axes in zip(models, panels, strict=True):
        _draw(axes, rows, gains[model.name], mine)
        axes.set_xlim(reach[0] - room, reach[1] + room)
        axes.set_title(wrapped(model.name, 100 // len(models)), fontsize=10, fontweight="bold")
        axes.tick_params(axis="x", labelsize=SMALL)
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axes.tick_params(axis="y", labelleft=axes is panels[0], length=0)
    _label(panels[0], rows)
    legend(figure, mine)
    text = f"{GAP}, mean over seeds and targets"
    if any(row.is_group for row in rows):
        text += "; large: mean of group"
    figure.supxlabel(text, fontsize=10, y=0.1 / figure.get_figheight(), va="bottom")
    return figure


def _rows(codes: set[str], kind: str) -> list[Row]:
    """Groups of several languages have a line for their mean; others are one line."""
    rows = []
    for i, (group, mine) in enumerate(groups_of(codes, kind).items()):
        if len(mine) > 1:
            rows.append(Row(group, tuple(mine), True, i))
            rows += [Row(_named(code), (code,), False, i) for code in mine]
        else:
            alone = "" if group.startswith("(") else f" ({group})"
            rows.append(Row(_named(mine[0]) + alone, tuple(mine), False, i))
    return rows


def _named(code: str) -> str:
    return language(code).name


def _draw(axes: Axes, rows: list[Row], gains: Gains, looks: dict[str, Look]) -> None:
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    for i, row in enumerate(rows):
        if row.group % 2 == 0:
            axes.axhspan(i - 0.5, i + 0.5, color="#f2f2f2", linewidth=0, zorder=0)
    axes.axvline(0, color="0.25", linewidth=0.9, zorder=1)
    middle = (len(looks) - 1) / 2
    for k, (name, look) in enumerate(looks.items()):
        found = [
            [gains.get(name, {})[code] for code in row.codes if code in gains.get(name, {})]
            for row in rows
        ]
        points = [(fmean(v), i, rows[i].is_group) for i, v in enumerate(found) if v]
        shift = (k - middle) * _BAND / max(len(looks), 3)
        for of_group, area in ((False, 16), (True, 42)):
            chosen = [(x, i + shift) for x, i, is_group in points if is_group == of_group]
            if chosen:
                xs, ys = zip(*chosen, strict=True)
                axes.scatter(
                    xs,
                    ys,
                    s=area,
                    color=look.colour,
                    marker=look.marker,
                    linewidths=0,
                    label=f"{name}, groups" if of_group else name,
                    zorder=3,
                )


def _label(axes: Axes, rows: list[Row]) -> None:
    alone = {row.group for row in rows if row.is_group}
    labels = [
        f"  {row.label}" if row.group in alone and not row.is_group else row.label for row in rows
    ]
    axes.set_yticks(range(len(rows)), labels, fontsize=9)
    for row, text in zip(rows, axes.get_yticklabels(), strict=True):
        if row.is_group:
            text.set_fontweight("bold")
