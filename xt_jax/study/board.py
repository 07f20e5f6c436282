"""What has become of each piece of a study: a file that is kept up to date, and a progress bar."""

from __future__ import annotations

import json
import os
import shlex
import socket
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from etils import epath
from tqdm import tqdm

from xt_jax import hosts
from xt_jax.files import atomic_write_text
from xt_jax.study.plan import Piece, parse_shard

WAITING, RUNNING, DONE, FAILED, BLOCKED = "waiting", "running", "done", "failed", "blocked"
_FOUND = 2.0  # seconds; what takes less was done by an earlier run and tells no pace


class Left(NamedTuple):
    """How much there is still to do.

    Attributes:
        share: of the whole cost, 0 to 1.
        seconds: at the speed so far; None before any piece was done.
    """

    share: float
    seconds: float | None


class Board:
    """The state of all pieces, written to `path` whenever one begins or ends.

    Args:
        costs: of each piece, in any unit.
    """

    def __init__(self, path: epath.Path, pieces: Sequence[Piece], costs: Sequence[float]):
        self._path = path
        self._states: dict[Piece, dict[str, Any]] = {
            piece: {"name": piece.name, "state": WAITING, "cost": cost}
            for piece, cost in zip(pieces, costs, strict=True)
        }
        self._began = time.time()
        self._bar = tqdm(
            total=len(pieces),
            desc="study",
            unit="piece",
            disable=not sys.stderr.isatty(),
        )
        self._write()

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def begin(self, piece: Piece, where: str = "") -> None:
        """`where`: the machine, if it is not this one."""
        self._set(piece, state=RUNNING, began=time.time(), where=where or _here())

    def finish(self, piece: Piece) -> None:
        self._end(piece, DONE)

    def fail(self, piece: Piece, reason: object) -> None:
        self._end(piece, FAILED, reason=str(reason))

    def block(self, piece: Piece) -> None:
        """What it needs has failed."""
        self._end(piece, BLOCKED)

    def _end(self, piece: Piece, state: str, **more: str) -> None:
        self._bar.update()
        self._set(piece, state=state, ended=time.time(), **more)

    def _set(self, piece: Piece, **changes: Any) -> None:
        self._states[piece].update(changes)
        self._write()
        left = time_left(self.content).seconds
        if left is not None:
            self._bar.set_postfix_str(f"{clock(left)} left", refresh=False)

    @property
    def content(self) -> dict[str, Any]:
        return {
            "command": f"python {shlex.join(sys.argv)}",
            "began": self._began,
            "written": time.time(),
            "pieces": list(self._states.values()),
        }

    def _write(self) -> None:
        if hosts.is_first():
            atomic_write_text(self._path, json.dumps(self.content, indent=1) + "\n")


def board_name(shard: str) -> str:
    """The file of a whole study, or of a part that runs on its own."""
    return "status-{}-of-{}.json".format(*parse_shard(shard)) if shard else "status.json"


def time_left(content: dict[str, Any]) -> Left:
    """From what a board wrote: what is left, and how long the pace so far will take for it."""
    pieces = content["pieces"]
    whole = sum(piece["cost"] for piece in pieces)
    left = sum(piece["cost"] for piece in pieces if piece["state"] in (WAITING, RUNNING))
    worked = [
        piece
        for piece in pieces
        if piece["state"] == DONE and piece["ended"] - piece["began"] > _FOUND
    ]
    done = sum(piece["cost"] for piece in worked)
    if not done:
        return Left(left / whole if whole else 0.0, None)
    began = min(piece["began"] for piece in worked)
    pace = (max(piece["ended"] for piece in worked) - began) / done
    return Left(left / whole, left * pace)


def clock(seconds: float) -> str:
    """`3 d 4 h`, `2 h 05 min`, `12 min`, `40 s`."""
    minutes = round(seconds / 60)
    if minutes >= 48 * 60:
        return f"{minutes // 1440} d {minutes % 1440 // 60} h"
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min" if seconds >= 90 else f"{round(seconds)} s"


def _here() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
