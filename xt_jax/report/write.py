"""Writes `report.md`, `report.html`, pictures and CSV files from the files in a study's folder."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from etils import epath

from xt_jax.files import atomic_write_text
from xt_jax.records.json_files import Malformed
from xt_jax.report import plots
from xt_jax.report.answer import answer
from xt_jax.report.benchmark import benchmark_tables, published_table
from xt_jax.report.cost import cost_tables
from xt_jax.report.csv_files import csv_files
from xt_jax.report.document import (
    Block,
    Folded,
    Part,
    Picture,
    Text,
    at_a_glance,
    to_html,
    to_markdown,
    without_details,
)
from xt_jax.report.equal_scores import equal_scores
from xt_jax.report.gap_tables import chance_table, form_table, gap_table, group_table, slope_table
from xt_jax.report.model_tables import model_tables
from xt_jax.report.next_study import next_study
from xt_jax.report.plots import Drawing
from xt_jax.report.predictions import prediction_table, predictions
from xt_jax.report.scoring_notes import scoring_notes
from xt_jax.report.study_results import MEAN, StudyResults, read_study
from xt_jax.report.sweeps import sweep_tables

_FEW = 2  # models whose tables are on the page itself
_CHANCE = (
    "Shares of the scores (languages other than English, runs and seeds) that take no learning: "
    "one label for all, any span, one tag. They stay in every number of this report."
)
_LANGUAGES = (
    "Mean over the targets that have the language, and over seeds; without intervals. English is "
    "the language that is trained on, hence a group of its own. Groups have unlike targets: PAN-X "
    "and Tatoeba have most languages, the others fewer. All models are in languages.csv."
)
_SLOPES = "Least squares over the logarithm of the number of parameters."
_FORMS = (
    "Root mean square error, in points, of predicting each size from all others, by the form of "
    "the curve. Where the constant predicts best, size does not help to predict the gap."
)


def write_report(
    folder: epath.Path,
    output: epath.Path,
    *,
    only: Collection[tuple[str, str]] | None = None,
    malformed: Malformed | None = None,
    predict: Sequence[int] = (),
) -> str:
    """Writes `report.md`, `report.html`, every picture as SVG and PNG, and the CSV files.

    Args:
        folder: the study's: `results.jsonl`, `results-*.jsonl`, `example_scores/`, `phases/`.
        output: the folder of the written files.
        only: (run, data) of the rows of the current configuration, which are preferred to rows of
            other settings; where there are none, the last setting counts.
        malformed: as in `xt_jax.records.results.read_rows`.
        predict: encoder parameters of sizes to predict, which also go to `predictions.csv`.

    Returns:
        The part of the report that a terminal shows, and the predictions.

    Raises:
        DataError: a malformed line, unless `malformed` takes it; or damaged per-example scores.
    """
    study = read_study(folder, only or (), malformed)
    expected = predictions(study, predict) if predict else None
    drawings = plots.drawings(study)
    blocks = report(study, drawings)
    pictures = {drawing.name: plots.write_drawing(output, drawing) for drawing in drawings}
    for name, text in csv_files(study).items():
        atomic_write_text(output / name, text)
    page, markdown = output / "report.html", output / "report.md"
    atomic_write_text(page, to_html(blocks, pictures))
    atomic_write_text(markdown, to_markdown(without_details(blocks)))
    shown = at_a_glance(blocks)
    if expected is not None:
        atomic_write_text(output / "predictions.csv", expected.to_csv(index=False))
        shown += prediction_table(expected)
    return f"{to_markdown(shown)}\nwritten: {page}, {markdown}"


def report(study: StudyResults, drawings: Sequence[Drawing] = ()) -> list[Block]:
    """Returns the whole report: the answer, then the tables and pictures behind it.

    Args:
        drawings: the pictures that the report shows.
    """
    mean, targets = [MEAN], study.targets
    slopes = slope_table(study, mean)
    at_chance, forms = chance_table(study), form_table(study)
    groups = [*group_table(study, "script"), *group_table(study, "family")]
    parts: dict[str, list[Block]] = {
        "The gap, by target and model size": [
            *gap_table(study, mean),
            *_folded("The gap on each target", gap_table(study, targets)),
        ],
        "Slopes": [
            *slopes,
            *([Text(_SLOPES)] if slopes else []),
            *_folded("The slope on each target", slope_table(study, targets)),
            *([*forms, Text(_FORMS)] if forms else []),
            *equal_scores(study),
            *(block for family in study.families for block in next_study(study, family)),
        ],
        "Scores at chance": [
            *([Text(_CHANCE)] if at_chance else []),
            *_folded("Gaps with such scores", at_chance),
        ],
        "Languages": [
            *([Text(_LANGUAGES)] if groups else []),
            *_folded("Means of scripts and families, smallest and largest model", groups),
        ],
        "XTREME's table": [
            *_few(study, "The table of all models", benchmark_tables(study)),
            *scoring_notes(study),
        ],
        "Published figures": published_table(study),
        "Scores": [],
        "Retrieval by layer": [],
        "Learning rates": sweep_tables(study.sweeps),
        "Learning curves": [],
        "Cost of training": cost_tables(study.phases),
    }
    pictures: dict[str, list[Block]] = {title: [] for title in ("", *parts)}
    for drawing in drawings:
        pictures[drawing.part].append(Picture(drawing.name, drawing.title))
    every = [Part(title, (*pictures[title], *blocks)) for title, blocks in parts.items()]
    return [
        *answer(study, pictures[""]),
        *(part for part in every if part.blocks),
        *(model_tables(model, folded=len(study.models) > _FEW) for model in study.models),
    ]


def _few(study: StudyResults, summary: str, blocks: Sequence[Block]) -> list[Block]:
    """Returns the blocks, folded where they are of many models."""
    return list(blocks) if len(study.models) <= _FEW else _folded(summary, blocks)


def _folded(summary: str, blocks: Sequence[Block]) -> list[Block]:
    return [Folded(summary, tuple(blocks))] if blocks else []
