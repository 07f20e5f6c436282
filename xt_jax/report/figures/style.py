"""Provides what figures share: sizes of text, colours and markers, legends."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from xt_jax.report.statistics.scores import CONFIDENCE, direct_first
from xt_jax.tasks.table import DIRECT

T = TypeVar("T")

WIDTH = 10  # inches: 960 CSS pixels of the SVG, which a page of 1,280 pixels shows unscaled
TEXT, SMALL = 10, 9  # points: 13 and 12 pixels on such a page
GAP = f"gap to {DIRECT} (percentage points)"
LEVEL = f"{100 * CONFIDENCE:.0f} %"  # of intervals
SIZES = "encoder parameters, without embeddings (log scale)"
FEW_POINTS = 20  # of a line, up to which each has a marker
_EM = 0.6  # the mean width of a character, of the text's size
_LINE = 1.4  # the height of a line, likewise
_HANDLE = 0.62  # inches: a legend's line or marker, with the space around it
_MAX_COLUMNS = 5  # of panels beside one another
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


def palette(names: Collection[str]) -> dict[str, Style]:
    """Returns a style for each name, in their order."""
    return {
        name: Style(_COLOURS[i % len(_COLOURS)], _MARKERS[i % len(_MARKERS)])
        for i, name in enumerate(names)
    }


def styles_of(names: Collection[str]) -> dict[str, Style]:
    """Returns the style of each intermediate task, in the order in which they are drawn."""
    styles = palette([name for name in direct_first(names) if name != DIRECT])
    return {DIRECT: Style("#000000", "D"), **styles} if DIRECT in names else styles


def entries(styles: dict[str, Style], *, line: bool = False, markers: bool = True) -> list[Line2D]:
    """Returns the entries of a legend for the styles of intermediate tasks."""
    shown: dict[str, Any] = {"ls": "-" if line else "", "markersize": 5.5 if markers else 0}
    return [Line2D([], [], label=wrapped(n), **s.line | shown) for n, s in styles.items()]


def legend(figure: Figure, handles: Sequence[Artist]) -> None:
    """Draws one legend above all panels, in a margin of `legend_height`."""
    figure.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, 1 - 0.05 / figure.get_figheight()),
        ncols=_legend_columns(handles),
        frameon=False,
        borderaxespad=0,
        columnspacing=1.5,
    )


def legend_height(handles: Sequence[Artist]) -> float:
    """Returns the height of the legend in inches."""
    rows = math.ceil(len(handles) / _legend_columns(handles))
    lines = max((str(handle.get_label()).count("\n") + 1 for handle in handles), default=1)
    return 0.2 * rows * lines + 0.1


def _legend_columns(handles: Sequence[Artist]) -> int:
    """Returns the most columns, which are filled one after the other, that fit into the width."""
    widths = [_HANDLE + text_width(str(handle.get_label()), TEXT) for handle in handles]
    for columns in range(len(widths), 1, -1):
        if sum(max(part) for part in np.array_split(widths, columns)) < WIDTH:
            return columns
    return 1


def text_width(text: str, points: float) -> float:
    """Returns about how many inches a text is wide."""
    return _EM * points / 72 * max(len(line) for line in text.split("\n"))


def text_height(text: str, points: float) -> float:
    """Returns about how many inches a text is high."""
    return _LINE * points / 72 * (text.count("\n") + 1)


def wrapped(name: str, width: float = 44) -> str:
    """Breaks a name into lines of at most `width` characters, after one of ` +/-` if possible."""
    most = max(int(width), 1)
    lines = [""]
    for piece in re.findall(rf"[^ +/-]{{0,{most}}}[ +/-]|[^ +/-]{{1,{most}}}", name):
        if len(lines[-1] + piece.rstrip()) > most and lines[-1]:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def in_parts(items: Sequence[T], most: int = _MAX_COLUMNS) -> Iterator[Sequence[T]]:
    """Divides items into as few parts of at most `most` as possible, of nearly equal length."""
    parts = math.ceil(len(items) / most)
    start = 0
    for i in range(parts):
        end = start + math.ceil((len(items) - start) / (parts - i))
        yield items[start:end]
        start = end
