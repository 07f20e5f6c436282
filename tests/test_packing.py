"""Steps of an exact size, each epoch the exact multiset, little padding, nothing lost."""

from __future__ import annotations

import numpy as np
import pytest
import readers
from hypothesis import given, settings
from hypothesis import strategies as st

from xt_jax.data import shape
from xt_jax.data.bins import best_fit, pack
from xt_jax.data.order import step_order
from xt_jax.data.packing import Features, Plan, materialise, plan_training
from xt_jax.tasks import pairs, spans
from xt_jax.tasks.table import NLI

PAD = 1


def nli_like(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.clip(rng.gamma(3.0, 15.0, count), 6, 250).astype(np.int32)


def features_of(lengths: np.ndarray) -> Features:
    total = int(lengths.sum())
    return Features(
        lengths,
        {"input_ids": np.arange(100, 100 + total, dtype=np.int32)},
        {"example": np.arange(len(lengths), dtype=np.int32)},
    )


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=80),
    slack=st.integers(0, 60),
    most=st.integers(1, 6),
)
def test_best_fit_places_every_item_once_without_overlap(lengths, slack, most):
    lengths = np.array(lengths)
    capacity = int(lengths.max()) + slack
    row, slot, column = best_fit(lengths, capacity, most)
    taken = np.zeros((row.max() + 1, capacity), int)
    for i, length in enumerate(lengths):
        assert column[i] + length <= capacity
        taken[row[i], column[i] : column[i] + length] += 1
    assert taken.max() == 1
    assert taken.sum() == lengths.sum()
    assert len({(r, s) for r, s in zip(row, slot, strict=True)}) == len(lengths)
    assert np.bincount(row).max() <= most


@pytest.mark.parametrize("count", [64, 100, 1000])
@pytest.mark.parametrize("epochs", [1, 2, 2.5])
def test_every_epoch_is_the_exact_multiset_in_steps_of_the_exact_size(count, epochs):
    steps = step_order(nli_like(count), 24, epochs, seed=3)
    assert [len(step) for step in steps[:-1]] == [24] * (len(steps) - 1)
    stream = np.concatenate(steps)
    assert len(stream) == round(epochs * count)
    seen = np.bincount(stream, minlength=count)
    assert seen.min() >= int(epochs)
    assert seen.max() <= int(np.ceil(epochs))


def test_a_step_that_straddles_epochs_takes_the_rest_of_one_and_the_first_of_the_next():
    steps = step_order(nli_like(50), 32, 2, seed=0)
    first_epoch = np.concatenate([steps[0], steps[1][:18]])
    assert sorted(first_epoch) == list(range(50))


def test_the_order_is_seeded_and_differs_between_epochs():
    lengths = nli_like(320)
    one, same, other = (step_order(lengths, 32, 2, seed) for seed in (0, 0, 1))
    assert all((a == b).all() for a, b in zip(one, same, strict=True))
    assert any((a != b).any() for a, b in zip(one, other, strict=True))
    assert any((a != b).any() for a, b in zip(one[:10], one[10:], strict=True))


@pytest.mark.parametrize("packing", [True, False])
@pytest.mark.parametrize("rows_multiple", [1, 4])
def test_a_plan_holds_every_token_of_its_features(packing, rows_multiple):
    lengths = nli_like(200)
    plan = plan_training(lengths, 32, 2, 0, packing=packing, rows_multiple=rows_multiple)
    features = features_of(lengths)
    assert plan.rows % rows_multiple == 0
    counts = np.zeros(200, int)
    for step in range(plan.steps):
        batch = materialise(plan, features, step, PAD)
        assert batch["input_ids"].shape == (plan.rows, plan.length)
        for r, s in zip(*np.nonzero(batch["feature"] >= 0), strict=True):
            f = batch["feature"][r, s]
            counts[f] += 1
            mine = batch["segment_ids"][r] == s + 1
            first = features.splits[f]
            expected = features.tokens["input_ids"][first : first + lengths[f]]
            np.testing.assert_array_equal(batch["input_ids"][r][mine], expected)
            np.testing.assert_array_equal(batch["positions"][r][mine], np.arange(lengths[f]))
            assert batch["starts"][r, s] == np.flatnonzero(mine)[0]
            assert batch["example"][r, s] == f
        padding = batch["segment_ids"] == 0
        assert (batch["input_ids"][padding] == PAD).all()
    assert (counts == 2).all()


