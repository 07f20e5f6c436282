"""Tests of the findings of a study: gaps, slopes and their intervals."""

from __future__ import annotations

import dataclasses
import math
import random
from collections import defaultdict
from statistics import fmean

import numpy as np
import pytest
import scipy.stats
import statsmodels.api as sm
from hypothesis import example, given, settings
from hypothesis import strategies as st
from small_study import LANGUAGES, MODELS, TARGETS, N, Study, gaps_of, slopes_of

from xt_jax.errors import DataError
from xt_jax.report.statistics import contrasts
from xt_jax.report.statistics.bootstrap import (
    RUNS,
    SIZES,
    Estimate,
    Paired,
    Term,
    estimate,
    shifts,
)
from xt_jax.report.statistics.families import family_of, ladders
from xt_jax.report.statistics.findings import Findings, Gap, find, multiplicity
from xt_jax.report.statistics.scores import as_frame

FOREIGN = [language for language in LANGUAGES if language != "en"]
unhurried = settings(deadline=None, max_examples=15)


def scores(rows) -> dict:
    return {
        (r["model"], r["intermediate"], r["target"], r["seed"], r["language"]): r["value"]
        for r in rows
    }


# --- gaps -------------------------------------------------------------------------------------


@unhurried
@given(st.integers(0, 10**6), st.sets(st.integers(0, 242), max_size=120))
def test_gaps_are_means_over_seeds_of_means_over_languages(key, missing):
    study = Study(key)
    rows = [row for i, row in enumerate(study.rows) if i not in missing]
    have = scores(rows)
    differences: dict = defaultdict(dict)
    for (model, name, target, seed, language), value in have.items():
        direct = have.get((model, "direct", target, seed, language))
        if name != "direct" and direct is not None:
            differences[model, name, target][seed, language] = value - direct
    expected = {}
    for (model, name, target), by in differences.items():
        foreign = {key: v for key, v in by.items() if key[1] != "en"}
        means = [
            fmean(v for (s, _), v in foreign.items() if s == seed)
            for seed in {s for s, _ in foreign}
        ]
        if means:
            expected[model, name, target, ""] = (fmean(means), len(means))
        for language in {lang for _, lang in by}:
            values = [v for (_, lang), v in by.items() if lang == language]
            expected[model, name, target, language] = (fmean(values), len(values))
    for model, name in {key[:2] for key in expected if not key[3]}:
        mine = [value for key, value in expected.items() if key[:2] == (model, name) and not key[3]]
        means = fmean(value for value, _ in mine), min(seeds for _, seeds in mine)
        expected[model, name, "", ""] = means
    found = gaps_of(find(rows, study.example_scores))
    assert found.keys() == expected.keys()
    for key_, (value, seeds) in expected.items():
        assert found[key_].estimate.value == pytest.approx(value, abs=1e-9)
        assert found[key_].estimate.units == seeds
        assert found[key_].estimate.examples == (seeds > 1)
        assert math.isnan(found[key_].estimate.low) == (seeds == 1)


def paired_by_hand(study: Study, model: str, name: str, target: str, languages) -> Paired:
    runs = {(r["intermediate"], r["seed"], r["language"]): r for r in study.rows
            if (r["model"], r["target"]) == (model, target)}  # fmt: skip

    def of(side: str, seed: int) -> tuple[float, np.ndarray]:
        mine = [runs[side, seed, language] for language in languages]
        drawn = [shifts(study.arrays[r["run"], r["data"]][None])[0] for r in mine]
        return fmean(r["value"] for r in mine), sum(drawn) / len(drawn)

    both = [(of(name, seed), of("direct", seed)) for seed in range(3)]
    values = np.array([a[0] - b[0] for a, b in both])
    return Paired((0, 1, 2), values, np.stack([a[1] - b[1] for a, b in both]), N)


def assert_same(found: Estimate, expected: Estimate) -> None:
    assert dataclasses.astuple(found) == pytest.approx(dataclasses.astuple(expected), abs=1e-4)


