"""Chooses one static shape for all steps of a phase from the lengths alone, and fits steps to it.

The shape is tested on an order with a fixed seed and not on the order of the phase: all seeds of
the same data have the same shape, so that they can be trained as one program.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from xt_jax.data.bins import UNLIMITED, Placement, pack
from xt_jax.data.order import WINDOW, evenly_spaced, step_order, token_order

REFERENCE_SEED = (0,)
ATTEMPTS = 4
REFERENCE_UNITS = 16_384
FILLS = (0.998, 0.995, 0.99, 0.985, 0.98, 0.97, 0.96, 0.94, 0.92, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)
MARGIN = 0.003  # fill given up below the fill that was tested, so that the orders of all seeds fit
WIDEST = 8  # the longest rows, relative to the longest unit
NEAR = 7 / 8  # the least share of its token budget that a step should use

Order = list[np.ndarray]


class Effort(NamedTuple):
    """Limits on the search that makes steps fit a shape.

    A shape is tested with less effort than is spent on training steps, so that all seeds fit it.

    Attributes:
        failing: the share of steps that may fail to fit at first.
        partners: steps tried for a swap.
        pairs: pairs of units tried in each of those steps.
    """

    failing: float
    partners: int
    pairs: int


JUDGED = Effort(1 / 8, 16, 4)
FITTED = Effort(1, 256, 16)


@dataclass(frozen=True)
class Limits:
    """Constraints on a shape [rows, length].

    Attributes:
        row_multiple: the length is a multiple of this number.
        rows_multiple: the number of rows is a multiple of this number.
        hidden_size: sets the cost of attention, (length / 6 hidden_size) of the other work.
    """

    row_multiple: int
    rows_multiple: int
    hidden_size: int

    def shortest(self, lengths: np.ndarray) -> int:
        return ceil(int(lengths.max()), self.row_multiple)

    def work(self, length: int) -> float:
        """Returns the work of one column in a row of that length, attention included."""
        return 1 + length / (6 * self.hidden_size)


class Shape(NamedTuple):
    """A static shape: R rows of T columns, with at most `segments` units in a row."""

    rows: int
    length: int
    segments: int = UNLIMITED

    @property
    def size(self) -> int:
        return self.rows * self.length


class NoRoomError(ValueError):
    """The token budget of a step has no room for the longest unit; `needed` tokens would do."""

    def __init__(self, length: int, rows: int):
        self.needed = length * rows
        super().__init__(f"there is no room for {rows} rows of {length}")


def check_room(tokens: int, length: int, rows_multiple: int) -> None:
    """Raises a NoRoomError if `tokens` cannot hold `rows_multiple` rows of that length."""
    if length * rows_multiple > tokens:
        raise NoRoomError(length, rows_multiple)


def ceil(value: int, multiple: int) -> int:
    """Rounds `value` up to the next multiple."""
    return -(-value // multiple) * multiple


def shape_for_batches(lengths: np.ndarray, batch_size: int, epochs: float, limits: Limits) -> Shape:
    """Returns the shape of least work that holds steps of `batch_size` units.

    Args:
        lengths: [N] tokens of each unit.
    """
    most = max(2 * batch_size, REFERENCE_UNITS)
    lengths = evenly_spaced(lengths, most)
    order = step_order(lengths, batch_size, min(epochs, 2), REFERENCE_SEED)
    mean = float(lengths.mean()) * min(batch_size, max(len(step) for step in order))
    heaviest = max(int(lengths[step].sum()) for step in order)
    shapes = sorted(
        _shapes(limits, limits.shortest(lengths), int(mean), heaviest),
        key=lambda shape: shape.size * limits.work(shape.length),
    )
    fitting = (_tried(shape, lengths, order) for shape in shapes)
    return next(shape for shape in fitting if shape is not None)


def shape_for_tokens(lengths: np.ndarray, tokens: int, limits: Limits) -> tuple[Shape, int]:
    """Returns the shape of about `tokens` columns of least work, and the steps of an epoch.

    Raises:
        NoRoomError: `tokens` columns have no room for the longest unit.
    """
    shortest = limits.shortest(lengths)
    check_room(tokens, shortest, limits.rows_multiple)
    sample = evenly_spaced(lengths, REFERENCE_UNITS)
    total, in_sample = int(lengths.sum(dtype=np.int64)), int(sample.sum(dtype=np.int64))
    candidates = []
    longest = min(tokens // limits.rows_multiple, WIDEST * shortest)
    for length, fill in itertools.product(range(shortest, longest + 1, limits.row_multiple), FILLS):
        most = tokens // length // limits.rows_multiple * limits.rows_multiple
        steps = min(len(lengths), -(-total // int(most * length * (fill - MARGIN))))
        need = -(-total // int(steps * length * (fill - MARGIN)))
        shape = Shape(min(most, ceil(need, limits.rows_multiple)), length)
        work = steps * shape.size * limits.work(length)
        candidates.append((most * length < NEAR * tokens, work, fill, shape, steps))
    for _, _, fill, shape, steps in sorted(candidates, key=lambda c: c[:3]):
        count = min(len(sample), -(-in_sample // int(shape.size * fill)))
        order = token_order(sample, count, count, REFERENCE_SEED)
        tried = _tried(shape, sample, order)
        if tried is not None:
            return tried, steps
    raise AssertionError("one unit in each row always fits")


def fit(
    lengths: np.ndarray,
    order_of: Callable[[tuple[int, ...]], Order],
    seed: int,
    shape: Shape,
    limits: Limits,
) -> tuple[Order, list[Placement], Shape]:
    """Packs an order into the shape, swapping a few units between near steps where necessary.

    As the last resort, rows are added if none of `ATTEMPTS` orders can be made to fit.

    Args:
        order_of: returns the units of each step for a seed.

    Returns:
        The order with its swaps, the placement of each step, and the shape.
    """
    while True:
        for attempt in range(ATTEMPTS):
            packed = _packed(lengths, order_of((seed, attempt)[: attempt + 1]), shape, FITTED)
            if packed is not None:
                return *packed, shape
        shape = shape._replace(rows=shape.rows + limits.rows_multiple)


def _shapes(limits: Limits, shortest: int, mean: int, heaviest: int) -> Iterator[Shape]:
    """Yields shapes that hold a step of `mean` tokens, up to shapes that hold the heaviest step."""
    for rows in itertools.count(limits.rows_multiple, limits.rows_multiple):
        first = max(shortest, ceil(-(-mean // rows), limits.row_multiple))
        last = max(shortest, ceil(-(-heaviest // rows), limits.row_multiple)) + shortest
        for length in range(first, last + 1, limits.row_multiple):
            yield Shape(rows, length)
        if (rows - limits.rows_multiple) * shortest > 2 * heaviest:
            return


def _tried(shape: Shape, lengths: np.ndarray, order: Order) -> Shape | None:
    """Returns the shape with a limit on segments if the order can be made to fit, else None."""
    loads = np.array([lengths[step].sum() for step in order])
    by_load = np.argsort(-loads, kind="stable")
    sample = by_load[np.linspace(0, len(order) - 1, min(len(order), 24)).astype(int)]
    fails = [pack(lengths[order[i]], shape.rows, shape.length) is None for i in sample]
    if sum(fails) > len(fails) / 3:
        return None
    fitted = _packed(lengths, order, shape, JUDGED)
    if fitted is None:
        return None
    used = max(int(slot.max()) + 1 for _, slot, _ in fitted[1])
    most = max(len(step) for step in order)
    return shape._replace(segments=min(most, used + max(2, used // 4)))


def _packed(
    lengths: np.ndarray, order: Order, shape: Shape, effort: Effort
) -> tuple[Order, list[Placement]] | None:
    placements = [pack(lengths[step], shape.rows, shape.length, shape.segments) for step in order]
    failing = [i for i, placement in enumerate(placements) if placement is None]
    if not failing:
        return order, [placement for placement in placements if placement is not None]
    if len(failing) > 4 + effort.failing * len(order):
        return None
    mender = _Mender(lengths, list(order), placements, shape, effort)
    return (mender.order, mender.placements) if all(map(mender.mend, failing)) else None


class _Mender:
    """Swaps units of a step that does not fit with those of near steps, within an epoch."""

    def __init__(self, lengths, order, placements, shape, effort):
        self.order, self.placements = order, placements
        self._lengths, self._shape, self._effort = lengths, shape, effort
        self._loads = np.array([lengths[step].sum() for step in order])
        self._ends = np.cumsum([len(step) for step in order])

    def mend(self, step: int) -> bool:
        """Swaps units until the step fits; returns whether it does."""
        near = np.arange(max(0, step - WINDOW), min(len(self.order), step + WINDOW + 1))
        lightest = near[np.argsort(self._loads[near], kind="stable")][: self._effort.partners]
        for partner in lightest.tolist():
            if partner == step or self.placements[partner] is None:
                continue
            while self._swap(step, partner):
                if self.placements[step] is not None:
                    return True
        return False

    def _swap(self, step: int, partner: int) -> bool:
        """Swaps two units so that both steps fit, or `step` gets lighter; False if none does."""
        heavy, light = self.order[step], self.order[partner]
        gain = self._lengths[heavy][:, None] - self._lengths[light]
        wanted = max(1, (self._loads[step] - self._loads[partner]) // 2)
        same = self._epoch(step)[:, None] == self._epoch(partner)
        cost = np.where(same & (gain != 0), np.abs(gain - wanted), UNLIMITED)
        better: dict[int, tuple[np.ndarray, Placement | None]] = {}
        for pair in np.argsort(cost, axis=None, kind="stable")[: self._effort.pairs]:
            i, j = np.unravel_index(pair, cost.shape)
            if cost[i, j] == UNLIMITED:
                break
            a, b = heavy.copy(), light.copy()
            a[i], b[j] = light[j], heavy[i]
            placed = [self._pack(a), self._pack(b)]
            if placed[1] is not None and placed[0] is not None:
                better = {step: (a, placed[0]), partner: (b, placed[1])}
                break
            lighter = gain[i, j] > 0 and self._loads[step] > self._loads[partner]
            if placed[1] is not None and lighter and not better:
                better = {step: (a, None), partner: (b, placed[1])}
        for changed, (units, placement) in better.items():
            self.order[changed], self.placements[changed] = units, placement
            self._loads[changed] = self._lengths[units].sum()
        return bool(better)

    def _pack(self, units: np.ndarray) -> Placement | None:
        shape = self._shape
        return pack(self._lengths[units], shape.rows, shape.length, shape.segments)

    def _epoch(self, step: int) -> np.ndarray:
        last = self._ends[step]
        return np.arange(last - len(self.order[step]), last) // len(self._lengths)
