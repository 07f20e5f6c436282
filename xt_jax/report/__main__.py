"""Writes the report of a study: does intermediate training help, and does size change that?

    python -m xt_jax.report --results=DIR

The results are a --workdir with `results.jsonl`, or with the `results-*.jsonl` of several shards;
or a folder with `study.tar.xz`, the packed study that --pack writes. Into the same folder, or that
of --output, go report.md, report.html (one page that needs no network), every picture as SVG and
PNG, and the numbers as CSV.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from xt_jax import command
from xt_jax.errors import DataError
from xt_jax.places import as_path, check_writable


def main(argv: Sequence[str] | None = None) -> None:
    arguments = command.parsed(_parser(), argv)
    from xt_jax.records.results import result_files
    from xt_jax.report.packed import pack, unpacked
    from xt_jax.report.write import write_report

    folder = as_path(arguments.results)
    output = folder if arguments.output is None else as_path(arguments.output)
    malformed = _warn if arguments.skip_malformed else None
    with unpacked(folder) as study:
        if not result_files(study):
            raise DataError(
                "There is no results.jsonl in this folder, and no packed study.",
                where=folder,
                remedy="give the --workdir of `python run.py`, or the --output of --pack",
            )
        check_writable(output, "--output")
        print(write_report(study, output, malformed=malformed, predict=arguments.predict))
        if arguments.pack:
            print(f"packed: {pack(study, output, malformed)}")


def _warn(error: DataError) -> None:
    print(f"left out: {error.where}: {error.problem}", file=sys.stderr)


def _parameters(text: str) -> int:
    count = int(text.replace(",", "").replace("_", ""))
    if count < 1:
        raise ValueError
    return count


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m xt_jax.report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--results", required=True, metavar="DIR", help="the study's --workdir, or a packed study"
    )
    parser.add_argument(
        "--output", metavar="DIR", help="where the files go; by default beside the results"
    )
    parser.add_argument(
        "--pack",
        action="store_true",
        help="also write study.tar.xz, from which this command makes the same report",
    )
    parser.add_argument(
        "--predict",
        type=_parameters,
        action="append",
        default=[],
        metavar="PARAMETERS",
        help="also predict the gaps of a size with so many encoder parameters, before it is "
        "scored, into predictions.csv; may be given repeatedly",
    )
    parser.add_argument(
        "--skip_malformed",
        action="store_true",
        help="warn about malformed lines and leave them out, instead of stopping",
    )
    return parser


if __name__ == "__main__":
    command.run(main)