@pytest.mark.parametrize("rows", [[0], [1, 2], [0, 3], [3]])
def test_some_rows_of_a_step_are_those_of_the_whole(rows):
    lengths = nli_like(200)
    plan = plan_training(lengths, 32, 1, 0, rows_multiple=4)
    features = features_of(lengths)
    rows = np.array(rows)
    for step in range(plan.steps):
        whole = materialise(plan, features, step, PAD)
        some = materialise(plan, features, step, PAD, rows)
        assert some.keys() == whole.keys()
        for name, array in some.items():
            np.testing.assert_array_equal(array, whole[name][rows])


@pytest.mark.parametrize("packing", [True, False])
@pytest.mark.parametrize("group", [2, 5])
def test_a_group_stands_together_in_one_row(packing, group):
    lengths = nli_like(60 * group)
    plan = plan_training(lengths, 8, 2.5, 0, packing=packing, rows_multiple=4, group=group)
    sizes = np.diff(plan.splits)
    assert (sizes[:-1] == 8 * group).all()
    assert sizes.sum() == 150 * group
    assert plan.segments % group == 0
    by_unit = {
        name: getattr(plan, name).reshape(-1, group)
        for name in ("feature", "row", "slot", "column")
    }
    assert (by_unit["feature"][:, 0] % group == 0).all()
    assert (by_unit["slot"][:, 0] % group == 0).all()
    for name in ("feature", "slot"):
        assert (np.diff(by_unit[name], axis=1) == 1).all()
    assert (by_unit["row"] == by_unit["row"][:, :1]).all()
    np.testing.assert_array_equal(
        np.diff(by_unit["column"], axis=1), lengths[by_unit["feature"]][:, :-1]
    )
    assert set(np.bincount(by_unit["feature"][:, 0] // group)) == {2, 3}
    features = features_of(lengths)
    for step in range(plan.steps):
        batch = materialise(plan, features, step, PAD)
        here = plan.feature[plan.splits[step] : plan.splits[step + 1]]
        assert (batch["segment_ids"] > 0).sum() == lengths[here].sum()  # nothing overlaps
        assert batch["feature"].shape[1] == plan.segments


@pytest.mark.parametrize("packing", [True, False])
def test_each_epoch_has_every_group_once(packing):
    lengths = nli_like(4 * 48)
    plan = plan_training(lengths, 16, 3, 0, packing=packing, group=4)
    for epoch in np.split(plan.feature, 3):
        np.testing.assert_array_equal(np.sort(epoch), np.arange(4 * 48))
    if not packing:
        assert (plan.slot < 4).all()
        assert plan.rows == 16


def test_a_group_of_one_is_no_group():
    lengths = nli_like(100)
    alone, grouped = (plan_training(lengths, 8, 2, 0, **kwargs) for kwargs in ({}, {"group": 1}))
    assert vars(alone).keys() == vars(grouped).keys()
    for name, value in vars(alone).items():
        np.testing.assert_array_equal(value, getattr(grouped, name))
    assert alone.feature.dtype == plan_training(lengths, 8, 2, 0, group=4).feature.dtype
    with pytest.raises(ValueError, match="100 features are no groups of 3"):
        plan_training(lengths, 8, 2, 0, group=3)


def test_data_smaller_than_a_batch_fills_it_over_epochs():
    steps = step_order(nli_like(5), 24, 10, seed=0)
    assert [len(step) for step in steps] == [24, 24, 2]
    assert (np.bincount(np.concatenate(steps)) == 10).all()


def test_rows_are_shorter_where_attention_weighs_more():
    lengths = qa_like(2000)
    narrow, wide = (plan_training(lengths, 16, 1, 0, hidden_size=d).length for d in (16, 4096))
    assert lengths.max() <= narrow < wide


def qa_like(count: int, seed: int = 0) -> np.ndarray:
    return np.clip(np.random.default_rng(seed).gamma(6.0, 36.0, count), 40, 384).astype(np.int32)


CASES = {
    "nli": (nli_like(2000), {"batch_size": 32, "epochs": 2}),
    "nli in many windows": (nli_like(40_000), {"batch_size": 32, "epochs": 1}),
    "nli on eight devices": (nli_like(2000), {"batch_size": 128, "epochs": 2, "rows_multiple": 8}),
    "nli of a TPU": (nli_like(2000), {"batch_size": 32, "epochs": 1.3, "row_multiple": 128}),
    "qa": (qa_like(1500), {"batch_size": 16, "epochs": 2.5}),
    "qa on four devices": (qa_like(1500), {"batch_size": 16, "epochs": 1, "rows_multiple": 4}),
    "choices, few a step": (nli_like(4 * 700), {"batch_size": 4, "epochs": 3, "group": 4}),
    "choices": (nli_like(4 * 700), {"batch_size": 24, "epochs": 2, "group": 4}),
    "tokens": (nli_like(2000), {"batch_tokens": 4096, "epochs": 2}),
    "tokens, steps": (qa_like(1500), {"batch_tokens": 8192, "steps": 70, "rows_multiple": 4}),
    "less than a step": (nli_like(20), {"batch_size": 32, "epochs": 7}),
}


def planned(name: str, seed: int) -> tuple[np.ndarray, Plan]:
    lengths, options = CASES[name]
    settings = {"batch_size": 32, "epochs": 1, "seed": seed} | options
    return lengths, plan_training(lengths, **settings)


@pytest.mark.parametrize("name", CASES)
def test_seeds_differ_in_order_and_in_nothing_that_is_compiled(name):
    lengths, first = planned(name, 0)
    for seed in (1, 2, 7):
        _, plan = planned(name, seed)
        assert (plan.rows, plan.length, plan.segments) == (first.rows, first.length, first.segments)
        assert plan.steps == first.steps
        assert (plan.feature[: len(lengths)] != first.feature[: len(lengths)]).any()
    again = planned(name, 7)[1]
    for field, value in vars(plan).items():
        np.testing.assert_array_equal(value, getattr(again, field))


@pytest.mark.parametrize("name", CASES)
def test_what_stands_in_a_step_fits_and_does_not_overlap(name):
    lengths, plan = planned(name, 3)
    assert plan.length >= lengths.max()
    step = np.repeat(np.arange(plan.steps), np.diff(plan.splits))
    assert (plan.row < plan.rows).all()
    assert (plan.slot < plan.segments).all()
    by_place = np.lexsort((plan.column, plan.row, step))
    row = (step * plan.rows + plan.row)[by_place]
    begin, end = plan.column[by_place], (plan.column + lengths[plan.feature])[by_place]
    assert (end <= plan.length).all()
    assert (begin[1:] >= end[:-1])[row[1:] == row[:-1]].all()
    assert len(set(zip(step, plan.row, plan.slot, strict=True))) == len(step)


@pytest.mark.parametrize("name", CASES)
def test_every_epoch_is_exact_whatever_was_swapped(name):
    lengths, plan = planned(name, 3)
    whole = len(plan.feature) // len(lengths)
    for epoch in plan.feature[: whole * len(lengths)].reshape(whole, -1):
        np.testing.assert_array_equal(np.sort(epoch), np.arange(len(lengths)))
    rest = plan.feature[whole * len(lengths) :]
    assert len(set(rest)) == len(rest)
    if "batch_tokens" not in CASES[name][1]:
        size = CASES[name][1]["batch_size"] * CASES[name][1].get("group", 1)
        assert set(np.diff(plan.splits)[:-1]) <= {size}


def test_steps_that_do_not_fit_take_units_from_others_and_give_theirs():
    """Two heavy steps among light ones, in a shape that has no room for the heavy ones."""
    lengths = np.array([90, 90, 80, 80, *[50, 40, 40, 30] * 6], np.int32)
    order = [np.arange(4 * i, 4 * i + 4) for i in range(7)]
    given = shape.Shape(2, 120, 8)
    assert pack(lengths[order[0]], 2, 120) is None
    limits = shape.Limits(8, 1, 768)
    mended, placements, same = shape.fit(lengths, lambda seed: order, 0, given, limits)
    assert same == given
    assert [len(step) for step in mended] == [4] * 7
    np.testing.assert_array_equal(np.sort(np.concatenate(mended)), np.arange(28))
    for step, (row, slot, column) in zip(mended, placements, strict=True):
        assert row.max() < 2
        assert (column + lengths[step]).max() <= 120
        assert np.bincount(row, lengths[step]).max() <= 120
        assert len(set(zip(row, slot, strict=True))) == 4
    assert shape.fit(lengths, lambda seed: order[:1], 0, given, limits)[2].rows > 2


def test_the_longest_unit_stands_with_the_shortest():
    """No step need be heavier than the longest unit with three of the shortest: about that."""
    lengths = np.random.default_rng(0).gamma(2, 20, 4000).astype(np.int32) + 60
    ranked = np.sort(lengths)
    least = max((ranked[-n:].sum() + ranked[: 3 * n].sum()) / n for n in range(1, 20))
    heaviest = max(lengths[step].sum() for step in step_order(lengths, 4, 1, 0))
    assert least <= heaviest <= 1.02 * least


def test_swaps_stay_within_an_epoch():
    lengths = np.array([60, 60, 60, 60, 10, 10, 10, 10], np.int32)
    order = [np.array(step) for step in ([0, 1, 2, 4], [3, 5, 6, 7], [4, 5, 6, 7], [0, 1, 2, 3])]
    fitted, _, same = shape.fit(
        lengths, lambda seed: order, 0, shape.Shape(2, 70, 4), shape.Limits(8, 1, 768)
    )
    assert same.rows == 2
    for epoch in (fitted[:2], fitted[2:]):
        np.testing.assert_array_equal(np.sort(np.concatenate(epoch)), np.arange(8))


@settings(max_examples=60, deadline=None)
@given(
    parts=st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=6), min_size=1, max_size=5),
    seed=st.integers(0, 99),
)
def test_items_that_fill_rows_exactly_are_packed_or_refused(parts, seed):
    """Rows cut into pieces: if the packer says that they fit, they do; none needs one row more."""
    capacity = max(map(sum, parts))
    lengths = np.array([n for part in parts for n in part])
    lengths = np.random.default_rng(seed).permutation(lengths)
    for rows in range(1, len(lengths) + 1):
        placement = pack(lengths, rows, capacity)
        if placement is not None:
            row, slot, column = placement
            assert row.max() < rows
            assert np.bincount(row, lengths).max() <= capacity
            assert len(set(zip(row, column, strict=True))) == len(lengths)
            assert len(set(zip(row, slot, strict=True))) == len(lengths)
            break
    assert rows <= int(1.25 * len(parts)) + 1


