"""Packs several data sets into steps of one shape, so that evaluation compiles only once."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from xt_jax.data.bins import best_fit
from xt_jax.data.mixture import joined
from xt_jax.data.order import evenly_spaced
from xt_jax.data.packing import Features, Plan, materialise
from xt_jax.data.shape import Limits, Shape, ceil

JUDGED = 2048  # features of a data set from which the row length is chosen
WIDEST = 1.5  # the longest rows, relative to the longest feature


@dataclass(frozen=True)
class PackedSets:
    """Data sets packed one after the other into steps without gaps; no row mixes two data sets.

    Where a feature is placed depends on all the data sets, even when only some are evaluated.

    Attributes:
        plan: numbers its features consecutively over all data sets.
        first: [sets+1] number of each data set's first feature.
    """

    sets: tuple[Features, ...]
    plan: Plan
    first: np.ndarray

    def steps(self, wanted: Collection[int]) -> list[int]:
        """Returns the steps that hold features of the data sets with these numbers."""
        at = np.searchsorted(self.plan.splits, np.arange(len(self.plan.feature)), side="right") - 1
        is_wanted = np.isin(np.arange(len(self.sets)), list(wanted))
        return np.unique(at[np.repeat(is_wanted, np.diff(self.first))]).tolist()

    def parts(self, step: int) -> Iterator[tuple[int, slice]]:
        """Yields (number of a data set, its placements) for each data set in the step."""
        begin, end = self.plan.splits[step], self.plan.splits[step + 1]
        first, last = np.searchsorted(self.first, (begin, end - 1), side="right") - 1
        for i in range(first, last + 1):
            if self.first[i] < self.first[i + 1]:
                yield i, slice(max(begin, self.first[i]), min(end, self.first[i + 1]))

    def batch(
        self, step: int, pad_id: int, rows: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Builds one step's arrays as `materialise` does; features count from 0 in each step."""
        plan, parts = self.plan, list(self.parts(step))
        taken = [self.sets[i].take(plan.feature[at] - self.first[i]) for i, at in parts]
        placed = slice(plan.splits[step], plan.splits[step + 1])
        count = placed.stop - placed.start
        one_step = dataclasses.replace(
            plan,
            feature=np.arange(count, dtype=np.int32),
            row=plan.row[placed],
            slot=plan.slot[placed],
            column=plan.column[placed],
            splits=np.array([0, count]),
        )
        return materialise(one_step, joined(taken, [0] * len(taken)), 0, pad_id, rows)

    @property
    def fill(self) -> float:
        """The share of columns that hold a token, over all steps."""
        return self.plan.fill(np.concatenate([features.lengths for features in self.sets]))


def pack_sets(
    sets: Sequence[Features],
    *,
    packing: bool = True,
    devices: int = 1,
    row_multiple: int = 8,
    hidden_size: int = 768,
    step_tokens: int = 8192,
    shape: Shape | None = None,
) -> PackedSets:
    """Packs every feature of every data set once; only the last step has empty rows.

    Args:
        packing: False puts one feature in each row.
        devices: the rows of a step are a multiple of this number.
        row_multiple: the row length is a multiple of this number.
        hidden_size: sets the cost of attention when the row length is chosen.
        step_tokens: the most columns of a step on each device, unless a single row is longer.
        shape: use this shape and choose none, so that other data sets need no new compilation; no
            feature may be longer than its rows.
    """
    lengths = [features.lengths for features in sets]
    if shape is not None:
        length, most = shape.length, shape.segments
    else:
        length = _length(lengths, Limits(row_multiple, devices, hidden_size), packing)
        most = max(1, length // 8) if packing else 1
    placed = [best_fit(each, length, most) for each in lengths]
    used = np.array([int(row.max(initial=-1)) + 1 for row, _, _ in placed])
    before = np.cumsum(used) - used
    row, slot, column = (np.concatenate(part) for part in zip(*placed, strict=True))
    row = row + np.repeat(before, [len(each) for each in lengths])
    if shape is None:
        rows = _rows(int(used.sum()), max(1, step_tokens // length) * devices, devices)
        shape = Shape(rows, length, int(slot.max(initial=0)) + 1)
    # The data sets' rows follow each other, so sorting by row keeps each set's features together.
    by_row = np.lexsort((slot, row))
    steps = -(-int(used.sum()) // shape.rows)
    plan = Plan(
        *shape,
        by_row.astype(np.int32),
        (row[by_row] % shape.rows).astype(np.int32),
        slot[by_row],
        column[by_row],
        np.searchsorted(row[by_row] // shape.rows, np.arange(steps + 1)),
    )
    return PackedSets(tuple(sets), plan, np.cumsum([0, *map(len, sets)]))


def _length(lengths: Sequence[np.ndarray], limits: Limits, packing: bool) -> int:
    """Returns the row length that needs the least work."""
    lengths = [each for each in lengths if len(each)]
    longest = max((int(each.max()) for each in lengths), default=1)
    shortest = ceil(longest, limits.row_multiple)
    if not packing:
        return shortest
    samples = [evenly_spaced(each, JUDGED) for each in lengths]
    times = [len(each) / len(sample) for each, sample in zip(lengths, samples, strict=True)]

    def work(length: int) -> float:
        rows = [int(best_fit(sample, length)[0].max()) + 1 for sample in samples]
        return np.dot(rows, times) * length * limits.work(length)

    widest = max(shortest, int(WIDEST * longest))
    stride = ceil(max(1, (widest - shortest) // 8), limits.row_multiple)
    return min(range(shortest, widest + 1, stride), key=work)


def _rows(total: int, most: int, devices: int) -> int:
    """Returns the rows of a step: as few steps as `most` rows allow, the last as full as can be."""
    steps = max(1, -(-total // most))
    return ceil(max(1, -(-total // steps)), devices)
