"""Scores a submission to XTREME or XTREME-R as google-research/xtreme's `evaluate.py` does.

`xt_jax.tasks.benchmarks` defines what is scored and averaged, `xt_jax.tasks.submission.formats`
how a file is read and compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from etils import epath

from xt_jax.errors import DataError
from xt_jax.places import as_path
from xt_jax.tasks.benchmarks import BENCHMARKS, Benchmark, Entry
from xt_jax.tasks.metrics import squad
from xt_jax.tasks.metrics.tagging import SEQEVAL_VERSIONS
from xt_jax.tasks.submission.formats import Part
from xt_jax.tasks.table import TASKS

Scores = dict[str, float]


@dataclass(frozen=True)
class Verdict:
    """The scores of a submission, and notes on what is missing or ignored.

    Attributes:
        scores: the official JSON: `all_task` and the groups where all their tasks are complete,
            then for each task metric to language to value, `avg_<metric>` and `avg_metric`.
        unofficial: for each task metric to language to value, of what is not official: the plain
            accuracy of UD-POS.
        missing: the languages left out of a task's averages.
        notes: what was ignored, a line each.
    """

    scores: dict[str, Any]
    unofficial: dict[str, dict[str, Scores]]
    missing: dict[str, tuple[str, ...]]
    notes: tuple[str, ...]


def evaluate(
    predictions: epath.PathLike,
    labels: epath.PathLike,
    version: str = "xtreme",
    *,
    seqeval: str = SEQEVAL_VERSIONS[0],
    allow_missing: bool = False,
) -> Verdict:
    """Scores the tasks that both folders hold.

    Args:
        predictions: a folder of folders of files; see `xt_jax.tasks.submission.write`.
        labels: the same with the labels.
        version: key of BENCHMARKS.
        seqeval: whose rules of entities, one of `tagging.SEQEVAL_VERSIONS`.
        allow_missing: average a task over the languages that are there; such a task counts in no
            group.

    Raises:
        DataError: a folder or a language of a task is missing, there is nothing to score, or a
            file is malformed (with its line).
    """
    predictions, labels = as_path(predictions), as_path(labels)
    benchmark = BENCHMARKS[version]
    present, notes = _survey(predictions, labels, benchmark)
    absent = [
        (entry.folder, language, file)
        for entry in present
        for language in entry.languages
        for folder in (predictions, labels)
        if not (file := entry.file(folder, language)).exists()
    ]
    missing: dict[str, tuple[str, ...]] = {}
    for task, language, _ in absent:
        missing[task] = tuple(dict.fromkeys((*missing.get(task, ()), language)))
    if missing and not allow_missing:
        tasks = "; ".join(f"{task} lacks {', '.join(codes)}" for task, codes in missing.items())
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        raise DataError(
            f"languages are missing: {tasks}",
            where=f"{absent[0][2]}{more}",
            remedy="add the files, remove the folder of the task, or give --allow_missing to "
            "average over what is there",
        )
    empty = [entry for entry in present if missing.get(entry.folder) == entry.languages]
    notes += [f"{entry.folder}: no language is in both folders" for entry in empty]
    present = [entry for entry in present if entry not in empty]
    if not present:
        scorable = [entry.folder for entry in benchmark.entries if entry.languages]
        raise DataError(
            "the two folders have no file in common that could be scored",
            where=f"{predictions}, {labels}",
            remedy="each holds files named <task>/test-<language>.tsv (.json for questions), with "
            f"the tasks {', '.join(scorable)}",
        )
    scores: dict[str, Any] = {}
    unofficial: dict[str, dict[str, Scores]] = {}
    for entry in present:
        by_metric: dict[str, Scores] = {}
        for language in entry.languages:
            if language in missing.get(entry.folder, ()):
                continue
            prediction, label = (entry.file(folder, language) for folder in (predictions, labels))
            metrics, file_notes = score_file(entry, language, prediction, label, seqeval=seqeval)
            notes += file_notes
            for metric, value in metrics.items():
                by_metric.setdefault(metric, {})[language] = value
        aside = {name: by_metric.pop(name) for name in entry.unofficial}
        if aside:
            unofficial[entry.folder] = aside
        scores[entry.folder] = _averaged(entry, by_metric)
    complete = {task: s["avg_metric"] for task, s in scores.items() if task not in missing}
    return Verdict({**benchmark.averages(complete), **scores}, unofficial, missing, tuple(notes))


def score_file(
    entry: Entry,
    language: str,
    prediction: epath.Path,
    label: epath.Path,
    *,
    seqeval: str = SEQEVAL_VERSIONS[0],
) -> tuple[Scores, list[str]]:
    """Returns the metrics of one task in one language, unofficial ones too, and notes.

    Raises:
        DataError: a file is malformed (with its line), or the two do not fit.
    """
    normaliser = TASKS[entry.task].normaliser if entry.task else squad.normaliser
    part = Part(prediction, label, normaliser(language), seqeval, entry.unofficial)
    return entry.layout.score(part)


def _averaged(entry: Entry, by_metric: dict[str, Scores]) -> dict[str, Any]:
    means = {f"avg_{name}": sum(v.values()) / len(v) for name, v in by_metric.items()}
    metric = sum(means[f"avg_{name}"] for name in entry.metrics) / len(entry.metrics)
    return {**by_metric, **means, "avg_metric": metric}


def _survey(
    predictions: epath.Path, labels: epath.Path, benchmark: Benchmark
) -> tuple[list[Entry], list[str]]:
    """Returns the tasks in both folders, in order, and notes on what is ignored."""
    held = [_folders(predictions), _folders(labels)]
    scored = {entry.folder: entry for entry in benchmark.entries if entry.languages}
    notes = []
    for folder, names, others in zip((predictions, labels), held, held[::-1], strict=True):
        for name in names:
            if name not in scored:
                notes.append(f"{folder / name}: no task that this version scores")
            elif name not in others:
                notes.append(f"{folder / name}: nothing to compare it with in the other folder")
    present = [entry for name, entry in scored.items() if all(name in names for names in held)]
    for entry in present:
        known = {entry.file(predictions, language).name for language in entry.languages}
        for folder in (predictions / entry.folder, labels / entry.folder):
            unknown = sorted(path.name for path in folder.iterdir() if path.name not in known)
            if unknown := [name for name in unknown if not name.startswith(".")]:
                notes.append(f"{folder}: ignored {', '.join(unknown)}")
    return present, notes


def _folders(folder: epath.Path) -> list[str]:
    if not folder.is_dir():
        raise DataError("the folder does not exist", where=folder, remedy="check the path")
    return sorted(path.name for path in folder.iterdir() if path.is_dir())
