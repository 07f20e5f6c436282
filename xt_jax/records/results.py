"""`results.jsonl`: one row per model, intermediate task, target, language, seed and metric."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from typing import Any, TypedDict, get_type_hints

from etils import epath

from xt_jax.errors import DataError
from xt_jax.files import atomic_write_text


class Row(TypedDict):
    """One number.

    `value` is 0..100 over `n` examples of `split`; `step` is the update whose parameters were
    scored, chosen as `selected_by` says; `run` and `data` are hashes that name the phase and the
    scored examples.
    """

    model: str
    encoder_params: int
    total_params: int
    intermediate: str
    target: str
    language: str
    seed: int
    metric: str
    value: float
    n: int
    split: str
    step: int
    selected_by: str
    run: str
    data: str


FILE = "results.jsonl"
_SHARD = "results-*.jsonl"  # of one of several independent jobs


def read_rows(
    path: epath.PathLike, *, malformed: Callable[[DataError], None] | None = None
) -> list[Row]:
    """All rows; [] where there is no file.

    Args:
        malformed: is given the error of a line that is no row, which is then left out.

    Raises:
        DataError: a line that is no complete row, unless `malformed` takes it.
    """
    path = epath.Path(path)
    rows = []
    for i, line in enumerate(_lines(path) if path.exists() else [], start=1):
        try:
            rows.append(_parse(line, f"{path}:{i}"))
        except DataError as error:
            if malformed is None:
                raise
            malformed(error)
    return rows


def result_files(folder: epath.PathLike) -> list[epath.Path]:
    """`results.jsonl`, then those of shards (`results-3-of-16.jsonl`) in the order of numbers."""
    folder = epath.Path(folder)
    shards = sorted(folder.glob(_SHARD), key=lambda path: (_numbers(path.name), path.name))
    return [path for path in (folder / FILE, *shards) if path.exists()]


def read_all(
    folder: epath.PathLike, *, malformed: Callable[[DataError], None] | None = None
) -> list[Row]:
    """The rows of all `result_files`; see `read_rows`."""
    files = result_files(folder)
    return [row for path in files for row in read_rows(path, malformed=malformed)]


def append_rows(path: epath.PathLike, rows: Iterable[Row]) -> None:
    """Adds rows at the end, all of them or (killed before the rename) none."""
    path = epath.Path(path)
    lines = _lines(path) if path.exists() else []
    lines += [json.dumps(row, ensure_ascii=False) for row in rows]
    atomic_write_text(path, "".join(line + "\n" for line in lines))


def _lines(path: epath.Path) -> list[str]:
    return path.read_text().removesuffix("\n").split("\n") if path.stat().length else []


def _numbers(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name)]


_TYPES = get_type_hints(Row)
_REMEDY = "delete the line, or leave it out with `python -m xt_jax.report --skip_malformed`"


def _parse(line: str, where: str) -> Row:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        problem = f"Not a row of JSON: {error.msg}."
        raise DataError(problem, where=where, remedy=_REMEDY) from error
    if problem := _fault(row):
        raise DataError(problem, where=where, remedy=_REMEDY)
    return row


def _fault(row: Any) -> str:
    """What is wrong, or nothing."""
    if not isinstance(row, dict):
        return "The line is JSON, but no row."
    missing = [name for name in _TYPES if name not in row]
    if missing:
        return f"The row lacks {', '.join(missing)}."
    for name, kind in _TYPES.items():
        value = row[name]
        if isinstance(value, bool) or not isinstance(
            value, (int, float) if kind is float else kind
        ):
            return f"{name} is {value!r}, which is no {_KINDS[kind]}."
        if kind is float and not math.isfinite(value):
            return f"{name} is {value}, which is no finite number."
    if row["encoder_params"] < 1 or row["total_params"] < 1:
        return "A model without parameters has no size."
    return ""


_KINDS = {str: "text", int: "whole number", float: "number"}
