"""Writes a submission to XTREME: folders of predictions, and of labels for `xt_jax.score`."""

from __future__ import annotations

from collections.abc import Sequence

from etils import epath

from xt_jax.data.examples import Example, is_labelled
from xt_jax.errors import ConfigError, DataError
from xt_jax.files import atomic_write_text
from xt_jax.tasks.benchmarks import XTREME, Entry
from xt_jax.tasks.submission.formats import FileFormat
from xt_jax.tasks.table import FAMILIES, TASKS


def path(folder: epath.PathLike, task: str, language: str) -> epath.Path:
    """Returns the path of the predictions, or the labels, of a task in one language.

    Raises:
        ConfigError: the task is no part of a submission.
    """
    if task not in XTREME.tasks:
        raise ConfigError(
            f"A submission has no folder for the task `{task}`.",
            where=folder,
            remedy=f"its tasks are {', '.join(XTREME.tasks)}",
        )
    return file_of(folder, XTREME.tasks[task], language)


def file_of(folder: epath.PathLike, entry: Entry, language: str) -> epath.Path:
    """Returns the file of one task of a benchmark in one language."""
    return epath.Path(folder) / entry.folder / f"test-{language}.{layout_of(entry).suffix}"


def layout_of(entry: Entry) -> FileFormat:
    """Returns the file format of a benchmark's task: its own, else that of our task's family."""
    layout = entry.layout or FAMILIES[TASKS[entry.task].family].submission
    assert layout is not None, f"the family of {entry.task} has no submission"
    return layout


def write(
    folder: epath.PathLike,
    task: str,
    language: str,
    examples: Sequence[Example],
    predictions: Sequence,
) -> epath.Path:
    """Writes the predictions of a task in one language, ignoring labels.

    Args:
        examples: those predicted, in the official order.
        predictions: one per example: a label, a sequence of tags, the text of an answer, or, in
            tatoeba, the line (from 0) of the foreign sentence found; in bucc all pairs (foreign
            id, English id) instead.

    Returns:
        The file.

    Raises:
        ConfigError: the task is no part of a submission.
        DataError: two questions share an id.
        ValueError: predictions and examples do not match in number.
    """
    target = path(folder, task, language)
    if not FAMILIES[TASKS[task].family].whole and len(examples) != len(predictions):
        raise ValueError(f"{len(examples)} {task} examples but {len(predictions)} predictions")
    layout = layout_of(XTREME.tasks[task])
    assert layout.text is not None
    atomic_write_text(target, layout.text(examples, predictions))
    return target


def write_labels(
    folder: epath.PathLike, task: str, language: str, examples: Sequence[Example]
) -> epath.Path:
    """Writes the labels of examples, in the same order as `write`, for `xt_jax.score`.

    Returns:
        The file.

    Raises:
        ConfigError: the task is no part of a submission.
        DataError: an example is unlabelled.
    """
    target = path(folder, task, language)
    for example in examples:
        if not is_labelled(example):
            raise DataError(
                f"{task} example {example.id!r} has no label",
                where=target,
                remedy="a split without labels can be predicted, not scored; take the dev split",
            )
    layout = layout_of(XTREME.tasks[task])
    assert layout.write_labels is not None
    layout.write_labels(target, examples)
    return target
