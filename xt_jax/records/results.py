"""Reads and appends `results.jsonl`: a row per model, intermediate, target, language, seed, metric.

The file is only appended to and never rewritten. The metrics of one data set form a set of rows,
which is written at once; its last line holds the number of its rows (`"set_of": 3`). If a process
is killed while it writes a set, readers ignore the incomplete set, and the next run that owns the
file cuts it off.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, TypedDict, get_type_hints

from etils import epath

from xt_jax.errors import DataError
from xt_jax.files import AppendedFile, find, read_appended
from xt_jax.records.json_files import REMEDY, Malformed, number_fault, parse_line, text_fault
from xt_jax.records.shard import shard_file


class Score(TypedDict):
    """The fields that every row of a result file has.

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


class Row(Score, total=False):
    """A row of a result file: one score of one model on one language of a target.

    Rows of before there were these fields lack them all, and a row lacks those that do not apply
    to it. `pretraining` names the run that pretrained the encoder and `pretraining_steps` how far
    it had come; models of one `family` differ in size alone. `intermediate_score` and
    `intermediate_rate` are the intermediate checkpoint's own score on dev (a mean, for a mixture)
    and the learning rate that gave it; `learning_rate` is the one that the target was trained at.
    `layer` is the hidden state that retrieval compares, and `layer_chosen` how it was chosen.
    `recipe` is a hash of all that the target's training depends on but its start and its seed; of
    retrieval, which has none, of its settings where they are not the published ones. `substitutes`
    names what has other examples than the official ones: `scored`, `trained` and `intermediate`,
    joined by `+`.
    """

    family: str
    pretraining: str
    pretraining_steps: int
    intermediate_score: float
    intermediate_rate: float
    learning_rate: float
    layer: int
    layer_chosen: str
    recipe: str
    substitutes: str


FILE = "results.jsonl"
_SHARD = "results-*.jsonl"
_SET = "set_of"

BySeed = dict[int, dict[tuple[str, str], list[Row]]]


class Results:
    """The rows of one workdir, read once, and the file to which this process appends.

    Created by `Results.open`. Rows that other processes append later are not seen.

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
        """Reads all result files of the workdir; this process owns the file of its shard.

        Args:
            shard: `3/16`, or "" for the whole study.
            writes: whether this process owns the file; if not, `append` only keeps rows in memory.

        Raises:
            DataError: a malformed line.
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
        """Returns the rows of one model and target by seed, then by (language, data)."""
        by_seed = self._index.get((run, intermediate, target), {})
        return {seed: dict(sets) for seed, sets in by_seed.items()}

    def append(self, rows: Sequence[Row]) -> None:
        """Appends whole sets of rows; if the process is killed, a set counts in full or not."""
        if self._path is not None and rows:
            if self._file is None:
                self._file = AppendedFile(self._path, self._size)
            self._file.append(as_lines(rows))
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
    """Reads all rows of a result file except an incomplete last set; [] if there is no file.

    Args:
        malformed: called with the error of each malformed line, which is then left out.

    Raises:
        DataError: a malformed line, unless `malformed` is given.
    """
    return _parse(read_appended(path), path, malformed)[0]


def result_files(folder: epath.PathLike) -> list[epath.Path]:
    """Lists the result files: `results.jsonl`, then those of shards in numerical order."""
    folder = epath.Path(folder)
    shards = sorted(find(folder, _SHARD), key=lambda path: (_numbers(path.name), path.name))
    return [path for path in (folder / FILE, *shards) if path.exists()]


def read_all(folder: epath.PathLike, *, malformed: Malformed | None = None) -> list[Row]:
    """Reads the rows of all `result_files`; see `read_rows`."""
    files = result_files(folder)
    return [row for path in files for row in read_rows(path, malformed=malformed)]


def append_rows(path: epath.PathLike, rows: Sequence[Row]) -> None:
    """Appends sets of rows to a file that no other process writes."""
    file = AppendedFile(path)
    file.append(as_lines(rows))
    file.close()


def as_lines(rows: Sequence[Row]) -> bytes:
    """Returns sets of rows as the lines of a result file."""
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
    """Parses a result file; returns (the rows of all complete sets, their size in bytes).

    What a process is writing, or wrote when it was killed, is left out: a last line without an end,
    and the last rows if they belong to a set whose end is missing. A file from before sets were
    marked counts as complete unless its last line has no end.
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
    complete = len(lines)
    if rows and not ends_set and (any_set or torn):
        last = _set_of(rows[-1])
        while rows and _set_of(rows[-1]) == last:
            rows.pop()
            complete = numbers.pop() - 1
    return rows, sum(map(len, lines[:complete])) + complete


def _set_of(row: Row) -> tuple:
    """Returns the key that all rows of one set share."""
    phase = row["run"], row["intermediate"], row["target"], row["seed"]
    return *phase, row["language"], row["data"]


def _parse_line(line: bytes, path: epath.PathLike, number: int) -> tuple[Row, bool]:
    """Returns (the row, whether it ends a set)."""
    row: Any = parse_line(line, path, number)
    size = row.pop(_SET, None)
    problem = _fault(row) or (number_fault(_SET, size, 1, _MOST, int) if size is not None else "")
    if problem:
        raise DataError(problem, where=f"{path}:{number}", remedy=REMEDY)
    return row, size is not None


_TYPES = get_type_hints(Row)
_MOST = 10**9
_RANGES = {
    "encoder_params": (1, 10**15),
    "total_params": (1, 10**15),
    "seed": (0, 2**63 - 1),
    "value": (0, 100),
    "n": (1, _MOST),
    "step": (0, 10**12),
    "pretraining_steps": (0, 10**12),
    "intermediate_score": (-1e6, 100),  # that of masked language modelling is the loss below 0
    "intermediate_rate": (0, 10),
    "learning_rate": (0, 10),
    "layer": (0, 9999),
}
_ROUNDING = 1e-6  # of a value, as a sum of shares may exceed the whole
_LAYER = re.compile(r"[^@]+(@layer=[0-9]{1,4}|@(?!layer)\w+)?")  # or @oracle_threshold


def _fault(row: dict[str, Any]) -> str:
    """Describes what is wrong with a row; "" if nothing is."""
    missing = [name for name in get_type_hints(Score) if name not in row]
    if missing:
        return f"The row lacks {', '.join(missing)}."
    for name, kind in _TYPES.items():
        if name not in row:
            continue
        if kind is str:
            fault = text_fault(name, row[name])
        else:
            low, high = _RANGES[name]
            margin = _ROUNDING if kind is float else 0
            fault = number_fault(name, row[name], low - margin, high + margin, kind)
        if fault:
            return fault
    if "/" in row["run"] + row["data"]:
        return "run or data has a slash, but they name a file."
    if row["encoder_params"] > row["total_params"]:
        return "The encoder has more parameters than the whole model."
    if not _LAYER.fullmatch(row["metric"]):
        return f"metric is {row['metric']}, whose layer is no number."
    return ""
