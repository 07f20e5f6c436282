"""Intervals of gaps and slopes: their coverage, and the variances they consist of."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated import GAPS, SIZES, SLOPE, Design, gap_of, gaps, simulate, slope_of

from xt_jax.report.statistics import bootstrap
from xt_jax.report.statistics.bootstrap import Paired, Term, estimate, shifts, slope_weights

SIMULATIONS = 1000
THREE = (3, 3, 3, 3, 3)
unhurried = settings(deadline=None, max_examples=60)
points = st.floats(-50, 50, allow_nan=False).map(lambda x: round(x, 3))


# --- coverage ---------------------------------------------------------------------------------


DESIGNS = {
    "5 seeds": Design(),
    "3 seeds": Design(seeds=THREE),
    "unequal seeds": Design(seeds=(5, 3, 4, 2, 3)),
    "seeds matter little": Design(seeds=THREE, seed=0.3),
    "seeds matter most": Design(seeds=THREE, seed=3.0, helped=(3.0, 3.0)),
    "seeds matter by chance alone": Design(seed=0.0),
    "every seed the same": Design(seed=0.0, agreement=None, kind="fraction"),
    "fractions": Design(kind="fraction", examples=500),
    "F1": Design(kind="ratio", seeds=THREE),
    "direct is one run": Design(same_direct=True, seeds=THREE),
    "independent languages": Design(parallel=False, languages=5),
    "many examples": Design(examples=1000, languages=1),
    "mean of three tasks": Design(intermediates=3, seeds=THREE, lost=1),
}


def coverage(design: Design, simulations: int) -> np.ndarray:
    """Returns how often (%) the intervals of a gap and of a slope contain the true values."""
    rng, covered = np.random.default_rng(2024), np.zeros(2)
    for _ in range(simulations):
        sizes = gaps(simulate(design, rng), design.lost)
        gap, slope = gap_of(sizes[0]), slope_of(sizes)
        covered += [gap.low <= GAPS[0] <= gap.high, slope.low <= SLOPE <= slope.high]
    return 100 * covered / simulations


@pytest.mark.slow
@pytest.mark.parametrize("design", DESIGNS.values(), ids=DESIGNS)
def test_intervals_cover_at_their_nominal_rate(design):
    rate = coverage(design, SIMULATIONS)
    assert (abs(rate - 95) <= 2).all(), rate


def test_intervals_cover_in_a_few_simulations():
    rate = coverage(DESIGNS["3 seeds"], 100)
    assert (abs(rate - 95) <= 5).all(), rate  # 2.3 standard errors


@pytest.mark.slow
def test_the_sign_is_as_sure_as_it_says():
    """Without any gap P(>0) is uniform; with one it is mostly high."""
    design, rng = Design(seeds=THREE), np.random.default_rng(7)
    sure = []
    for _ in range(SIMULATIONS):
        small = gaps(simulate(design, rng))[4]
        no_gap = [dataclasses.replace(one, values=one.values - GAPS[4]) for one in small]
        sure.append(gap_of(no_gap).positive)
    for level in (0.05, 0.25, 0.5, 0.75, 0.95):
        assert np.mean(np.array(sure) < level) == pytest.approx(level, abs=0.03)


# --- other examples ---------------------------------------------------------------------------


def binary(rng, runs=4, n=150):
    return np.stack([rng.integers(0, 2, (runs, n)), np.ones((runs, n))], axis=-1)


def ratio(rng, runs=4, n=150):
    below = rng.integers(0, 6, (runs, n))
    return np.stack([rng.integers(0, below + 1), below], axis=-1)


@pytest.mark.parametrize("kind", [binary, ratio])
def test_shifts_spread_as_scipy_s_bootstrap(kind):
    example_scores = kind(np.random.default_rng(3))
    found = shifts(example_scores, draws=8000)
    assert found.shape == (4, 8000)

    def score(above, below, axis=-1):
        return 100 * above.sum(axis) / below.sum(axis)

    for run, shift in zip(example_scores, found, strict=True):
        other = scipy.stats.bootstrap(
            (run[:, 0], run[:, 1]), score, paired=True, vectorized=True, method="percentile",
            n_resamples=8000, rng=np.random.default_rng(1),
        )  # fmt: skip
        assert shift.std(ddof=1) == pytest.approx(other.standard_error, rel=0.03)
        interval = score(*run.T) + np.quantile(shift, [0.025, 0.975])
        assert interval == pytest.approx(other.confidence_interval, abs=0.35)


def test_every_run_sees_the_same_examples():
    example_scores = binary(np.random.default_rng(4), runs=6)
    apart = np.concatenate([shifts(example_scores[:2]), shifts(example_scores[2:])])
    np.testing.assert_allclose(shifts(example_scores), apart, atol=1e-4)
    twice = ratio(np.random.default_rng(4), runs=1)
    np.testing.assert_allclose(*shifts(np.concatenate([twice, 3 * twice])), atol=1e-4)
    wrong = example_scores.copy()
    wrong[..., 0] = 1 - wrong[..., 0]
    np.testing.assert_allclose(shifts(wrong), -shifts(example_scores), atol=1e-4)


@pytest.mark.parametrize("at_once", [1 << 24, 1500, 1])
def test_a_draw_takes_n_examples_with_replacement(monkeypatch, at_once):
    monkeypatch.setattr(bootstrap, "_AT_ONCE", at_once)
    drawn = list(bootstrap._weights(50, 400))
    assert [first for first, _ in drawn] == list(np.cumsum([0] + [len(w) for _, w in drawn])[:-1])
    weights = np.concatenate([w for _, w in drawn])
    assert weights.shape == (400, 50)
    assert (weights.sum(axis=1) == 50).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(50), abs=0.25)
    assert len(np.unique(weights, axis=0)) == 400
    assert weights.var() == pytest.approx(1 - 1 / 50, rel=0.05)
    other = np.concatenate([w for _, w in bootstrap._weights(25, 400)])
    halves = weights.reshape(400, 25, 2).sum(axis=2)
    assert abs(np.corrcoef(halves.ravel(), other.ravel())[0, 1]) < 0.05  # a size has its own draws


def test_nothing_to_divide_by_is_zero():
    assert not shifts(np.zeros((2, 30, 2))).any()
    assert not shifts(np.zeros((2, 0, 2))).any()
    rare = np.zeros((1, 30, 2))
    rare[0, 3] = 1
    assert set(shifts(rare, 200).ravel()) == {0.0, -100.0}


# --- from seeds alone -------------------------------------------------------------------------


def alone(values) -> Paired:
    return Paired(tuple(range(len(values))), np.array(values))


def assert_t(found, difference) -> None:
    low, high = difference.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-6, abs=1e-6)


@unhurried
@given(st.lists(points, min_size=2, max_size=6).filter(lambda x: np.std(x) > 0.01))
def test_from_seeds_alone_it_is_the_t_interval(values):
    found = estimate([Term(1.0, "base", alone(values))])
    test = scipy.stats.ttest_1samp(values, 0, alternative="two-sided")
    assert found.value == pytest.approx(np.mean(values), abs=1e-9)
    assert_t(found, test)
    less = scipy.stats.ttest_1samp(values, 0, alternative="greater")
    assert found.positive == pytest.approx(1 - less.pvalue, abs=1e-9)
    assert (found.units, found.examples) == (len(values), False)


@unhurried
@given(*[st.lists(points, min_size=2, max_size=6).filter(lambda x: np.std(x) > 0.1)] * 2)
def test_two_models_differ_as_in_welch_s_test(first, second):
    found = estimate([Term(1.0, "a", alone(first)), Term(-1.0, "b", alone(second))])
    assert_t(found, scipy.stats.ttest_ind(first, second, equal_var=False))
    assert found.units == min(len(first), len(second))


@unhurried
@given(st.lists(st.tuples(points, points, points), min_size=2, max_size=6))
def test_terms_of_one_model_share_their_seeds(values):
    """The mean of three tasks is that of each seed's mean."""
    columns = np.array(values).T
    found = estimate([Term(1 / 3, "base", alone(column)) for column in columns])
    expected = estimate([Term(1.0, "base", alone(columns.mean(axis=0)))])
    assert dataclasses.astuple(found) == pytest.approx(dataclasses.astuple(expected), abs=1e-6)


