"""Checks every split of every task in a data source; prints what exists and what is wrong.

    python -m xt_jax.check_data --data_dir=DATA --tokenizer=FacebookAI/xlm-roberta-base

Faults are data that no run could read or use; the check goes on after each, so that one call names
every faulty file. Warnings are data that look like a mistake. Official splits that the source does
not hold are listed as missing, which is not a fault. Exit status: 0 without a fault, 1 with one
(with --strict also for a warning or a missing split), 2 if nothing could be checked.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from xt_jax import command
from xt_jax.data.lengths import Ruler, tokens_ruler, words_ruler
from xt_jax.data.sources import SOURCES, Source, open_source
from xt_jax.data.tokenize import load_tokenizer
from xt_jax.data.tokenizer_files import MAIN, PATTERNS
from xt_jax.data_checks import Missing, Report, Row, check
from xt_jax.errors import ConfigError, UserError
from xt_jax.files import atomic_write_text
from xt_jax.places import check_output
from xt_jax.tasks.family import Task
from xt_jax.tasks.table import FAMILIES, TASKS

DEFAULT_TOKENIZER = "FacebookAI/xlm-roberta-base"
WORDS = "words"

_FOLDER = "name the folder that holds mnli/, xnli/, ..."
_WIDTH = 100
_FEW = 5  # the most labels whose shares are all shown
_TOP = 3  # labels that are shown if there are more


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status."""
    options = command.parsed(_parser(), argv)
    try:
        if options.output:
            check_output(options.output, "--output")
        report = check(
            _open(options.source, options.data_dir),
            _ruler(options.tokenizer),
            options.task,
            options.language,
        )
        if not report.rows and not report.faults:
            raise ConfigError(
                "No data of these tasks and languages was found.",
                where=f"--data_dir={options.data_dir}",
                remedy=f"{_FOLDER}; looked at first: "
                + ", ".join(missing.expected for missing in report.missing[:3]),
            )
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.output:
        text = json.dumps(asdict(report), ensure_ascii=False, indent=1) + "\n"
        atomic_write_text(options.output, text)
    print("\n".join(as_lines(report, options.data_dir)))
    wrong = report.faults or (options.strict and (report.warnings or report.missing))
    return 1 if wrong else 0


def as_lines(report: Report, directory: str) -> Iterator[str]:
    """Yields the lines of the report: a table per task, faults, warnings and a summary.

    Args:
        directory: file names below this folder are printed relative to it.
    """
    start = str(directory).rstrip("/") + "/" if directory else ""
    yield f"Lengths are counted in {report.unit}."
    for task in TASKS.values():
        rows = [row for row in report.rows if row.task == task.name]
        absent = [missing for missing in report.missing if missing.task == task.name]
        if rows or absent:
            yield from ("", _heading(task))
        if rows:
            yield from _table(task, rows, start)
        for missing in absent:
            yield from _missing(missing, start)
    for kind, remarks in (("fault", report.faults), ("warning", report.warnings)):
        if remarks:
            yield from ("", f"{_plural(len(remarks), kind)}:")
        for remark in remarks:
            yield f"{remark.where}: {remark.problem}"
            yield f"    what to do: {remark.remedy}"
    examples = sum(row.examples for row in report.rows)
    lacking = sum(len(missing.languages) for missing in report.missing)
    yield ""
    yield (
        f"{_plural(len(report.rows), 'file')} with {examples:,} examples read; "
        f"{_plural(len(report.faults), 'fault')}, {_plural(len(report.warnings), 'warning')}, "
        f"{_plural(lacking, 'missing official split')}."
    )


def _heading(task: Task) -> str:
    parts = [f"{task.role}, {task.family}"]
    if 0 < len(task.labels) <= _FEW:
        parts.append("labels " + " / ".join(task.labels))
    if task.train not in ((), (task.name,)):
        parts.append(f"trains on {', '.join(task.train)}")
    return f"{task.name} ({'; '.join(parts)})"


