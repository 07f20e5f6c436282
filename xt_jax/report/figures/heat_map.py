"""Gaps to direct fine-tuning as maps: every intermediate task on every target."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from xt_jax.report.evidence import MEAN, Evidence, Model
from xt_jax.report.figures.looks import GAP, LEVEL, SMALL, Margins, grid, wrapped
from xt_jax.report.wording import excludes_zero, points, size

_COLOURS = "RdBu"  # blue is a gain; told apart by all kinds of colour vision


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
    figure.text(0.29, 1 - 0.14 / height, GAP, ha="right", va="center", fontsize=9)
    figure.text(
        0.71, 1 - 0.14 / height, f"bold*: {LEVEL} interval excludes 0", va="center", fontsize=9
    )
