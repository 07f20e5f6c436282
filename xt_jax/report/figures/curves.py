"""Learning curves from the logs of phases."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xt_jax.report.evidence import in_task_order
from xt_jax.report.figures.looks import (
    SMALL,
    WIDTH,
    Look,
    Margins,
    grid,
    legend,
    legend_height,
    row_label,
    wrapped,
)
from xt_jax.report.phase_logs import Curve, PhaseLog
from xt_jax.tasks.table import DIRECT

_MIN_POINTS = 2
_ACROSS = 3

Phases = Sequence[PhaseLog]


def measure_of(phases: Phases) -> str:
    """`dev` where most phases were evaluated more than once, else `loss`; "" where neither is."""
    counts = {
        name: sum(len(getattr(phase, name)) >= _MIN_POINTS for phase in phases)
        for name in ("dev", "loss")
    }
    if 2 * counts["dev"] >= max(counts.values()) > 0:
        return "dev"
    return "loss" if counts["loss"] else ""


def curve_figure(phases: Phases, models: Sequence[str], looks: dict[str, Look]) -> Figure:
    """A row per trained task, a column per model, a line per intermediate task before it.

    A line is the mean over seeds of the steps that all of them have; the band is from the lowest
    to the highest of them.
    """
    measure = measure_of(phases)
    groups: dict[tuple[str, str], dict[str, list[Curve]]] = defaultdict(lambda: defaultdict(list))
    for phase in phases:
        curve = getattr(phase, measure)
        if len(curve) >= _MIN_POINTS and phase.model in models:
            groups[_title(phase), phase.model][phase.after or DIRECT].append(curve)
    tasks = _in_order({task for task, _ in groups})
    used = {name for by_after in groups.values() for name in by_after}
    mine = {name: look for name, look in looks.items() if name in used}
    figure, panels = _panels(tasks, models, legend_height(mine))
    for where, axes in panels.items():
        for name, look in mine.items():
            steps, means, lows, highs = _mean(groups.get(where, {}).get(name, []))
            if steps:
                axes.plot(steps, means, label=name, color=look.colour, linewidth=1.3, zorder=3)
                axes.fill_between(steps, lows, highs, color=look.colour, alpha=0.15, linewidth=0)
        axes.tick_params(labelsize=SMALL - 1)
        axes.locator_params(axis="x", nbins=3)
        axes.locator_params(axis="y", nbins=4)
    legend(figure, mine, line=True, markers=False)
    what = "score on English dev (%)" if measure == "dev" else "loss of the step"
    text = "step of training; lines: mean over seeds; bands: lowest to highest seed"
    figure.supxlabel(text, fontsize=10, y=0.12 / figure.get_figheight(), va="bottom")
    figure.supylabel(what, fontsize=10, x=0.12 / WIDTH)
    return figure


def _panels(
    tasks: Sequence[str], models: Sequence[str], top: float
) -> tuple[Figure, dict[tuple[str, str], Axes]]:
    """A row per task and a column per model; of a single model three tasks abreast."""
    if len(models) == 1:
        down = math.ceil(len(tasks) / _ACROSS)
        margins = Margins(left=0.85, top=top + 0.5, bottom=0.6, across=0.5, down=0.5)
        figure, rows = grid([1.4] * down, _ACROSS, margins)
        places = [axes for row in rows for axes in row]
        for axes, task in zip(places, tasks, strict=False):
            axes.set_title(wrapped(task, 34), fontsize=9, fontweight="bold")
        for axes in places[len(tasks) :]:
            axes.remove()
        return figure, {(task, models[0]): axes for task, axes in zip(tasks, places, strict=False)}
    margins = Margins(left=1.5, top=top + 0.35, bottom=0.6, across=0.42, down=0.26)
    figure, rows = grid([1.05] * len(tasks), len(models), margins)
    for task, row in zip(tasks, rows, strict=True):
        row_label(row[0], task)
    for model, axes in zip(models, rows[0], strict=True):
        axes.set_title(wrapped(model, 100 // len(models)), fontsize=9, fontweight="bold")
    return figure, {
        (task, model): axes
        for task, row in zip(tasks, rows, strict=True)
        for model, axes in zip(models, row, strict=True)
    }


def _mean(
    curves: Iterable[Curve],
) -> tuple[list[int], list[float], list[float], list[float]]:
    """Steps, means, lowest and highest."""
    by_seed = [dict(curve) for curve in curves]
    if not by_seed:
        return [], [], [], []
    steps = sorted(set.intersection(*(set(values) for values in by_seed)))
    columns = [[values[step] for values in by_seed] for step in steps]
    return steps, list(map(fmean, columns)), list(map(min, columns)), list(map(max, columns))


def _title(phase: PhaseLog) -> str:
    """A task can be both: an intermediate phase of it is not a target phase without one."""
    return f"{phase.phase}, intermediate" if phase.role == "intermediate" else phase.phase


def _in_order(tasks: set[str]) -> list[str]:
    """Mixtures of tasks last."""
    return [
        *in_task_order({t for t in tasks if "+" not in t}),
        *sorted(t for t in tasks if "+" in t),
    ]