def _table(task: Task, rows: Sequence[Row], start: str) -> Iterator[str]:
    limit = f">{task.recipe.max_length}"
    cells = [["split", "language", "examples", "p50", "p95", "max", limit, "labels", "file"]]
    for row in rows:
        sizes = (row.examples, row.lengths.p50, row.lengths.p95, row.lengths.max)
        over = f"{100 * row.lengths.over:.2g} %" if row.lengths.over else "0"
        file = row.file.replace(start, "") if start else row.file
        file += " (substitute)" if row.substitute else ""
        numbers = [f"{size:,}" for size in sizes]
        cells.append([row.split, row.language, *numbers, over, _balance(task, row), file])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        aligned = (
            cell.rjust(width) if 2 <= column <= 6 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        yield ("  " + "  ".join(aligned)).rstrip()


def _balance(task: Task, row: Row) -> str:
    """Returns the label shares in the heading's order, or the top labels, or counts for mining."""
    counts = row.labels
    if FAMILIES[task.family].whole:
        return ", ".join(f"{count:,} {name}" for name, count in counts.items())
    if not row.labelled:
        return "unlabelled"
    shares = {name: f"{100 * count / sum(counts.values()):.0f}" for name, count in counts.items()}
    if 0 < len(task.labels) <= _FEW:
        return " / ".join(shares.get(label, "0") for label in task.labels) + " %"
    shown = [f"{name} {share} %" for name, share in list(shares.items())[:_TOP]]
    rest = [f"{len(shares) - _TOP} more"] if len(shares) > _TOP else []
    return ", ".join(shown + rest)


def _missing(missing: Missing, start: str) -> list[str]:
    expected = missing.expected.replace(start, "") if start else missing.expected
    text = f"missing: {missing.split} {' '.join(missing.languages)} (looked first at {expected})"
    return textwrap.wrap(
        text, _WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False
    )


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


def _open(name: str, directory: str) -> Source:
    try:
        return open_source(name, directory)
    except ConfigError as error:
        remedy = _FOLDER if name == "files" else error.remedy
        raise ConfigError(error.problem, where=f"--data_dir={directory}", remedy=remedy) from error


def _ruler(name: str) -> Ruler:
    """Returns a ruler for that tokenizer; for "" the default one's if it is on this machine."""
    path = name or _downloaded(DEFAULT_TOKENIZER)
    if name == WORDS or not path:
        return words_ruler()
    try:
        return tokens_ruler(load_tokenizer(path), name or DEFAULT_TOKENIZER)
    except ConfigError as error:
        where = f"--tokenizer={name}"
        raise ConfigError(error.problem, where=where, remedy=error.remedy) from error


def _downloaded(model: str) -> str:
    """Returns the folder of a model's tokenizer in the hub's cache, or "" if there is none."""
    import huggingface_hub  # slow import

    try:
        folder = huggingface_hub.snapshot_download(
            model, allow_patterns=list(PATTERNS), local_files_only=True
        )
    except OSError:
        return ""
    return folder if any(name in MAIN for name in os.listdir(folder)) else ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m xt_jax.check_data",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--data_dir", default="", metavar="DIR", help="the data folder; needed for --source=files")
    add("--source", choices=SOURCES, default="files", help="kind of source (default: %(default)s)")
    add(
        "--tokenizer",
        default="",
        metavar="PATH_OR_ID",
        help="tokenizer that measures lengths: a folder, a hub id, or `words` to count words "
        f"(default: {DEFAULT_TOKENIZER} if it was downloaded before, else words)",
    )
    add(
        "--task",
        action="append",
        default=[],
        choices=list(TASKS),
        metavar="NAME",
        help="only this task and its training tasks; may be repeated. One of: " + ", ".join(TASKS),
    )
    add(
        "--language",
        action="append",
        default=[],
        metavar="CODE",
        help="only this language, ISO 639-1; may be repeated (mlqa_cross: context-question)",
    )
    add("--strict", action="store_true", help="warnings and missing splits count as faults")
    add("--output", default="", metavar="FILE.json", help="also write the report to this file")
    return parser


if __name__ == "__main__":
    command.run(main)
