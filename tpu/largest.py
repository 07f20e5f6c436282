"""Finds the largest batch with which a training step fits, with a few compilations."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Protocol, TypeVar

from xt_jax.config import Config

_TRIES = 5
_GAIN = 1.05  # less is not worth another compilation


class Measured(Protocol):
    """The measurements of a compiled program.

    Attributes:
        tokens: of a step on all chips together.
        hbm: GiB on each chip; NaN if the compiler gave up.
    """

    @property
    def tokens(self) -> int: ...
    @property
    def fits(self) -> bool: ...
    @property
    def hbm(self) -> float: ...


M = TypeVar("M", bound=Measured)


def with_tokens(config: Config, tokens: int) -> Config:
    """Returns the configuration with steps of so many tokens in both phases."""
    intermediate, target = (
        dataclasses.replace(phase, batch_tokens=tokens)
        for phase in (config.intermediate, config.target)
    )
    return dataclasses.replace(config, intermediate=intermediate, target=target)


def largest(measure: Callable[[int], M], known: M, room: float) -> M:
    """Returns the largest compiled program that fits.

    Memory grows about evenly with the batch: two sizes tell how large the next may be. What does
    not fit, or cannot be compiled at all, bounds the search from above.

    Args:
        measure: compiles the program for a budget of tokens, of which it may use less.
        known: a program that fits.
        room: GiB on a chip that a program may take.
    """
    best, above = known, math.inf
    guess = 2 * known.tokens
    for _ in range(_TRIES):
        tried = measure(guess)
        if not tried.fits:
            above = min(above, guess)
        elif tried.tokens <= best.tokens:  # rows are whole
            break
        sizes = {each.tokens: each.hbm for each in (known, best, tried) if each.hbm > 0}
        if tried.fits:
            best = tried
        guess = _next(sizes, best.tokens, above, room)
        if guess < _GAIN * best.tokens:
            break
    return best


def _next(sizes: dict[int, float], low: int, above: float, room: float) -> int:
    """Returns the tokens at which a line through `sizes` reaches `room`; else half-way between."""
    (small, at_small), (large, at_large) = min(sizes.items()), max(sizes.items())
    if at_large > at_small:
        meets = small + (room - at_small) * (large - small) / (at_large - at_small)
        if low < meets < above:
            return int(meets)
    return int((low + above) / 2) if above < math.inf else 4 * low