def test_seeds_are_matched_by_name():
    first, second = np.array([1.0, 5.0, 3.0]), np.array([5.0, 3.0, 1.0])
    terms = [
        Term(0.5, "base", Paired((0, 1, 2), first)),
        Term(0.5, "base", Paired((1, 2, 4), second)),
    ]
    # 4 of 5 matched: seed 0 and 4 are alone, 1 and 2 together
    luck = np.array([[-2, 0], [2, 2], [0, 0], [0, -2]]).sum(axis=1) / 2 / math.sqrt(6)
    half = scipy.stats.t.ppf(0.975, 2) * math.sqrt((luck**2).sum())
    found = estimate(terms)
    assert (found.low, found.high) == pytest.approx((3 - half, 3 + half))


def test_one_seed_has_no_interval():
    found = estimate([Term(1.0, "a", alone([1.0, 2.0])), Term(1.0, "b", alone([4.0]))])
    assert found.value == 5.5
    assert found.units == 1
    assert all(math.isnan(x) for x in (found.low, found.high, found.positive))


@pytest.mark.parametrize(("value", "positive"), [(2.0, 1.0), (0.0, 0.5), (-2.0, 0.0)])
def test_what_never_varies_is_sure(value, positive):
    for drawn in (None, np.zeros((3, 20))):
        paired = Paired((0, 1, 2), np.full(3, value), drawn, 100)
        found = estimate([Term(1.0, "base", paired)])
        assert (found.value, found.low, found.high) == (value, value, value)
        assert found.positive == positive


# --- seeds and examples -----------------------------------------------------------------------