def test_what_best_fit_decreasing_misses_is_found():
    lengths = np.array([45, 40, 35, 30, 30, 20])
    assert best_fit(lengths, 100)[0].max() == 2
    row, _, _ = pack(lengths, 2, 100)
    assert np.bincount(row, lengths).tolist() == [100, 100]
    assert pack(lengths, 2, 99) is None


@pytest.mark.parametrize(
    ("tokens", "rows_multiple", "row_multiple"),
    [(2048, 1, 8), (8192, 1, 8), (8192, 8, 8), (8192, 8, 128), (16_384, 4, 128)],
)
def test_a_budget_of_tokens_is_kept_and_full(tokens, rows_multiple, row_multiple):
    lengths = nli_like(20_000)
    plan = plan_training(
        lengths, 0, 1, 0,
        batch_tokens=tokens, rows_multiple=rows_multiple, row_multiple=row_multiple,
    )  # fmt: skip
    assert 7 / 8 * tokens <= plan.rows * plan.length <= tokens
    assert plan.rows % rows_multiple == plan.length % row_multiple == 0
    assert plan.fill(lengths) >= 0.98
    sizes = np.diff(plan.splits)
    assert sizes.max() - sizes.min() <= 0.2 * sizes.mean()  # a step is a fair sample


def test_a_budget_with_steps_has_so_many_and_each_is_full():
    lengths = nli_like(5000)
    epoch = plan_training(lengths, 0, 1, 0, batch_tokens=4096)
    for steps in (3, epoch.steps, 2 * epoch.steps + 5):
        plan = plan_training(lengths, 0, 1, 0, batch_tokens=4096, steps=steps)
        assert plan.steps == steps
        assert plan.fill(lengths) >= 0.98


