"""Retrieval with the hidden states of every layer."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from xt_jax.report.evidence import Evidence, Model
from xt_jax.report.figures.looks import SMALL, Look, Margins, grid, legend, legend_height, wrapped
from xt_jax.report.statistics.compare import at_layers, seed_means, values_of
from xt_jax.report.tables import counted_layer


class Sweep(NamedTuple):
    """Of one target and model: the mean over languages and seeds of each branch at each layer.

    `counted` is the layer whose score is the task's.
    """

    metric: str
    layers: list[int]
    scores: dict[str, dict[int, float]]
    counted: int | None


def sweeps(evidence: Evidence, models: Sequence[Model]) -> dict[str, dict[str, Sweep]]:
    """target -> model -> its sweep, where there is one of at least two layers."""
    found: dict[str, dict[str, Sweep]] = {}
    for target in evidence.targets:
        for model in models:
            sweep = _sweep(model, target)
            if sweep is not None:
                found.setdefault(target, {})[model.name] = sweep
    return found


def layer_figure(evidence: Evidence, models: Sequence[Model], looks: dict[str, Look]) -> Figure:
    """A row per retrieval task, a column per model, relative depth across."""
    found = sweeps(evidence, models)
    shown = [m for m in models if any(m.name in by_model for by_model in found.values())]
    ring = Line2D(
        [], [], label="the layer that counts", linestyle="", marker="o", markersize=9,
        markerfacecolor="none", markeredgecolor="0.3",
    )  # fmt: skip
    margins = Margins(left=0.9, top=legend_height(looks, 1) + 0.35, bottom=0.6, down=0.15)
    figure, rows = grid([2.0] * len(found), len(shown), margins)
    for (target, by_model), row in zip(found.items(), rows, strict=True):
        top = max(v for s in by_model.values() for by in s.scores.values() for v in by.values())
        for model, axes in zip(shown, row, strict=True):
            _draw(axes, by_model.get(model.name), looks)
            axes.set_ylim(0, 1.08 * max(top, 1.0))
            axes.tick_params(labelsize=SMALL, labelbottom=row is rows[-1])
            axes.tick_params(labelleft=axes is row[0])
            if row is rows[0]:
                title = f"{model.name}, {_depth(found, model)} layers"
                axes.set_title(wrapped(title, 100 // len(shown)), fontsize=9, fontweight="bold")
        metric = next(iter(by_model.values())).metric
        row[0].set_ylabel(f"{target}\n{metric} (%)", fontsize=9)
    legend(figure, looks, [ring], line=True)
    text = "relative depth: 0 is the embeddings, 1 the last layer"
    figure.supxlabel(text, fontsize=10, y=0.12 / figure.get_figheight(), va="bottom")
    return figure


def _sweep(model: Model, target: str) -> Sweep | None:
    for (name, metric), columns in model.main.items():
        layers = at_layers(model.scores, target, metric) if name == target else {}
        if len(layers) < 2:
            continue
        scores: dict[str, dict[int, float]] = {}
        for layer in sorted(layers):
            for branch, numbers in values_of(layers[layer]).items():
                scores.setdefault(branch, {})[layer] = fmean(seed_means(numbers))
        return Sweep(metric, sorted(layers), scores, counted_layer(layers, columns))
    return None


def _depth(found: dict[str, dict[str, Sweep]], model: Model) -> int:
    return max(by[model.name].layers[-1] for by in found.values() if model.name in by)


def _draw(axes: Axes, sweep: Sweep | None, looks: dict[str, Look]) -> None:
    axes.set_xlim(-0.06, 1.06)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    if sweep is None:
        axes.text(0.5, 0.5, "not swept", transform=axes.transAxes, ha="center", color="0.4")
        return
    last = sweep.layers[-1]
    for name, look in looks.items():
        points = sweep.scores.get(name, {})
        if not points:
            continue
        axes.plot(
            [layer / last for layer in points],
            list(points.values()),
            label=name,
            color=look.colour,
            marker=look.marker,
            markersize=4,
            linewidth=1.3,
            zorder=3,
        )
        if sweep.counted in points:
            axes.plot(
                sweep.counted / last, points[sweep.counted], marker="o", markersize=9,
                markerfacecolor="none", markeredgecolor=look.colour, zorder=2,
            )  # fmt: skip
