"""Says which scores are chance, and which intermediate tasks were not learnt.

Both are shown beside the numbers. Scores at chance stay in every mean, since leaving them out would
change what is averaged; an intermediate task that some size has not learnt leaves the contrasts of
all sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import pandas as pd

from xt_jax.tasks.table import FAMILIES, TASKS

MARGIN = 5.0  # points above chance on its own dev set from which an intermediate task counts
_MANY = 10**9  # examples, for a chance level without its standard error


def chance(task: str, n: int) -> float | None:
    """Returns the highest score (0..100) on `n` examples that is chance; None where none is.

    Each family defines the score that takes no learning: one label for all, any span, one tag.
    """
    row = TASKS.get(task)
    return None if row is None else FAMILIES[row.family].chance(row, n)


def share_at_chance(target: str, n: Sequence[int], values: Sequence[float]) -> float:
    """Returns the share of scores of a target, on `n` examples each, that are at chance."""
    levels = [chance(target, of) for of in n]
    at_chance = [
        level is not None and value <= level for level, value in zip(levels, values, strict=True)
    ]
    return sum(at_chance) / len(at_chance)


def least_learnt(intermediate: str) -> float | None:
    """Returns the dev score from which an intermediate task counts as learnt; None for no rule.

    It is `MARGIN` above chance, in a mixture the mean over its tasks that have a chance level.
    """
    level = chance_line(intermediate)
    return None if level is None else level + MARGIN


def chance_line(phase: str) -> float | None:
    """Returns the chance level of a phase's score, in a mixture the mean of those known."""
    levels = [chance(task, _MANY) for task in phase.split("+")]
    known = [level for level in levels if level is not None]
    return fmean(known) if known else None


def chance_loss(phase: str) -> float | None:
    """Returns the loss of a phase that takes no learning; None where a task of it has none."""
    rows = [TASKS.get(task) for task in phase.split("+")]
    losses = [None if row is None else FAMILIES[row.family].chance_loss(row) for row in rows]
    known = [loss for loss in losses if loss is not None]
    return fmean(known) if len(known) == len(losses) else None


def not_learnt(rows: pd.DataFrame) -> dict[str, list[str]]:
    """Returns the sizes that have not learnt an intermediate task, by task.

    The mean dev score of a size's runs and seeds decides. Rows of before hold no dev scores; then
    nothing is known.
    """
    known = rows[rows["intermediate_score"].notna()]
    found: dict[str, list[str]] = {}
    for (name, size), scores in known.groupby(["intermediate", "size"], sort=False):
        least = least_learnt(str(name))
        if least is not None and scores["intermediate_score"].mean() < least:
            found.setdefault(str(name), []).append(str(size))
    return found
