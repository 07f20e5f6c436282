"""Numbers of a report in words: estimates, probabilities, sizes, lists."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from xt_jax.report.statistics.findings import Estimate


def interval(estimate: Estimate | None) -> str:
    """`+2.1 [+0.9, +3.3]`; without brackets where one seed is all there is, empty of None."""
    if estimate is None:
        return ""
    text = points(estimate.value)
    if math.isnan(estimate.low) or math.isnan(estimate.high):
        return text
    return f"{text} [{points(estimate.low)}, {points(estimate.high)}]"


def points(value: float) -> str:
    """With its sign, one digit after the point; nothing has no minus."""
    return f"{value:+z.1f}"


def percent(probability: float) -> str:
    """Whole, and never certain: `over 99 %`, `73 %`, `under 1 %`; empty of NaN."""
    if math.isnan(probability):
        return ""
    if probability > 0.99:
        return "over 99 %"
    return "under 1 %" if probability < 0.01 else f"{100 * probability:.0f} %"


def excludes_zero(estimate: Estimate) -> bool:
    return estimate.low > 0 or estimate.high < 0


def size(params: int) -> str:
    """`56 k`, `0.79 M`, `85 M`, `2.8 B`."""
    unit, scale = ("B", 1e9) if params >= 1e9 else ("M", 1e6) if params >= 1e5 else ("k", 1e3)
    number = params / scale
    return f"{number:.{2 if number < 1 else 1 if number < 10 else 0}f} {unit}"


def count(number: int, what: str) -> str:
    """`1 seed`, `1,080 seeds`."""
    plural = "" if number == 1 else "s"
    return f"{number:,} {what}{plural}"


def between(numbers: Collection[int], what: str) -> str:
    """`3 seeds`, or `1-3 seeds` where they differ."""
    low, high = min(numbers), max(numbers)
    return count(low, what) if low == high else f"{low}-{count(high, what)}"


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
