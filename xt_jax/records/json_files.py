"""Reads the JSON objects of a workdir's records, and says what is wrong with a damaged one."""

from __future__ import annotations

import math
import reprlib
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

from etils import epath

from xt_jax.errors import DataError
from xt_jax.files import decode, parse_json, read_appended, read_text

Malformed = Callable[[DataError], None]

_MOST_CHARACTERS = 255
_UNPRINTABLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # control characters, direction marks, line ends


def read_object(path: epath.PathLike) -> dict[str, Any]:
    """Reads a file that holds one JSON object.

    Raises:
        DataError: the file cannot be read, or holds something else.
    """
    try:
        parsed = parse_json(read_text(path), path)
        error = None if isinstance(parsed, dict) else DataError("it is no JSON object", where=path)
    except DataError as damage:
        error = damage
    if error is not None:
        raise DataError(
            f"The record is damaged: {error.problem}.", where=error.where, remedy=_ANEW
        ) from error
    return parsed


_ANEW = "delete the file; a run of the study writes it anew where it needs it"


def read_objects(
    path: epath.PathLike, malformed: Malformed | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the number and object of each whole line; a last line without an end is left out.

    Args:
        malformed: called with the error of each malformed line, which is then left out.

    Raises:
        DataError: a malformed line, unless `malformed` is given.
    """
    for number, line in enumerate(read_appended(path).split(b"\n")[:-1], start=1):
        try:
            yield number, parse_line(line, path, number)
        except DataError as error:
            if malformed is None:
                raise
            malformed(error)


def parse_line(line: bytes, path: epath.PathLike, number: int) -> dict[str, Any]:
    """Parses a line that is one JSON object.

    Raises:
        DataError: it is something else; names the line.
    """
    problem = "it is no JSON object"
    try:
        parsed = parse_json(decode(line, path, number), path, number) if line else None
        if isinstance(parsed, dict):
            return parsed
    except DataError as error:
        problem = error.problem
    raise DataError(f"The line cannot be read: {problem}.", where=f"{path}:{number}", remedy=REMEDY)


REMEDY = "delete the line, or leave it out with `python -m xt_jax.report --skip_malformed`"


def text_fault(name: str, value: Any) -> str:
    """Says why the value cannot be a name that is shown and written; "" if it can."""
    if not isinstance(value, str):
        return f"{name} is {reprlib.repr(value)}, which is not a text."
    if not 0 < len(value) <= _MOST_CHARACTERS:
        return f"{name} has {len(value)} characters, not 1 to {_MOST_CHARACTERS}."
    if character := unprintable(value):
        return f"{name} has the character U+{ord(character):04X}, which cannot be shown."
    return ""


def unprintable(text: str) -> str:
    """Returns the first character that is not meant to be shown, such as NUL; "" for none."""
    if text.isprintable():
        return ""
    return next((c for c in text if unicodedata.category(c) in _UNPRINTABLE), "")


def number_fault(name: str, value: Any, low: float, high: float, kind: type = float) -> str:
    """Says why the value is no number of the kind (`int` or `float`) in the range; "" if it is."""
    if type(value) is not int and not (kind is float and type(value) is float):
        kinds = "an integer" if kind is int else "a number"
        return f"{name} is {reprlib.repr(value)}, which is not {kinds}."
    if not low <= value <= high or not math.isfinite(value):
        return f"{name} is {reprlib.repr(value)}, which is not from {low} to {high}."
    return ""
