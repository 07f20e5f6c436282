"""Two shards that append rows are killed at random while a reader reads: no row may be lost.

    python tests/test_kills.py DIR KILLS

does it in DIR and prints what happened. Processes are forked and import `xt_jax.records` alone.
"""

from __future__ import annotations

import collections
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, cast

import pytest
from rows import rows_of

from xt_jax import files
from xt_jax.records.lock import locked
from xt_jax.records.results import Results, Row, read_all

SHARDS = ("1/2", "2/2")


@pytest.mark.slow
def test_no_row_is_lost_torn_or_doubled_by_kills(tmp_path):
    done = subprocess.run(
        [sys.executable, __file__, str(tmp_path), "40"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout)
    assert report["kills"] == 40
    assert report["torn"], "the kills came at harmless moments alone"
    assert report["sets"] > 80
    assert report["reads"] > 4


def run_of(shard: str) -> str:
    return shard.replace("/", " of ")


def rows_of_set(shard: str, number: int) -> list[Row]:
    """Returns 1 to 60 rows, which take up to five pages of memory."""
    row = rows_of("direct", {"de": 0.5}, target="xquad", run=run_of(shard))[0] | {
        "data": str(number)
    }
    size = 1 + number * 37 % 60
    return [cast(Row, row | {"metric": f"{'m' * 200}{i}"}) for i in range(size)]


def check_whole(rows: list[Row]) -> set[tuple[str, int]]:
    """Returns the sets of the rows, each of which must occur once and complete."""
    metrics = collections.defaultdict(list)
    for row in rows:
        metrics[row["run"].replace(" of ", "/"), int(row["data"])].append(row["metric"])
    for (shard, number), found in metrics.items():
        assert found == [row["metric"] for row in rows_of_set(shard, number)], (shard, number)
    return set(metrics)


def write(folder: Path, shard: str, note: Path) -> None:
    """Appends one set after the other, from the first that is missing."""
    random.seed()
    write_all = os.write
    if random.random() < 0.5:  # short writes, between which a kill may come

        def write_some(descriptor: int, data: memoryview) -> int:
            time.sleep(0.002)
            return write_all(descriptor, data[: random.randint(1, 4000)])

        files.os.write = write_some
    with locked(folder, shard), open(note, "ab", buffering=0) as acknowledged:
        results = Results.open(folder, shard)
        there = {int(data) for _, data in results.of(run_of(shard), "direct", "xquad").get(0, {})}
        number = len(there)
        assert there == set(range(number))
        while True:
            results.append(rows_of_set(shard, number))
            acknowledged.write(b"%d\n" % number)
            number += 1
            time.sleep(0.03)


def read(folder: Path, note: Path) -> None:
    """Reads all files repeatedly: a set that was there once must stay, complete."""
    before: set[tuple[str, int]] = set()
    with open(note, "ab", buffering=0) as done:
        while True:
            there = check_whole(read_all(folder))
            assert before <= there, before - there
            before = there
            done.write(b".")


def begin(work: Callable, *arguments: Any) -> BaseProcess:
    process = multiprocessing.get_context("fork").Process(target=work, args=arguments)
    process.start()
    return process


def kill(process: BaseProcess) -> None:
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL, "it had failed"


def main(folder: Path, kills: int) -> dict[str, int]:
    rows = folder / "rows"
    rows.mkdir()
    notes = {shard: folder / shard[0] for shard in SHARDS}
    for note in notes.values():
        note.touch()

    def acknowledged() -> set[tuple[str, int]]:
        return {(shard, int(n)) for shard in SHARDS for n in notes[shard].read_text().split()}

    writers = {shard: begin(write, rows, shard, notes[shard]) for shard in SHARDS}
    reader, torn = begin(read, rows, folder / "reads"), 0
    for _ in range(kills):
        shard = random.choice(SHARDS)
        if random.random() < 0.8:  # else it may come while the writer opens the file
            size = notes[shard].stat().st_size
            while notes[shard].stat().st_size == size:
                time.sleep(0.001)
        time.sleep(random.uniform(0, 0.06))  # past the pause between two sets
        kill(writers[shard])
        path = rows / f"results-{shard[0]}-of-2.jsonl"
        if path.exists():  # not yet where the first writer is killed at once
            last = path.read_bytes()[-40:]
            torn += not last.endswith(b"}\n") or b"set_of" not in last
        writers[shard] = begin(write, rows, shard, notes[shard])
        assert reader.is_alive(), "the reader failed"
    for process in (reader, *writers.values()):
        kill(process)
    for shard in SHARDS:
        with locked(rows, shard):
            Results.open(rows, shard).close()
    there = check_whole(read_all(rows))
    assert acknowledged() <= there, acknowledged() - there
    assert len(there - acknowledged()) <= kills + 2
    reads = (folder / "reads").stat().st_size
    return {"kills": kills, "torn": torn, "sets": len(there), "reads": reads}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))))
