"""Scores a folder of predictions as XTREME's official scorer does.

    python -m xt_jax.score --predictions=DIR --labels=DIR --version=xtreme --output=FILE

Both folders hold <task>/test-<language>.tsv (.json for questions) in the official layout. Prints a
table; FILE gets the JSON that google-research/xtreme's evaluate.py would write.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence

from xt_jax import command
from xt_jax.files import atomic_write_text
from xt_jax.places import check_output
from xt_jax.tasks.benchmarks import BENCHMARKS
from xt_jax.tasks.metrics.tagging import SEQEVAL_VERSIONS
from xt_jax.tasks.submission.official import Verdict, evaluate

_CELLS_A_LINE = 9
_ONLY_AVERAGED = ("precision", "recall")


def main(argv: Sequence[str] | None = None) -> None:
    arguments = command.parsed(_parser(), argv)
    if arguments.output:
        check_output(arguments.output, "--output")
    verdict = evaluate(
        arguments.predictions,
        arguments.labels,
        arguments.version,
        seqeval=arguments.seqeval,
        allow_missing=arguments.allow_missing,
    )
    for note in verdict.notes:
        print(f"note: {note}", file=sys.stderr)
    if arguments.output:
        atomic_write_text(arguments.output, json.dumps(verdict.scores, indent=2) + "\n")
    print(table(verdict, arguments.version))


def table(verdict: Verdict, version: str) -> str:
    """Formats the scores in at most 100 columns: averages, groups, then every language."""
    benchmark = BENCHMARKS[version]
    tasks = [task for task in benchmark.languages if task in verdict.scores]
    lines = [f"{'task':<14} {'languages':>9} {'score':>7}  averages"]
    lines += [_averages(verdict, task, len(benchmark.languages[task])) for task in tasks]
    if verdict.unofficial:
        lines += ["", "* share of correct tags; not an official score"]
    lines += ["", f"{'group':<14} {'score':>7}"]
    names = [*(group.name for group in benchmark.groups), "all_task"]
    lines += [f"{name:<14} {_score(verdict.scores.get(name))}" for name in names]
    for task in tasks:
        lines += ["", *_by_language(verdict, task)]
    return "\n".join(lines)


def _averages(verdict: Verdict, task: str, expected: int) -> str:
    scores = verdict.scores[task]
    metrics = _metrics(verdict, task)
    languages = f"{len(next(iter(metrics.values())))}/{expected}"
    averages = "  ".join(f"{name} {_mean(values)}" for name, values in metrics.items())
    return f"{task:<14} {languages:>9} {_score(scores['avg_metric'])}  {averages}"


def _by_language(verdict: Verdict, task: str) -> Iterator[str]:
    for name, values in _metrics(verdict, task).items():
        if name not in _ONLY_AVERAGED:
            yield f"{task} {name}"
            cells = [f"  {language}{_score(value)}" for language, value in values.items()]
            for start in range(0, len(cells), _CELLS_A_LINE):
                yield "".join(cells[start : start + _CELLS_A_LINE])
    if missing := verdict.missing.get(task):
        yield f"  missing: {', '.join(missing)}"


def _metrics(verdict: Verdict, task: str) -> dict[str, dict[str, float]]:
    official = {k: v for k, v in verdict.scores[task].items() if isinstance(v, dict)}
    unofficial = verdict.unofficial.get(task, {})
    return official | {f"{name}*": values for name, values in unofficial.items()}


def _mean(values: dict[str, float]) -> str:
    return _score(sum(values.values()) / len(values)).strip()


def _score(value: float | None) -> str:
    return "      -" if value is None else f"{value:7.2f}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m xt_jax.score",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--predictions", required=True, metavar="DIR", help="folder of predictions")
    parser.add_argument("--labels", required=True, metavar="DIR", help="folder of labels")
    parser.add_argument(
        "--version",
        choices=tuple(BENCHMARKS),
        default="xtreme",
        help="the benchmark whose tasks, languages and groups count (default: %(default)s); "
        "XTREME-R has no overall score here, since LAReQA is not scored",
    )
    parser.add_argument("--output", metavar="FILE", help="where the JSON goes")
    parser.add_argument(
        "--seqeval",
        choices=SEQEVAL_VERSIONS,
        default=SEQEVAL_VERSIONS[0],
        help="the version of seqeval that finds entities: UD-POS differs (default: %(default)s)",
    )
    parser.add_argument(
        "--allow_missing",
        action="store_true",
        help="average a task over the languages that exist, instead of stopping; such a task "
        "counts in no group",
    )
    return parser


if __name__ == "__main__":
    command.run(main)
