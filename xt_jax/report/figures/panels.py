"""Places the panels of a figure, and names them and their axes."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xt_jax.report.figures.size_axis import further_rows
from xt_jax.report.figures.style import (
    SMALL,
    TEXT,
    WIDTH,
    text_height,
    text_width,
    wrapped,
)
from xt_jax.report.statistics.bootstrap import Estimate

_ABREAST = 3  # panels of a figure that has one for each target
_ROOM = 1.6  # a panel shows intervals to this share beyond its largest gap


@dataclass(frozen=True)
class Margins:
    """The space around the panels of a grid and between them, in inches."""

    left: float = 0.85
    right: float = 0.15
    top: float = 0.75
    bottom: float = 0.6
    across: float = 0.15
    down: float = 0.2

    def panel(self, columns: int) -> float:
        """Returns the width of a panel."""
        return (WIDTH - self.left - self.right - self.across * (columns - 1)) / columns


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
    panel = margins.panel(columns)
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


def abreast(
    titles: Sequence[str],
    height: float,
    margins: Margins,
    *,
    ladders: Collection[Sequence[int]] = (),
    bold: bool = True,
) -> tuple[Figure, list[Axes]]:
    """Places a panel for each title, three beside one another, four in two rows.

    Args:
        height: of a panel, in inches.
        margins: without the room for the titles.
        ladders: the sizes of each kind of `size_axis` below the panels.
        bold: whether the titles are.
    """
    columns = 2 if len(titles) == 4 else min(_ABREAST, len(titles))
    width = margins.panel(columns)
    above = title_height(titles, width)
    below = max((further_rows(sizes, width) for sizes in ladders), default=0.0)
    margins = replace(
        margins,
        top=margins.top + above,
        bottom=margins.bottom + below,
        down=margins.down + above + below,
    )
    figure, rows = grid([height] * math.ceil(len(titles) / columns), columns, margins)
    panels = [axes for row in rows for axes in row]
    for axes in panels[len(titles) :]:
        axes.remove()
    for axes, text in zip(panels, titles, strict=False):
        title(axes, text, bold=bold)
    return figure, panels[: len(titles)]


def label(figure: Figure, x: str, y: str = "") -> None:
    """Names the shared axes of all panels, below them and on their left."""
    figure.supxlabel(x, fontsize=TEXT, y=0.1 / figure.get_figheight(), va="bottom")
    figure.supylabel(y, fontsize=TEXT, x=0.12 / WIDTH)


def row_label(axes: Axes, text: str, *, bold: bool = False) -> None:
    """Names a row of panels on the left of its first panel."""
    weight = "bold" if bold else "normal"
    axes.set_ylabel(wrapped(text, 12), rotation=0, ha="right", va="center", fontweight=weight)
    axes.yaxis.set_label_coords(-0.48 / (axes.get_position().width * WIDTH), 0.5)


def title(axes: Axes, text: str, *, bold: bool = True, colour: str = "black") -> None:
    """Names a panel above it, in lines of its width."""
    lines = _lines(text, axes.get_position().width * WIDTH)
    weight = "bold" if bold else "normal"
    axes.set_title(lines, fontsize=SMALL, fontweight=weight, color=colour, linespacing=1.1)


def title_height(texts: Sequence[str], width: float) -> float:
    """Returns the height in inches of the highest title of panels of a width."""
    return 0.1 + max(text_height(_lines(text, width), SMALL) for text in texts)


def limits(estimates: Sequence[Estimate]) -> tuple[float, float]:
    """Returns the limits of a panel: all gaps, and as much of the intervals as stays legible."""
    most = (1 + _ROOM) * max((abs(e.value) for e in estimates), default=0) + 0.5
    ends = [
        0.0,
        *(end for e in estimates for end in (e.value, e.low, e.high) if not math.isnan(end)),
    ]
    low, high = (min(most, max(0.25, *(sign * end for end in ends))) for sign in (-1, 1))
    room = 0.08 * (low + high)  # for the markers
    return -low - room, high + room


def _lines(text: str, width: float) -> str:
    most = 0.95 * width / text_width("x", SMALL)
    return "\n".join(wrapped(line, most) for line in text.split("\n"))
