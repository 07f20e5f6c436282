"""Runs that learnt nothing: their English score is what no learning gives."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

from xt_jax.records.results import Row
from xt_jax.tasks.table import TASKS, Task

Run = tuple[str, str, int]  # intermediate, target, seed

_ENGLISH = "en"
_ERRORS = 2  # standard errors above chance that are still chance
_LARGER_CLASS = {"pawsx": 55.0}  # 54.7 % of the English test split are no paraphrases
# Percent F1 that takes no learning: a span somewhere in the passage, a tag for every word. What
# answers nothing gets half of SQuAD v2.0.
_WITHOUT_LEARNING = {"spans": 15.0, "spans_or_none": 51.0, "tags": 5.0}


def collapsed(rows: Sequence[Row]) -> set[Run]:
    """The runs of one model that are at chance; `rows` are those of each target's first metric.

    The English score decides, where there is none the mean over languages: at most `chance`. Only
    what is trained on its target can collapse: retrieval and mining score an encoder as it is.
    """
    runs: dict[Run, list[Row]] = defaultdict(list)
    for row in rows:
        runs[row["intermediate"], row["target"], row["seed"]].append(row)
    return {run for run, mine in runs.items() if _is_at_chance(mine)}


def chance(target: str, n: int) -> float | None:
    """The highest score, 0..100, on `n` examples that still counts as chance; None if any counts.

    Of labels: always the same label (1 / labels, or the share of the larger class where that is
    known to be larger) and two standard errors of n examples. Of spans and tags: a small F1 that
    takes no learning, whatever n.
    """
    task = TASKS.get(target)
    if task is None or task.family in ("retrieval", "mining", "mlm"):
        return None
    if task.family not in ("pairs", "choices"):
        return _WITHOUT_LEARNING[task.family]
    share = _same_label(task)
    return share + _ERRORS * math.sqrt(share * (100 - share) / n)


def _same_label(task: Task) -> float:
    return max(100 / len(task.labels), _LARGER_CLASS.get(task.name, 0.0))


def _is_at_chance(rows: Sequence[Row]) -> bool:
    judged = [row for row in rows if row["language"] == _ENGLISH] or rows
    highest = chance(rows[0]["target"], min(row["n"] for row in judged))
    return highest is not None and fmean(row["value"] for row in judged) <= highest