@pytest.mark.parametrize("target", TARGETS)
def test_intervals_are_of_the_same_examples_on_both_sides(target):
    study = Study(5)
    found = gaps_of(study.find())
    for language, languages in [("", FOREIGN), ("de", ["de"])]:
        paired = paired_by_hand(study, "mini-64", "squad", target, languages)
        expected = estimate([Term(1.0, "", paired)])
        assert_same(found["mini-64", "squad", target, language].estimate, expected)


def test_the_mean_over_targets_shares_its_seeds():
    study = Study(6)
    parts = [paired_by_hand(study, "mini-48", "mnli", target, FOREIGN) for target in TARGETS]
    expected = estimate([Term(1 / 3, "", part) for part in parts])
    gap = gaps_of(study.find())["mini-48", "mnli", "", ""]
    assert_same(gap.estimate, expected)
    assert (gap.metric, gap.encoder_params, gap.total_params) == ("", *MODELS["mini-48"])


def test_what_is_not_known_of_examples_stays_with_its_own_gaps():
    study = Study(7)
    del study.arrays["mini-48 mnli panx 1", "panx de all"]
    found = study.find()
    unknown = {key for key, gap in gaps_of(found).items() if not gap.estimate.examples}
    mine = ("mini-48", "mnli")
    assert unknown == {(*mine, "panx", "de"), (*mine, "panx", ""), (*mine, "", "")}
    alone = gaps_of(find(study.rows, lambda run, data: None))
    assert not any(gap.estimate.examples for gap in alone.values())
    assert gaps_of(found)[*mine, "panx", ""] == alone[*mine, "panx", ""]
    for key, gap in gaps_of(found).items():
        assert gap.estimate.value == alone[key].estimate.value
        assert gap.estimate.low <= alone[key].estimate.low


@pytest.mark.parametrize("at_once", [1, 1 << 25])
def test_examples_that_count_for_nothing_are_not_drawn_from_many(monkeypatch, at_once):
    """Most sentences of BUCC count for nothing, others in each run."""
    monkeypatch.setattr(contrasts, "_AT_ONCE", at_once)
    study = Study(22)
    small = study.find()
    place = np.sort(np.random.default_rng(0).choice(3 * N, N, replace=False))
    for key, array in study.arrays.items():
        study.arrays[key] = np.zeros((3 * N, 2))
        study.arrays[key][place] = array
    for row in study.rows:
        row["n"] = 3 * N
    monkeypatch.setattr(contrasts, "_MANY", 3 * N - 1)
    for key, gap in gaps_of(study.find()).items():
        assert gap.estimate.low == pytest.approx(gaps_of(small)[key].estimate.low, rel=0.01)
    runs = [r for r in study.rows if r["target"] == "panx" and r["language"] == "de"]
    for row in (runs[0], runs[-1]):
        array = study.arrays[row["run"], row["data"]]
        array[array[:, 0] == 0] = 0  # a run in which fewer examples count
        row["value"] = 100.0
    drawn = contrasts.shifts_of(as_frame(runs), study.example_scores)
    together = shifts(np.stack([study.arrays[r["run"], r["data"]][place] for r in runs]))
    for row, expected in zip(runs, together, strict=True):
        np.testing.assert_allclose(drawn[row["run"], row["data"]], expected, atol=1e-4)


def test_only_the_first_metric_counts():
    study = Study(8)
    more = [{**r, "metric": m, "value": 1.0} for r in study.rows for m in ("em", "f1@layer=3")]
    assert find(study.rows + more, study.example_scores) == study.find()


def test_other_examples_are_not_compared():
    study = Study(9)
    for row in study.rows:
        if (row["intermediate"], row["target"], row["language"]) == ("mnli", "panx", "de"):
            row["data"] = "others"
    found = gaps_of(find(study.rows, lambda run, data: None))
    assert ("mini-48", "mnli", "panx", "de") not in found
    assert found["mini-48", "mnli", "panx", ""].estimate.value == pytest.approx(
        fmean(found["mini-48", "mnli", "panx", lang].estimate.value for lang in ("th",))
    )


def test_the_order_of_rows_does_not_matter():
    study = Study(10)
    first = study.find()
    assert study.find() == first
    random.Random(0).shuffle(study.rows)
    again = study.find()
    assert gaps_of(again).keys() == gaps_of(first).keys()
    for key, gap in gaps_of(again).items():
        assert_same(gap.estimate, gaps_of(first)[key].estimate)
    for key, slope in slopes_of(again).items():
        assert_same(slope.estimate, slopes_of(first)[key].estimate)


