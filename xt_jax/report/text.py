"""Formats the numbers of a report: estimates, sizes, counts, lists."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from xt_jax.report.statistics.bootstrap import Estimate


def interval(estimate: Estimate | None) -> str:
    """Formats `+2.1 [+0.9, +3.3]`, without brackets if there is no interval; "" for None."""
    if estimate is None:
        return ""
    text = points(estimate.value)
    return (
        text
        if not estimate.has_interval
        else (f"{text} [{points(estimate.low)}, {points(estimate.high)}]")
    )


def points(value: float) -> str:
    """Formats percentage points with a sign and one decimal; zero is `+0.0`."""
    return f"{value:+z.1f}"


def size(params: int) -> str:
    """Formats a number of parameters: `57 k`, `0.79 M`, `85 M`, `2.8 B`."""
    unit, scale = ("B", 1e9) if params >= 1e9 else ("M", 1e6) if params >= 1e5 else ("k", 1e3)
    number = params / scale
    return f"{number:.{2 if number < 1 else 1 if number < 10 else 0}f} {unit}"


def count(number: int, noun: str) -> str:
    """Formats a number and its noun: `1 seed`, `1,080 seeds`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def between(numbers: Collection[int], noun: str) -> str:
    """Formats a range: `3 seeds`, or `1-3 seeds` where the numbers differ."""
    low, high = min(numbers), max(numbers)
    return count(low, noun) if low == high else f"{low}-{count(high, noun)}"


def listed(words: Sequence[str]) -> str:
    """Joins words as `a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
