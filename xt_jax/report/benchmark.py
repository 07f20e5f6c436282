"""XTREME's table: task scores, averages of groups and the overall mean, and published figures.

A task's score is the mean over its languages, in question answering also over F1 and exact match; a
group's is the mean over its tasks, the overall one over all (google-research/xtreme,
evaluate.py). A group that lacks a task has no score.
"""

from __future__ import annotations

from statistics import fmean

import numpy as np
import pandas as pd

from xt_jax.report.document import Block, Table, Text
from xt_jax.report.published import published
from xt_jax.report.statistics.scores import Grid, deviation, seed_means
from xt_jax.report.study_results import Model, StudyResults
from xt_jax.tasks.benchmarks import XTREME
from xt_jax.tasks.table import DIRECT, TARGETS, TASKS

GROUPS = XTREME.titled_groups
_NOTE = (
    "Averages as XTREME takes them: a task over its languages (question answering also over F1 and "
    "exact match), a group over its tasks, the last column over all tasks; then the mean over "
    "seeds. A group that lacks a task has no average."
)
_DEVIATION = " ±: sample standard deviation over seeds."
_PUBLISHED = (
    "Zero-shot test scores as published, read in the source named. Recipes differ, and so may "
    "the splits and languages that are scored here."
)


def benchmark_tables(study: StudyResults) -> list[Block]:
    """Returns a row per model and intermediate task; [] where no XTREME target is scored."""
    rows = []
    for model in study.models:
        scores = task_scores(model)
        for name in study.intermediates:
            if name in scores.index:
                cells = [_cell(scores.loc[name][column], column) for column in scores]
                rows.append([model.name, name, *cells])
    if not rows:
        return []
    table = [["model", "intermediate", *TARGETS, *GROUPS, "mean"], *rows]
    used = [i for i in range(len(table[0])) if any(row[i] for row in rows)]
    note = _NOTE + (_DEVIATION if any("±" in cell for row in rows for cell in row) else "")
    blocks: list[Block] = [Table([[row[i] for i in used] for row in table]), Text(note)]
    if fewer := _fewer_languages(study):
        blocks.append(Text(f"Fewer languages than the official list: {fewer}."))
    return blocks


def task_scores(model: Model) -> pd.DataFrame:
    """Returns XTREME's scores, 0..100, by intermediate task and seed: tasks, groups, mean."""
    scores = {}
    for target in model.first:
        if target in XTREME.tasks:
            metrics = XTREME.tasks[target].metrics
            grids = {m: model.grids[target, m] for m in metrics if (target, m) in model.grids}
            if len(grids) == len(metrics):
                by_metric = pd.DataFrame({m: _by_seed(grid) for m, grid in grids.items()})
                scores[target] = _means(by_metric)
    return with_averages(pd.DataFrame(scores).reindex(columns=list(TARGETS)))


def with_averages(scores: pd.DataFrame) -> pd.DataFrame:
    """Adds the means of groups and of all tasks to task scores; NaN where one is missing."""
    groups = {**GROUPS, "mean": TARGETS}
    means = {name: _means(scores[list(tasks)]) for name, tasks in groups.items()}
    return scores.assign(**means).dropna(how="all")


def _means(columns: pd.DataFrame) -> pd.Series:
    """Returns the mean of each row; NaN where a column is missing."""
    return pd.Series([fmean(row) for row in columns.to_numpy()], columns.index, float)


def _by_seed(grid: Grid) -> pd.Series:
    """Returns the means over languages by intermediate task and seed."""
    means = {
        name: pd.Series(seed_means(values), grid.seeds[~np.isnan(values).all(axis=1)])
        for name, values in grid.scores.items()
    }
    return pd.concat(means)


def published_table(study: StudyResults) -> list[Block]:
    """Returns direct fine-tuning beside published figures; [] where there are none."""
    rows = []
    for model in study.models:
        figures = published(model.name)
        for (target, metric), value in (figures.scores if figures else {}).items():
            grid = model.grids.get((target, metric))
            if figures and grid and DIRECT in grid.scores:
                languages = f"{len(grid.languages)} of {len(TASKS[target].languages)}"
                ours = f"{fmean(seed_means(grid.scores[DIRECT])):.1f}"
                row = [model.name, target, metric, languages, ours, f"{value:.1f}", figures.source]
                rows.append(row)
    head = ["model", "target", "metric", "languages", f"{DIRECT}, here", "published", "source"]
    return [Table([head, *rows]), Text(_PUBLISHED)] if rows else []


def _cell(by_seed: pd.Series, column: str) -> str:
    """Returns the mean over seeds, with the standard deviation for means of tasks."""
    values = by_seed.dropna().to_numpy()
    if not len(values):
        return ""
    has_deviation = column not in TARGETS and len(values) > 1
    return f"{fmean(values):.1f}" + (f" ± {deviation(values):.1f}" if has_deviation else "")


def _fewer_languages(study: StudyResults) -> str:
    """Returns the XTREME targets that lack languages in the model with fewest of them."""
    lacking = []
    for target in study.targets:
        grids = [model.first[target][1] for model in study.models if target in model.first]
        fewest = min(len(grid.languages) for grid in grids)
        if target in XTREME.tasks and fewest < len(TASKS[target].languages):
            lacking.append(f"{target} {fewest} of {len(TASKS[target].languages)}")
    return ", ".join(lacking)
