"""Compares runs after an intermediate task with direct ones, also on resampled examples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from xt_jax.errors import DataError
from xt_jax.records.json_files import Malformed
from xt_jax.report.statistics.bootstrap import Paired, shifts
from xt_jax.report.statistics.collapse import Run
from xt_jax.report.statistics.scores import on_same_examples, pairs
from xt_jax.tasks.table import DIRECT

ExampleScores = Callable[[str, str], np.ndarray | None]  # of (run, data), see `xt_jax.records`
Shifts = dict[tuple[str, str], np.ndarray]  # (run, data) -> [B]

_AT_ONCE = 1 << 25  # numbers in memory at once
_MANY = 20_000  # examples above which those without a numerator or denominator are not drawn
_ROUNDING = 1e-3  # error of float32 scores, in percentage points


@dataclass(frozen=True)
class Contrast:
    """The comparison of one model, intermediate task and target with direct fine-tuning.

    Attributes:
        pairs: rows of `scores.pairs` on the same examples; at least one.
        collapsed: seeds in which either side is at chance.
    """

    model: str
    encoder_params: int
    total_params: int
    intermediate: str
    target: str
    metric: str
    pairs: list[Any]
    collapsed: tuple[int, ...]
    shifts: Shifts

    @property
    def key(self) -> tuple[str, str]:
        return self.intermediate, self.target

    @property
    def languages(self) -> list[str]:
        return sorted({pair.language for pair in self.pairs})

    @cached_property
    def mean(self) -> Paired:
        """The difference of each seed's mean over languages."""
        return self._paired(self.pairs)

    @cached_property
    def mean_without_collapsed(self) -> Paired | None:
        """`mean` without collapsed runs; None where fewer than two of several seeds remain."""
        mean = without(self.mean, self.collapsed)
        return mean if mean and len(mean.seeds) >= min(2, len(self.mean.seeds)) else None

    def of(self, language: str) -> Paired:
        """Returns the difference of each seed in one language."""
        return self._paired([pair for pair in self.pairs if pair.language == language])

    def _paired(self, pairs: Sequence[Any]) -> Paired:
        by_seed: dict[int, list[Any]] = defaultdict(list)
        for pair in pairs:
            by_seed[pair.seed].append(pair)
        seeds = tuple(sorted(by_seed))
        values = [np.mean([p.value - p.value_direct for p in by_seed[seed]]) for seed in seeds]
        shifted = [_mean([self._shift(pair) for pair in by_seed[seed]]) for seed in seeds]
        known = [shift for shift in shifted if shift is not None]
        return Paired(
            seeds,
            np.array(values),
            np.stack(known) if len(known) == len(seeds) else None,
            min(pair.n for pair in pairs),
        )

    def _shift(self, pair: Any) -> np.ndarray | None:
        after = self.shifts.get((pair.run, pair.data))
        direct = self.shifts.get((pair.run_direct, pair.data))
        return None if after is None or direct is None else after - direct


def contrasts(rows: pd.DataFrame, at_chance: set[Run], shifts: Shifts) -> Iterator[Contrast]:
    """Yields the contrasts of one model, by target and then by intermediate task.

    Args:
        rows: the rows of the first metric of each target.
        shifts: see `shifts_of`.
    """
    last = rows.iloc[-1]
    about = last["model"], int(last["encoder_params"]), int(last["total_params"])
    joined = on_same_examples(pairs(rows))
    for target in rows["target"].unique():
        for name, of_task in joined[joined["target"] == target].groupby("intermediate", sort=False):
            seeds = sorted(of_task["seed"].unique().tolist())
            bad = [s for s in seeds if at_chance & {(name, target, s), (DIRECT, target, s)}]
            metric, listed = of_task["metric"].iloc[0], list(of_task.itertuples())
            yield Contrast(*about, str(name), target, metric, listed, tuple(bad), shifts)


def without(paired: Paired, seeds: Sequence[int]) -> Paired | None:
    """Returns the differences of all seeds but the given ones; None where no seed is left."""
    remaining = [seed for seed in paired.seeds if seed not in seeds]
    return paired.of(remaining) if remaining else None


def shifts_of(
    rows: pd.DataFrame, example_scores: ExampleScores, malformed: Malformed | None = None
) -> Shifts:
    """Returns how scores change on resampled examples, for runs with per-example scores.

    Args:
        malformed: as in `findings.find`.

    Raises:
        DataError: as `findings.find`.
    """

    def checked(row: Any) -> np.ndarray | None:
        try:
            return _checked(row, example_scores)
        except DataError as error:
            if malformed is None:
                raise
            malformed(error)
            return None

    scored = rows.drop_duplicates(["run", "data"])
    known: Shifts = {}
    same_draws = [scored["n"], scored["data"].where(scored["n"] > _MANY, "")]
    for (n, data), of_set in scored.groupby(same_draws):
        counting = _counting(of_set, checked) if data else slice(None)
        at_once = max(_AT_ONCE // n, 1)
        for start in range(0, len(of_set), at_once):
            arrays = {
                (row.run, row.data): array[counting]
                for row in of_set.iloc[start : start + at_once].itertuples()
                if (array := checked(row)) is not None
            }
            if arrays:
                known |= zip(arrays, shifts(np.stack(list(arrays.values()))), strict=True)
    return known


def _counting(rows: pd.DataFrame, checked: Callable[[Any], np.ndarray | None]) -> np.ndarray:
    """Returns which examples [n] have a non-zero numerator or denominator in any run.

    Drawing the others too would change no ratio; most sentences to be mined are among them.
    """
    counting = np.zeros(rows["n"].iloc[0], bool)
    for row in rows.itertuples():
        array = checked(row)
        if array is not None:
            counting |= array.any(axis=1)
    return counting


def _checked(row: Any, example_scores: ExampleScores) -> np.ndarray | None:
    """Returns the per-example scores [n, 2] of a row if there are any, checked against it."""
    array = example_scores(row.run, row.data)
    if array is None:
        return None
    numerator, denominator = array.sum(axis=0, dtype=np.float64)
    value = 100 * numerator / denominator if denominator else 0.0
    if len(array) != row.n or abs(value - row.value) > _ROUNDING:
        raise DataError(
            f"The per-example scores of {len(array)} examples give {value:.3f}, but the row has "
            f"{row.value:.3f} from {row.n}.",
            where=f"run {row.run}, data {row.data} ({row.target}, {row.language})",
            remedy="delete the file of this run and data in the folder `example_scores`, and run "
            "the study again",
        )
    return array


def _mean(arrays: Sequence[np.ndarray | None]) -> np.ndarray | None:
    known = [array for array in arrays if array is not None]
    return np.mean(known, axis=0) if len(known) == len(arrays) else None
