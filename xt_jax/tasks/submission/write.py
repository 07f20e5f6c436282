"""Writes a submission to XTREME: folders of predictions, and of labels for `xt_jax.score`."""

from __future__ import annotations

from collections.abc import Sequence

from etils import epath

from xt_jax.data.examples import Example, is_labelled
from xt_jax.errors import ConfigError, DataError
from xt_jax.files import atomic_write_text
from xt_jax.tasks.benchmarks import XTREME, Entry
from xt_jax.tasks.table import FAMILIES, TASKS


def write(
    folder: epath.PathLike,
    task: str,
    language: str,
    examples: Sequence[Example],
    predictions: Sequence,
) -> epath.Path:
    """Writes the predictions of a task in one language, ignoring labels; returns the file.

    Args:
        examples: those predicted, in the official order.
        predictions: one per example: a label, a sequence of tags, the text of an answer, or, in
            tatoeba, the line (from 0) of the foreign sentence found; in bucc all pairs (foreign
            id, English id) instead.

    Raises:
        ConfigError: the task is no part of a submission.
        DataError: two questions share an id.
        ValueError: predictions and examples do not match in number.
    """
    entry = _entry(folder, task)
    if not FAMILIES[TASKS[task].family].whole and len(examples) != len(predictions):
        raise ValueError(f"{len(examples)} {task} examples but {len(predictions)} predictions")
    assert entry.layout.text is not None
    target = entry.file(folder, language)
    atomic_write_text(target, entry.layout.text(examples, predictions))
    return target


def write_labels(
    folder: epath.PathLike, task: str, language: str, examples: Sequence[Example]
) -> epath.Path:
    """Writes the labels of examples in the same order as `write`; returns the file.

    Raises:
        ConfigError: the task is no part of a submission.
        DataError: an example is unlabelled.
    """
    entry = _entry(folder, task)
    target = entry.file(folder, language)
    for example in examples:
        if not is_labelled(example):
            raise DataError(
                f"{task} example {example.id!r} has no label",
                where=target,
                remedy="a split without labels can be predicted, not scored; take the dev split",
            )
    assert entry.layout.write_labels is not None
    entry.layout.write_labels(target, examples)
    return target


def _entry(folder: epath.PathLike, task: str) -> Entry:
    if task not in XTREME.tasks:
        raise ConfigError(
            f"A submission has no folder for the task `{task}`.",
            where=folder,
            remedy=f"its tasks are {', '.join(XTREME.tasks)}",
        )
    return XTREME.tasks[task]
