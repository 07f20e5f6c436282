"""Draws gaps to direct fine-tuning as maps of every intermediate task on every target."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from xt_jax.report.figures.style import GAP, LEVEL, SMALL, Margins, grid, wrapped
from xt_jax.report.study_results import MEAN, Model, StudyResults
from xt_jax.report.text import points, size

_COLOURS = "RdBu"  # blue is a gain; distinct in all kinds of colour vision


def heat_map(study: StudyResults, models: Sequence[Model]) -> Figure:
    """Draws a map for each model: a row per intermediate task, a column per target.

    A gap is bold with a star where its interval excludes 0.
    """
    labels = [wrapped(name, 18) for name in study.others]
    tall = max(0.3, *(0.16 * (text.count("\n") + 1) for text in labels))
    margins = Margins(left=1.6, right=0.15, top=0.95, bottom=0.15, down=0.62)
    figure, rows = grid([tall * len(labels)] * len(models), 1, margins)
    values = [gap.estimate.value for gap in study.findings.gaps if not gap.language]
    limit = max(1.0, float(np.quantile(np.abs(values), 0.95)) if values else 1.0)
    for model, (axes,) in zip(models, rows, strict=True):
        _draw_map(axes, study, model, Normalize(-limit, limit))
        axes.set_yticks(range(len(labels)), labels, fontsize=9)
        title = f"{model.name}, {size(model.encoder_params)} encoder parameters"
        axes.set_title(title, loc="left", fontweight="bold", fontsize=10, pad=22)
    _colour_bar(figure, limit)
    return figure


def _draw_map(axes: Axes, study: StudyResults, model: Model, norm: Normalize) -> None:
    targets = [MEAN, *study.targets]
    rows, columns = len(study.others), len(targets)
    values = np.full((rows, columns), np.nan)
    for i, name in enumerate(study.others):
        for j, target in enumerate(targets):
            gap = study.gap(model.name, name, target)
            text, colour, weight = "–", "0.5", "normal"
            if gap is not None:
                values[i, j] = gap.estimate.value
                text, colour = points(values[i, j]), _ink(norm(values[i, j]))
                if gap.estimate.excludes_zero:
                    text, weight = text + "*", "bold"
            options = {"fontsize": 9, "color": colour, "fontweight": weight}
            axes.text(j, i, text, options, ha="center", va="center")
    edges = np.arange(columns + 1) - 0.5, np.arange(rows + 1) - 0.5
    masked = np.ma.masked_invalid(values)
    axes.set_facecolor("#eeeeee")
    axes.pcolormesh(*edges, masked, cmap=_COLOURS, norm=norm, edgecolors="white")
    axes.set_ylim(rows - 0.5, -0.5)
    axes.axvline(0.5, color="white", linewidth=5)
    axes.xaxis.tick_top()
    axes.set_xticks(range(columns), [target or "mean" for target in targets])
    axes.get_xticklabels()[0].set_fontweight("bold")
    axes.tick_params(length=0)
    _without_frame(axes)


def _without_frame(axes: Axes) -> None:
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def _ink(position: float) -> str:
    """Returns black or white, whichever contrasts more with the colour at a position of the map."""
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
    axes.tick_params(labelsize=SMALL, length=2, pad=2)
    _without_frame(axes)
    y, significant = 1 - 0.14 / height, f"bold*: {LEVEL} interval excludes 0"
    figure.text(0.29, y, GAP, ha="right", va="center", fontsize=9)
    figure.text(0.71, y, significant, va="center", fontsize=9)
