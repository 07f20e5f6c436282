"""Tracks the state of each job of a study in `status.json` and shows a progress bar."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from etils import epath
from tqdm import tqdm

from xt_jax.command_line import command_line
from xt_jax.errors import DataError
from xt_jax.files import atomic_write_text
from xt_jax.records.json_files import number_fault, read_object
from xt_jax.records.shard import shard_file

WAITING, RUNNING, DONE, FAILED, BLOCKED = "waiting", "running", "done", "failed", "blocked"
_REAL_WORK = 2.0  # seconds; a shorter job was done by an earlier run and says nothing of the pace


class Remaining(NamedTuple):
    """The work that remains to be done.

    Attributes:
        share: share of the total cost, 0 to 1.
        seconds: estimate at the pace so far; None before any job was done.
    """

    share: float
    seconds: float | None


class Progress:
    """Keeps the states of all jobs in a file and shows a progress bar; a context manager.

    Args:
        path: the status file.
        names: names of the jobs, all different.
        costs: costs of the jobs, in any unit.
        writes: whether this process writes the file.
        interval: least seconds between two writes. The last state is always written.
    """

    def __init__(
        self,
        path: epath.Path,
        names: Sequence[str],
        costs: Sequence[float],
        *,
        writes: bool = True,
        interval: float = 1.0,
    ):
        self._path, self._writes, self._interval = path, writes, interval
        self._jobs: dict[str, dict[str, Any]] = {
            name: {"name": name, "state": WAITING, "cost": cost}
            for name, cost in zip(names, costs, strict=True)
        }
        self._began = time.time()
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None  # for the next write
        self._bar = tqdm(
            total=len(self._jobs), desc="study", unit="job", disable=not sys.stderr.isatty()
        )
        self._write()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        with self._lock:
            self._write()

    def begin(self, name: str, where: str = "") -> None:
        """Marks a job as running; `where` names the process, by default this one."""
        self._set(name, state=RUNNING, began=time.time(), where=where or _this_process())

    def advance(self, name: str, cost: float) -> None:
        """Adds to the part of a running job's cost that is done."""
        job = self._jobs[name]
        done = min(job["cost"], job.get("done", 0.0) + cost)
        # The pace is taken from here: a resumed job begins with what it did before.
        first = job.get("first", {"time": time.time(), "done": done})
        self._set(name, done=done, first=first)

    def finish(self, name: str) -> None:
        """Marks a job as done."""
        self._end(name, DONE)

    def fail(self, name: str, reason: object) -> None:
        """Marks a job as failed, with the reason."""
        self._end(name, FAILED, reason=str(reason))

    def block(self, name: str) -> None:
        """Marks a job as blocked, because a job that it depends on has failed."""
        self._end(name, BLOCKED)

    def _end(self, name: str, state: str, **more: str) -> None:
        self._bar.update()
        self._set(name, state=state, ended=time.time(), **more)

    def _set(self, name: str, **changes: Any) -> None:
        with self._lock:
            self._jobs[name].update(changes)
            if not self._interval:
                self._write()
            elif self._timer is None:
                self._timer = threading.Timer(self._interval, self._write_later)
                self._timer.daemon = True
                self._timer.start()

    def _write_later(self) -> None:
        with self._lock, contextlib.suppress(OSError):  # a later write may succeed
            if self._timer is not None:
                self._write()

    @property
    def content(self) -> dict[str, Any]:
        """The content of the status file."""
        return {
            "command": command_line(),
            "began": self._began,
            "written": time.time(),
            "jobs": list(self._jobs.values()),
        }

    def _write(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        content = self.content
        seconds = time_left(content).seconds
        if seconds is not None:
            self._bar.set_postfix_str(f"{clock(seconds)} left", refresh=False)
        if self._writes:
            atomic_write_text(self._path, json.dumps(content, indent=1) + "\n")


def status_file(shard: str) -> str:
    """Returns the name of the status file of a shard, or of a whole study ("")."""
    return shard_file("status.json", shard)


def read_status(path: epath.PathLike) -> dict[str, Any]:
    """Reads a status file.

    Raises:
        DataError: it is damaged.
    """
    content = read_object(path)
    jobs = content.get("jobs")
    times = {"began": content.get("began"), "written": content.get("written")}
    faults = [number_fault(name, time, 0, _LATEST) for name, time in times.items()]
    if not isinstance(jobs, list):
        faults.append("jobs is no list.")
    else:
        faults += [f"Job {i}: {fault}" for i, job in enumerate(jobs, 1) if (fault := _fault(job))]
    for fault in filter(None, faults):
        raise DataError(
            fault,
            where=path,
            remedy="delete the file: the next run writes it anew",
        )
    return content


_LATEST = 1e11  # seconds since 1970, the year 5138
_MOST = 1e30  # FLOPs
_TIMES = {RUNNING: ("began",), DONE: ("began", "ended")}


def _fault(job: Any) -> str:
    """Describes what is wrong with a job of a status file; "" if nothing is."""
    if not isinstance(job, dict) or not isinstance(job.get("name"), str):
        return "it has no name."
    state = job.get("state")
    if state not in (WAITING, RUNNING, DONE, FAILED, BLOCKED):
        return "it has no state."
    if not all(isinstance(job.get(name, ""), str) for name in ("where", "reason")):
        return "where and reason are no texts."
    faults = [number_fault(name, job.get(name), 0, _LATEST) for name in _TIMES.get(state, ())]
    if "first" in job:  # see `Progress.advance`
        first = job["first"] if isinstance(job["first"], dict) else {}
        faults += [number_fault("time", first.get("time"), 0, _LATEST)]
        faults += [number_fault("done", part.get("done"), 0, _MOST) for part in (first, job)]
    return next(filter(None, [number_fault("cost", job.get("cost"), 0, _MOST), *faults]), "")


def time_left(content: dict[str, Any]) -> Remaining:
    """Estimates the remaining work of a status file at the pace since the first job began.

    Before any job is done the pace is that of the running ones.
    """
    jobs = content["jobs"]
    total = sum(job["cost"] for job in jobs)
    running = [job for job in jobs if job["state"] == RUNNING and "first" in job]
    open_cost = sum(job["cost"] for job in jobs if job["state"] in (WAITING, RUNNING))
    open_cost -= sum(job["done"] for job in running)
    worked = [
        job for job in jobs if job["state"] == DONE and job["ended"] - job["began"] > _REAL_WORK
    ]
    done = sum(job["cost"] for job in worked)
    if done:
        seconds = max(job["ended"] for job in worked) - min(job["began"] for job in worked)
    else:
        done = sum(job["done"] - job["first"]["done"] for job in running)
        seconds = content["written"] - min((job["first"]["time"] for job in running), default=0)
    share = open_cost / total if total else 0.0
    return Remaining(share, open_cost * seconds / done if done else None)


def clock(seconds: float) -> str:
    """Formats a duration as `3 d 4 h`, `2 h 05 min`, `12 min` or `40 s`."""
    minutes = round(seconds / 60)
    if minutes >= 48 * 60:
        return f"{minutes // 1440} d {minutes % 1440 // 60} h"
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min" if seconds >= 90 else f"{round(seconds)} s"


def _this_process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
