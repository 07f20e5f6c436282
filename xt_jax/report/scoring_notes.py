"""Notes beneath a report's scores: what they were scored on that the official ones are not."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from xt_jax.report.document import Text
from xt_jax.report.statistics.scores import in_task_order, without_layers
from xt_jax.report.study_results import StudyResults
from xt_jax.report.text import listed
from xt_jax.tasks.table import FAMILIES, TASKS

_SPLIT = "Scored on {split}, where no labelled test set was at hand: {where}."
_FITTED = (
    "The threshold of {where} is fitted on the very split that is scored, so the F1 is too high."
)
_ORACLE = "`{metric}` of {where} is at the best threshold for the scored split, an upper bound."
_SUBSTITUTES = {
    "scored": "Scored on other examples than the official ones: {where}.",
    "trained": "Trained on other examples than the official ones: {where}.",
    "intermediate": "Intermediate tasks with other examples than the official ones: {where}.",
}


def scoring_notes(study: StudyResults) -> list[Text]:
    """Returns a note for each way in which scores are no official ones, with the targets' names."""
    return [Text(note) for note in _notes(without_layers(study.rows))]


def _notes(rows: pd.DataFrame) -> Iterator[str]:
    for split in sorted(set(rows["split"]) - {"test"}):
        yield _SPLIT.format(split=split, where=_where(rows, rows["split"] == split))
    is_fitted = rows["target"].map(_has_threshold) & (rows["split"] == "dev")
    if is_fitted.any():
        yield _FITTED.format(where=_where(rows, is_fitted))
    for metric in sorted({metric for metric in rows["metric"] if "@" in metric}):
        yield _ORACLE.format(metric=metric, where=_where(rows, rows["metric"] == metric))
    names = rows["substitutes"].str.split("+")
    for name, note in _SUBSTITUTES.items():
        chosen = pd.Series([name in of_row for of_row in names], rows.index)
        if chosen.any():
            tasks = sorted(set(rows["intermediate"][chosen]))
            where = listed(tasks) if name == "intermediate" else _where(rows, chosen)
            yield note.format(where=where)


def _has_threshold(target: str) -> bool:
    return target in TASKS and FAMILIES[TASKS[target].family].fit is not None


def _where(rows: pd.DataFrame, chosen: pd.Series) -> str:
    """Names the targets of the chosen rows, with the languages where these are not all."""
    of_all = rows.groupby("target")["language"].agg(set)
    of_chosen = rows[chosen].groupby("target")["language"].agg(set)
    names = [
        target
        if of_chosen[target] == of_all[target]
        else f"{target} ({', '.join(sorted(of_chosen[target]))})"
        for target in in_task_order(set(of_chosen.index))
    ]
    return listed(names)
