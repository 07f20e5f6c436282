"""Reads the logs of training phases: `phase.json` and `log.jsonl` in their folders."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from etils import epath

from xt_jax.errors import DataError
from xt_jax.files import find
from xt_jax.records.json_files import (
    REMEDY,
    Malformed,
    number_fault,
    read_object,
    read_objects,
    text_fault,
)

Curve = tuple[tuple[int, float], ...]  # (step, value) with steps that grow

PHASES, RECORD, LOG = "phases", "phase.json", "log.jsonl"
_MOST = 1e15
_NAME = re.compile(r"(?P<phase>.+?)(-after-(?P<after>.+))?-s\d+-[0-9a-f]+")


@dataclass(frozen=True)
class PhaseLog:
    """The log of one finished phase of training.

    Attributes:
        phase: the tasks it trains on, joined by `+`.
        after: the intermediate task before it, or "".
        tokens: without padding.
        seconds: time of training with its evaluations; for seeds trained together, of all of them.
        dev: the score on English dev.
        loss: the loss of single steps; for several tasks, the mean of their losses.
        command: the last command that trained the phase.
        role: intermediate or target.
    """

    folder: str
    model: str
    phase: str
    after: str
    seed: int
    steps: int
    tokens: int
    seconds: float
    dev: Curve
    loss: Curve
    command: str
    machine: str
    role: str = "target"


def read_phases(folder: epath.PathLike, malformed: Malformed | None = None) -> tuple[PhaseLog, ...]:
    """Reads the finished phases in `folder`, ordered by name; () where there is none.

    Args:
        malformed: called with the error of each damaged line or record, which is then left out.

    Raises:
        DataError: a damaged line or record, unless `malformed` is given.
    """
    phases = [_read(path.parent, malformed) for path in find(folder, f"*/{RECORD}")]
    return tuple(sorted((p for p in phases if p is not None), key=lambda phase: phase.folder))


def _read(folder: epath.Path, malformed: Malformed | None) -> PhaseLog | None:
    name = _NAME.fullmatch(folder.name)
    if name is None:
        return None
    try:
        record = _record(folder / RECORD)
    except DataError as error:
        if malformed is None:
            raise
        malformed(error)
        return None
    lines = [line for line in _lines(folder / LOG, malformed) if "step" in line]
    return PhaseLog(
        folder.name,
        after=name["after"] or "",
        seconds=_seconds(lines),
        dev=_curve(lines, lambda key: key == "dev"),
        loss=_curve(lines, _is_loss),
        **record,
    )


def _record(path: epath.Path) -> dict[str, Any]:
    """Reads the part of a `phase.json` that a report shows."""
    found = read_object(path)
    with contextlib.suppress(OverflowError, TypeError, ValueError):  # it is a text
        found["seed"] = int(found.get("seed", ""))
    record = {name: found.get(name) for name in ("model", "phase", "seed", "steps", "tokens")}
    record |= {"role": found.get("role", "target")}
    record |= {name: found.get(name, "") for name in ("command", "machine")}
    faults = [text_fault(name, record[name]) for name in ("model", "phase", "role")]
    faults += [number_fault(n, record[n], 0, _MOST, int) for n in ("seed", "steps", "tokens")]
    faults += [
        f"{name} is no text." for name in ("command", "machine") if type(record[name]) is not str
    ]
    for fault in filter(None, faults):
        raise DataError(fault, where=path, remedy="delete the file: the report lacks its phase")
    return record


def _lines(path: epath.Path, malformed: Malformed | None) -> Iterator[dict[str, Any]]:
    for number, line in read_objects(path, malformed):
        faults = [
            number_fault("step", line.get("step", 0), 0, _MOST, int),
            *(number_fault(name, line[name], -_MOST, _MOST) for name in line if is_shown(name)),
        ]
        for fault in filter(None, faults):
            error = DataError(fault, where=f"{path}:{number}", remedy=REMEDY)
            if malformed is None:
                raise error
            malformed(error)
            break
        else:
            yield line


def _is_loss(key: str) -> bool:
    return key == "loss" or key.startswith("loss/")


def is_shown(key: str) -> bool:
    """Returns whether a report shows the field of a line of the log."""
    return key in ("step", "seconds", "dev") or _is_loss(key)


def _curve(lines: list[dict[str, Any]], is_wanted: Callable[[str], bool]) -> Curve:
    """Returns the last value of each step, as a killed run may have logged a step twice."""
    curve: dict[int, float] = {}
    for line in lines:
        values = [value for key, value in line.items() if is_wanted(key)]
        if values:
            curve[line["step"]] = sum(values) / len(values)
    return tuple(sorted(curve.items()))


def _seconds(lines: list[dict[str, Any]]) -> float:
    """Sums the time of all processes that trained the phase; each starts its clock at 0."""
    total = last = 0.0
    for line in lines:
        now = float(line.get("seconds", last))
        if now < last:
            total += last
        last = now
    return total + last
