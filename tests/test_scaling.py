"""Fits over model sizes: intervals that hold, tests of the line, and predictions of a size."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import statsmodels.api as sm
from simulated import NOISE, PARAMS, X, study

from xt_jax.report.statistics.bootstrap import (
    RUNS,
    SIZES,
    Estimate,
    Paired,
    Term,
    estimate,
    over_sizes,
)
from xt_jax.report.statistics.combined import chosen_on_others
from xt_jax.report.statistics.scaling import (
    FORMS,
    lack_of_fit,
    leave_one_out_errors,
    predicted,
    slope_of,
)

TIMES = 2000
DEVIATIONS = (0.0, 0.5, 1.0, 2.0)  # between pretraining runs


def covers(found: Estimate, truth: float) -> bool:
    return found.low <= truth <= found.high


@pytest.mark.parametrize("deviation", DEVIATIONS)
@pytest.mark.parametrize("runs", [1, 3, 5])
def test_slopes_cover_the_truth_whatever_the_pretraining_runs_do(runs, deviation):
    """Intervals of slopes over runs, or from one run each over sizes on a line, cover 95 %."""
    rng = np.random.default_rng(runs)
    found = [
        slope_of(PARAMS, [[size] for size in study(rng, runs, deviation, -3.0)])
        for _ in range(TIMES)
    ]
    assert {one.unit for one in found} == {RUNS if runs > 1 else SIZES}
    assert np.mean([covers(one, -3.0) for one in found]) == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("deviation", DEVIATIONS)
@pytest.mark.parametrize("runs", [1, 3, 5])
def test_no_slope_is_seen_where_there_is_none(runs, deviation):
    rng = np.random.default_rng(10 + runs)
    found = [
        slope_of(PARAMS, [[size] for size in study(rng, runs, deviation, 0.0)])
        for _ in range(TIMES)
    ]
    assert np.mean([one.excludes_zero for one in found]) == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize("deviation", DEVIATIONS)
@pytest.mark.parametrize("runs", [3, 5])
def test_the_gap_of_a_size_covers_the_truth(runs, deviation):
    rng = np.random.default_rng(20 + runs)
    truth = -3.0 * (X - X.mean())
    hits = [
        covers(estimate([Term(1.0, "", size)]), true)
        for _ in range(TIMES // 5)
        for size, true in zip(study(rng, runs, deviation, -3.0), truth, strict=True)
    ]
    assert np.mean(hits) == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("deviation", DEVIATIONS)
@pytest.mark.parametrize("runs", [1, 3, 5])
def test_a_size_falls_into_its_predicted_interval(runs, deviation):
    rng = np.random.default_rng(30 + runs)
    hits = []
    for _ in range(TIMES):
        means = np.array([size.values.mean() for size in study(rng, runs, deviation, -3.0)])
        _, low, high = predicted(X[:-1], means[:-1], X[-1])
        hits.append(low <= means[-1] <= high)
    assert np.mean(hits) == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("deviation", [0.5, 2.0])
def test_a_line_lacks_fit_as_often_as_it_should_by_chance(deviation):
    rng = np.random.default_rng(40)
    p = [
        lack_of_fit(X, [size.values for size in study(rng, 3, deviation, -3.0)])
        for _ in range(TIMES)
    ]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.015)
    bent = [
        lack_of_fit(X, [s.values + 8 * (i == 4) for i, s in enumerate(study(rng, 3, 0.5, 0.0))])
        for _ in range(50)
    ]
    assert max(bent) < 0.05


@pytest.mark.parametrize("deviation", DEVIATIONS)
@pytest.mark.parametrize("runs", [3, 5])
def test_the_best_intermediate_task_is_not_overrated(runs, deviation):
    """Where no intermediate task has an effect, the interval of the best one's gap covers 0."""
    rng = np.random.default_rng(50 + runs)
    found = []
    for _ in range(TIMES):
        values = []
        for _run in range(runs):
            # What a run does to all intermediate tasks alike; seeds differ by task.
            drawn = deviation * rng.standard_normal() + NOISE * rng.standard_normal((3, 2))
            parts = [Paired((0, 1), of_task) for of_task in drawn]
            values.append(chosen_on_others(parts).values.mean())
        found.append(estimate([Term(1.0, "", Paired(tuple(range(runs)), np.array(values)))]))
    assert np.mean([one.value for one in found]) == pytest.approx(0, abs=0.1)
    assert np.mean([covers(one, 0.0) for one in found]) == pytest.approx(0.95, abs=0.02)


