"""Places checkpoints by their gap and by what the gap may follow in place of the size.

Larger models score higher directly, and learn an intermediate task better, so a gap that follows
size may only follow one of these. Checkpoints along pretraining, and intermediate phases at several
learning rates, separate them: do sizes differ at equal score?
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import NamedTuple

import numpy as np
import pandas as pd

from xt_jax.report.statistics.combined import RETRIEVAL, TRAINED, is_trained
from xt_jax.report.statistics.scores import ENGLISH, SCORE, comparable, first_metrics, pairs
from xt_jax.tasks.table import DIRECT


class Point(NamedTuple):
    """One checkpoint: means over all languages but English, targets, intermediate tasks, seeds.

    Attributes:
        contrast: TRAINED or RETRIEVAL.
        steps: of pretraining; 0 where they are not recorded.
        direct: score of direct fine-tuning, 0..100.
        gap: what the intermediate tasks add, in points.
    """

    contrast: str
    size: str
    encoder_params: int
    pretraining: str
    steps: int
    direct: float
    gap: float


class Learnt(NamedTuple):
    """How well an encoder learnt an intermediate task, and its mean gap on the targets after it.

    Gaps are means over all languages but English, targets and seeds.

    Attributes:
        contrast: TRAINED or RETRIEVAL.
        steps: of pretraining; 0 where they are not recorded.
        rate: the intermediate phase's learning rate.
        score: the intermediate task's own score on dev.
        gap: what the intermediate task adds, in points.
    """

    contrast: str
    intermediate: str
    size: str
    encoder_params: int
    pretraining: str
    steps: int
    rate: float
    score: float
    gap: float


def matched(rows: pd.DataFrame) -> Iterator[Point]:
    """Yields the points of each contrast, over what every checkpoint has; [] where nothing is.

    Args:
        rows: the rows that count, of all checkpoints.
    """
    for contrast, both in _contrasts(rows):
        means = _means(both, ["intermediate", "target"], ["model"])
        for model, about in both.groupby("model", sort=False):
            if model in means.index:
                direct, gap = means.loc[model, ["value_direct", "gap"]]
                yield Point(contrast, *_about(about), float(direct), float(gap))


def learnt(rows: pd.DataFrame, every: pd.DataFrame) -> Iterator[Learnt]:
    """Yields the points of each contrast and intermediate task, over targets that all of them have.

    Args:
        rows: the rows that count, of all checkpoints.
        every: all rows, of which those at other rates of the intermediate phase are taken too.
    """
    known = pd.concat([every[every["intermediate"] != DIRECT], rows])
    known = known[known["intermediate_score"].notna() | (known["intermediate"] == DIRECT)]
    known = known.drop_duplicates([*SCORE, "intermediate_rate"], keep="last")
    for contrast, of_contrast in _contrasts(known):
        for name, both in of_contrast.groupby("intermediate", sort=False):
            means = _means(both, ["target"], ["model", "intermediate_rate"])
            for key, about in both.groupby(["model", "intermediate_rate"], sort=False):
                if key in means.index:
                    score, gap = means.loc[key, ["intermediate_score", "gap"]]
                    place = _about(about)
                    yield Learnt(contrast, str(name), *place, key[1], float(score), float(gap))


def at_equal_score(points: Sequence[Learnt]) -> tuple[float, dict[str, float]] | None:
    """Returns a dev score that all sizes reach, and the gap of each size there.

    It is the middle of what the sizes' ranges of dev scores have in common; a gap is interpolated
    between the neighbouring points. None where the ranges have nothing in common.
    """
    by_size: dict[str, dict[float, list[float]]] = {}
    for point in sorted(points, key=lambda point: point.score):
        by_size.setdefault(point.size, {}).setdefault(point.score, []).append(point.gap)
    low, high = max(map(min, by_size.values())), min(map(max, by_size.values()))
    if low > high:
        return None
    at = (low + high) / 2
    return at, {
        size: float(np.interp(at, [*gaps], [fmean(of_score) for of_score in gaps.values()]))
        for size, gaps in by_size.items()
    }


def _contrasts(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yields the pairs behind each contrast, without English, with their gaps."""
    both = comparable(pairs(first_metrics(rows)))
    both = both[both["language"] != ENGLISH]
    both = both.assign(gap=both["value"] - both["value_direct"])
    trained = both["target"].map(is_trained).astype(bool)
    yield from ((TRAINED, both[trained]), (RETRIEVAL, both[~trained]))


def _means(both: pd.DataFrame, keys: list[str], units: list[str]) -> pd.DataFrame:
    """Returns the mean of each unit over the keys that all units have."""
    columns = ["value_direct", "gap", "intermediate_score"]
    means = both.groupby([*units, *keys])[columns].mean()
    counts = means.groupby(keys)["gap"].transform("size")
    return means[counts == len(both[units].drop_duplicates())].groupby(units).mean()


def _about(rows: pd.DataFrame) -> tuple[str, int, str, int]:
    last = rows.iloc[-1]
    steps = int(last["pretraining_steps"])
    return last["size"], int(last["encoder_params"]), last["pretraining"], steps
