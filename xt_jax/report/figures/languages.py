"""Draws the gap of each language, grouped by script or family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from xt_jax.report.figures.panels import Margins, grid, label, title, title_height
from xt_jax.report.figures.style import (
    GAP,
    SMALL,
    Style,
    entries,
    legend,
    legend_height,
    text_width,
)
from xt_jax.report.gap_tables import with_groups
from xt_jax.report.study_results import Model, StudyResults
from xt_jax.tasks.table import DIRECT

_LINE = 0.2  # inches
_BAND = 0.6  # of a line, for its intermediate tasks


class Line(NamedTuple):
    """A line of the figure: a group of several languages, or one language."""

    label: str
    codes: set[str]
    is_group: bool
    group: int


def language_figure(
    study: StudyResults, models: Sequence[Model], styles: dict[str, Style], kind: str
) -> Figure:
    """Draws a panel for each model, with a dot per intermediate task in each line.

    Args:
        kind: `script` or `family`.
    """
    gains = study.language_gains
    gains = with_groups(gains[gains["model"].isin([model.name for model in models])], kind)
    lines = _lines(gains)
    used = {name: style for name, style in styles.items() if name != DIRECT}
    shown = entries(used)
    left = 0.2 + max(text_width(line.label, SMALL) for line in lines)
    margins = Margins(left=left, bottom=0.6, across=0.16)
    names = [model.name for model in models]
    above = legend_height(shown) + title_height(names, margins.panel(len(names)))
    margins = replace(margins, top=above + 0.1)
    figure, (panels,) = grid([_LINE * len(lines) + 0.1], len(models), margins)
    low, high = min(gains["gap"].min(), 0.0), max(gains["gap"].max(), 0.0)
    room = 0.06 * (high - low) or 1.0
    for model, axes in zip(models, panels, strict=True):
        _draw(axes, lines, gains[gains["model"] == model.name], used)
        axes.set_xlim(low - room, high + room)
        title(axes, model.name)
        axes.tick_params(axis="x", labelsize=SMALL)
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axes.tick_params(axis="y", labelleft=axes is panels[0], length=0)
    panels[0].set_yticks(range(len(lines)), [line.label for line in lines], fontsize=SMALL)
    for line, text in zip(lines, panels[0].get_yticklabels(), strict=True):
        text.set_fontweight("bold" if line.is_group else "normal")
    legend(figure, shown)
    has_groups = any(line.is_group for line in lines)
    note = "; large: mean of group" if has_groups else ""
    label(figure, f"{GAP}, mean over seeds and targets{note}")
    return figure


def _lines(gains: pd.DataFrame) -> list[Line]:
    """Returns a line per language, and above them one per group of several languages."""
    lines = []
    languages = gains.drop_duplicates("language").sort_values("language")
    for i, (group, members) in enumerate(languages.groupby("group")):
        names = dict(zip(members["language"], members["name"], strict=True))
        if len(names) > 1:
            lines.append(Line(str(group), set(names), True, i))
            lines += [Line(f"  {name}", {code}, False, i) for code, name in names.items()]
        else:
            ((code, name),) = names.items()
            alone = "" if str(group).startswith("(") else f" ({group})"
            lines.append(Line(name + alone, {code}, False, i))
    return lines


def _draw(axes: Axes, lines: list[Line], gains: pd.DataFrame, styles: dict[str, Style]) -> None:
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    for i, line in enumerate(lines):
        if line.group % 2 == 0:
            axes.axhspan(i - 0.5, i + 0.5, color="#f2f2f2", linewidth=0, zorder=0)
    axes.axvline(0, color="0.25", linewidth=0.9, zorder=1)
    for k, (name, style) in enumerate(styles.items()):
        of_task = gains[gains["intermediate"] == name]
        means = [of_task["gap"][of_task["language"].isin(line.codes)].mean() for line in lines]
        shift = (k - (len(styles) - 1) / 2) * _BAND / max(len(styles), 3)
        for is_group, area in ((False, 16), (True, 42)):
            dots = [
                (mean, i + shift)
                for i, (mean, line) in enumerate(zip(means, lines, strict=True))
                if line.is_group == is_group and not pd.isna(mean)
            ]
            if dots:
                xs, ys = zip(*dots, strict=True)
                axes.scatter(
                    xs,
                    ys,
                    s=area,
                    color=style.colour,
                    marker=style.marker,
                    linewidths=0,
                    label=f"{name}, groups" if is_group else name,
                    zorder=3,
                )