def test_the_best_is_the_best_of_the_others():
    parts = [Paired((0, 1, 2), np.array(v)) for v in ([9.0, 0.0, 0.0], [1.0, 2.0, 3.0])]
    assert chosen_on_others(parts).values.tolist() == [1.0, 0.0, 0.0]
    assert chosen_on_others([Paired((0,), np.ones(1))]) is None


def test_an_interval_over_sizes_is_that_of_least_squares():
    y = np.array([1.0, 2.5, 0.3, 4.0, 3.1])
    expected = sm.OLS(y, sm.add_constant(X)).fit()
    found = over_sizes(X.tolist(), y.tolist())
    assert (found.low, found.high) == pytest.approx(expected.conf_int()[1], abs=1e-9)
    assert found.value == pytest.approx(expected.params[1], abs=1e-9)
    assert 2 * min(found.positive, 1 - found.positive) == pytest.approx(expected.pvalues[1])
    assert (found.units, found.unit) == (5, SIZES)


def test_a_prediction_is_that_of_least_squares():
    y = np.array([1.0, 2.5, 0.3, 4.0])
    model = sm.OLS(y, sm.add_constant(X[:4])).fit()
    expected = model.get_prediction([[1.0, X[4]]]).summary_frame(alpha=0.05)
    want = expected[["mean", "obs_ci_lower", "obs_ci_upper"]].to_numpy()[0]
    assert predicted(X[:4], y, float(X[4])) == pytest.approx(tuple(want), abs=1e-9)


def test_lack_of_fit_is_that_of_nested_models():
    rng = np.random.default_rng(0)
    units = [rng.normal(size=n) + i**2 / 4 for i, n in enumerate((3, 2, 4, 3, 3))]
    everywhere, y = np.repeat(X, [len(u) for u in units]), np.concatenate(units)
    line = sm.OLS(y, sm.add_constant(everywhere)).fit()
    dummies = (everywhere[:, None] == X).astype(float)
    expected = sm.OLS(y, dummies).fit().compare_f_test(line)
    assert lack_of_fit(X, units) == pytest.approx(expected[1], rel=1e-9)


@pytest.mark.parametrize(
    ("curve", "best"),
    [
        (lambda size: 0 * size + 2, "constant"),
        (lambda size: 3 * np.log10(size), "line over the logarithm"),
        (lambda size: size / 1e4, "line"),
        (
            lambda size: np.maximum(np.log10(size) - X[2], 0) * 5,
            "broken line over the logarithm",
        ),
    ],
)
def test_each_form_predicts_its_own_curve(curve, best):
    params = tuple(int(p) for p in np.geomspace(1e4, 1e6, 9)) if "broken" in best else PARAMS
    knot = np.log10(params[4])
    if "broken" in best:
        y = np.maximum(np.log10(params) - knot, 0) * 5
    else:
        y = curve(np.array(params, float))
    errors = leave_one_out_errors(params, y)
    assert errors.keys() == FORMS.keys()
    assert min(errors, key=lambda form: round(errors[form], 9)) in ("constant", best)
    assert leave_one_out_errors(params[:3], y[:3]) == {}


def test_two_sizes_have_no_slope():
    pair = [[Paired((0, 1), np.array([1.0, 2.0]))]] * 2
    assert slope_of(PARAMS[:2], pair) is None
    assert slope_of((), []) is None
    line = scipy.stats.linregress(X[:3], [1.5, 1.5, 3.0])
    three = [[Paired((0, 1), np.array(v))] for v in ([1.0, 2.0], [1.0, 2.0], [3.0, 3.0])]
    assert slope_of(PARAMS[:3], three).value == pytest.approx(line.slope)
