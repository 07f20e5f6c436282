"""Draws retrieval scores with the hidden states of every layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from xt_jax.report.figures.panels import Margins, grid, label, title, title_height
from xt_jax.report.figures.style import SMALL, Style, entries, legend, legend_height
from xt_jax.report.model_tables import counted_layer, layer_grids
from xt_jax.report.statistics.scores import seed_means
from xt_jax.report.study_results import Model, StudyResults


class Sweep(NamedTuple):
    """The scores of one target and model at each layer, as means over languages and seeds.

    Attributes:
        scores: intermediate task -> layer -> score.
        counted: the layer whose score is the task's.
    """

    metric: str
    last: int
    scores: dict[str, dict[int, float]]
    counted: int | None


Sweeps = dict[str, dict[str, Sweep]]  # by target and model


def sweeps(study: StudyResults) -> Sweeps:
    """Returns the sweep of each target and model, by its first metric with at least two layers."""
    swept: Sweeps = {}
    for model in study.models:
        for (target, metric), scored in model.grids.items():
            layers = layer_grids(model, target, metric)
            if len(layers) < 2 or model.name in swept.get(target, {}):
                continue
            scores: dict[str, dict[int, float]] = {}
            for layer, at_layer in layers.items():
                for name, values in at_layer.scores.items():
                    scores.setdefault(name, {})[layer] = float(seed_means(values).mean())
            sweep = Sweep(metric, max(layers), scores, counted_layer(layers, scored))
            swept.setdefault(target, {})[model.name] = sweep
    return {target: swept[target] for target in study.targets if target in swept}


def layer_figure(swept: Sweeps, models: Sequence[Model], styles: dict[str, Style]) -> Figure:
    """Draws a row per retrieval task and a column per model, over relative depth."""
    ring = Line2D([], [], label="the layer that counts", linestyle="", **_ring("0.3"))
    shown = [*entries(styles, line=True), ring]
    margins = Margins(left=0.95, bottom=0.6, down=0.18)
    names = [_title(swept, model) for model in models]
    above = legend_height(shown) + title_height(names, margins.panel(len(models)))
    margins = replace(margins, top=above + 0.1)
    figure, rows = grid([2.0] * len(swept), len(models), margins)
    for axes, name in zip(rows[0], names, strict=True):
        title(axes, name)
    for (target, by_model), row in zip(swept.items(), rows, strict=True):
        top = max(v for s in by_model.values() for by in s.scores.values() for v in by.values())
        for model, axes in zip(models, row, strict=True):
            _draw(axes, by_model.get(model.name), styles)
            axes.set_ylim(0, 1.08 * max(top, 1.0))
            axes.tick_params(labelsize=SMALL, labelbottom=row is rows[-1], bottom=row is rows[-1])
            axes.tick_params(labelleft=axes is row[0], left=axes is row[0])
        metric = next(iter(by_model.values())).metric
        row[0].set_ylabel(f"{target}\n{metric} (%)", fontsize=SMALL)
    legend(figure, shown)
    label(figure, "relative depth: 0 is the embeddings, 1 the last layer")
    return figure


def _title(swept: Sweeps, model: Model) -> str:
    depth = max(by[model.name].last for by in swept.values() if model.name in by)
    return f"{model.name}\n{depth} layers"


def _ring(colour: str) -> dict[str, Any]:
    return {"marker": "o", "ms": 9, "markerfacecolor": "none", "markeredgecolor": colour}


def _draw(axes: Axes, sweep: Sweep | None, styles: dict[str, Style]) -> None:
    axes.set_xlim(-0.06, 1.06)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    if sweep is None:
        axes.text(0.5, 0.5, "no layers", transform=axes.transAxes, ha="center", color="0.4")
        return
    for name, style in styles.items():
        scores = sweep.scores.get(name, {})
        depths = [layer / sweep.last for layer in scores]
        if scores:
            axes.plot(depths, list(scores.values()), label=name, zorder=3, **style.line)
        if sweep.counted in scores:
            depth = sweep.counted / sweep.last
            axes.plot(depth, scores[sweep.counted], zorder=2, **_ring(style.colour))
