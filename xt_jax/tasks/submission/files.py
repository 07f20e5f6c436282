"""Reads the files of a submission and of its labels as XTREME's `evaluate.py` reads them.

Where that script would stop at an assertion, or count a malformed line as wrong, a `DataError`
names file and line instead.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from etils import epath

from xt_jax.data import formats
from xt_jax.errors import DataError
from xt_jax.files import parse_json, read_text


class Sentence(NamedTuple):
    """The tags of a sentence, and the line number of the first one."""

    line: int
    tags: list[str]


def read_labels(path: epath.PathLike) -> list[str]:
    """Reads one label per line without surrounding white space; a blank line is a wrong label."""
    return [line for _, line in _lines(path, columns=1)]


def read_tag_lines(path: epath.PathLike) -> list[Sentence]:
    """Reads sentences of one tag per line, each ended by a blank line.

    Two blank lines enclose an empty sentence; tags after the last one are a sentence too.
    """
    sentences, tags = [], []
    number = 0
    for number, line in _lines(path, columns=1):
        if line:
            tags.append(line)
        else:
            sentences.append(Sentence(number - len(tags), tags))
            tags = []
    return [*sentences, Sentence(number + 1 - len(tags), tags)] if tags else sentences


def read_pairs(path: epath.PathLike) -> list[tuple[str, str]]:
    """Reads pairs `foreign id TAB English id`; an empty file holds none."""
    cells = (line.split("\t") for _, line in _lines(path, columns=2))
    return [(foreign, english) for foreign, english in cells]


def read_gold_answers(path: epath.PathLike) -> dict[str, list[str]]:
    """Reads the gold answers by question id from SQuAD v1.1 JSON; every question must have one."""
    questions = {}
    for example in formats.squad([path], "", ()):
        if not example.answers:
            raise DataError(
                f"question {example.id!r} has no answer to score against",
                where=f"{path}{_line_of(example.id, path)}",
                remedy="XTREME blanks the answers of its test files; take labelled ones",
            )
        questions[example.id] = [text for text, _ in example.answers]
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
    for number, line in _lines(path):
        row = parse_json(line, path, number)
        if not isinstance(row, dict) or "label" not in row:
            raise DataError(
                "the line is not a JSON object with a `label`",
                where=f"{path}:{number}",
                remedy='one object per line, such as {"label": 0}',
            )
        labels.append(row["label"])
    return labels


def _lines(path: epath.PathLike, columns: int = 0) -> Iterator[tuple[int, str]]:
    """Yields (number, line) of lines ended by LF, CR LF or CR, as Python reads text, stripped.

    Args:
        columns: the number of tab-separated columns that a line must have; 0: any. Where it is
            one, a line may be blank.
    """
    text = _text(path).replace("\r\n", "\n").replace("\r", "\n")
    for number, raw in enumerate(text.removesuffix("\n").split("\n") if text else (), start=1):
        line = raw.strip()
        found = line.count("\t") + 1 if line else 0
        if columns and found != columns and (line or columns > 1):
            raise DataError(
                f"{found} tab-separated columns found, expected {columns}",
                where=f"{path}:{number}",
                remedy="one label or tag per line, or `foreign id TAB English id` for pairs",
            )
        yield number, line


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
    document = parse_json(_text(path), path)
    document = document.get("data", document) if isinstance(document, dict) else document
    if not isinstance(document, dict):
        raise DataError("the file is not a JSON map", where=path, remedy='write {"id": ..., ...}')
    return document


def _wrong_value(problem: str, key: str, path: epath.PathLike) -> DataError:
    where = f"{path}{_line_of(key, path)}"
    return DataError(problem, where=where, remedy="write the file again")


def _line_of(key: str, path: epath.PathLike) -> str:
    """Returns ":line" of a key's first occurrence, "" if the file spells it differently."""
    before, found, _ = _text(path).partition(json.dumps(key))
    return f":{before.count(chr(10)) + 1}" if found else ""
