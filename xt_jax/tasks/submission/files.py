"""Reads the files of a submission and of its labels as XTREME's `evaluate.py` reads them.

Where that script would stop at an assertion, or count a malformed line as wrong, a `DataError`
names file and line instead.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from etils import epath

from xt_jax.data import formats
from xt_jax.errors import DataError
from xt_jax.files import read_text


class Sentence(NamedTuple):
    """The tags of a sentence, and the line number of the first one."""

    line: int
    tags: list[str]


def read_labels(path: epath.PathLike) -> list[str]:
    """Reads one label per line without surrounding white space; a blank line is a wrong label."""
    lines = _lines(path)
    for number, line in enumerate(lines, start=1):
        _check_columns(line, 1, f"{path}:{number}")
    return lines


def read_tag_lines(path: epath.PathLike) -> list[Sentence]:
    """Reads sentences of one tag per line, each ended by a blank line.

    Two blank lines enclose an empty sentence; tags after the last one are a sentence too.
    """
    sentences, tags = [], []
    number = 0
    for number, line in enumerate(_lines(path), start=1):
        _check_columns(line, 1, f"{path}:{number}")
        if line:
            tags.append(line)
        else:
            sentences.append(Sentence(number - len(tags), tags))
            tags = []
    if tags:
        sentences.append(Sentence(number + 1 - len(tags), tags))
    return sentences


def read_pairs(path: epath.PathLike) -> list[tuple[str, str]]:
    """Reads pairs `foreign id TAB English id`; an empty file holds none."""
    pairs = []
    for number, line in enumerate(_lines(path), start=1):
        _check_columns(line, 2, f"{path}:{number}")
        foreign, english = line.split("\t")
        pairs.append((foreign, english))
    return pairs


def read_gold_answers(path: epath.PathLike) -> list[tuple[str, list[str]]]:
    """Reads (question id, gold answers) from SQuAD v1.1 JSON.

    Raises:
        DataError: a question has no answer, among the faults that `formats.squad` finds.
    """
    questions = []
    for example in formats.squad([path], "en", ()):
        if not example.answers:
            raise DataError(
                f"question {example.id!r} has no answer to score against",
                where=f"{path}{_line_of(json.dumps(example.id), path)}",
                remedy="XTREME blanks the answers of its test files; take labelled ones",
            )
        questions.append((example.id, [text for text, _ in example.answers]))
    return questions


def read_answers(path: epath.PathLike) -> dict[str, str]:
    """Reads predicted texts by question id from a JSON map."""
    answers = _json_map(path)
    for key, text in answers.items():
        if not isinstance(text, str):
            raise _wrong_value(f"the answer to {key!r} is not a text", key, path)
    return answers


def read_rankings(path: epath.PathLike) -> dict[str, list[str]]:
    """Reads entities by mention id, the likeliest first, from a JSON map (Mewsli-X)."""
    rankings = _json_map(path)
    for key, entities in rankings.items():
        if not isinstance(entities, list) or not all(isinstance(e, str) for e in entities):
            raise _wrong_value(f"the value of {key!r} is not a list of texts", key, path)
    return rankings


def read_json_labels(path: epath.PathLike) -> list[Any]:
    """Reads the field `label` of one JSON object per line (XCOPA)."""
    labels = []
    for number, line in enumerate(_lines(path), start=1):
        row = _parsed(line, path, number)
        if not isinstance(row, dict) or "label" not in row:
            raise DataError(
                "the line is not a JSON object with a `label`",
                where=f"{path}:{number}",
                remedy='one object per line, such as {"label": 0}',
            )
        labels.append(row["label"])
    return labels


def _lines(path: epath.PathLike) -> list[str]:
    """Reads lines ended by LF, CR LF or CR, as Python reads text, and strips them."""
    text = _text(path).replace("\r\n", "\n").replace("\r", "\n")
    return [line.strip() for line in text.removesuffix("\n").split("\n")] if text else []


def _text(path: epath.PathLike) -> str:
    path = epath.Path(path)
    if path.exists() and not path.stat().length:
        return ""
    text = read_text(path)
    with path.open("rb") as file:
        if file.read(3) == "\ufeff".encode():
            raise DataError(
                "the file begins with a byte-order mark",
                where=f"{path}:1",
                remedy="the official scorer takes it for text; save the file without it",
            )
    return text


def _json_map(path: epath.PathLike) -> dict[str, Any]:
    document = _parsed(_text(path), path)
    document = document.get("data", document) if isinstance(document, dict) else document
    if not isinstance(document, dict):
        raise DataError("the file is not a JSON map", where=path, remedy='write {"id": ..., ...}')
    return document


def _parsed(text: str, path: epath.PathLike, line: int = 1) -> Any:
    """Parses JSON that begins at `line` of the file."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(
            f"broken JSON: {error.msg}",
            where=f"{path}:{line + error.lineno - 1}:{error.colno}",
            remedy="the file is cut off or was edited; write it again",
        ) from error


def _check_columns(line: str, wanted: int, where: str) -> None:
    columns = line.count("\t") + 1 if line else 0
    if columns != wanted and (line or wanted > 1):
        raise DataError(
            f"{columns} tab-separated columns found, expected {wanted}",
            where=where,
            remedy="one label or tag per line, or `foreign id TAB English id` for pairs",
        )


def _wrong_value(problem: str, key: str, path: epath.PathLike) -> DataError:
    where = f"{path}{_line_of(json.dumps(key), path)}"
    return DataError(problem, where=where, remedy="write the file again")


def _line_of(literal: str, path: epath.PathLike) -> str:
    """Returns ":line" of the literal's first occurrence, "" if the file spells it differently."""
    before, found, _ = _text(path).partition(literal)
    return f":{before.count(chr(10)) + 1}" if found else ""
