"""Measures what results cost: appending a data set's rows, and opening a study's results.

    python benchmarks/records.py [--rows=20000,100000,340000] [--folder=DIR]

Writes a study's rows as `run.py` does, seven metrics a data set, and prints for each size the
median and the largest time of 200 appends, the time of opening the file, and the memory it takes.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time

from xt_jax.records.results import Results, Row

METRICS = ("f1", "em", "accuracy", "precision", "recall", "f1@dev", "em@dev")


def rows_of_data_set(number: int) -> list[Row]:
    """Returns one data set's rows, as long as real ones; `number` gives run and data."""
    return [
        Row(
            model="xlm-roberta-large",
            encoder_params=303_309_824,
            total_params=559_890_432,
            intermediate="mnli+squad+mlm",
            target="xquad",
            language="de",
            seed=number % 5,
            metric=metric,
            value=61.53846153846154 + number / 1e6,
            n=1190,
            split="test",
            step=12_345,
            selected_by="f1",
            run=f"{number // 40:012x}",
            data=f"{number:012x}",
        )
        for metric in METRICS
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="20000,100000,340000")
    parser.add_argument("--folder", default=None, help="where the files are written, then deleted")
    args = parser.parse_args()
    print("   rows  append, median  largest    open  memory")
    for count in map(int, args.rows.split(",")):
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            results = Results.open(folder)
            sets = count // len(METRICS)
            results.append([row for number in range(sets) for row in rows_of_data_set(number)])
            results.close()
            del results
            began = time.perf_counter()
            results = Results.open(folder)
            opened = time.perf_counter() - began
            times = []
            for number in range(sets, sets + 200):
                rows = rows_of_data_set(number)
                began = time.perf_counter()
                results.append(rows)
                times.append(1000 * (time.perf_counter() - began))
            results.close()
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            print(
                f"{count:7}  {statistics.median(times):11.2f} ms  {max(times):4.1f} ms"
                f"  {opened:5.1f} s  {peak / 2**10:.0f} MiB",
                flush=True,
            )


if __name__ == "__main__":
    main()
