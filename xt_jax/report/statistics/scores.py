"""The scores of `results.jsonl` as a data frame: which rows count, and gaps to direct fine-tuning.

Frames have the columns of `xt_jax.records.results.Row` and keep the order of the files.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from statistics import mean, stdev
from typing import get_type_hints

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from xt_jax.records.results import Row
from xt_jax.report.statistics.families import with_sizes
from xt_jax.tasks.family import AT_LAYER
from xt_jax.tasks.table import DIRECT, TASKS

CONFIDENCE = 0.95
ENGLISH = "en"  # the language that targets are trained on

_RUN = ["model", "intermediate", "target", "seed"]
SCORE = [*_RUN, "language", "metric"]  # the columns that name a score
_LAYER = AT_LAYER.format(metric="", layer="")


def as_frame(rows: pd.DataFrame | Sequence[Row]) -> pd.DataFrame:
    """Returns the rows as a frame, which has all columns even without rows."""
    return with_sizes(pd.DataFrame(rows, columns=list(get_type_hints(Row))))


def one_setting(
    rows: pd.DataFrame, only: Collection[tuple[str, str]] = ()
) -> tuple[pd.DataFrame, pd.Series]:
    """Returns the rows that count, one per score, and each model's number of other rows.

    All languages of one model, intermediate task, target and seed come from one training run.
    Different seeds may come from different settings, as rows do not record them.

    Args:
        only: (run, data) of the rows that are preferred; where there are none, the last row counts.
    """
    preferred = [pair in only for pair in zip(rows["run"], rows["data"], strict=True)]
    ranked = rows.iloc[np.argsort(preferred, kind="stable")]
    counts = ranked["run"] == ranked.groupby(_RUN)["run"].transform("last")
    kept = ranked[counts].drop_duplicates(SCORE, keep="last").sort_index()
    setting = [*SCORE, "run", "data"]
    is_left_out = ~_keys(rows, setting).isin(_keys(kept, setting))
    return kept, pd.Series(is_left_out, rows.index).groupby(rows["model"]).sum()


def _keys(rows: pd.DataFrame, columns: list[str]) -> pd.MultiIndex:
    return pd.MultiIndex.from_frame(rows[columns])


def without_layers(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of the tasks' own metrics, without those of single layers."""
    return rows[~rows["metric"].str.contains(_LAYER, regex=False)]


def first_metrics(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of the first metric of each model and target."""
    scores = without_layers(rows)
    return scores[
        scores["metric"] == scores.groupby(["model", "target"])["metric"].transform("first")
    ]


def at_layers(rows: pd.DataFrame, metric: str) -> dict[int, pd.DataFrame]:
    """Returns the rows of `metric` computed from single layers, by layer in ascending order."""
    layers = rows[rows["metric"].str.startswith(metric + _LAYER)]
    number = layers["metric"].str.removeprefix(metric + _LAYER).astype(int)
    return {int(layer): of_layer for layer, of_layer in layers.groupby(number)}


def direct_first(names: Collection[str]) -> list[str]:
    """Returns intermediate tasks in alphabetical order after direct fine-tuning."""
    return sorted(names, key=lambda name: (name != DIRECT, name))


def in_task_order(targets: Collection[str]) -> list[str]:
    """Returns targets in the order of the table of tasks, others after them."""
    order = {name: i for i, name in enumerate(TASKS)}
    return sorted(targets, key=lambda name: (order.get(name, len(order)), name))


def pairs(rows: pd.DataFrame) -> pd.DataFrame:
    """Joins rows after an intermediate task with the rows of direct fine-tuning.

    `value_direct`, `data_direct` and so on are of direct fine-tuning with the same model, target,
    metric, seed, language and choice of the layer.
    """
    on = ["model", "target", "metric", "seed", "language"]
    direct = rows[rows["intermediate"] == DIRECT]
    return rows[rows["intermediate"] != DIRECT].merge(direct, on=on, suffixes=("", "_direct"))


def comparable(joined: pd.DataFrame) -> pd.DataFrame:
    """Returns the `pairs` whose two sides had one recipe and were scored on the same examples."""
    return joined[
        (joined["data"] == joined["data_direct"]) & (joined["recipe"] == joined["recipe_direct"])
    ]


class Grid:
    """The scores of one model, target and metric, and their gaps to direct fine-tuning.

    Attributes:
        seeds, languages: S and L of them, sorted; of several pretraining runs, run and seed.
        scores: an array [S, L] for each intermediate task, direct first; NaN where not scored.
        gaps: an array [S, L] for each intermediate task but direct: the difference to direct
            fine-tuning; NaN unless both were scored on the same examples. {} without direct.
        other_examples: languages in which both were scored, but on different examples.
    """

    def __init__(self, rows: pd.DataFrame):
        names = direct_first(set(rows["intermediate"]))
        self.seeds, seed = np.unique(_units(rows), return_inverse=True)
        self.languages, language = np.unique(rows["language"].astype(str), return_inverse=True)
        place = [names.index(name) for name in rows["intermediate"]], seed, language
        values = np.full((len(names), len(self.seeds), len(self.languages)), np.nan)
        values[place] = rows["value"]
        data = np.full(values.shape, "", object)
        data[place] = rows["data"].str.cat(rows["recipe"], "\n")
        self.scores = dict(zip(names, values, strict=True))
        self.gaps: dict[str, np.ndarray] = {}
        self.other_examples: set[str] = set()
        if DIRECT in names:
            same = data == data[0]
            gaps = np.where(same, values - values[0], np.nan)
            self.gaps = dict(zip(names[1:], gaps[1:], strict=True))
            unlike = ((data != "") & (data[0] != "") & ~same).any(axis=(0, 1))
            self.other_examples = set(self.languages[unlike].tolist())


def _units(rows: pd.DataFrame) -> np.ndarray:
    """Returns the seed of each row, with its pretraining run where there are several."""
    seeds = rows["seed"].to_numpy()
    if rows["pretraining"].nunique() < 2:
        return seeds
    return (rows["pretraining"] + " " + rows["seed"].astype(str)).to_numpy(str)


def seed_means(values: np.ndarray) -> np.ndarray:
    """Returns the means over languages of an array [S, L], for the seeds that have a value."""
    known = [row[~np.isnan(row)] for row in values]
    return np.array([mean(row.tolist()) for row in known if len(row)])


def deviation(values: Sequence[float] | np.ndarray) -> float:
    """Returns the sample standard deviation; NaN for fewer than two values."""
    return stdev(values) if len(values) > 1 else math.nan


def half_width(values: Sequence[float] | np.ndarray) -> float:
    """Returns half of Student's interval of the mean at `CONFIDENCE`; NaN below two values.

    For differences paired by seed it is the interval of a gap with respect to other seeds, not to
    other test examples or languages.
    """
    n = len(values)
    if n < 2:
        return math.nan
    return float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * deviation(values) / math.sqrt(n)
