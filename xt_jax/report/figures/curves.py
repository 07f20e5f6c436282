"""Draws learning curves from the logs of training phases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xt_jax.report.figures.style import (
    SMALL,
    Margins,
    Style,
    abreast,
    grid,
    label,
    legend,
    legend_height,
    row_label,
    wrapped,
)
from xt_jax.report.phase_logs import Curve, PhaseLog
from xt_jax.report.statistics.scores import in_task_order
from xt_jax.tasks.table import DIRECT

_MIN_POINTS = 2

Phases = Sequence[PhaseLog]
Panels = dict[tuple[str, str], Axes]  # by trained task and model


def measure_of(phases: Phases) -> str:
    """Returns `dev` where most phases were evaluated more than once, else `loss`, or ""."""
    counts = {
        name: sum(len(getattr(phase, name)) >= _MIN_POINTS for phase in phases)
        for name in ("dev", "loss")
    }
    if 2 * counts["dev"] >= max(counts.values()) > 0:
        return "dev"
    return "loss" if counts["loss"] else ""


def curve_figure(phases: Phases, models: Sequence[str], styles: dict[str, Style]) -> Figure:
    """Draws a row per trained task, a column per model, and a line per intermediate task.

    A line is the mean over seeds at the steps that all of them have; the band reaches from the
    lowest to the highest of them.
    """
    measure = measure_of(phases)
    curves: dict[tuple[str, str], dict[str, list[Curve]]] = defaultdict(lambda: defaultdict(list))
    for phase in phases:
        curve = getattr(phase, measure)
        if len(curve) >= _MIN_POINTS and phase.model in models:
            curves[_title(phase), phase.model][phase.after or DIRECT].append(curve)
    tasks = _in_order({task for task, _ in curves})
    used = {name: styles[name] for name in styles if any(name in by for by in curves.values())}
    figure, panels = (_abreast if len(models) == 1 else _grid)(tasks, models, legend_height(used))
    for key, axes in panels.items():
        for name, style in used.items():
            by_seed = [dict(curve) for curve in curves.get(key, {}).get(name, [])]
            steps = sorted(set(by_seed[0]).intersection(*by_seed)) if by_seed else []
            if steps:
                values = np.array([[curve[step] for step in steps] for curve in by_seed])
                low, mean, high = values.min(axis=0), values.mean(axis=0), values.max(axis=0)
                axes.plot(steps, mean, label=name, color=style.colour, linewidth=1.3, zorder=3)
                axes.fill_between(steps, low, high, color=style.colour, alpha=0.15, linewidth=0)
        axes.tick_params(labelsize=SMALL - 1)
        axes.locator_params(axis="x", nbins=3)
        axes.locator_params(axis="y", nbins=4)
    legend(figure, used, line=True, markers=False)
    text = "step of training; lines: mean over seeds; bands: lowest to highest seed"
    label(figure, text, "score on English dev (%)" if measure == "dev" else "loss of the step")
    return figure


def _abreast(tasks: Sequence[str], models: Sequence[str], top: float) -> tuple[Figure, Panels]:
    """Returns a panel for each task of the only model."""
    margins = Margins(left=0.85, top=top + 0.5, across=0.5, down=0.5)
    figure, panels = abreast(len(tasks), 1.4, margins)
    for axes, task in zip(panels, tasks, strict=True):
        axes.set_title(wrapped(task, 34), fontsize=9, fontweight="bold")
    return figure, {(task, models[0]): axes for task, axes in zip(tasks, panels, strict=True)}


def _grid(tasks: Sequence[str], models: Sequence[str], top: float) -> tuple[Figure, Panels]:
    """Returns a row of panels for each task, with a column for each model."""
    margins = Margins(left=1.5, top=top + 0.35, across=0.42, down=0.26)
    figure, rows = grid([1.05] * len(tasks), len(models), margins)
    for axes, model in zip(rows[0], models, strict=True):
        axes.set_title(wrapped(model, 100 // len(models)), fontsize=9, fontweight="bold")
    for row, task in zip(rows, tasks, strict=True):
        row_label(row[0], task)
    return figure, {
        (task, model): axes
        for task, row in zip(tasks, rows, strict=True)
        for model, axes in zip(models, row, strict=True)
    }


def _title(phase: PhaseLog) -> str:
    """Returns the trained tasks, marked as intermediate where the phase is intermediate."""
    return f"{phase.phase}, intermediate" if phase.role == "intermediate" else phase.phase


def _in_order(tasks: Collection[str]) -> list[str]:
    """Returns single tasks in the order of the table of tasks, then mixtures."""
    mixtures = sorted(task for task in tasks if "+" in task)
    return [*in_task_order({task for task in tasks if "+" not in task}), *mixtures]
