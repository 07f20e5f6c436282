"""Compares the gaps of sizes at equal scores on the intermediate task's own dev."""

from __future__ import annotations

from itertools import groupby

from xt_jax.report.document import Block, Folded, Table, Text
from xt_jax.report.statistics.matching import at_equal_score
from xt_jax.report.study_results import StudyResults
from xt_jax.report.text import count, points

_SOME = (
    "At equal score on the intermediate task's own dev, {compared} of {all} of sizes can be "
    "made; the others have no score that every size reaches, so whether their gap follows the size "
    "or how well the task was learnt cannot be told."
)
_ALL = (
    "Every size reaches a common score on the intermediate task's own dev: the table has the gaps "
    "at equal score."
)
_NONE = (
    "No score on an intermediate task's own dev is reached by every size, so whether the gap "
    "follows the size or how well the task was learnt cannot be told from these rows; further "
    "learning rates of the intermediate phase or checkpoints along pretraining would tell."
)
_NOTE = (
    "Means over languages other than English, targets and seeds. A point is one checkpoint at one "
    "learning rate of the intermediate phase. The gap at equal score is interpolated between "
    "points, in the middle of what the sizes' dev scores have in common; it has no interval. All "
    "points are in learnt.csv."
)


def equal_scores(study: StudyResults) -> list[Block]:
    """Returns what can be compared, and a row per contrast, intermediate task and size.

    [] where fewer than two sizes have a dev score.
    """
    rows = [["contrast", "intermediate", "model", "points", "dev score", "gap", "at equal score"]]
    found = []
    for (contrast, name), grouped in groupby(study.learnt, lambda p: (p.contrast, p.intermediate)):
        of_task = sorted(grouped, key=lambda point: (point.encoder_params, point.size))
        if len({point.size for point in of_task}) < 2:
            continue
        equal = at_equal_score(of_task)
        found.append(equal)
        for size, of_size in groupby(of_task, lambda point: point.size):
            listed = list(of_size)
            scores, gaps = [p.score for p in listed], [p.gap for p in listed]
            there = f"{points(equal[1][size])} at {equal[0]:.1f}" if equal else ""
            spans = _span([f"{score:.1f}" for score in (min(scores), max(scores))])
            cells = [str(len(listed)), spans, _span([points(min(gaps)), points(max(gaps))]), there]
            rows.append([contrast, name, size, *cells])
    if not found:
        return []
    compared = sum(equal is not None for equal in found)
    text = _ALL if compared == len(found) else _NONE
    if 0 < compared < len(found):
        text = _SOME.format(compared=compared, all=count(len(found), "comparison"))
    folded = Folded("Gaps at equal score on the intermediate task", (Table(rows), Text(_NOTE)))
    return [Text(text), folded]


def _span(ends: list[str]) -> str:
    return " to ".join(dict.fromkeys(ends))
