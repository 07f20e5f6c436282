"""Finds the runs that learnt nothing: their English score is at chance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

from xt_jax.records.results import Row
from xt_jax.tasks.table import FAMILIES, TASKS

Run = tuple[str, str, int]  # intermediate, target, seed

_ENGLISH = "en"


def collapsed(rows: Sequence[Row]) -> set[Run]:
    """Returns one model's runs at chance; `rows` are those of each target's first metric.

    The English score decides (without one, the mean over languages): it is at most `chance`. Only
    runs trained on their target can collapse; retrieval and mining score an encoder as it is.
    """
    runs: dict[Run, list[Row]] = defaultdict(list)
    for row in rows:
        runs[row["intermediate"], row["target"], row["seed"]].append(row)
    return {run for run, of_run in runs.items() if _is_at_chance(of_run)}


def chance(target: str, n: int) -> float | None:
    """Returns the highest score (0..100) on `n` examples that is chance; None where none is.

    Each family defines the score that takes no learning: one label for all, any span, one tag.
    """
    task = TASKS.get(target)
    return None if task is None else FAMILIES[task.family].chance(task, n)


def _is_at_chance(rows: Sequence[Row]) -> bool:
    judged = [row for row in rows if row["language"] == _ENGLISH] or rows
    highest = chance(rows[0]["target"], min(row["n"] for row in judged))
    return highest is not None and fmean(row["value"] for row in judged) <= highest