def test_a_budget_without_packing_is_rows_of_one_example():
    lengths = np.append(nli_like(500), 250)
    plan = plan_training(lengths, 0, 2, 0, batch_tokens=4096, packing=False, rows_multiple=4)
    assert (plan.rows, plan.length, plan.segments) == (16, 256, 1)
    assert (np.bincount(plan.feature) == 2).all()
    assert set(np.diff(plan.splits)[:-1]) == {16}


@pytest.mark.parametrize("packing", [True, False])
def test_a_budget_without_room_for_the_longest_is_refused(packing):
    lengths = np.array([10, 300, 20])
    assert plan_training(lengths, 0, 1, 0, batch_tokens=304, packing=packing).rows == 1
    with pytest.raises(ValueError, match="no room"):
        plan_training(lengths, 0, 1, 0, batch_tokens=303, packing=packing)
    with pytest.raises(shape.NoRoomError) as error:
        plan_training(lengths, 0, 1, 0, batch_tokens=400, packing=packing, rows_multiple=2)
    assert error.value.needed == 2 * 304


def test_the_shape_is_that_of_the_reference():
    reference = np.append(nli_like(3000, 5), 250).astype(np.int32)
    plans = [
        plan_training(nli_like(3000, seed), 32, 1, seed, reference=reference) for seed in (1, 2)
    ]
    assert len({(p.rows, p.length, p.segments) for p in plans}) == 1


