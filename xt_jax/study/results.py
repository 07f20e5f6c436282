"""`results.jsonl`: one row per model, intermediate task, target, language, seed and metric."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TypedDict

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


def read_rows(path: epath.PathLike) -> list[Row]:
    """All rows; [] where there is no file.

    Raises:
        DataError: a line that is not a complete row.
    """
    path = epath.Path(path)
    if not path.exists():
        return []
    return [_parse(line, f"{path}:{i}") for i, line in enumerate(_lines(path), start=1)]


def read_all(folder: epath.Path) -> list[Row]:
    """The rows of `results.jsonl`, then those of the parts of a study that ran on their own."""
    parts = sorted(folder.glob("results-*.jsonl")) if folder.exists() else []
    return [row for path in [folder / "results.jsonl", *parts] for row in read_rows(path)]


def append_rows(path: epath.PathLike, rows: Iterable[Row]) -> None:
    """Adds rows at the end, all of them or (killed before the rename) none."""
    path = epath.Path(path)
    lines = _lines(path) if path.exists() else []
    lines += [json.dumps(row, ensure_ascii=False) for row in rows]
    atomic_write_text(path, "".join(line + "\n" for line in lines))


def _lines(path: epath.Path) -> list[str]:
    return path.read_text().removesuffix("\n").split("\n") if path.stat().length else []


def _parse(line: str, where: str) -> Row:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(
            f"Not a row of JSON: {error.msg}.", where=where, remedy="delete it"
        ) from error
    missing = [name for name in Row.__annotations__ if name not in row]
    if missing:
        problem = f"The row lacks {', '.join(missing)}."
        raise DataError(problem, where=where, remedy="delete the line")
    return row
