"""XTREME's table: task scores, group averages and the overall mean, per branch.

A task's score is the mean over its languages, of question answering also over F1 and exact match;
a group's the mean over its tasks, the overall one over all (google-research/xtreme,
evaluate.py). A group that lacks a task has no score.
"""

from __future__ import annotations

from statistics import fmean

from xt_jax.report.document import Block, Table, Text
from xt_jax.report.evidence import Evidence, Model
from xt_jax.report.published import published
from xt_jax.report.statistics.compare import Columns, deviation, languages_of, seed_means, values_of
from xt_jax.tasks.benchmarks import XTREME
from xt_jax.tasks.table import DIRECT, TARGETS, TASKS

GROUPS = XTREME.titled_groups
_NOTE = (
    "Averages as XTREME takes them: a task over its languages (question answering also over F1 and "
    "exact match), a group over its tasks, the last column over all tasks; then the mean over "
    "seeds. A group that lacks a task has no average."
)
_DEVIATION = " ±: sample standard deviation over seeds."

BySeed = dict[int, float]


def benchmark_tables(evidence: Evidence) -> list[Block]:
    """[] where no target of XTREME was scored."""
    rows = [["model", "intermediate", *TARGETS, *GROUPS, "mean"]]
    for model in evidence.models:
        for name in evidence.intermediates:
            scores = task_scores(model, name)
            if scores:
                rows.append([model.name, name, *_cells(scores)])
    if len(rows) == 1:
        return []
    used = [0, 1, *(i for i in range(2, len(rows[0])) if any(row[i] for row in rows[1:]))]
    note = _NOTE + (_DEVIATION if any("±" in cell for row in rows for cell in row) else "")
    blocks: list[Block] = [Table([[row[i] for i in used] for row in rows]), Text(note)]
    if fewer := _fewer_languages(evidence):
        blocks.append(Text(f"Fewer languages than the official list: {fewer}."))
    return blocks


def published_table(evidence: Evidence) -> list[Block]:
    """Direct fine-tuning of published models beside published figures; [] where there are none."""
    rows = [["model", "target", "metric", "languages", f"{DIRECT}, here", "published", "source"]]
    for model in evidence.models:
        found = published(model.name)
        for (target, metric), value in (found.scores if found else {}).items():
            columns = model.main.get((target, metric), {})
            numbers = values_of(columns).get(DIRECT)
            if found and numbers:
                languages = f"{len(languages_of(columns))} of {len(TASKS[target].languages)}"
                ours = f"{fmean(seed_means(numbers)):.1f}"
                row = [model.name, target, metric, languages, ours, f"{value:.1f}", found.source]
                rows.append(row)
    if len(rows) == 1:
        return []
    note = (
        "Zero-shot test scores as published, read in the source named. Recipes differ, and so may "
        "the splits and languages that are scored here."
    )
    return [Table(rows), Text(note)]


def task_scores(model: Model, intermediate: str) -> dict[str, BySeed]:
    """target -> seed -> XTREME's score of the task, 0..100."""
    scores = {}
    for target in model.first:
        if target not in XTREME.tasks:
            continue
        metrics = [
            _by_seed(model.main.get((target, metric), {}), intermediate)
            for metric in XTREME.tasks[target].metrics
        ]
        seeds = set.intersection(*(set(by_seed) for by_seed in metrics))
        if seeds:
            scores[target] = {s: fmean(by_seed[s] for by_seed in metrics) for s in sorted(seeds)}
    return scores


def average(scores: dict[str, BySeed], tasks: tuple[str, ...]) -> BySeed:
    """The mean over `tasks` of the seeds that all have; {} where one is missing."""
    if not set(tasks) <= set(scores):
        return {}
    seeds = set.intersection(*(set(scores[task]) for task in tasks))
    return {seed: fmean(scores[task][seed] for task in tasks) for seed in sorted(seeds)}


def _cells(scores: dict[str, BySeed]) -> list[str]:
    tasks = [f"{fmean(scores[t].values()):.1f}" if t in scores else "" for t in TARGETS]
    groups = [_cell(average(scores, group)) for group in (*GROUPS.values(), TARGETS)]
    return tasks + groups


def _cell(by_seed: BySeed) -> str:
    if not by_seed:
        return ""
    values = list(by_seed.values())
    plus_minus = f" ± {deviation(values):.1f}" if len(values) > 1 else ""
    return f"{fmean(values):.1f}{plus_minus}"


def _by_seed(columns: Columns, intermediate: str) -> BySeed:
    numbers = values_of(columns).get(intermediate, {})
    return dict(zip(numbers, seed_means(numbers), strict=True))


def _fewer_languages(evidence: Evidence) -> str:
    found = []
    for target in evidence.targets:
        counts = [
            len(languages_of(model.first[target][1]))
            for model in evidence.models
            if target in model.first
        ]
        if target in XTREME.tasks and min(counts) < len(TASKS[target].languages):
            found.append(f"{target} {min(counts)} of {len(TASKS[target].languages)}")
    return ", ".join(found)