@pytest.mark.parametrize("batch_size", [24, 32, 128])
def test_rows_are_full_on_nli_like_lengths(batch_size):
    lengths = nli_like(20_000)
    plan = plan_training(lengths, batch_size, 1, 0)
    assert plan.fill(lengths) >= 0.95


@pytest.mark.parametrize(("row_multiple", "devices"), [(8, 1), (8, 4), (128, 1), (128, 4)])
def test_rows_are_full_on_the_real_mnli(row_multiple, devices, shared, xlmr_tokenizer):
    examples = readers.mnli(shared / "data" / "mnli" / "train.tsv")
    features = pairs.tokenize(examples, xlmr_tokenizer, NLI, max_length=256)
    plan = plan_training(
        features.lengths, 32, 2, 0, row_multiple=row_multiple, rows_multiple=devices
    )
    assert plan.fill(features.lengths) >= 0.93


@pytest.mark.parametrize(("row_multiple", "devices"), [(8, 1), (8, 8), (128, 1), (128, 4)])
def test_rows_are_full_on_the_real_squad(row_multiple, devices, shared, xlmr_tokenizer):
    examples = readers.squad(shared / "data" / "squad_v1" / "derived" / "train-v1.1-from-v2.0.json")
    features = spans.tokenize(examples, xlmr_tokenizer, (), max_length=384, doc_stride=128)
    plan = plan_training(
        features.lengths, 16, 2, 0, row_multiple=row_multiple, rows_multiple=devices
    )
    assert plan.fill(features.lengths) >= 0.93
