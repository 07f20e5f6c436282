"""Helpers that the readers share: lines, columns, JSON records and checks of labels.

Line numbers count from 1. A place in a file is formatted only when something is wrong there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from etils import epath

from xt_jax.errors import DataError
from xt_jax.files import read_lines, read_text


def read_table(path: epath.PathLike, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Yields (line number, cells of `columns`) for every row of a tab-separated file."""
    names, lines = read_header(path, columns)
    wanted = [names.index(column) for column in columns]
    width = len(names)
    for number, line in enumerate(lines, start=2):
        cells = line.split("\t")
        if len(cells) != width:
            raise wrong_width(len(cells), f"{width} as in the header", path, number)
        yield number, [cells[index] for index in wanted]


def read_header(path: epath.PathLike, columns: Sequence[str]) -> tuple[list[str], list[str]]:
    """Reads (column names, lines below the header) of a file whose header must name `columns`."""
    header, *lines = read_lines(path)
    names = header.split("\t")
    check_header(names, columns, path)
    if not lines:
        raise DataError("the file holds a header only", where=path, remedy="fetch it again")
    return names, lines


def check_header(names: Sequence[str], columns: Sequence[str], path: epath.PathLike) -> None:
    if missing := [column for column in columns if column not in names]:
        raise DataError(
            f"the header has no column {', '.join(missing)}",
            where=f"{path}:1",
            remedy=f"it must name {', '.join(columns)}; it names {', '.join(names)}",
        )


def read_json(path: epath.PathLike) -> tuple[Any, str]:
    """Reads a JSON file; returns (the document, its text)."""
    text = read_text(path)
    try:
        return json.loads(text), text
    except json.JSONDecodeError as error:
        raise _broken_json(error, f"{path}:{error.lineno}:{error.colno}") from error


def read_json_lines(path: epath.PathLike) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields (line number, object) for every line of a JSON Lines file."""
    for number, line in enumerate(read_lines(path), start=1):
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise _broken_json(error, f"{path}:{number}:{error.colno}") from error
        if not isinstance(record, dict):
            raise DataError(
                "the line holds no JSON object",
                where=f"{path}:{number}",
                remedy="every line must be an object of its own; fetch the file again",
            )
        yield number, record


def field(record: Any, name: str, kind: type, path: epath.PathLike, number: int) -> Any:
    """Returns a field of a JSON record on line `number`; it must exist and have that type."""
    value = record.get(name) if isinstance(record, dict) else None
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
        actual = "no such field" if value is None else f"{type(value).__name__} found"
        raise DataError(
            f"field {name!r} must be of type {kind.__name__}: {actual}",
            where=f"{path}:{number}",
            remedy="this is not the official form of the data set; fetch the file again",
        )
    return value


def check_text(text: str, name: str, path: epath.PathLike, number: int) -> None:
    if not text or text.isspace():
        raise DataError(
            f"{name} is empty",
            where=f"{path}:{number}",
            remedy="remove the row or fill it in",
        )


def check_label(label: str, labels: Sequence[str], path: epath.PathLike, number: int) -> None:
    """Raises a DataError unless the label is one of `labels`; () allows any non-empty label."""
    if label not in labels and (labels or not label):
        allowed = f"the allowed labels are {', '.join(labels)}" if labels else "fill it in"
        raise DataError(f"unknown label {label!r}", where=f"{path}:{number}", remedy=allowed)


def wrong_width(count: int, expected: str, path: epath.PathLike, number: int) -> DataError:
    return DataError(
        f"{count} tab-separated columns found, expected {expected}",
        where=f"{path}:{number}",
        remedy="the line is cut off or was edited; fetch the file again",
    )


def unquoted(cell: str) -> str:
    """Undoes the csv module's quoting of a field; returns any other field unchanged."""
    return cell[1:-1].replace('""', '"') if is_quoted(cell) else cell


def is_quoted(cell: str) -> bool:
    """Whether Python's csv module can have written this field, which has double quotes."""
    closed = len(cell) >= 2 and cell[0] == cell[-1] == '"'
    return closed and '"' not in cell[1:-1].replace('""', "")


def _broken_json(error: json.JSONDecodeError, where: str) -> DataError:
    return DataError(
        f"broken JSON: {error.msg}",
        where=where,
        remedy="the file is cut off or was edited; fetch it again",
    )
