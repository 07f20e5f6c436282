"""What the folders of phases say of training: `phase.json` and `log.jsonl`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from etils import epath

Curve = tuple[tuple[int, float], ...]  # (step, value) with steps that grow

_RECORD = "phase.json"
_NAME = re.compile(r"(?P<phase>.+?)(-after-(?P<after>.+))?-s\d+-[0-9a-f]+")


@dataclass(frozen=True)
class PhaseLog:
    """One finished phase of training.

    Attributes:
        phase: the tasks it trains on, joined by `+`.
        after: the intermediate task before it, or "".
        tokens: without padding.
        seconds: of training with its evaluations; of seeds trained together those of all.
        dev: the score on English dev.
        loss: of the step alone; of tasks by turns their mean.
        command: the last that trained the phase.
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
    """Of every finished phase in `folder`, by name; () where there is none.

    Logs only inform, and a killed run may leave half a line: what cannot be read is left out.
    """
    folder = epath.Path(folder)
    if not folder.exists():
        return ()
    found = [_read(path) for path in sorted(folder.iterdir(), key=lambda path: path.name)]
    return tuple(phase for phase in found if phase is not None)


def _read(folder: epath.Path) -> PhaseLog | None:
    name = _NAME.fullmatch(folder.name)
    if name is None or not (folder / _RECORD).exists():
        return None
    about = _parsed((folder / _RECORD).read_text())
    try:
        steps, tokens, seed = int(about["steps"]), int(about["tokens"]), int(about["seed"])
        model, phase = str(about["model"]), str(about["phase"])
    except (KeyError, TypeError, ValueError):
        return None
    lines = _lines(folder / "log.jsonl")
    return PhaseLog(
        folder.name,
        model,
        phase,
        name["after"] or "",
        seed,
        steps,
        tokens,
        _seconds(lines),
        _curve(lines, lambda key: key == "dev"),
        _curve(lines, lambda key: key == "loss" or key.startswith("loss/")),
        str(about.get("command", "")),
        str(about.get("machine", "")),
        str(about.get("role", "target")),
    )


def _lines(path: epath.Path) -> list[dict[str, Any]]:
    text = path.read_text() if path.exists() else ""
    found = [_parsed(line) for line in text.split("\n") if line]
    return [line for line in found if isinstance(line.get("step"), int)]


def _parsed(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _curve(lines: list[dict[str, Any]], wanted: Callable[[str], bool]) -> Curve:
    """The last value of each step: a run that was killed may have made it twice."""
    values: dict[int, float] = {}
    for line in lines:
        mine = [value for key, value in line.items() if wanted(key)]
        if mine:
            values[line["step"]] = sum(mine) / len(mine)
    return tuple(sorted(values.items()))


def _seconds(lines: list[dict[str, Any]]) -> float:
    """The clock starts anew in each process that carries the phase on."""
    total = last = 0.0
    for line in lines:
        now = float(line.get("seconds", last))
        if now < last:
            total += last
        last = now
    return total + last
