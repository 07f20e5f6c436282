"""Provides what figures share: colours, markers, legends, size axes, grids of panels."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from xt_jax.report.statistics.scores import CONFIDENCE, direct_first
from xt_jax.report.text import size
from xt_jax.tasks.table import DIRECT

T = TypeVar("T")

WIDTH = 10  # inches: 960 CSS pixels of the SVG
SMALL = 8.5  # points
GAP = f"gap to {DIRECT} (percentage points)"
LEVEL = f"{100 * CONFIDENCE:.0f} %"  # of intervals
SIZES = "encoder parameters, without embeddings (log scale)"
_MAX_COLUMNS = 5  # of panels beside one another
_ABREAST = 3  # panels of a figure that has one for each target
# Okabe and Ito's palette for all kinds of colour vision, without yellow, which is faint on white.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_MARKERS = ("o", "s", "^", "v", "P", "X", "<")


class Style(NamedTuple):
    """The colour and marker of an intermediate task in all figures; 42 combinations differ."""

    colour: str
    marker: str

    @property
    def line(self) -> dict[str, Any]:
        """The options of a line through markers."""
        return {"color": self.colour, "marker": self.marker, "linewidth": 1.4, "markersize": 4.5}


def styles_of(names: Collection[str]) -> dict[str, Style]:
    """Returns the style of each intermediate task, in the order in which they are drawn."""
    tasks = [name for name in direct_first(names) if name != DIRECT]
    styles = {
        name: Style(_COLOURS[i % len(_COLOURS)], _MARKERS[i % len(_MARKERS)])
        for i, name in enumerate(tasks)
    }
    return {DIRECT: Style("#000000", "D"), **styles} if DIRECT in names else styles


@dataclass(frozen=True)
class Margins:
    """The space around the panels of a grid and between them, in inches."""

    left: float = 0.75
    right: float = 0.12
    top: float = 0.75
    bottom: float = 0.6
    across: float = 0.15
    down: float = 0.2


def grid(
    heights: Sequence[float], columns: int, margins: Margins
) -> tuple[Figure, list[list[Axes]]]:
    """Places panels [row][column] by hand, as automatic layout of many panels is slow.

    Args:
        heights: the height of each row of panels, in inches.
    """
    down = margins.down * (len(heights) - 1)
    height = margins.top + sum(heights) + down + margins.bottom
    figure = Figure(figsize=(WIDTH, height))
    inner = WIDTH - margins.left - margins.right - margins.across * (columns - 1)
    panel = inner / columns
    rows, y = [], height - margins.top
    for row_height in heights:
        y -= row_height
        boxes = [
            (margins.left + i * (panel + margins.across), y, panel, row_height)
            for i in range(columns)
        ]
        rows.append(
            [
                figure.add_axes((x / WIDTH, y / height, w / WIDTH, h / height))
                for x, y, w, h in boxes
            ]
        )
        y -= margins.down
    return figure, rows


def abreast(count: int, height: float, margins: Margins) -> tuple[Figure, list[Axes]]:
    """Places `count` panels of a height in inches, three beside one another."""
    columns = min(_ABREAST, count)
    figure, rows = grid([height] * math.ceil(count / columns), columns, margins)
    panels = [axes for row in rows for axes in row]
    for axes in panels[count:]:
        axes.remove()
    return figure, panels[:count]


def label(figure: Figure, x: str, y: str = "") -> None:
    """Names the shared axes of all panels, below them and on their left."""
    figure.supxlabel(x, fontsize=10, y=0.1 / figure.get_figheight(), va="bottom")
    figure.supylabel(y, fontsize=10, x=0.12 / WIDTH)


def row_label(axes: Axes, text: str, *, bold: bool = False) -> None:
    """Names a row of panels on the left of its first panel."""
    weight = "bold" if bold else "normal"
    axes.set_ylabel(wrapped(text, 12), rotation=0, ha="right", va="center", fontweight=weight)
    axes.yaxis.set_label_coords(-0.42 / (axes.get_position().width * WIDTH), 0.5)


def legend(
    figure: Figure,
    styles: dict[str, Style],
    more: Sequence[Artist] = (),
    *,
    line: bool = False,
    markers: bool = True,
) -> None:
    """Draws one legend above the panels of a `grid`, in a margin of `legend_height`."""
    handles: list[Artist] = []
    for name, style in styles.items():
        options = {**style.line, "markersize": 5.5 if markers else 0}
        handles.append(Line2D([], [], label=wrapped(name), ls="-" if line else "", **options))
    figure.legend(
        handles=[*handles, *more],
        loc="upper center",
        bbox_to_anchor=(0.5, 1 - 0.05 / figure.get_figheight()),
        ncols=_legend_columns(styles, len(more)),
        frameon=False,
        borderaxespad=0,
    )


def legend_height(styles: dict[str, Style], more: int = 0) -> float:
    """Returns the height of the legend in inches, with `more` entries beside the styles."""
    rows = math.ceil((len(styles) + more) / _legend_columns(styles, more))
    lines = rows * max((wrapped(name).count("\n") + 1 for name in styles), default=1)
    return 0.2 * lines + 0.1


def _legend_columns(styles: dict[str, Style], more: int) -> int:
    longest = max((len(line) for name in styles for line in wrapped(name).split("\n")), default=1)
    return max(1, min(len(styles) + more, 100 // (longest + 6)))


def wrapped(name: str, width: int = 44) -> str:
    """Breaks a name into lines of at most `width`, after spaces and the `+` of mixtures."""
    filled = textwrap.fill(name.replace("+", "+ "), width, break_on_hyphens=False)
    return filled.replace("+ ", "+")


def size_axis(axes: Axes, sizes: Sequence[int], apart: float = 0.17) -> None:
    """Makes a logarithmic axis whose ticks are the model sizes themselves.

    Args:
        sizes: from small to large.
        apart: the least distance of labels as a share of the axis; sizes between the first and the
            last that are closer have no label.
    """
    span = math.log(sizes[-1] / sizes[0]) or 1.0
    axes.set_xscale("log")
    axes.set_xlim(sizes[0] * math.exp(-0.12 * span), sizes[-1] * math.exp(0.12 * span))
    shown = [sizes[0]]
    for params in sizes[1:-1]:
        if min(math.log(params / shown[-1]), math.log(sizes[-1] / params)) > apart * span:
            shown.append(params)
    if sizes[-1] > sizes[0]:
        shown.append(sizes[-1])
    axes.set_xticks(shown, [size(params) for params in shown])
    axes.set_xticks([], minor=True)


def in_parts(items: Sequence[T], most: int = _MAX_COLUMNS) -> Iterator[Sequence[T]]:
    """Divides items into as few parts of at most `most` as possible, of nearly equal length."""
    parts = math.ceil(len(items) / most)
    start = 0
    for i in range(parts):
        end = start + math.ceil((len(items) - start) / (parts - i))
        yield items[start:end]
        start = end
