"""Shares, order and draws of several data sets that are interleaved."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xt_jax.data.mixture import (
    CAP,
    SAMPLERS,
    WINDOW,
    joined,
    smoothed_draws,
    task_order,
    task_shares,
    turns,
)
from xt_jax.data.packing import Features

SIZES = (392_702, 130_319, 9_741)


@pytest.mark.parametrize(
    ("sampler", "expected"),
    [
        ("uniform", (1 / 3, 1 / 3, 1 / 3)),
        ("proportional", np.array(SIZES) / sum(SIZES)),
        ("capped", np.array([CAP, 130_319, 9_741]) / (CAP + 130_319 + 9_741)),
        ("temperature", np.sqrt(SIZES) / np.sqrt(SIZES).sum()),
        ("given", (0.5, 0.25, 0.25)),
    ],
)
def test_each_sampler_follows_its_rule(sampler, expected):
    shares = task_shares(SIZES, sampler, temperature=2.0, given=(2, 1, 1))
    np.testing.assert_allclose(shares, expected, rtol=1e-12)
    counts = np.bincount(task_order(shares, 10_000, 0), minlength=3)
    np.testing.assert_allclose(counts / 10_000, expected, atol=0.001)


def test_every_sampler_is_tested():
    marks = test_each_sampler_follows_its_rule.pytestmark[0].args[1]
    assert {case[0] for case in marks} == set(SAMPLERS)


@given(
    st.lists(st.floats(0.01, 1), min_size=1, max_size=6),
    st.integers(1, 500),
    st.integers(0, 5),
)
def test_no_task_is_further_than_a_window_from_its_share_at_any_time(weights, steps, seed):
    shares = np.array(weights) / sum(weights)
    order = task_order(shares, steps, seed)
    counts = np.cumsum(order[:, None] == np.arange(len(shares)), axis=0)
    due = np.arange(1, steps + 1)[:, None] * shares
    assert np.abs(counts - due)[WINDOW - 1 :: WINDOW].max(initial=0) <= 1
    assert np.abs(counts - due).max() <= WINDOW


def test_the_order_is_seeded_and_not_periodic():
    shares = np.array([0.5, 0.5])
    assert (task_order(shares, 200, 0) == task_order(shares, 200, 0)).all()
    assert (task_order(shares, 200, 0) != task_order(shares, 200, 1)).any()
    assert len({tuple(row) for row in task_order(shares, 640, 0).reshape(-1, WINDOW)}) == 10


def test_turns_count_the_earlier_steps_of_the_same_task():
    assert turns(np.array([0, 1, 0, 0, 1, 2])).tolist() == [0, 0, 1, 2, 1, 0]


def test_languages_are_drawn_by_their_size_to_a_power():
    sizes, exponent, count = (10_000, 1_000, 10), 0.3, 5_000
    draws = smoothed_draws(sizes, exponent, count, 0)
    which = np.searchsorted(np.cumsum(sizes), draws, side="right")
    weights = np.array(sizes, float) ** exponent
    got = np.bincount(which, minlength=3) / count
    np.testing.assert_allclose(got, weights / weights.sum(), atol=1 / count)
    seen = np.bincount(draws, minlength=sum(sizes))
    for language, first in enumerate((0, 10_000, 11_000)):
        counts = seen[first : first + sizes[language]]
        assert counts.max() - counts.min() <= 1  # every line once before one is drawn again
    assert (draws != smoothed_draws(sizes, exponent, count, 1)).any()


def test_exponents_one_and_zero_are_proportional_and_uniform():
    for exponent, expected in ((1.0, (90, 10)), (0.0, (50, 50))):
        draws = smoothed_draws((900, 100), exponent, 100, 0)
        assert ((draws < 900).sum(), (draws >= 900).sum()) == expected


def ragged(lengths, example) -> Features:
    total = sum(lengths)
    return Features(
        np.array(lengths, np.int32),
        {"input_ids": np.arange(total, dtype=np.int32)},
        {"example": np.array(example, np.int32)},
        {"begin": np.arange(total, dtype=np.int32)},
    )


def test_joined_parts_keep_their_tokens_and_count_their_examples_on():
    one, two = ragged([2, 1], [0, 0]), ragged([3], [0])
    both = joined([one, two], [1, 1])
    assert both.lengths.tolist() == [2, 1, 3]
    assert both.fields["example"].tolist() == [0, 0, 1]
    assert both.tokens["input_ids"].tolist() == [0, 1, 2, 0, 1, 2]
    assert both.host["begin"].tolist() == [0, 1, 2, 0, 1, 2]
    assert joined([one], [1]) is one
