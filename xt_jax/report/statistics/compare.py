"""Which rows of `results.jsonl` count, their gaps to direct fine-tuning, and how sure those are."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection
from statistics import mean, stdev

from scipy.special import stdtrit

from xt_jax.records.results import Row
from xt_jax.tasks.family import AT_LAYER
from xt_jax.tasks.table import DIRECT

Columns = dict[str, dict[int, dict[str, Row]]]  # intermediate -> seed -> language -> row
Numbers = dict[int, dict[str, float]]  # seed -> language -> value or difference
Pair = tuple[int, str, Row, Row]  # seed, language, row of an intermediate task, row of direct

CONFIDENCE = 0.95


def one_setting(rows: list[Row], only: Collection[tuple[str, str]]) -> tuple[list[Row], int]:
    """(one row per number, how many rows of other settings are left out).

    The languages of one seed come from one training run. Seeds are different runs in any case:
    whether their settings agree cannot be seen in a row.

    Args:
        rows: of one model, in the order of the file.
        only: (run, data) of the rows that go before rows of other settings; elsewhere the last
            setting counts.
    """

    def phase(row: Row) -> tuple:
        return row["intermediate"], row["target"], row["seed"]

    def number(row: Row) -> tuple:
        return *phase(row), row["language"], row["metric"]

    ranked = sorted(rows, key=lambda row: (row["run"], row["data"]) in only)
    runs = {phase(row): row["run"] for row in ranked}
    chosen = {number(row): row for row in ranked if row["run"] == runs[phase(row)]}
    kept = [row for row in rows if chosen.get(number(row)) is row]
    settings = {(*number(row), row["run"], row["data"]) for row in kept}
    return kept, sum((*number(row), row["run"], row["data"]) not in settings for row in rows)


def collect(rows: list[Row]) -> dict[tuple[str, str], Columns]:
    """The rows of each (target, metric)."""
    scores: dict = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    for row in rows:
        columns = scores[row["target"], row["metric"]]
        columns[row["intermediate"]][row["seed"]][row["language"]] = row
    return scores


def without_layers(scores: dict[tuple[str, str], Columns]) -> dict[tuple[str, str], Columns]:
    """What counts as the tasks' metrics, not the same metric at every layer."""
    mark = AT_LAYER.format(metric="", layer="")
    return {key: columns for key, columns in scores.items() if mark not in key[1]}


def first_metrics(scores: dict[tuple[str, str], Columns]) -> dict[tuple[str, str], Columns]:
    """Of each target the metric that stands first."""
    first: dict[str, tuple[str, str]] = {}
    for target, metric in without_layers(scores):
        first.setdefault(target, (target, metric))
    return {key: scores[key] for key in first.values()}


def at_layers(scores: dict[tuple[str, str], Columns], target: str, metric: str) -> dict:
    """The rows of `metric` at each layer that has its own: layer -> columns."""
    prefix = AT_LAYER.format(metric=metric, layer="")
    return {
        int(name.removeprefix(prefix)): columns
        for (other, name), columns in scores.items()
        if other == target and name.startswith(prefix)
    }


def direct_first(names: Collection[str]) -> list[str]:
    return sorted(names, key=lambda name: (name != DIRECT, name))


def languages_of(columns: Columns) -> list[str]:
    return sorted({lang for seeds in columns.values() for by in seeds.values() for lang in by})


def values_of(columns: Columns) -> dict[str, Numbers]:
    return {
        name: {s: {lang: row["value"] for lang, row in by.items()} for s, by in seeds.items() if by}
        for name, seeds in columns.items()
    }


def gap(columns: Columns, name: str) -> Numbers:
    """What `name` has above direct, where both were scored on the same examples."""
    gaps: Numbers = defaultdict(dict)
    for seed, language, row, direct in same_examples(columns, name):
        gaps[seed][language] = row["value"] - direct["value"]
    return gaps


def same_examples(columns: Columns, name: str) -> list[Pair]:
    """What `gap` compares."""
    return [pair for pair in _pairs(columns, name) if pair[2]["data"] == pair[3]["data"]]


def other_examples(columns: Columns, name: str) -> set[str]:
    """Languages that `gap` leaves out although both sides have them, in at least one seed."""
    return {lang for _, lang, row, direct in _pairs(columns, name) if row["data"] != direct["data"]}


def seed_means(numbers: Numbers) -> list[float]:
    """The mean over languages of each seed."""
    return [mean(by_language.values()) for by_language in numbers.values()]


def deviation(means: list[float]) -> float:
    """Sample standard deviation; NaN of fewer than two."""
    return stdev(means) if len(means) > 1 else math.nan


def half_width(means: list[float]) -> float:
    """Half the width of Student's interval of the mean at CONFIDENCE; NaN of fewer than two.

    Of differences that are paired by seed it is the interval of a gap. It knows what seeds do, not
    what other test examples or languages would have done.
    """
    n = len(means)
    if n < 2:
        return math.nan
    return float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * stdev(means) / math.sqrt(n)


def _pairs(columns: Columns, name: str) -> list[Pair]:
    """What both sides have."""
    direct = columns.get(DIRECT, {})
    return [
        (seed, language, row, direct[seed][language])
        for seed, by_language in columns.get(name, {}).items()
        for language, row in by_language.items()
        if language in direct.get(seed, {})
    ]
