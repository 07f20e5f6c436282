"""The report of a study: `report.md`, `report.html`, pictures and CSV files, from its folder.

Everything comes from the rows of `results.jsonl`; learning curves and the cost also from the logs
in `phases/`.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Collection, Sequence

from etils import epath

from xt_jax.errors import DataError
from xt_jax.files import atomic_write_text
from xt_jax.records import example_scores
from xt_jax.records.results import read_all
from xt_jax.report import plots
from xt_jax.report.answer import answer
from xt_jax.report.benchmark import benchmark_tables, published_table
from xt_jax.report.document import (
    Block,
    Folded,
    Heading,
    Picture,
    Text,
    at_a_glance,
    to_markdown,
)
from xt_jax.report.evidence import MEAN, Evidence, models_of
from xt_jax.report.gap_tables import collapsed_table, gap_table, group_table, slope_table
from xt_jax.report.html import to_html
from xt_jax.report.phase_logs import read_phases
from xt_jax.report.plots import Drawing
from xt_jax.report.spent import cost_tables
from xt_jax.report.spreadsheets import spreadsheets
from xt_jax.report.statistics.findings import find
from xt_jax.report.tables import model_tables

PHASES = "phases"

_COLLAPSED = (
    "A run is at chance on the English part of its target: it did not learn the task at all. Such "
    "runs are in every number above unless it says otherwise."
)
_LANGUAGES = (
    "Mean over the targets that have the language, and over seeds; without intervals. English is "
    "the language that is trained on, hence a group of its own. Groups have unlike targets: PAN-X "
    "and Tatoeba have most languages, the others fewer. All models are in languages.csv."
)
_SLOPES = (
    "Least squares over the logarithm of the number of parameters. above 0: the probability that "
    "the gap grows with size."
)


def write_report(
    folder: epath.Path,
    output: epath.Path,
    *,
    only: Collection[tuple[str, str]] | None = None,
    malformed: Callable[[DataError], None] | None = None,
) -> str:
    """Writes `report.md`, `report.html`, every picture as SVG and PNG, and the CSV files.

    Args:
        folder: of the study: `results.jsonl`, `results-*.jsonl`, `phases/`.
        output: where the files go.
        only: (run, data) of the rows that belong to the current configuration. They go before
            rows of other settings; elsewhere the last setting counts.
        malformed: as in `read_rows`.

    Returns:
        What a terminal shows of it.

    Raises:
        DataError: a line that is no complete row, unless `malformed` takes it.
    """
    models = models_of(read_all(folder, malformed=malformed), only or ())
    rows = [row for model in models for row in model.rows]
    findings = find(rows, functools.partial(example_scores.read, folder))
    evidence = Evidence(models, findings, read_phases(folder / PHASES), _command(folder))
    drawn = plots.drawings(evidence)
    blocks = report(evidence, drawn)
    pictures = {each.name: plots.write_drawing(output, each) for each in drawn}
    for name, table in spreadsheets(evidence).items():
        atomic_write_text(output / name, table)
    page, text = output / "report.html", output / "report.md"
    atomic_write_text(page, to_html(blocks, pictures))
    atomic_write_text(text, to_markdown(blocks))
    return f"{to_markdown(at_a_glance(blocks))}\nwritten: {page}, {text}"


def _command(folder: epath.Path) -> str:
    """What the study says of itself; "" of parts, which have a command each."""
    path = folder / "status.json"
    return str(json.loads(path.read_text()).get("command", "")) if path.exists() else ""


def report(evidence: Evidence, drawings: Sequence[Drawing] = ()) -> list[Block]:
    """The whole report: the answer first, then what it rests on.

    Args:
        drawings: the pictures that lie beside it.
    """
    pictures = _by_part(drawings)
    return [
        *answer(evidence),
        *_part("The gap, by target and model size", pictures["gaps"], _gap_blocks(evidence)),
        *_part("Slopes", [], _slope_blocks(evidence)),
        *_part("Runs at chance", [], _collapsed_blocks(evidence)),
        *_part("Languages", pictures["languages"], _language_blocks(evidence)),
        *_part("XTREME's table", [], benchmark_tables(evidence)),
        *_part("Published figures", [], published_table(evidence)),
        *_part("Scores", pictures["scores"], []),
        *_part("Retrieval by layer", pictures["layers"], []),
        *_part("Learning curves", pictures["curves"], []),
        *_part("Cost of training", [], cost_tables(evidence.phases)),
        *(block for model in evidence.models for block in model_tables(model)),
    ]


def _part(title: str, pictures: Sequence[Block], blocks: Sequence[Block]) -> list[Block]:
    """Nothing where there is nothing to show."""
    return [Heading(2, title), *pictures, *blocks] if pictures or blocks else []


def _gap_blocks(evidence: Evidence) -> list[Block]:
    mean, each = gap_table(evidence, [MEAN]), gap_table(evidence, evidence.targets)
    blocks: list[Block] = [mean] if mean else []
    return [*blocks, Folded("The gap on each target", (each,))] if each else blocks


def _slope_blocks(evidence: Evidence) -> list[Block]:
    mean, each = slope_table(evidence, [MEAN]), slope_table(evidence, evidence.targets)
    blocks: list[Block] = [mean, Text(_SLOPES)] if mean else []
    return [*blocks, Folded("The slope on each target", (each,))] if each else blocks


def _collapsed_blocks(evidence: Evidence) -> list[Block]:
    table = collapsed_table(evidence)
    return [Text(_COLLAPSED), Folded("Gaps with and without such runs", (table,))] if table else []


def _language_blocks(evidence: Evidence) -> list[Block]:
    tables = [table for kind in ("script", "family") if (table := group_table(evidence, kind))]
    if not tables:
        return []
    return [
        Text(_LANGUAGES),
        Folded("Means of scripts and families, smallest and largest model", tuple(tables)),
    ]


def _by_part(drawings: Sequence[Drawing]) -> dict[str, list[Block]]:
    parts: dict[str, list[Block]] = {
        part: [] for part in ("gaps", "languages", "scores", "layers", "curves")
    }
    for drawing in drawings:
        parts[drawing.part].append(Picture(drawing.name, drawing.title))
    return parts
