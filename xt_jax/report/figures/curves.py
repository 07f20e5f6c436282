"""Draws learning curves from the logs of training phases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from xt_jax.report.figures.panels import (
    Margins,
    abreast,
    grid,
    label,
    row_label,
    title,
    title_height,
)
from xt_jax.report.figures.style import (
    FEW_POINTS,
    SMALL,
    Style,
    entries,
    legend,
    legend_height,
)
from xt_jax.report.phase_logs import Curve, PhaseLog
from xt_jax.report.statistics.chance import chance_line, chance_loss
from xt_jax.report.statistics.scores import in_task_order
from xt_jax.tasks.table import DIRECT

_MIN_POINTS = 2
_LEAST = {"dev": 5.0, "loss": 0.1}  # of a scale: points, nats
_CHANCE: dict[str, Any] = {"color": "0.35", "linestyle": "--", "linewidth": 1.1, "label": "chance"}

Phases = Sequence[PhaseLog]
Panels = dict[tuple[str, str], Axes]  # by title and model
Curves = dict[tuple[str, str], dict[str, list[Curve]]]  # likewise, then by `start_of`


def measure_of(phases: Phases) -> str:
    """Returns `dev` where most phases were evaluated more than once, else `loss`, or ""."""
    counts = {
        name: sum(len(getattr(phase, name)) >= _MIN_POINTS for phase in phases)
        for name in ("dev", "loss")
    }
    if 2 * counts["dev"] >= max(counts.values()) > 0:
        return "dev"
    return "loss" if counts["loss"] else ""


def start_of(phase: PhaseLog) -> str:
    """Returns the intermediate task that a phase starts from, or that it is."""
    return phase.phase if phase.role == "intermediate" else phase.after or DIRECT


def curve_figure(phases: Phases, models: Sequence[str], styles: dict[str, Style]) -> Figure:
    """Draws a row per trained task, a column per model, and a line per intermediate task.

    A line is the mean over seeds at the steps that all of them have; the band reaches from the
    lowest to the highest of them.
    """
    measure = measure_of(phases)
    curves: Curves = defaultdict(lambda: defaultdict(list))
    levels: dict[str, float | None] = {}
    for phase in phases:
        curve = getattr(phase, measure)
        if len(curve) >= _MIN_POINTS and phase.model in models:
            curves[_title(phase), phase.model][start_of(phase)].append(curve)
            levels[_title(phase)] = (chance_line if measure == "dev" else chance_loss)(phase.phase)
    every = [curve for by_start in curves.values() for of in by_start.values() for curve in of]
    few = min(map(len, every)) <= FEW_POINTS
    used = {name: styles[name] for name in styles if any(name in by for by in curves.values())}
    shown = entries(used, line=True, markers=few)
    if any(level is not None for level in levels.values()):
        shown.append(Line2D([], [], **_CHANCE))
    placed = _abreast if len(models) == 1 else _grid
    figure, panels = placed(_in_order(levels), models, legend_height(shown))
    for key, axes in panels.items():
        if key not in curves:
            axes.set(xticks=[], yticks=[])
            axes.text(0.5, 0.5, "no log", transform=axes.transAxes, ha="center", color="0.4")
            continue
        for name, style in used.items():
            _draw(axes, curves[key].get(name, []), name, style)
        if (level := levels[key[0]]) is not None:
            axes.axhline(level, zorder=2, **_CHANCE)
        _widen(axes, _LEAST[measure])
        axes.tick_params(labelsize=SMALL)
        axes.locator_params(axis="x", nbins=3)
        axes.locator_params(axis="y", nbins=4)
    legend(figure, shown)
    several = max(len(of) for by_start in curves.values() for of in by_start.values()) > 1
    text = "step of training" + "; markers: where it was measured" * few
    text += "; lines: mean over seeds; bands: lowest to highest seed" * several
    label(figure, text, "score on English dev (%)" if measure == "dev" else "loss of the step")
    return figure


def _draw(axes: Axes, by_seed: Sequence[Curve], name: str, style: Style) -> None:
    seeds = [dict(curve) for curve in by_seed]
    steps = sorted(set(seeds[0]).intersection(*seeds)) if seeds else []
    if steps:
        values = np.array([[curve[step] for step in steps] for curve in seeds])
        low, mean, high = values.min(axis=0), values.mean(axis=0), values.max(axis=0)
        look = style.line | {"markersize": 4.5 if len(steps) <= FEW_POINTS else 0}
        axes.plot(steps, mean, label=name, zorder=3, **look)
        if len(seeds) > 1:
            axes.fill_between(steps, low, high, color=style.colour, alpha=0.15, linewidth=0)


def _widen(axes: Axes, least: float) -> None:
    """Makes the scale reach over `least`, so that noise does not look like learning."""
    low, high = axes.get_ylim()
    more = max(least - (high - low), 0) / 2
    axes.set_ylim(low - more, high + more)


def _abreast(titles: Sequence[str], models: Sequence[str], top: float) -> tuple[Figure, Panels]:
    """Returns a panel for each task of the only model."""
    figure, panels = abreast(titles, 1.4, Margins(top=top + 0.1, across=0.6, down=0.35))
    return figure, {(text, models[0]): axes for text, axes in zip(titles, panels, strict=True)}


def _grid(titles: Sequence[str], models: Sequence[str], top: float) -> tuple[Figure, Panels]:
    """Returns a row of panels for each task, with a column for each model."""
    margins = Margins(left=1.6, across=0.5, down=0.3)
    above = top + title_height(models, margins.panel(len(models))) + 0.1
    margins = replace(margins, top=above)
    figure, rows = grid([1.05] * len(titles), len(models), margins)
    for axes, model in zip(rows[0], models, strict=True):
        title(axes, model)
    for row, text in zip(rows, titles, strict=True):
        row_label(row[0], text)
    return figure, {
        (text, model): axes
        for text, row in zip(titles, rows, strict=True)
        for model, axes in zip(models, row, strict=True)
    }


def _title(phase: PhaseLog) -> str:
    """Returns the trained tasks, marked as intermediate where the phase is intermediate."""
    return f"{phase.phase}, intermediate" if phase.role == "intermediate" else phase.phase


def _in_order(titles: Collection[str]) -> list[str]:
    """Returns single tasks in the order of the table of tasks, then mixtures."""
    mixtures = sorted(text for text in titles if "+" in text)
    return [*in_task_order({text for text in titles if "+" not in text}), *mixtures]
