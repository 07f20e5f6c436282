"""Bin packing: which item stands in which row of a given length, and from which column on."""

from __future__ import annotations

import numpy as np

Placement = tuple[np.ndarray, np.ndarray, np.ndarray]  # (row, slot, column) of each item
UNLIMITED = 1 << 30
FEW = 8192  # rows times items


def best_fit(lengths: np.ndarray, capacity: int, max_items: int = UNLIMITED) -> Placement:
    """Packs items best-fit decreasing: returns (row, slot, column) of each item, O(1) an item.

    Args:
        lengths: [n] integers from 1 to `capacity`.
        max_items: the most items that one row may hold.
    """
    rows, slots, columns = ([0] * len(lengths) for _ in range(3))
    with_free: dict[int, list[int]] = {}
    occupied = 0  # bit f is set where with_free[f] is not empty
    items: list[int] = []
    needs = lengths.tolist()
    for i in np.argsort(-lengths, kind="stable").tolist():
        need = needs[i]
        fitting = occupied >> need
        if fitting:
            free = need + (fitting & -fitting).bit_length() - 1
            chosen = with_free[free].pop()
            if not with_free[free]:
                occupied ^= 1 << free
        else:
            free, chosen = capacity, len(items)
            items.append(0)
        rows[i], slots[i], columns[i] = chosen, items[chosen], capacity - free
        items[chosen] += 1
        if free > need and items[chosen] < max_items:
            with_free.setdefault(free - need, []).append(chosen)
            occupied |= 1 << (free - need)
    return np.array(rows, np.int32), np.array(slots, np.int32), np.array(columns, np.int32)


def pack(
    lengths: np.ndarray, rows: int, capacity: int, max_items: int = UNLIMITED
) -> Placement | None:
    """Packs the items into at most `rows` rows; returns None if both of two heuristics fail.

    The first is best-fit decreasing; the second, for few items, fills one row after the other as
    full as can be.
    """
    if int(lengths.sum()) > rows * capacity:
        return None
    placement = best_fit(lengths, capacity, max_items)
    if int(placement[0].max(initial=-1)) < rows:
        return placement
    if rows * len(lengths) > FEW:
        return None
    return _fullest_rows(lengths, rows, capacity, max_items)


def _fullest_rows(
    lengths: np.ndarray, rows: int, capacity: int, max_items: int
) -> Placement | None:
    """Packs row by row: the longest remaining item, then those that fill the row best.

    The "minimum bin slack" heuristic of Gupta and Ho (1999) with the longest item fixed as in
    Fleszar and Hindi (2002); the sums that can be reached are the bits of an integer.
    """
    row, slot, column = (np.zeros(len(lengths), np.int32) for _ in range(3))
    remaining = np.argsort(-lengths, kind="stable").tolist()
    needs = lengths.tolist()
    mask = (1 << (capacity + 1)) - 1
    for which in range(rows):
        if not remaining:
            break
        reached = [1 << needs[remaining[0]]]
        for item in remaining[1:]:
            reached.append((reached[-1] | (reached[-1] << needs[item])) & mask)
        total = reached[-1].bit_length() - 1
        chosen = []
        for at in range(len(remaining) - 1, 0, -1):
            if not reached[at - 1] >> total & 1:
                chosen.append(remaining[at])
                total -= needs[remaining[at]]
        chosen.append(remaining[0])
        if len(chosen) > max_items:
            return None
        before = 0
        for place, item in enumerate(reversed(chosen)):
            row[item], slot[item], column[item] = which, place, before
            before += needs[item]
        remaining = [item for item in remaining if item not in set(chosen)]
    return None if remaining else (row, slot, column)