@pytest.mark.parametrize(
    ("array", "problem"),
    [
        (np.ones((N, 2)), "give 100.000"),
        (np.ones((N - 1, 2)), f"{N - 1} examples"),
        (np.zeros((N, 2)), "give 0.000"),
        (None, f"{2 * N} examples"),
    ],
)
def test_example_scores_of_something_else_are_an_error(array, problem):
    study = Study(11)
    row = next(r for r in study.rows if r["value"] != 100)
    if array is None:
        array = np.repeat(study.arrays[row["run"], row["data"]], 2, axis=0)
    study.arrays[row["run"], row["data"]] = array
    with pytest.raises(DataError, match=problem) as error:
        study.find()
    assert row["run"] in str(error.value)


def test_without_rows_or_without_direct_nothing_is_found():
    indirect = [row for row in Study().rows if row["intermediate"] != "direct"]
    for rows in ([], indirect):
        assert find(rows, lambda run, data: None) == Findings()


# --- slopes -----------------------------------------------------------------------------------


def test_slopes_are_those_of_a_line_through_the_gaps():
    found = Study(12).find()
    gaps, slopes = gaps_of(found), slopes_of(found)
    assert slopes.keys() == {
        (name, target, parameters)
        for name in ("", "mnli", "squad")
        for target in ("", *TARGETS)
        for parameters in ("encoder", "total")
    }
    for (name, target, parameters), slope in slopes.items():
        names = [name] if name else ["mnli", "squad"]
        targets = [target] if target else TARGETS
        x = [params[parameters == "total"] for params in MODELS.values()]
        y = [
            fmean(gaps[model, n, t, ""].estimate.value for n in names for t in targets)
            for model in MODELS
        ]
        line = scipy.stats.linregress(np.log10(x), y)
        assert slope.estimate.value == pytest.approx(line.slope, abs=1e-9)
        assert (slope.family, slope.sizes, slope.estimate.units) == ("mini", 3, 3)
        assert slope.estimate.low < slope.estimate.value < slope.estimate.high


def test_the_interval_of_a_slope_is_over_sizes_where_each_has_one_run():
    study = Study(13)
    gaps, slope = gaps_of(study.find()), slopes_of(study.find())["", "panx", "encoder"]
    sizes = np.log10([size for size, _ in MODELS.values()])
    y = [
        fmean(gaps[model, name, "panx", ""].estimate.value for name in ("mnli", "squad"))
        for model in MODELS
    ]
    low, high = sm.OLS(y, sm.add_constant(sizes)).fit().conf_int()[1]
    found = slope.estimate
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)
    assert (found.unit, found.units, slope.sizes) == (SIZES, 3, 3)


def with_runs(study: Study, other: Study) -> Study:
    """Adds the models of another study as second pretraining runs of the sizes."""
    for row in other.rows:
        run = f"{row['model']}-s1"
        key = f"second {row['run']}", row["data"]
        study.arrays[key] = other.arrays[row["run"], row["data"]]
        study.rows.append({**row, "model": run, "run": key[0]})
    for row in study.rows:
        row |= {"family": "mini", "pretraining": row["model"], "pretraining_steps": 100}
    return study


def test_pretraining_runs_are_the_unit_where_every_size_has_several():
    studies = Study(13), Study(23)
    alone = [gaps_of(study.find()) for study in studies]
    found = with_runs(*studies).find()
    gaps = gaps_of(found)
    assert {gap.size for gap in found.gaps} == set(MODELS)
    for key, gap in gaps.items():
        both = [of_run[key].estimate.value for of_run in alone]
        assert gap.estimate.value == pytest.approx(fmean(both), abs=1e-9)
        assert (gap.estimate.unit, gap.estimate.units) == (RUNS, 2)
    weights = np.log10([size for size, _ in MODELS.values()])
    weights -= weights.mean()
    weights /= (weights**2).sum()
    terms = []
    for weight, model in zip(weights, MODELS, strict=True):
        for name in ("mnli", "squad"):
            parts = [paired_by_hand(study, model, name, "panx", FOREIGN) for study in studies]
            values = np.array([part.values.mean() for part in parts])
            shifted = np.stack([part.shifts.mean(axis=0) for part in parts])
            paired = Paired((model, f"{model}-s1"), values, shifted, N, RUNS)
            terms.append(Term(weight / 2, model, paired))
    assert_same(slopes_of(found)["", "panx", "encoder"].estimate, estimate(terms))