def random_paired(rng, seeds=4, scale=1.0) -> Paired:
    common, own = rng.standard_normal((1, 200)), rng.standard_normal((seeds, 200))
    values = 2 + rng.standard_normal(seeds)
    drawn = scale * common + own
    drawn -= drawn.mean(axis=1, keepdims=True)
    return Paired(tuple(range(seeds)), values, drawn, 100)


def by_hand(terms: list[Term]) -> tuple[float, float]:
    """Returns (variance, freedom); pairs of different runs covary through examples."""
    seeds_part, examples_part, below = 0.0, 0.0, 0.0
    runs = [
        (term.size, seed, term.weight / len(term.paired.units), drawn)
        for term in terms
        for seed, drawn in zip(term.paired.units, term.paired.shifts, strict=True)
    ]
    for term in terms:
        part = term.weight**2 * np.var(term.paired.values, ddof=1) / len(term.paired.units)
        seeds_part += part
        below += part**2 / (len(term.paired.units) - 1)
    for (m1, s1, w1, d1), (m2, s2, w2, d2) in itertools.product(runs, runs):
        if m1 != m2:
            examples_part += w1 * w2 * np.cov(d1, d2, bias=True)[0, 1]
        elif s1 != s2:
            size = next(len(t.paired.units) for t in terms if t.size == m1)
            examples_part += w1 * w2 * np.cov(d1, d2, bias=True)[0, 1] * size / (size - 1)
    total = seeds_part + examples_part
    return total, total**2 / (below + examples_part**2 / 99)


@pytest.mark.parametrize("seeds", [(4,), (3, 5, 4)])
def test_the_example_part_is_the_covariance_of_different_runs(seeds):
    rng = np.random.default_rng(11)
    for _ in range(20):
        terms = [
            Term(weight, f"{i}", random_paired(rng, s, 2.0))
            for i, (s, weight) in enumerate(zip(seeds, (1.0, -0.7, 0.4), strict=False))
        ]
        found = estimate(terms)
        variance, freedom = by_hand(terms)
        half = scipy.stats.t.ppf(0.975, freedom) * math.sqrt(variance)
        without = estimate([dataclasses.replace(t, paired=alone(t.paired.values)) for t in terms])
        expected = max(half, (without.high - without.low) / 2)
        assert (found.high - found.low) / 2 == pytest.approx(expected, rel=1e-6)
        assert found.examples


@unhurried
@given(st.integers(0, 10**6), st.integers(2, 5), st.floats(0, 4))
def test_it_is_never_surer_than_seeds_alone(key, seeds, scale):
    paired = random_paired(np.random.default_rng(key), seeds, scale)
    found = estimate([Term(1.0, "base", paired)])
    without = estimate([Term(1.0, "base", alone(paired.values))])
    assert found.low <= without.low <= without.high <= found.high
    assert abs(found.positive - 0.5) <= abs(without.positive - 0.5)
    assert (found.low <= 0 <= found.high) == (0.025 <= found.positive <= 0.975)


def test_one_unknown_set_of_examples_makes_it_seeds_alone():
    rng = np.random.default_rng(12)
    one, two = random_paired(rng), random_paired(rng)
    bare = dataclasses.replace(two, shifts=None)
    found = estimate([Term(0.5, "a", one), Term(0.5, "b", bare)])
    expected = estimate([Term(0.5, "a", alone(one.values)), Term(0.5, "b", alone(two.values))])
    assert found == expected
    assert not found.examples


def test_few_examples_have_tails_too():
    rng = np.random.default_rng(13)
    paired = dataclasses.replace(random_paired(rng, 5, 50.0), examples=4)
    few = estimate([Term(1.0, "base", paired)])
    many = estimate([Term(1.0, "base", dataclasses.replace(paired, examples=4000))])
    ratio = (few.high - few.low) / (many.high - many.low)
    assert ratio == pytest.approx(scipy.stats.t.ppf(0.975, 3) / 1.96, rel=0.02)


def test_some_of_the_seeds():
    paired = random_paired(np.random.default_rng(14))
    some = paired.of([1, 3])
    assert some.units == (1, 3)
    np.testing.assert_array_equal(some.values, paired.values[[1, 3]])
    np.testing.assert_array_equal(some.shifts, paired.shifts[[1, 3]])
    assert alone([1.0, 2.0]).of([1]).shifts is None


# --- slopes -----------------------------------------------------------------------------------


@unhurried
@given(st.lists(st.tuples(st.floats(4, 10), points), min_size=3, max_size=6))
def test_slope_weights_are_those_of_least_squares(sizes):
    x, y = np.array(sizes).T
    if np.ptp(x) < 0.1:
        return
    assert slope_weights(x) @ y == pytest.approx(np.polyfit(x, y, 1)[0], rel=1e-6, abs=1e-6)


def test_a_slope_needs_two_sizes():
    with pytest.raises(ValueError, match="two sizes"):
        slope_weights([5.0, 5.0, 5.0])


def test_known_gaps_have_the_known_slope():
    sizes = [[alone([gap, gap])] for gap in GAPS]
    found = slope_of(sizes)
    assert found.value == pytest.approx(scipy.stats.linregress(SIZES, GAPS).slope)
    assert found.positive == 0
