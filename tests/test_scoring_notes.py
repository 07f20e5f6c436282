"""Tests the notes under a report's table on scores that are not of the official test sets."""

from __future__ import annotations

from rows import rows_of
from synthetic import analysed

from xt_jax.report.document import to_markdown
from xt_jax.report.scoring_notes import scoring_notes
from xt_jax.report.write import report

VALUES = {"de": 60.0, "zh": 70.0}


def notes(*rows) -> list[str]:
    direct = rows_of("direct", VALUES, target="xnli")
    return [
        note.text for note in scoring_notes(analysed([*direct, *(r for of in rows for r in of)]))
    ]


def test_official_scores_need_no_note():
    assert notes(rows_of("mnli", VALUES, target="xnli")) == []


def test_another_split_than_test_is_named_with_its_targets_and_languages():
    assert notes(
        rows_of("direct", VALUES, target="panx", split="dev"),
        rows_of("direct", {"de": 1.0}, target="pawsx", split="dev"),
        rows_of("direct", {"zh": 1.0}, target="pawsx"),
    ) == ["Scored on dev, where no labelled test set was at hand: pawsx (de) and panx."]


def test_a_threshold_of_the_scored_split_is_named():
    bucc = {"target": "bucc", "metric": "f1"}
    assert notes(rows_of("direct", VALUES, **bucc)) == []  # fitted on dev, scored on test
    (split, fitted) = notes(rows_of("direct", VALUES, **bucc, split="dev"))
    assert split.endswith("at hand: bucc.")
    assert fitted.startswith("The threshold of bucc is fitted on the very split that is scored")
    oracle = bucc | {"metric": "f1@oracle_threshold"}
    (note,) = notes(rows_of("direct", VALUES, **bucc), rows_of("direct", VALUES, **oracle))
    assert note.startswith("`f1@oracle_threshold` of bucc is at the best threshold for the scored")


def test_substitutes_are_named():
    study = [
        rows_of("direct", VALUES, target="udpos", substitutes="scored"),
        rows_of("ccg", VALUES, target="udpos", substitutes="scored+intermediate"),
        rows_of("direct", {"de": 1.0}, target="pawsx", substitutes="trained"),
    ]
    assert notes(*study) == [
        "Scored on other examples than the official ones: udpos.",
        "Trained on other examples than the official ones: pawsx.",
        "Intermediate tasks with other examples than the official ones: ccg.",
    ]
    page = to_markdown(report(analysed([row for rows in study for row in rows])))
    assert page.index("## XTREME's table") < page.index("Scored on other examples than the")
