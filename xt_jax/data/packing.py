"""Plans training: seeded steps of an exact size, packed offline into one static shape.

Legend: N features (tokenised examples), R rows of T columns a step, S segments at most in a row.
A unit is what must be in one row together: one feature, or a group of consecutive ones.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import numpy as np

from xt_jax.data.order import step_order, token_order
from xt_jax.data.shape import (
    Limits,
    Shape,
    ceil,
    check_room,
    fit,
    shape_for_batches,
    shape_for_tokens,
)

IGNORE = -100  # a token without a label


@dataclass(frozen=True)
class Features:
    """Tokenised examples as ragged arrays: flat token arrays, and one value per feature.

    Attributes:
        lengths: [N] tokens of each feature.
        tokens: arrays of [sum(lengths)] for the device; `input_ids` always.
        fields: arrays of [N]; `example` (index of the source example) always.
        host: arrays of [sum(lengths)] that only decoding needs.
    """

    lengths: np.ndarray
    tokens: dict[str, np.ndarray]
    fields: dict[str, np.ndarray]
    host: dict[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.lengths)

    @functools.cached_property
    def splits(self) -> np.ndarray:
        """[N+1] offsets at which each feature's tokens begin."""
        return np.concatenate([[0], np.cumsum(self.lengths, dtype=np.int64)])

    def take(self, index: np.ndarray) -> Features:
        """Returns the features at `index`, in that order."""
        source, _, _ = spread(self.lengths[index], self.splits[index])
        return Features(
            self.lengths[index],
            {name: array[source] for name, array in self.tokens.items()},
            {name: array[index] for name, array in self.fields.items()},
            {name: array[source] for name, array in self.host.items()},
        )


@dataclass(frozen=True)
class Plan:
    """The placement of all features of a phase in steps of one static shape [rows, length].

    Attributes:
        segments: the most features in a row.
        feature, row, slot, column: [M] the row of each placed feature, its segment number there
            (from 0) and its first column; M = features placed, over all steps.
        splits: [steps+1] first placement of each step.
    """

    rows: int
    length: int
    segments: int
    feature: np.ndarray
    row: np.ndarray
    slot: np.ndarray
    column: np.ndarray
    splits: np.ndarray

    @property
    def steps(self) -> int:
        return len(self.splits) - 1

    def fill(self, lengths: np.ndarray) -> float:
        """Returns the share of columns that hold a token, over all steps."""
        return float(lengths[self.feature].sum()) / (self.steps * self.rows * self.length)


def check_budget(
    lengths: np.ndarray,
    batch_tokens: int,
    *,
    row_multiple: int = 8,
    rows_multiple: int = 1,
    group: int = 1,
) -> None:
    """Raises a NoRoomError where `plan_training` would, without planning."""
    longest = int(_unit_lengths(lengths, group).max())
    check_room(batch_tokens, ceil(longest, row_multiple), rows_multiple)


def plan_training(
    lengths: np.ndarray,
    batch_size: int,
    epochs: float,
    seed: int,
    *,
    batch_tokens: int = 0,
    steps: int = 0,
    packing: bool = True,
    row_multiple: int = 8,
    rows_multiple: int = 1,
    hidden_size: int = 768,
    group: int = 1,
    reference: np.ndarray | None = None,
) -> Plan:
    """Plans steps of exactly `batch_size` units (the last may be short), every unit once an epoch.

    The shape depends on the lengths and not on the seed; only if this seed's steps cannot be made
    to fit does it get more rows.

    Args:
        lengths: [N] tokens per feature.
        epochs: passes over the data; 2.5 ends in the middle of the third.
        batch_tokens: columns of a step, padding included, filled with as many units as fit, in
            place of `batch_size` units; an epoch is then a whole number of steps.
        steps: number of steps in place of `epochs`, all of them full.
        packing: False puts one unit in each row.
        row_multiple: T is a multiple of this number (128 suits a TPU).
        rows_multiple: R is a multiple of this number (devices times microbatches).
        hidden_size: sets the cost of attention (T / 6D of the other work) when T is chosen.
        group: number of consecutive features that make a unit; they are neighbours in their row,
            the first in a slot that is a multiple of `group`.
        reference: [M] tokens of other features, for which the shape is chosen.

    Raises:
        ValueError: N is not a multiple of `group`.
        NoRoomError: a step of `batch_tokens` has no room for the longest unit.
    """
    units = _unit_lengths(lengths, group)
    judged = units if reference is None else _unit_lengths(reference, group)
    limits = Limits(row_multiple, rows_multiple, hidden_size)
    if batch_tokens and packing:
        shape, per_epoch = shape_for_tokens(judged, batch_tokens, limits)
        count = steps or max(1, round(epochs * per_epoch))
        order = functools.partial(token_order, units, per_epoch, count)
    else:
        longest = ceil(int(judged.max()), 8)
        if batch_tokens:
            check_room(batch_tokens, longest, rows_multiple)
            batch_size = batch_tokens // longest // rows_multiple * rows_multiple
        epochs = steps * batch_size / len(units) if steps else epochs
        shape = Shape(ceil(batch_size, rows_multiple), longest, 1)
        if packing:
            shape = shape_for_batches(judged, batch_size, epochs, limits)
        order = functools.partial(step_order, units, batch_size, epochs)
    steps_of_units, placements, shape = fit(units, order, seed, shape, limits)
    row, slot, column = (np.concatenate(part) for part in zip(*placements, strict=True))
    splits = np.concatenate([[0], np.cumsum([len(step) for step in steps_of_units])])
    plan = Plan(*shape, np.concatenate(steps_of_units), row, slot, column, splits)
    return _in_features(plan, lengths, group)


