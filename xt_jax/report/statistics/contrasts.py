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
from xt_jax.report.statistics.bootstrap import RUNS, SEEDS, Paired, shifts
from xt_jax.report.statistics.scores import ENGLISH, comparable, pairs

ExampleScores = Callable[[str, str], np.ndarray | None]  # of (run, data), see `xt_jax.records`
Shifts = dict[tuple[str, str], np.ndarray]  # (run, data) -> [B]

_AT_ONCE = 1 << 25  # numbers in memory at once
_MANY = 20_000  # examples above which those without a numerator or denominator are not drawn
_ROUNDING = 1e-3  # error of float32 scores, in percentage points


@dataclass(frozen=True)
class Contrast:
    """The comparison of one size, intermediate task and target with direct fine-tuning.

    Attributes:
        size: the name of the model, or of all pretraining runs of one size.
        pairs: rows of `scores.comparable`; at least one.
    """

    size: str
    family: str
    encoder_params: int
    total_params: int
    intermediate: str
    target: str
    metric: str
    pairs: list[Any]
    shifts: Shifts

    @property
    def key(self) -> tuple[str, str]:
        return self.intermediate, self.target

    @property
    def languages(self) -> list[str]:
        return sorted({pair.language for pair in self.pairs})

    @property
    def runs(self) -> list[str]:
        """The pretraining runs."""
        return sorted({pair.pretraining for pair in self.pairs})

    @cached_property
    def transfer(self) -> list[Any]:
        """The pairs of all languages but English, which is trained on."""
        return [pair for pair in self.pairs if pair.language != ENGLISH]

    @cached_property
    def mean(self) -> Paired | None:
        """The mean difference over all languages but English; None where there is no other."""
        return self._paired(self.transfer) if self.transfer else None

    @cached_property
    def by_seed(self) -> dict[tuple[str, int], float]:
        """The value of `mean` in each pretraining run and seed."""
        gaps: dict[tuple[str, int], list[float]] = defaultdict(list)
        for pair in self.transfer:
            gaps[pair.pretraining, pair.seed].append(pair.value - pair.value_direct)
        return {key: float(np.mean(of_seed)) for key, of_seed in gaps.items()}

    def of(self, language: str) -> Paired:
        """Returns the difference in one language."""
        return self._paired([pair for pair in self.pairs if pair.language == language])

    def of_run(self, run: str) -> Paired:
        """Returns `mean` of one pretraining run, by seed."""
        return self._paired([pair for pair in self.transfer if pair.pretraining == run])

    def _paired(self, pairs: Sequence[Any]) -> Paired:
        """Returns means over languages by pretraining run, or by seed where there is one run."""
        by_seed: dict[tuple[str, int], list[Any]] = defaultdict(list)
        for pair in pairs:
            by_seed[pair.pretraining, pair.seed].append(pair)
        of_seeds = {
            key: (
                float(np.mean([pair.value - pair.value_direct for pair in of_seed])),
                _mean([self._shift(pair) for pair in of_seed]),
            )
            for key, of_seed in sorted(by_seed.items())
        }
        runs = list(dict.fromkeys(run for run, _ in of_seeds))
        several = len(runs) > 1
        grouped = (
            [[x for (of, _), x in of_seeds.items() if of == run] for run in runs]
            if several
            else [[x] for x in of_seeds.values()]
        )
        shifted = [_mean([shift for _, shift in group]) for group in grouped]
        known = [shift for shift in shifted if shift is not None]
        return Paired(
            tuple(runs) if several else tuple(seed for _, seed in of_seeds),
            np.array([np.mean([value for value, _ in group]) for group in grouped]),
            np.stack(known) if len(known) == len(grouped) else None,
            min(pair.n for pair in pairs),
            RUNS if several else SEEDS,
        )

    def _shift(self, pair: Any) -> np.ndarray | None:
        after = self.shifts.get((pair.run, pair.data))
        direct = self.shifts.get((pair.run_direct, pair.data))
        return None if after is None or direct is None else after - direct


def contrasts(rows: pd.DataFrame, shifts: Shifts) -> Iterator[Contrast]:
    """Yields the contrasts of one size, by target and then by intermediate task.

    Args:
        rows: the rows of the first metric of each target.
        shifts: see `shifts_of`.
    """
    last = rows.iloc[-1]
    about = last["size"], last["family"], int(last["encoder_params"]), int(last["total_params"])
    joined = comparable(pairs(rows))
    for target in rows["target"].unique():
        for name, of_task in joined[joined["target"] == target].groupby("intermediate", sort=False):
            metric, listed = of_task["metric"].iloc[0], list(of_task.itertuples())
            yield Contrast(*about, str(name), target, metric, listed, shifts)


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
