"""Reads the logs of training phases: `phase.json` and `log.jsonl` in their folders."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from etils import epath

from xt_jax.files import read_appended

Curve = tuple[tuple[int, float], ...]  # (step, value) with steps that grow

_RECORD = "phase.json"
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


def read_phases(folder: epath.PathLike) -> tuple[PhaseLog, ...]:
    """Reads the finished phases in `folder`, ordered by name; () where there is none.

    A killed run may leave half a line, and logs are only for information: a line or record that
    cannot be parsed is left out.
    """
    folder = epath.Path(folder)
    paths = sorted(folder.iterdir(), key=lambda path: path.name) if folder.exists() else []
    phases = [_read(path) for path in paths]
    return tuple(phase for phase in phases if phase is not None)


def _read(folder: epath.Path) -> PhaseLog | None:
    name = _NAME.fullmatch(folder.name)
    if name is None or not (folder / _RECORD).exists():
        return None
    record = _parsed((folder / _RECORD).read_text())
    lines = [_parsed(line) for line in read_appended(folder / "log.jsonl").decode().split("\n")]
    lines = [line for line in lines if isinstance(line.get("step"), int)]
    try:
        return PhaseLog(
            folder.name,
            model=str(record["model"]),
            phase=str(record["phase"]),
            after=name["after"] or "",
            seed=int(record["seed"]),
            steps=int(record["steps"]),
            tokens=int(record["tokens"]),
            seconds=_seconds(lines),
            dev=_curve(lines, lambda key: key == "dev"),
            loss=_curve(lines, lambda key: key == "loss" or key.startswith("loss/")),
            command=str(record.get("command", "")),
            machine=str(record.get("machine", "")),
            role=str(record.get("role", "target")),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _parsed(text: str) -> dict[str, Any]:
    """Returns the JSON object in `text`, or {} where there is none."""
    try:
        parsed = json.loads(text)
    except json.JSONDecodeError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


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
