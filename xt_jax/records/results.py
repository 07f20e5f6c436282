"""`results.jsonl`: one row per model, intermediate task, target, language, seed and metric.

The file is appended to and never rewritten. The metrics of one data set are a set of rows: it is
written at once, and its last line says how many rows it ends (`"set_of": 3`). So readers ignore,
and the next run that owns the file cuts off, what a killed process wrote of a set.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypedDict, get_type_hints

from etils import epath

from xt_jax.errors import DataError
from xt_jax.files import AppendedFile, read_appended
from xt_jax.records.shard import shard_file


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
_SHARD = "results-*.jsonl"
_SET = "set_of"

BySeed = dict[int, dict[tuple[str, str], list[Row]]]
Malformed = Callable[[DataError], None]


class Results:
    """The rows of one workdir, read once, and the file that this process appends to.

    Use `Results.open`. A row that another process appends later is not seen.

    Attributes:
        folder: the workdir.
    """

    def __init__(self, folder: epath.Path, path: epath.Path | None, size: int):
        self.folder = folder
        self._path, self._size = path, size
        self._file: AppendedFile | None = None  # opened with the first rows
        self._index: dict[tuple[str, str, str], BySeed] = {}

    @classmethod
    def open(cls, workdir: epath.PathLike, shard: str = "", *, writes: bool = True) -> Results:
        """Reads all result files of the workdir; of those, this process owns its shard's.

        Args:
            shard: `3/16`, or "" for the whole study.
            writes: whether this process owns the file; if not, `append` keeps rows in memory alone.

        Raises:
            DataError: a line that is no complete row.
        """
        folder = epath.Path(workdir)
        path = folder / shard_file(FILE, shard)
        own_rows, size = _parse(read_appended(path), path)
        results = cls(folder, path if writes else None, size)
        results._add(own_rows)
        for other in result_files(folder):
            if other != path:
                results._add(read_rows(other))
        return results

    def of(self, run: str, intermediate: str, target: str) -> BySeed:
        """The rows of one model and target by seed, then by (language, data)."""
        by_seed = self._index.get((run, intermediate, target), {})
        return {seed: dict(sets) for seed, sets in by_seed.items()}

    def append(self, rows: Sequence[Row]) -> None:
        """Writes one or more sets of rows; of a set all rows or (if the process is killed) none."""
        if self._path is not None and rows:
            if self._file is None:
                self._file = AppendedFile(self._path, self._size)
            self._file.append(_lines(rows))
        self._add(rows)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _add(self, rows: Iterable[Row]) -> None:
        for row in rows:
            key = row["run"], row["intermediate"], row["target"]
            if key not in self._index:
                self._index[key] = defaultdict(lambda: defaultdict(list))
            self._index[key][row["seed"]][row["language"], row["data"]].append(row)


def read_rows(path: epath.PathLike, *, malformed: Malformed | None = None) -> list[Row]:
    """All rows; [] where there is no file. A set at the end that is not whole is left out.

    Args:
        malformed: is given the error of each malformed line, which is then left out.

    Raises:
        DataError: a line that is no complete row, unless `malformed` takes it.
    """
    return _parse(read_appended(path), path, malformed)[0]


def result_files(folder: epath.PathLike) -> list[epath.Path]:
    """`results.jsonl`, then those of shards (`results-3-of-16.jsonl`) in the order of numbers."""
    folder = epath.Path(folder)
    shards = sorted(folder.glob(_SHARD), key=lambda path: (_numbers(path.name), path.name))
    return [path for path in (folder / FILE, *shards) if path.exists()]


def read_all(folder: epath.PathLike, *, malformed: Malformed | None = None) -> list[Row]:
    """The rows of all `result_files`; see `read_rows`."""
    files = result_files(folder)
    return [row for path in files for row in read_rows(path, malformed=malformed)]


def append_rows(path: epath.PathLike, rows: Sequence[Row]) -> None:
    """Appends sets of rows to a file that nobody else writes."""
    file = AppendedFile(path)
    file.append(_lines(rows))
    file.close()


def _lines(rows: Sequence[Row]) -> bytes:
    lines = []
    for _, members in itertools.groupby(rows, _set_of):
        *others, last = members
        lines += [*others, {**last, _SET: len(others) + 1}]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in lines).encode()


def _numbers(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name)]


def _parse(
    content: bytes, path: epath.PathLike, malformed: Malformed | None = None
) -> tuple[list[Row], int]:
    """(the rows of all whole sets, the bytes that these take).

    What a process writes now, or wrote when it was killed, is left out: a last line without an end,
    and the rows at the end that belong to one set whose end is missing. A file from before sets
    were marked is taken as whole unless its last line has no end.
    """
    *lines, torn = content.split(b"\n")
    rows: list[Row] = []
    numbers: list[int] = []  # the line of each row
    any_set = ends_set = False
    for number, line in enumerate(lines, start=1):
        try:
            row, ends_set = _parse_line(line, path, number)
        except DataError as error:
            if malformed is None:
                raise
            malformed(error)
            continue
        rows.append(row)
        numbers.append(number)
        any_set |= ends_set
    whole = len(lines)
    if rows and not ends_set and (any_set or torn):
        last = _set_of(rows[-1])
        while rows and _set_of(rows[-1]) == last:
            rows.pop()
            whole = numbers.pop() - 1
    return rows, sum(map(len, lines[:whole])) + whole


def _set_of(row: Row) -> tuple:
    """What the rows of one set have in common."""
    phase = row["run"], row["intermediate"], row["target"], row["seed"]
    return *phase, row["language"], row["data"]


def _parse_line(line: bytes, path: epath.PathLike, number: int) -> tuple[Row, bool]:
    try:
        row = json.loads(line.decode())
        problem = ""
    except json.JSONDecodeError as error:
        problem = f"Not a row of JSON: {error.msg}."
    except UnicodeDecodeError as error:
        problem = f"Not a row of JSON: not UTF-8 ({error.reason})."
    else:
        ends_set = type(row) is dict and row.pop(_SET, None) is not None
        if _is_as_written(row):
            return row, ends_set
        problem = _fault(row)
    if problem:
        raise DataError(problem, where=f"{path}:{number}", remedy=_REMEDY)
    return row, ends_set


_REMEDY = "delete the line, or leave it out with `python -m xt_jax.report --skip_malformed`"
_TYPES = get_type_hints(Row)
_NAMES = tuple(_TYPES)
_WRITTEN = tuple(_TYPES.values())


def _is_as_written(row: Any) -> bool:
    """Whether it surely is a complete row: the quick check, which nearly every row passes."""
    return (
        type(row) is dict
        and tuple(row) == _NAMES
        and tuple(map(type, row.values())) == _WRITTEN
        and math.isfinite(row["value"])
        and row["encoder_params"] > 0 < row["total_params"]
    )


def _fault(row: Any) -> str:
    """What is wrong with a row, or ""."""
    if not isinstance(row, dict):
        return "The line is JSON, but no row."
    missing = [name for name in _TYPES if name not in row]
    if missing:
        return f"The row lacks {', '.join(missing)}."
    for name, kind in _TYPES.items():
        value = row[name]
        allowed = (int, float) if kind is float else kind
        if isinstance(value, bool) or not isinstance(value, allowed):
            return f"{name} is {value!r}, which is no {_KINDS[kind]}."
        if kind is float and not math.isfinite(value):
            return f"{name} is {value}, which is no finite number."
    if row["encoder_params"] < 1 or row["total_params"] < 1:
        return "A model without parameters has no size."
    return ""


_KINDS = {str: "text", int: "whole number", float: "number"}
