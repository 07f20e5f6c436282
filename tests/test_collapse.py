"""Runs at chance: how they are recognised, and results with and without them."""

from __future__ import annotations

import math
import random

import pytest
from rows import rows_of
from small_study import LANGUAGES, MODELS, Study, gaps_of, slopes_of

from xt_jax.report.statistics.collapse import chance, collapsed
from xt_jax.report.statistics.findings import find


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


def test_english_decides_where_there_is_any():
    rows = [
        *rows_of("direct", {"en": 40.0, "de": 90.0}, n=100),
        *rows_of("mnli", {"en": 80.0, "de": 10.0}, n=100),
        *rows_of("squad", {"de": 30.0, "th": 43.0}, n=100),
        *rows_of("qqp", {"de": 30.0, "th": 60.0}, n=100),
        *rows_of("direct", {"en": 0.0}, target="tatoeba", n=100),
    ]
    assert collapsed(rows) == {("direct", "xnli", 0), ("squad", "xnli", 0)}


def without(study: Study, bad: set[tuple], *fields: str):
    """Returns the findings without the study's rows that have these field values."""
    rows = [row for row in study.rows if tuple(row[field] for field in fields) not in bad]
    return find(rows, study.example_scores)


def test_gaps_with_and_without_collapsed_runs():
    study = Study(16, seeds=4)
    runs = [("mini-48", "mnli", "panx", 1), ("mini-48", "direct", "panx", 3)]
    random.Random(1).shuffle(study.rows)
    study.lower(*runs)
    study.lower(("mini-48", "mnli", "tatoeba", 0))
    found = study.find()
    assert found.collapsed == tuple(sorted(runs, key=lambda run: run[1:]))
    gaps = gaps_of(found)
    bad = {("mini-48", "panx", 1), ("mini-48", "panx", 3)}
    rest = gaps_of(without(study, bad, "model", "target", "seed"))
    for language in ("", *LANGUAGES):
        key = ("mini-48", "mnli", "panx", language)
        assert gaps[key].collapsed == (1, 3)
        assert gaps[key].without_collapsed == rest[key].estimate
        assert gaps[key].without_collapsed.seeds == 2
        assert gaps["mini-48", "squad", "panx", language].collapsed == (3,)
    mean = gaps["mini-48", "mnli", "", ""]
    assert mean.collapsed == (1, 3)
    assert mean.without_collapsed == rest["mini-48", "mnli", "", ""].estimate
    others = [gap for key, gap in gaps.items() if key[0] != "mini-48"]
    assert {(gap.collapsed, gap.without_collapsed) for gap in others} == {((), None)}


def test_a_language_without_the_collapsed_seed_has_nothing_to_leave_out():
    study = Study(20)
    study.lower(("mini-48", "mnli", "panx", 1))
    absent = {("mini-48", "mnli", "panx", 1, "de")}
    gaps = gaps_of(without(study, absent, "model", "intermediate", "target", "seed", "language"))
    assert gaps["mini-48", "mnli", "panx", "th"].collapsed == (1,)
    of_de = gaps["mini-48", "mnli", "panx", "de"]
    assert (of_de.collapsed, of_de.without_collapsed) == ((), None)


def test_slopes_with_and_without_collapsed_runs():
    study = Study(17, seeds=4)
    bad = {("mini-64", "mnli", "panx", 1), ("mini-64", "mnli", "panx", 3)}
    study.lower(*sorted(bad))
    slopes = slopes_of(study.find())
    rest = slopes_of(without(study, bad, "model", "intermediate", "target", "seed"))
    concerned = {(n, t) for n in ("", "mnli") for t in ("", "panx")}
    for key, slope in slopes.items():
        expected = rest[key].estimate if key[:2] in concerned else None
        assert slope.without_collapsed == expected
        assert (slope.estimate == rest[key].estimate) == (key[:2] not in concerned)


def test_a_pair_that_keeps_one_seed_somewhere_is_in_no_mean_without_collapsed_runs():
    study = Study(18)
    study.lower(("mini-64", "mnli", "panx", 1), ("mini-64", "mnli", "panx", 2))
    found = study.find()
    slopes = slopes_of(found)
    assert slopes["mnli", "panx", "encoder"].without_collapsed is None  # two sizes are left
    rest = without(study, {("mnli", "panx")}, "intermediate", "target")
    for key in [("", "", "encoder"), ("mnli", "", "total"), ("", "panx", "encoder")]:
        assert slopes[key].without_collapsed == slopes_of(rest)[key].estimate
    key = ("mini-64", "mnli", "panx", "")
    assert gaps_of(found)[key].without_collapsed.seeds == 1
    assert math.isnan(gaps_of(found)[key].without_collapsed.low)
    mean = ("mini-64", "mnli", "", "")
    assert gaps_of(found)[mean].without_collapsed == gaps_of(rest)[mean].estimate


def test_where_all_runs_collapsed_nothing_is_left():
    study = Study(19)
    study.lower(*(("mini-64", "direct", "panx", seed) for seed in range(3)))
    gap = gaps_of(study.find())["mini-64", "mnli", "panx", "de"]
    assert gap.collapsed == (0, 1, 2)
    assert gap.without_collapsed is None
    four = {**MODELS, "mini-192": (4_700_000, 9_000_000)}
    study = Study(19, models=four)
    study.lower(*(("mini-64", "direct", "panx", seed) for seed in range(3)))
    rest = slopes_of(without(study, {("mini-64", "panx")}, "model", "target"))
    key = ("mnli", "panx", "encoder")
    assert slopes_of(study.find())[key].without_collapsed == rest[key].estimate