def materialise(
    plan: Plan, features: Features, step: int, pad_id: int, rows: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Builds the arrays of one step of the plan.

    Args:
        rows: numbers of the rows to build, in this order; None builds all R.

    Returns:
        input_ids, positions (from 0 in each segment), segment_ids (from 1, 0 = padding) and every
        other token array: [R, T]; starts (first column), feature (-1 = empty) and every other
        field: [R, S].
    """
    placed = slice(plan.splits[step], plan.splits[step + 1])
    feature, row, slot, column = (
        array[placed] for array in (plan.feature, plan.row, plan.slot, plan.column)
    )
    count = plan.rows
    if rows is not None:
        count, place = len(rows), np.full(plan.rows, -1)
        place[rows] = np.arange(count)
        made = place[row] >= 0
        feature, row, slot, column = feature[made], place[row[made]], slot[made], column[made]
    lengths = features.lengths[feature]
    target_start = row.astype(np.int64) * plan.length + column
    source, position, which = spread(lengths, features.splits[feature])
    target = target_start[which] + position

    def tokens(values: np.ndarray, fill: int) -> np.ndarray:
        flat = np.full(count * plan.length, fill, np.int32)
        flat[target] = values
        return flat.reshape(count, plan.length)

    def segments(values: np.ndarray, fill: int) -> np.ndarray:
        table = np.full((count, plan.segments), fill, np.int32)
        table[row, slot] = values
        return table

    batch = {
        name: tokens(array[source], _padding(name, pad_id))
        for name, array in features.tokens.items()
    }
    batch["positions"] = tokens(position, 0)
    batch["segment_ids"] = tokens(slot[which] + 1, 0)
    batch["starts"] = segments(column, 0)
    batch["feature"] = segments(feature, -1)
    for name, array in features.fields.items():
        batch[name] = segments(array[feature], 0)
    return batch


def _padding(name: str, pad_id: int) -> int:
    return {"input_ids": pad_id, "labels": IGNORE}.get(name, 0)


def spread(lengths: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flattens the ranges [start, start + length) into (index, offset, number of the range)."""
    which = np.repeat(np.arange(len(lengths)), lengths)
    first = np.cumsum(lengths) - lengths
    offset = np.arange(len(which)) - first[which]
    return starts[which] + offset, offset, which


def _unit_lengths(lengths: np.ndarray, group: int) -> np.ndarray:
    if len(lengths) % group:
        raise ValueError(f"{len(lengths)} features are no groups of {group}")
    return lengths if group == 1 else lengths.reshape(-1, group).sum(axis=1, dtype=lengths.dtype)


def _in_features(plan: Plan, lengths: np.ndarray, group: int) -> Plan:
    """Turns a plan of units into the plan of their features."""
    if group == 1:
        return plan
    member = np.arange(group, dtype=np.int32)
    feature = plan.feature[:, None] * group + member
    before = np.cumsum(lengths[feature], axis=1, dtype=np.int32) - lengths[feature]
    return Plan(
        plan.rows,
        plan.length,
        plan.segments * group,
        feature.ravel(),
        np.repeat(plan.row, group),
        (plan.slot[:, None] * group + member).ravel(),
        (plan.column[:, None] + before).ravel(),
        plan.splits * group,
    )
