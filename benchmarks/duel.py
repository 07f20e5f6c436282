"""Measures two programs against each other, as long-lived processes that alternate.

Each side has its own process, so that they share no memory, threads or garbage collector; while one
works the other waits for a line on its standard input. A call is a line of JSON.
"""

from __future__ import annotations

import functools
import json
import os
import resource
import statistics
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Measured = dict[str, float]
ENV = "XT_JAX_BENCHMARK_CPUS"


class WorkerError(RuntimeError):
    """An error in the other process, with its traceback."""


class Worker:
    """A process that runs `script`, which must end in `serve(...)`.

    Args:
        cpus: how many of this process's processors it may use; 0: all.
    """

    def __init__(self, script: str | Path, cpus: int = 0, **env: str):
        available = sorted(os.sched_getaffinity(0))
        count = min(cpus or len(available), len(available))
        threads = {ENV: str(count), "OMP_NUM_THREADS": str(count), "MKL_NUM_THREADS": str(count)}
        self._process = subprocess.Popen(
            [sys.executable, str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **threads, **env},
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, method: str, **arguments: Any) -> Any:
        """Returns the result of the service's method of that name.

        Raises:
            WorkerError: the method raised, or the process has ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps([method, arguments]) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise WorkerError(f"The process ended during `{method}` ({self._process.wait()}).")
        result = json.loads(answer)
        if "error" in result:
            raise WorkerError(f"`{method}` failed:\n{result['error']}")
        return result["result"]

    def cpu_seconds(self) -> float:
        """Returns the processor time that all threads of the process have used."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """Ends the process and waits for it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def limit_processors() -> int:
    """Pins this process as its `Worker` requests; call it before importing libraries."""
    available = sorted(os.sched_getaffinity(0))
    count = int(os.environ.get(ENV, len(available)))
    os.sched_setaffinity(0, available[:count])
    return count


def serve(service: object) -> None:
    """Answers calls with the methods of `service` until standard input ends.

    Whatever is printed in between goes to standard error.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    for line in sys.stdin:
        method, arguments = json.loads(line)
        try:
            reply = {"result": getattr(service, method)(**arguments)}
        except Exception:
            reply = {"error": traceback.format_exc()}
        answers.write(json.dumps(reply) + "\n")
        answers.flush()


def alternate(
    sides: Mapping[str, Callable[[], Measured]], repeats: int
) -> dict[str, list[Measured]]:
    """Returns each side's measurements in each round; every round reverses the order."""
    results: dict[str, list[Measured]] = {name: [] for name in sides}
    for repeat in range(repeats):
        names = list(sides) if repeat % 2 == 0 else list(sides)[::-1]
        for name in names:
            results[name].append(sides[name]())
    return results


def duel(
    workers: Mapping[str, Worker], run: Callable[[Worker], Measured], repeats: int
) -> dict[str, list[Measured]]:
    """Runs `alternate` over two processes, and measures the processor time of those that wait.

    Returns:
        A record for each round by name; `idle_cpu` is the waiting process's processor time over
        the round's wall time and should be about 0.
    """

    def turn(name: str) -> Measured:
        waiting = [worker for other, worker in workers.items() if other != name]
        before = sum(worker.cpu_seconds() for worker in waiting)
        began = time.perf_counter()
        measured = run(workers[name])
        wall = time.perf_counter() - began
        used = sum(worker.cpu_seconds() for worker in waiting) - before
        return {**measured, "idle_cpu": used / wall}

    return alternate({name: functools.partial(turn, name) for name in workers}, repeats)


def per_second(records: Sequence[Measured], name: str) -> list[float]:
    """Returns `name` of each record, divided by the record's seconds."""
    return [record[name] / record["seconds"] for record in records]


def median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """Returns (median, least, greatest) of ours / theirs in the same round."""
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return statistics.median(ratios), min(ratios), max(ratios)


def forget_peak() -> None:
    """Resets the peak that `peak_bytes` returns, where the system can do that (Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        print("the peak of memory is counted from the start of the process", file=sys.stderr)


def peak_bytes() -> int:
    """Returns the largest amount of memory that this process has held."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def resident_bytes() -> int:
    """Returns the memory that this process holds now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
