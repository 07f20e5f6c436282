"""Shows the progress of a study: its done, running, waiting and failed jobs, and the time left.

    python -m xt_jax.status --workdir=DIR [--all]

Reads the status files that the runs in DIR, also those of shards (`--config.shard=3/16`), keep up
to date. The time left assumes the pace since the run began; early stopping can only shorten it.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from etils import epath

from xt_jax import command
from xt_jax.errors import DataError
from xt_jax.files import find
from xt_jax.places import as_path
from xt_jax.records.progress import (
    BLOCKED,
    DONE,
    FAILED,
    RUNNING,
    WAITING,
    clock,
    read_status,
    time_left,
)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m xt_jax.status",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--workdir", required=True, help="folder of the study")
    parser.add_argument("--all", action="store_true", help="also list done and waiting jobs")
    args = command.parsed(parser, argv)
    for path in _status_files(as_path(args.workdir)):
        print(f"{path.name}\n" + "\n".join(lines(read_status(path), args.all)))


def lines(content: dict[str, Any], everything: bool, now: float | None = None) -> list[str]:
    """Formats a status file: a summary, and a line for each running or failed job, or for all."""
    now = time.time() if now is None else now
    jobs = content["jobs"]
    counts = Counter(job["state"] for job in jobs)
    states = [f"{counts[s]} {s}" for s in (DONE, RUNNING, WAITING, FAILED, BLOCKED) if counts[s]]
    remaining = time_left(content)
    work = f"{100 * (1 - remaining.share):.0f} % of the work"
    if remaining.seconds is not None and remaining.share:
        work += f", {clock(remaining.seconds)} left"
    first = f"  {', '.join(states)}; {work}; written {clock(now - content['written'])} ago"
    shown = {RUNNING, FAILED, BLOCKED} | ({DONE, WAITING} if everything else set())
    return [first, *(f"  {_line(job, now)}" for job in jobs if job["state"] in shown)]


def _line(job: dict[str, Any], now: float) -> str:
    text = f"{job['state']:<8} {job['name']}"
    if job["state"] == RUNNING:
        return f"{text}, for {clock(now - job['began'])} on {job.get('where', '?')}"
    if job["state"] == DONE:
        return f"{text}, in {clock(job['ended'] - job['began'])}"
    return "\n           ".join([text, *job.get("reason", "").splitlines()])


def _status_files(workdir: epath.Path) -> list[epath.Path]:
    paths = find(workdir, "status*.json")
    if not paths:
        raise DataError(
            "No study was begun here.", where=workdir, remedy="give the --workdir of its run.py"
        )
    return paths


if __name__ == "__main__":
    command.run(main)
