"""Draws the axis of model sizes, whose ticks are the sizes themselves."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xt_jax.report.figures.style import SMALL, WIDTH, text_width
from xt_jax.report.text import size

_MARGIN = 0.12  # beyond the first and last size, as a share of what is between them
_ROWS = 3  # of labels that would not have room side by side
_ROW = 0.15  # inches


def size_axis(axes: Axes, sizes: Sequence[int]) -> None:
    """Makes a logarithmic axis with a tick and its label for every size that has room for both.

    Args:
        sizes: from small to large.
    """
    span = _span(sizes)
    axes.set_xscale("log")
    axes.set_xlim(sizes[0] * math.exp(-_MARGIN * span), sizes[-1] * math.exp(_MARGIN * span))
    box = axes.get_position()
    rows = _rows(sizes, box.width * WIDTH)
    axes.set_xticks(list(rows), [size(params) for params in rows])
    axes.set_xticks([], minor=True)
    axes.tick_params(axis="x", labelsize=SMALL)
    assert isinstance(axes.figure, Figure)
    height = box.height * axes.figure.get_figheight()
    for text, row in zip(axes.get_xticklabels(), rows.values(), strict=True):
        text.set_y(-row * _ROW / height)


def further_rows(sizes: Sequence[int], width: float) -> float:
    """Returns the height in inches of the rows of labels below the first, of an axis of a width."""
    return _ROW * max(_rows(sizes, width).values())


def _rows(sizes: Sequence[int], width: float) -> dict[int, int]:
    """Returns the row of each size's label, from small to large, without those that have no room.

    The first and the last size have theirs for certain.
    """
    inch = width / ((1 + 2 * _MARGIN) * _span(sizes))
    taken: list[list[tuple[float, float]]] = [[] for _ in range(_ROWS)]
    rows: dict[int, int] = {}
    for params in dict.fromkeys([sizes[0], sizes[-1], *sizes]):
        at = inch * math.log(params / sizes[0])
        half = text_width(size(params) + " ", SMALL) / 2
        for row, others in enumerate(taken):
            if all(at + half <= low or at - half >= high for low, high in others):
                others.append((at - half, at + half))
                rows[params] = row
                break
    return dict(sorted(rows.items()))


def _span(sizes: Sequence[int]) -> float:
    return math.log(sizes[-1] / sizes[0]) or 1.0
