"""Scores at chance, and intermediate tasks that were not learnt."""

from __future__ import annotations

import math
from statistics import fmean

import pytest
from small_study import LANGUAGES, Study, gaps_of

from xt_jax.report.statistics.chance import MARGIN, chance, least_learnt
from xt_jax.report.statistics.combined import TRAINED


@pytest.mark.parametrize(
    ("target", "n", "highest"),
    [
        ("xnli", 5010, 100 / 3 + 200 * math.sqrt(2 / 9 / 5010)),
        ("xnli", 50, 100 / 3 + 200 * math.sqrt(2 / 9 / 50)),
        ("pawsx", 2000, 55 + 200 * math.sqrt(0.55 * 0.45 / 2000)),
        ("hellaswag", 100, 25 + 200 * math.sqrt(3 / 16 / 100)),
        ("xquad", 50, 15.0),
        ("panx", 5000, 5.0),
        ("udpos", 50, 5.0),
        ("squad_v2", 50, 51.0),
        ("tatoeba", 50, None),
        ("bucc", 50, None),
        ("a task of one's own", 50, None),
    ],
)
def test_chance(target, n, highest):
    assert chance(target, n) == pytest.approx(highest)


def test_the_scores_at_chance_are_counted_on_each_side_and_stay_in_the_means():
    study = Study(16, seeds=4)
    before = gaps_of(study.find())
    study.lower(("mini-48", "mnli", "panx", 1), ("mini-48", "direct", "panx", 3))
    study.lower(("mini-48", "mnli", "tatoeba", 0))  # retrieval has no chance level
    gaps = gaps_of(study.find())
    assert gaps.keys() == before.keys()
    for language in ("", *LANGUAGES):
        gap = gaps["mini-48", "mnli", "panx", language]
        assert (gap.chance_direct, gap.chance_after) == (0.25, 0.25)
        other = gaps["mini-48", "squad", "panx", language]
        assert (other.chance_direct, other.chance_after) == (0.25, 0.0)
        assert gap.estimate.units == 4
    assert gaps["mini-48", "mnli", "tatoeba", ""].chance_after == 0.0
    assert math.isnan(gaps["mini-48", "mnli", "", ""].chance_after)


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("mnli", 100 / 3 + MARGIN),
        ("hellaswag", 25 + MARGIN),
        ("squad", 15 + MARGIN),
        ("mnli+squad+mlm", (100 / 3 + 15) / 2 + MARGIN),
        ("mlm", None),
    ],
)
def test_when_an_intermediate_task_counts_as_learnt(name, least):
    assert least_learnt(name) == (least and pytest.approx(least, abs=0.01))


def test_intermediate_tasks_that_a_size_has_not_learnt_are_in_no_contrast():
    study = Study(17, seeds=2)
    scores = {("mini-48", "squad"): 12.0, ("mini-64", "squad"): 60.0}
    for row in study.rows:
        if row["intermediate"] != "direct":
            row["intermediate_score"] = scores.get((row["model"], row["intermediate"]), 80.0)
    found = study.find()
    assert found.not_learnt == {"squad": ["mini-48"]}
    assert {fit.intermediates for fit in found.scalings} == {("mnli",)}
    gaps = gaps_of(found)
    for fit in found.scalings:
        if fit.contrast == TRAINED:
            of_size = [gaps["mini-48", "mnli", t, ""].estimate.value for t in ("xquad", "panx")]
            assert fit.means[0].value == pytest.approx(fmean(of_size))
    for row in study.rows:
        row.pop("intermediate_score", None)  # rows of before do not say
    assert study.find().not_learnt == {}
