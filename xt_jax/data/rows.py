"""Reads tables as rows: tab-separated files, csv and JSON Lines; and checks single fields.

A row is a dict by column name and comes with its place, `file:line`; lines count from 1. Lines end
at LF or CR LF only, never at the other separators of Unicode, and texts are kept as they stand.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from etils import epath

from xt_jax.errors import DataError
from xt_jax.files import parse_json, read_lines, read_text

Row = Mapping[str, Any]
Rows = Iterable[tuple[str, Row]]

FETCH_AGAIN = "the file is cut off or was edited; fetch it again"


def read_tsv(
    path: epath.PathLike,
    columns: Sequence[str],
    *,
    optional: Sequence[str] = (),
    skip: Callable[[list[str]], bool] = lambda cells: False,
) -> Iterator[tuple[str, Row]]:
    """Yields the rows of a tab-separated file whose header names `columns`; quotes are text.

    Args:
        optional: columns at the end of the header that a row may lack.
        skip: whether a row of a wrong width is left out; otherwise it is a fault.
    """
    names, lines = read_header(path, columns)
    least = len(names) - sum(name in optional for name in names)
    for place, cells in lines:
        if least <= len(cells) <= len(names):
            yield place, dict(zip(names, cells, strict=False))
        elif not skip(cells):
            raise wrong_width(len(cells), f"{len(names)} as in the header", place)


def read_header(
    path: epath.PathLike, columns: Sequence[str]
) -> tuple[list[str], Iterator[tuple[str, list[str]]]]:
    """Returns the column names of a tab-separated file, and the place and cells of each line."""
    header, *lines = read_lines(path)
    names = header.split("\t")
    _check_header(names, columns, path, bool(lines))
    file = str(path)
    return names, ((f"{file}:{n}", line.split("\t")) for n, line in enumerate(lines, start=2))


def read_csv(path: epath.PathLike, columns: Sequence[str]) -> Iterator[tuple[str, Row]]:
    """Yields the rows of a csv file whose header names `columns`.

    Fields may be quoted and hold line ends; the place of a row is the line on which it begins.
    """
    lines = read_text(path).removesuffix("\n").split("\n")
    reader = csv.reader((f"{line}\n" for line in lines), strict=True)
    number = 1
    try:
        names = next(reader)
        _check_header(names, columns, path, len(lines) > reader.line_num)
        number = reader.line_num + 1
        for cells in reader:
            place = f"{path}:{number}"
            if len(cells) != len(names):
                raise wrong_width(len(cells), f"{len(names)} as in the header", place, "comma")
            yield place, dict(zip(names, cells, strict=True))
            number = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"broken csv: {error}",
            where=f"{path}:{number}",
            remedy="a quotation is not closed; fetch the file again",
        ) from error


def read_json_lines(path: epath.PathLike) -> Iterator[tuple[str, Row]]:
    """Yields the object on each line of a JSON Lines file."""
    for number, line in enumerate(read_lines(path), start=1):
        row = parse_json(line, path, number)
        if not isinstance(row, dict):
            raise DataError(
                "the line holds no JSON object",
                where=f"{path}:{number}",
                remedy="every line must be an object of its own; fetch the file again",
            )
        yield f"{path}:{number}", row


def field(row: Any, name: str, kind: type | tuple[type, ...], place: str) -> Any:
    """Returns a field of a row, which must exist and be of the type `kind` (or one of them)."""
    if not isinstance(row, dict):
        raise fault(f"{row!r:.80} is no object with a field {name!r}", place)
    if name not in row:
        raise fault(f"there is no column {name!r}; there are {', '.join(map(str, row))}", place)
    value = row[name]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        expected = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
        raise fault(f"column {name!r} holds {value!r:.80}, no {expected}", place)
    return value


def texts(row: Row, name: str, place: str) -> tuple[str, ...]:
    """Returns a field that must be a list of texts."""
    values = field(row, name, list, place)
    if not all(isinstance(item, str) for item in values):
        raise fault(f"column {name!r} holds {values!r:.80}", place)
    return tuple(values)


def check_text(text: str, name: str, place: str) -> None:
    if not text or text.isspace():
        raise DataError(f"{name} is empty", where=place, remedy="remove the row or fill it in")


def check_label(label: str, labels: Sequence[str], place: str) -> None:
    """Raises a DataError unless the label is one of `labels`; () allows any non-empty label."""
    if label not in labels and (labels or not label):
        allowed = f"the allowed labels are {', '.join(labels)}" if labels else "fill it in"
        raise DataError(f"unknown label {label!r}", where=place, remedy=allowed)


def nonempty(examples: list[Any], language: str, where: object) -> list[Any]:
    """Returns the examples; raises a DataError if there are none."""
    if not examples:
        problem = f"no example in {language!r} was found"
        raise DataError(problem, where=str(where), remedy="fetch or prepare it again")
    return examples


def wrong_width(count: int, expected: str, place: str, separator: str = "tab") -> DataError:
    return DataError(
        f"{count} {separator}-separated columns found, expected {expected}",
        where=place,
        remedy=FETCH_AGAIN,
    )


def unquoted(cell: str) -> str:
    """Undoes the csv module's quoting of a field; returns any other field unchanged."""
    return cell[1:-1].replace('""', '"') if is_quoted(cell) else cell


def is_quoted(cell: str) -> bool:
    """Returns whether a field that has double quotes is quoted as Python's csv module quotes."""
    closed = len(cell) >= 2 and cell[0] == cell[-1] == '"'
    return closed and '"' not in cell[1:-1].replace('""', "")


def fault(problem: str, place: str) -> DataError:
    """Returns the error for a row that does not belong to its data set."""
    return DataError(problem, where=place, remedy="this is not the official form; fetch it again")


def _check_header(
    names: Sequence[str], columns: Sequence[str], path: epath.PathLike, has_rows: bool
) -> None:
    if missing := [column for column in columns if column not in names]:
        raise DataError(
            f"the header has no column {', '.join(missing)}",
            where=f"{path}:1",
            remedy=f"it must name {', '.join(columns)}; it names {', '.join(names)}",
        )
    if not has_rows:
        raise DataError("the file holds a header only", where=path, remedy="fetch it again")