def test_means_are_over_what_every_size_has():
    study = Study(14)
    study.rows = [
        r for r in study.rows
        if (r["model"], r["intermediate"], r["target"]) != ("mini-64", "squad", "panx")
    ]  # fmt: skip
    gaps, slopes = gaps_of(study.find()), slopes_of(study.find())
    assert ("squad", "panx", "encoder") not in slopes  # two sizes are no slope
    pairs = [(n, t) for n in ("mnli", "squad") for t in TARGETS if (n, t) != ("squad", "panx")]
    y = [fmean(gaps[model, n, t, ""].estimate.value for n, t in pairs) for model in MODELS]
    line = scipy.stats.linregress(np.log10([size for size, _ in MODELS.values()]), y)
    assert slopes["", "", "encoder"].estimate.value == pytest.approx(line.slope, abs=1e-9)


def test_families_have_slopes_of_their_own():
    sizes = {f"xlm-roberta-{s}": (10**n, 2 * 10**n) for s, n in (("base", 7), ("large", 8))}
    assert {s.family for s in Study(15, models=MODELS | sizes).find().slopes} == {"mini"}
    sizes |= {"facebook/xlm-roberta-huge": (10**9, 2 * 10**9)}
    found = Study(15, models=MODELS | sizes).find()
    assert {s.family for s in found.slopes} == {"mini", "xlm-roberta"}
    assert ladders(as_frame(Study(15, models=dict(reversed(MODELS.items()))).rows)) == {
        "mini": list(MODELS)
    }
    two = Study(15, models=dict(list(MODELS.items())[:2]))
    assert not ladders(as_frame(two.rows))
    assert not two.find().slopes
    same = {**MODELS, "mini-128": MODELS["mini-64"]}
    assert not Study(15, models=same).find().slopes


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("mini-48", "mini"),
        ("mini-48-random", "mini-random"),
        ("xlm-roberta-base", "xlm-roberta"),
        ("nreimers/mMiniLMv2-L6-H384-distilled-from-XLMR-Large", "mMiniLMv2"),
        ("facebook/xlm-v-base", "xlm-v"),
        ("facebook/xlm-roberta-xxl", "xlm-roberta-xl"),
        ("runs/mini-64/", "mini"),
        ("tiny", "tiny"),
    ],
)
def test_family(model, family):
    assert family_of(model) == family


# --- many comparisons -------------------------------------------------------------------------


@unhurried
@example([0.02, 0.98])  # both are kept, though the first of two alone would not be
@given(st.lists(st.one_of(st.floats(0, 1), st.floats(0, 0.001)), max_size=30))
def test_kept_are_those_of_benjamini_and_hochberg(positives):
    rest = {"units": 3, "examples": True}
    gaps = [
        Gap("base", 1, 1, "mnli", f"t{i}", "f1", "", Estimate(0, p - 0.975, p - 0.025, p, **rest))
        for i, p in enumerate(positives)
    ]
    ignored = [
        dataclasses.replace(gap, **change)
        for gap in gaps
        for change in (
            {"target": ""},
            {"language": "de"},
            {"estimate": dataclasses.replace(gap.estimate, positive=math.nan)},
        )
    ]
    found = multiplicity(Findings(tuple(gaps + ignored)))
    p_values = [2 * min(p, 1 - p) for p in positives]
    adjusted = scipy.stats.false_discovery_control(p_values) if p_values else []
    expected = {f"t{i}" for i, p in enumerate(adjusted) if p <= 0.05}
    assert {gap.target for gap in found.kept} == expected
    assert found.tested == len(gaps)
    assert found.by_chance == pytest.approx(0.05 * len(gaps))
    assert found.excluding == sum(g.estimate.low > 0 or g.estimate.high < 0 for g in gaps)
