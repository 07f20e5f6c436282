"""Writes what a model predicted: a file for each language, and XTREME's submission."""

from __future__ import annotations

import json
from collections.abc import Sequence

from etils import epath

from xt_jax.files import atomic_write_text
from xt_jax.study.datasets import Dataset
from xt_jax.tasks.benchmarks import XTREME
from xt_jax.tasks.family import Task
from xt_jax.tasks.submission import write as submission
from xt_jax.tasks.table import FAMILIES


def has_predictions(home: epath.Path, task: Task, dataset: Dataset) -> bool:
    """Returns whether the file of predictions for this data set exists."""
    return _path(home, task, dataset).exists()


def write_predictions(
    home: epath.Path, task: Task, dataset: Dataset, predictions: Sequence
) -> None:
    """Writes a line of JSON for each example, or for each pair under its foreign id."""
    if FAMILIES[task.family].whole:
        pairs = [tuple(pair) for pair in predictions]
    else:
        pairs = [(e.id, p) for e, p in zip(dataset.examples, predictions, strict=True)]
    lines = (
        json.dumps({"id": id_, "prediction": prediction}, ensure_ascii=False) + "\n"
        for id_, prediction in pairs
    )
    atomic_write_text(_path(home, task, dataset), "".join(lines))


def write_submission(
    folder: epath.Path, labels: epath.Path | None, home: epath.Path, task: Task, dataset: Dataset
) -> None:
    """Writes a test split's official file from its predictions, and its labels.

    Writes nothing for other splits or incomplete ones, and no labels where there are none.

    Args:
        labels: the folder of all labels; None if this data set's are already written.
    """
    official = dataset.split == "test" and dataset.official
    if not official or task.name not in XTREME.tasks:
        return
    lines = _path(home, task, dataset).read_text().removesuffix("\n")
    rows = [json.loads(line) for line in lines.split("\n")] if lines else []
    if FAMILIES[task.family].whole:
        predictions = [(row["id"], row["prediction"]) for row in rows]
    else:
        predictions = [row["prediction"] for row in rows]
    submission.write(folder, task.name, dataset.language, dataset.examples, predictions)
    if dataset.labelled and labels is not None:
        submission.write_labels(labels, task.name, dataset.language, dataset.examples)


def _path(home: epath.Path, task: Task, dataset: Dataset) -> epath.Path:
    name = f"{dataset.split}-{dataset.language}-{dataset.key[:8]}.jsonl"
    return home / "predictions" / task.name / name
