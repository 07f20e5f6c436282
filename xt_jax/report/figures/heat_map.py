"""Draws gaps to direct fine-tuning as maps of every intermediate task on every target."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, SymLogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from xt_jax.report.figures.panels import Margins, grid
from xt_jax.report.figures.style import GAP, LEVEL, SMALL, TEXT, text_height, wrapped
from xt_jax.report.statistics.scores import CONFIDENCE
from xt_jax.report.study_results import MEAN, Model, StudyResults
from xt_jax.report.text import points, size

_COLOURS = "RdBu"  # blue is a gain; distinct in all kinds of colour vision
_MOST = 15  # points up to which all colours are linear
_LINEAR = 5  # points up to which they are where gaps are larger, and logarithmic beyond
_TICKS = (1, 2, 5, 10, 20, 50)  # points
_FRAME: dict[str, Any] = {"fill": False, "edgecolor": "#111111", "linewidth": 1.8, "zorder": 3}
_FALSE = f"{100 * (1 - CONFIDENCE):.0f} %"


def heat_map(study: StudyResults, models: Sequence[Model]) -> Figure:
    """Draws a map for each model: a row per intermediate task, a column per target.

    A gap has a star where its interval excludes 0, and a frame where it is kept after the
    correction for the number of gaps.
    """
    labels = [wrapped(name, 18) for name in study.others]
    tall = max(0.3, *(0.06 + text_height(text, SMALL) for text in labels))
    titles = [
        wrapped(f"{model.name}, {size(model.encoder_params)} encoder parameters", 90)
        for model in models
    ]
    above = 0.35 + max(text_height(title, TEXT) for title in titles)
    margins = Margins(left=1.7, right=0.15, top=0.85 + above, bottom=0.15, down=0.12 + above)
    figure, rows = grid([tall * len(labels)] * len(models), 1, margins)
    norm = colours(study)
    for model, title, (axes,) in zip(models, titles, rows, strict=True):
        _draw_map(axes, study, model, norm)
        axes.set_yticks(range(len(labels)), labels, fontsize=SMALL)
        axes.set_title(title, loc="left", fontweight="bold", fontsize=TEXT, pad=24)
    _legend(figure, norm, has_marks=any(gap.estimate.has_interval for gap in study.target_gaps))
    return figure


def colours(study: StudyResults) -> Normalize:
    """Returns the scale of the colours, whose ends are the largest gap of the study or beyond."""
    gaps = [gap.estimate.value for gap in study.findings.gaps if not gap.language]
    limit = max(1, math.ceil(max(map(abs, gaps), default=0)))
    if limit <= _MOST:
        return Normalize(-limit, limit)
    return SymLogNorm(_LINEAR, vmin=-limit, vmax=limit, base=10)


def _draw_map(axes: Axes, study: StudyResults, model: Model, norm: Normalize) -> None:
    targets = [MEAN, *study.targets]
    rows, columns = len(study.others), len(targets)
    values = np.full((rows, columns), np.nan)
    for i, name in enumerate(study.others):
        for j, target in enumerate(targets):
            gap = study.gap(model.name, name, target)
            text, colour, weight = "–", "0.4", "normal"
            if gap is not None:
                values[i, j] = gap.estimate.value
                text, colour = points(values[i, j]), _ink(norm(values[i, j]))
                text += "*" if gap.estimate.excludes_zero else ""
                if gap in study.kept:
                    weight = "bold"
                    axes.add_patch(Rectangle((j - 0.46, i - 0.43), 0.92, 0.86, **_FRAME))
            options = {"fontsize": SMALL, "color": colour, "fontweight": weight}
            axes.text(j, i, text, options, ha="center", va="center")
    edges = np.arange(columns + 1) - 0.5, np.arange(rows + 1) - 0.5
    masked = np.ma.masked_invalid(values)
    axes.set_facecolor("#eeeeee")
    axes.pcolormesh(*edges, masked, cmap=_COLOURS, norm=norm, edgecolors="white")
    axes.set_ylim(rows - 0.5, -0.5)
    axes.axvline(0.5, color="white", linewidth=5)
    axes.xaxis.tick_top()
    axes.set_xticks(range(columns), [target or "mean" for target in targets], fontsize=SMALL)
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


def _legend(figure: Figure, norm: Normalize, *, has_marks: bool) -> None:
    """Draws the bar of colours with its ticks, and says what the marks mean."""
    height, limit = figure.get_figheight(), float(norm.vmax or 0)
    axes = figure.add_axes((0.34, 1 - 0.2 / height, 0.58, 0.12 / height))
    ramp = np.linspace(0, 1, 256)[None]
    axes.imshow(ramp, cmap=_COLOURS, aspect="auto", extent=(0, 1, 0, 1))
    inner = [tick for tick in _TICKS if 0.1 * min(limit, _MOST) < tick < 0.8 * limit]
    ticks = [-limit, *(-tick for tick in reversed(inner)), 0, *inner, limit]
    texts = [f"{tick:+.0f}" if tick else "0" for tick in ticks]
    axes.set_xticks([float(norm(tick)) for tick in ticks], texts)
    axes.set_yticks([])
    axes.tick_params(labelsize=SMALL, length=2, pad=2)
    _without_frame(axes)
    notes = ["colours: linear" + (f" up to ±{_LINEAR:.0f}, logarithmic beyond" * (limit > _MOST))]
    if has_marks:
        kept = f"framed: single targets kept at a false discovery rate of {_FALSE}"
        notes += [f"*: {LEVEL} interval excludes 0", kept]
    figure.text(0.33, 1 - 0.14 / height, GAP, ha="right", va="center", fontsize=SMALL)
    figure.text(0.5, 1 - 0.62 / height, "; ".join(notes), ha="center", va="center", fontsize=SMALL)
