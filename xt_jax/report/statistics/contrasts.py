"""Runs after an intermediate task beside the direct ones, with what other examples would do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from xt_jax.errors import DataError
from xt_jax.records.results import Row
from xt_jax.report.statistics.bootstrap import Paired, shifts
from xt_jax.report.statistics.collapse import Run
from xt_jax.report.statistics.compare import Columns, Pair, same_examples
from xt_jax.tasks.table import DIRECT

ExampleScores = Callable[[str, str], np.ndarray | None]  # of (run, data), see `records`
Shifts = dict[tuple[str, str], np.ndarray]  # of (run, data): [B]

_AT_ONCE = 1 << 25  # numbers in memory
_MANY = 20_000  # examples, above which those that count for nothing are not drawn
_ROUNDING = 1e-3  # of float32 scores, in percentage points


@dataclass(frozen=True)
class Contrast:
    """One model, intermediate task and target.

    Attributes:
        pairs: scored on the same examples; at least one.
        collapsed: seeds of which either side is at chance.
    """

    model: str
    encoder_params: int
    total_params: int
    intermediate: str
    target: str
    metric: str
    pairs: list[Pair]
    collapsed: tuple[int, ...]
    shifts: Shifts

    @property
    def languages(self) -> list[str]:
        return sorted({language for _, language, _, _ in self.pairs})

    @cached_property
    def mean(self) -> Paired:
        """Of each seed the mean over its languages."""
        return self._paired(self.pairs)

    @cached_property
    def mean_without_collapsed(self) -> Paired | None:
        """None where collapsed runs leave fewer than the two seeds that an interval needs."""
        left = without(self.mean, self.collapsed)
        return left if left and len(left.seeds) >= min(2, len(self.mean.seeds)) else None

    def of(self, language: str) -> Paired:
        return self._paired([pair for pair in self.pairs if pair[1] == language])

    def _paired(self, pairs: Sequence[Pair]) -> Paired:
        by_seed: dict[int, list[tuple[float, np.ndarray | None]]] = defaultdict(list)
        for seed, _, row, direct in pairs:
            one, other = (self.shifts.get(_key(side)) for side in (row, direct))
            shift = None if one is None or other is None else one - other
            by_seed[seed].append((row["value"] - direct["value"], shift))
        seeds = tuple(sorted(by_seed))
        values = [np.mean([value for value, _ in by_seed[seed]]) for seed in seeds]
        drawn = [_mean([shift for _, shift in by_seed[seed]]) for seed in seeds]
        known = [shift for shift in drawn if shift is not None]
        return Paired(
            seeds,
            np.array(values),
            np.stack(known) if len(known) == len(drawn) else None,
            min(row["n"] for _, _, row, _ in pairs),
        )


def contrasts(
    model: Sequence[Row],
    first: dict[tuple[str, str], Columns],
    at_chance: set[Run],
    drawn: Shifts,
) -> Iterator[Contrast]:
    """Of one model, all that have a pair.

    Args:
        model: its rows.
        first: of each target's first metric.
        drawn: see `shifts_of`.
    """
    params = model[-1]["encoder_params"], model[-1]["total_params"]
    for (target, metric), columns in first.items():
        for name in columns:
            pairs = same_examples(columns, name) if name != DIRECT else []
            if pairs:
                seeds = sorted({seed for seed, *_ in pairs})
                bad = [s for s in seeds if at_chance & {(name, target, s), (DIRECT, target, s)}]
                about = (model[-1]["model"], *params, name, target, metric)
                yield Contrast(*about, pairs, tuple(bad), drawn)


def without(paired: Paired, seeds: Sequence[int]) -> Paired | None:
    """None where no seed is left."""
    left = [seed for seed in paired.seeds if seed not in seeds]
    return paired.of(left) if left else None


def shifts_of(rows: Sequence[Row], example_scores: ExampleScores) -> Shifts:
    """What other examples add to the rows, of those that have per-example scores.

    Raises:
        DataError: example_scores that do not give the row's value.
    """
    sets: dict[tuple[int, str], dict[tuple[str, str], Row]] = defaultdict(dict)
    for row in rows:
        sets[row["n"], row["data"] if row["n"] > _MANY else ""][_key(row)] = row
    found: Shifts = {}
    for (n, data), some in sorted(sets.items()):
        counting = _counting(list(some.values()), example_scores) if data else slice(None)
        every, most = list(some.items()), max(_AT_ONCE // n, 1)
        for i in range(0, len(every), most):
            read = {key: _checked(row, example_scores) for key, row in every[i : i + most]}
            known = {key: array[counting] for key, array in read.items() if array is not None}
            if known:
                found |= zip(known, shifts(np.stack(list(known.values()))), strict=True)
    return found


def _counting(rows: Sequence[Row], example_scores: ExampleScores) -> np.ndarray:
    """[n] the examples that count for something in any of the runs.

    To draw the others too changes no ratio, and of the sentences to be mined they are most.
    """
    counting = np.zeros(rows[0]["n"], bool)
    for row in rows:
        array = _checked(row, example_scores)
        if array is not None:
            counting |= array.any(axis=1)
    return counting


def _checked(row: Row, example_scores: ExampleScores) -> np.ndarray | None:
    array = example_scores(row["run"], row["data"])
    if array is None:
        return None
    numerator, denominator = array.sum(axis=0, dtype=np.float64)
    value = 100 * numerator / denominator if denominator else 0.0
    if len(array) != row["n"] or abs(value - row["value"]) > _ROUNDING:
        raise DataError(
            f"The example_scores of {len(array)} examples give {value:.3f}, the row has "
            f"{row['value']:.3f} from {row['n']}.",
            where=f"run {row['run']}, data {row['data']} ({row['target']}, {row['language']})",
            remedy="delete that file in the folder `example_scores` and run the study again",
        )
    return array


def _mean(arrays: Sequence[np.ndarray | None]) -> np.ndarray | None:
    known = [array for array in arrays if array is not None]
    return np.mean(known, axis=0) if len(known) == len(arrays) else None


def _key(row: Row) -> tuple[str, str]:
    return row["run"], row["data"]
