"""Reads multiple-choice data sets: HellaSwag, Cosmos QA and CommonsenseQA.

The text and the parts of a choice are joined as in nyu-mll/jiant: HellaSwag's `ctx_b` and Cosmos
QA's question come before every ending or answer, separated by a space.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from typing import Any

from etils import epath

from xt_jax.data.examples import ChoiceExample
from xt_jax.data.formats.tables import (
    check_header,
    check_label,
    check_text,
    field,
    read_json_lines,
)
from xt_jax.errors import DataError
from xt_jax.files import read_text

LETTERS = "ABCDE"
ANSWERS = tuple(f"answer{number}" for number in range(4))
COSMOS_HEADER = ("id", "context", "question", *ANSWERS, "label")


def read_hellaswag(path: epath.PathLike, labels: Sequence[str]) -> list[ChoiceExample]:
    """Reads HellaSwag's JSON Lines; `id` is the line number from 0, since `ind` is not unique.

    The text is `ctx_a`, a choice `ctx_b` and the ending (the ending alone where `ctx_b` is empty,
    as in the rows from WikiHow). The test split has no label.
    """
    examples = []
    for number, record in read_json_lines(path):
        text, start = (field(record, name, str, path, number) for name in ("ctx_a", "ctx_b"))
        endings = field(record, "endings", list, path, number)
        choices = [_joined(start, ending) for ending in _texts(endings, "ending", path, number)]
        label = field(record, "label", int, path, number) if "label" in record else None
        examples.append(_choice(labels, path, number, str(number - 1), text, choices, label))
    return examples


def read_cosmos_qa(path: epath.PathLike, labels: Sequence[str]) -> list[ChoiceExample]:
    """Reads Cosmos QA: the csv of train and dev, or the JSON Lines of the unlabelled test set.

    The text is the context, a choice the question and an answer. In the csv, fields are quoted
    and may hold line ends; a fault is reported with the line on which its record begins.
    """
    rows = read_json_lines(path) if str(path).endswith(".jsonl") else _csv_rows(path)
    examples = []
    for number, row in rows:
        id_, text, question, *answers = (
            field(row, name, str, path, number) for name in COSMOS_HEADER[:-1]
        )
        check_text(question, "the question", path, number)
        choices = [_joined(question, answer) for answer in _texts(answers, "answer", path, number)]
        label = row.get("label")
        examples.append(_choice(labels, path, number, id_, text, choices, label))
    if not examples:
        raise DataError("the file holds a header only", where=path, remedy="fetch it again")
    return examples


def read_commonsense_qa(path: epath.PathLike, labels: Sequence[str]) -> list[ChoiceExample]:
    """Reads CommonsenseQA's JSON Lines: the text is the stem, the choices are in order A to E.

    The test split has no answer key.
    """
    examples = []
    for number, record in read_json_lines(path):
        id_ = field(record, "id", str, path, number)
        question = field(record, "question", dict, path, number)
        stem = field(question, "stem", str, path, number)
        options = field(question, "choices", list, path, number)
        letters = [field(option, "label", str, path, number) for option in options]
        if "".join(letters) != LETTERS[: len(letters)] or not letters:
            raise DataError(
                f"the choices are called {', '.join(letters) or 'nothing'}",
                where=f"{path}:{number}",
                remedy=f"they must be {', '.join(LETTERS)} in this order",
            )
        choices = _texts([option.get("text") for option in options], "choice", path, number)
        label = None
        if "answerKey" in record:
            letter = field(record, "answerKey", str, path, number)
            check_label(letter, letters, path, number)
            label = letters.index(letter)
        examples.append(_choice(labels, path, number, id_, stem, choices, label))
    return examples


def _csv_rows(path: epath.PathLike) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields (number of the first line, fields by name) for each record of a csv with a header."""
    lines = read_text(path).removesuffix("\n").split("\n")
    reader = csv.reader((f"{line}\n" for line in lines), strict=True)
    names: list[str] = []
    number = 1
    try:
        for cells in reader:
            if not names:
                names = cells
                check_header(names, COSMOS_HEADER[:-1], path)
            elif len(cells) != len(names):
                raise DataError(
                    f"{len(cells)} comma-separated fields found, {len(names)} expected",
                    where=f"{path}:{number}",
                    remedy="the record is cut off or was edited; fetch the file again",
                )
            else:
                yield number, dict(zip(names, cells, strict=True))
            number = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"broken csv: {error}",
            where=f"{path}:{number}",
            remedy="a quotation is not closed; fetch the file again",
        ) from error


def _choice(
    labels: Sequence[str],
    path: epath.PathLike,
    number: int,
    id_: str,
    text: str,
    choices: Sequence[str],
    label: str | int | None,
) -> ChoiceExample:
    """Returns one checked example, which must have a choice for every label."""
    check_text(text, "the text", path, number)
    if len(choices) < 2 or (labels and len(choices) != len(labels)):
        raise DataError(
            f"{len(choices)} choices found, {len(labels) or 'two or more'} expected",
            where=f"{path}:{number}",
            remedy="the record does not belong to this data set; fetch the file again",
        )
    if label is not None:
        label = str(label)
        check_label(label, labels or [str(i) for i in range(len(choices))], path, number)
    return ChoiceExample(id_, text, tuple(choices), label)


def _texts(values: Sequence[Any], name: str, path: epath.PathLike, number: int) -> list[str]:
    for index, value in enumerate(values):
        if not isinstance(value, str) or not value.strip():
            raise DataError(
                f"{name} {index} is empty",
                where=f"{path}:{number}",
                remedy="fill it in or fetch the file again",
            )
    return list(values)


def _joined(start: str, end: str) -> str:
    return f"{start} {end}" if start else end
