"""What all figures share: the looks of branches, legends, axes of sizes, grids in inches."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from xt_jax.report.statistics.compare import CONFIDENCE, direct_first
from xt_jax.report.wording import size
from xt_jax.tasks.table import DIRECT

T = TypeVar("T")

WIDTH = 10  # inches: 960 CSS pixels of the SVG
MAX_COLUMNS = 5  # of panels beside one another
SMALL = 8.5  # points
GAP = f"gap to {DIRECT} (percentage points)"
LEVEL = f"{100 * CONFIDENCE:.0f} %"  # of intervals
# Okabe and Ito's palette for all kinds of colour vision, without yellow, which is faint on white.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_MARKERS = ("o", "s", "^", "v", "P", "X", "<")


class Look(NamedTuple):
    """Of one branch, the same in all figures; no two of up to 42 are alike."""

    colour: str
    marker: str


_DIRECT = Look("#000000", "D")


def looks_of(names: Collection[str]) -> dict[str, Look]:
    """The look of each branch, in the order in which they are drawn."""
    others = [name for name in direct_first(names) if name != DIRECT]
    looks = {
        name: Look(_COLOURS[i % len(_COLOURS)], _MARKERS[i % len(_MARKERS)])
        for i, name in enumerate(others)
    }
    return {DIRECT: _DIRECT, **looks} if DIRECT in names else looks


@dataclass(frozen=True)
class Margins:
    """Inches round the panels of a grid and between them."""

    left: float = 0.75
    right: float = 0.12
    top: float = 0.75
    bottom: float = 0.6
    across: float = 0.15
    down: float = 0.2


def grid(
    heights: Sequence[float], columns: int, margins: Margins, *, width: float = WIDTH
) -> tuple[Figure, list[list[Axes]]]:
    """Panels at fixed places, [row][column]: nothing is laid out, which takes long for many.

    Args:
        heights: of each row of panels, in inches.
    """
    down = margins.down * (len(heights) - 1)
    height = margins.top + sum(heights) + down + margins.bottom
    figure = Figure(figsize=(width, height))
    inner = width - margins.left - margins.right - margins.across * (columns - 1)
    panel = inner / columns
    rows, y = [], height - margins.top
    for row_height in heights:
        y -= row_height
        row = []
        for i in range(columns):
            x = margins.left + i * (panel + margins.across)
            box = (x / width, y / height, panel / width, row_height / height)
            row.append(figure.add_axes(box))
        rows.append(row)
        y -= margins.down
    return figure, rows


def row_label(axes: Axes, text: str, *, bold: bool = False, away: float = 0.42) -> None:
    """Names a row of panels, level and `away` inches left of the first."""
    axes.set_ylabel(
        wrapped(text, 12),
        rotation=0,
        ha="right",
        va="center",
        fontweight="bold" if bold else "normal",
    )
    width = axes.get_position().width * WIDTH
    axes.yaxis.set_label_coords(-away / width, 0.5)


def legend(
    figure: Figure,
    looks: dict[str, Look],
    more: Sequence[Artist] = (),
    *,
    line: bool = False,
    markers: bool = True,
) -> None:
    """One above the panels of a `grid`; `legend_height` says how many inches it needs."""
    handles: list[Artist] = [
        branch_handle(name, look if markers else look._replace(marker=""), line)
        for name, look in looks.items()
    ]
    handles += more
    height = figure.get_figheight()
    figure.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, 1 - 0.05 / height),
        ncols=legend_columns(looks, len(more)),
        frameon=False,
        borderaxespad=0,
    )


def legend_height(looks: dict[str, Look], more: int = 0) -> float:
    return 0.2 * legend_lines(looks, more) + 0.1


def branch_handle(name: str, look: Look, line: bool = False) -> Line2D:
    return Line2D(
        [],
        [],
        label=wrapped(name),
        linestyle="-" if line else "",
        linewidth=1.4,
        color=look.colour,
        marker=look.marker,
        markersize=5.5,
    )


def legend_columns(looks: dict[str, Look], more: int = 1) -> int:
    longest = max((len(line) for name in looks for line in wrapped(name).split("\n")), default=1)
    return max(1, min(len(looks) + more, 100 // (longest + 6)))


def legend_lines(looks: dict[str, Look], more: int = 1) -> int:
    rows = math.ceil((len(looks) + more) / legend_columns(looks, more))
    return rows * max((wrapped(name).count("\n") + 1 for name in looks), default=1)


def wrapped(name: str, width: int = 44) -> str:
    """Lines of at most `width`, cut after spaces and the `+` of mixtures where that is enough."""
    filled = textwrap.fill(name.replace("+", "+ "), width, break_on_hyphens=False)
    return filled.replace("+ ", "+")


def size_axis(axes: Axes, sizes: Sequence[int], apart: float = 0.17) -> None:
    """A logarithmic axis with the sizes themselves as ticks.

    Args:
        sizes: from small to large.
        apart: labels are closer than this share of the axis nowhere: of those between the first
            and the last some are left out.
    """
    span = math.log(sizes[-1] / sizes[0]) or 1.0
    axes.set_xscale("log")
    axes.set_xlim(sizes[0] * math.exp(-0.12 * span), sizes[-1] * math.exp(0.12 * span))
    shown = [sizes[0]]
    for each in sizes[1:-1]:
        if min(math.log(each / shown[-1]), math.log(sizes[-1] / each)) > apart * span:
            shown.append(each)
    if math.log(sizes[-1] / sizes[0]) > 0:
        shown.append(sizes[-1])
    axes.set_xticks(shown, [size(each) for each in shown])
    axes.set_xticks([], minor=True)


def in_parts(things: Sequence[T], most: int = MAX_COLUMNS) -> Iterator[Sequence[T]]:
    """As few parts of at most `most` as there can be, of like length."""
    parts = math.ceil(len(things) / most)
    start = 0
    for i in range(parts):
        end = start + math.ceil((len(things) - start) / (parts - i))
        yield things[start:end]
        start = end
