"""Two shards that append rows are killed at random while a reader reads: no row may be lost.

    python tests/test_kills.py DIR KILLS

does it in DIR and prints what happened. Processes are forked and import `xt_jax.records` alone.
"""

from __future__ import annotations

import collections
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from xt_jax import files
from xt_jax.records.lock import locked
from xt_jax.records.results import Results, Row, read_all

SHARDS = ("1/2", "2/2")


@pytest.mark.slow
def test_no_row_is_lost_torn_or_doubled_by_a_hundred_kills(tmp_path):
    done = subprocess.run(
        [sys.executable, __file__, str(tmp_path), "100"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout)
    assert report["kills"] == 100
    assert report["torn"] > 2, "the kills came at harmless moments alone"
    assert report["sets"] > 200
    assert report["reads"] > 10


def rows_of_set(shard: str, number: int) -> list[Row]:
    """Returns 1 to 60 rows, which take up to five pages of memory."""
    row: Any = {
        "model": "base",
        "encoder_params": 1,
        "total_params": 1,
        "intermediate": "direct",
        "target": "xquad",
        "language": "de",
        "seed": 0,
        "metric": "",
        "value": 0.5,
        "n": 100,
        "split": "test",
        "step": 10,
        "selected_by": "f1",
        "run": shard,
        "data": str(number),
    }
    size = 1 + number * 37 % 60
    return [row | {"metric": f"{'m' * 200}{i}"} for i in range(size)]


def check_whole(rows: list[Row]) -> set[tuple[str, int]]:
    """Returns the sets of the rows, each of which must occur once and complete."""
    metrics = collections.defaultdict(list)
    for row in rows:
        metrics[row["run"], int(row["data"])].append(row["metric"])
    for (shard, number), found in metrics.items():
        assert found == [row["metric"] for row in rows_of_set(shard, number)], (shard, number)
    return set(metrics)


def write(folder: Path, shard: str, acknowledgements: int) -> None:
    """Appends one set after the other, from the first that is missing."""
    write_all = os.write
    if random.random() < 0.5:  # short writes, between which a kill may come

        def write_some(descriptor: int, data: memoryview) -> int:
            time.sleep(0.002)
            return write_all(descriptor, data[: random.randint(1, 4000)])

        files.os.write = write_some
    with locked(folder, shard):
        results = Results.open(folder, shard)
        there = {int(data) for _, data in results.of(shard, "direct", "xquad").get(0, {})}
        number = len(there)
        assert there == set(range(number))
        while True:
            results.append(rows_of_set(shard, number))
            write_all(acknowledgements, b"%d\n" % number)
            number += 1
            time.sleep(0.03)


def read(folder: Path, done: int) -> None:
    """Reads all files repeatedly: a set that was there once must stay, complete."""
    before: set[tuple[str, int]] = set()
    while True:
        there = check_whole(read_all(folder))
        assert before <= there, before - there
        before = there
        os.write(done, b".")


def forked(work: Any, *arguments: Any) -> tuple[int, int]:
    """A process that runs `work`, and the pipe on which it reports its progress."""
    told, tell = os.pipe()
    process = os.fork()
    if process:
        os.close(tell)
        os.set_blocking(told, False)
        return process, told
    try:
        os.close(told)
        random.seed()
        work(*arguments, tell)
    except BaseException as error:
        print(f"{work.__name__}: {error!r}", file=sys.stderr, flush=True)
    os._exit(1)


def drained(pipe: int) -> bytes:
    content = b""
    while True:
        try:
            part = os.read(pipe, 2**16)
        except BlockingIOError:
            return content
        if not part:
            return content
        content += part


def main(folder: Path, kills: int) -> dict[str, int]:
    writers = {shard: forked(write, folder, shard) for shard in SHARDS}
    reader, reads = forked(read, folder)
    acknowledged: set[tuple[str, int]] = set()
    torn, read_count = 0, 0

    def note(shard: str) -> bool:
        numbers = drained(writers[shard][1]).split()
        acknowledged.update((shard, int(number)) for number in numbers)
        return bool(numbers)

    for _ in range(kills):
        shard = random.choice(SHARDS)
        if random.random() < 0.8:  # else it may come while the writer opens the file
            while not note(shard):
                time.sleep(0.001)
        time.sleep(random.uniform(0, 0.06))  # past the pause between two sets
        process, pipe = writers[shard]
        os.kill(process, signal.SIGKILL)
        assert os.waitpid(process, 0)[1] == signal.SIGKILL, f"the writer of {shard} failed"
        note(shard)
        os.close(pipe)
        path = folder / f"results-{shard[0]}-of-2.jsonl"
        if path.exists():  # not yet where the first writer is killed at once
            last = path.read_bytes()[-40:]
            torn += not last.endswith(b"}\n") or b"set_of" not in last
        writers[shard] = forked(write, folder, shard)
        read_count += len(drained(reads))
        assert os.waitpid(reader, os.WNOHANG) == (0, 0), "the reader failed"
    for process in (reader, *(writer for writer, _ in writers.values())):
        os.kill(process, signal.SIGKILL)
        assert os.waitpid(process, 0)[1] == signal.SIGKILL
    for shard in SHARDS:
        note(shard)
        with locked(folder, shard):
            Results.open(folder, shard).close()
    there = check_whole(read_all(folder))
    assert acknowledged <= there, acknowledged - there
    assert len(there - acknowledged) <= kills + 2
    rows = len(read_all(folder))
    return {"kills": kills, "torn": torn, "sets": len(there), "rows": rows, "reads": read_count}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))))
