"""Predictions of several data sets as one stream: results, their order, and their cost."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from xt_jax.data.packed_sets import pack_sets
from xt_jax.data.packing import Features
from xt_jax.model import Encoder, predict
from xt_jax.model.config import EncoderConfig
from xt_jax.model.predict import Predictor
from xt_jax.model.sharding import make_mesh, place_params
from xt_jax.tasks.packed import run_encoder

SIZES = (40, 0, 7, 93, 1, 25)
VOCABULARY = 500
TOLERANCE = 1e-5


def data_set(count: int, seed: int, longest: int = 60) -> Features:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, longest + 1, count).astype(np.int32)
    ids = rng.integers(5, VOCABULARY, lengths.sum()).astype(np.int32)
    return Features(lengths, {"input_ids": ids}, {"example": np.arange(count, dtype=np.int32)})


@pytest.fixture(scope="module")
def sets() -> list[Features]:
    return [data_set(count, i) for i, count in enumerate(SIZES)]


def echo(model, batch):
    """Returns each feature's first token and length, and each token's id and position."""
    ids, segments = batch["input_ids"], batch["segment_ids"]
    slots = jnp.arange(1, batch["starts"].shape[1] + 1)
    length = (segments[:, :, None] == slots).sum(axis=1)
    first = jnp.take_along_axis(ids, batch["starts"], axis=1)
    return {
        "fields": {"first": first, "length": length},
        "tokens": {"both": jnp.stack([ids, batch["positions"]], axis=-1)},
    }


def hidden(model, batch):
    states = run_encoder(model, batch, None)
    first = jnp.take_along_axis(states, batch["starts"][:, :, None], axis=1)
    return {"fields": {"first": first}, "tokens": {"state": states}}


def predictor_of(function, devices: int = 1) -> tuple[Predictor, nnx.State]:
    config = EncoderConfig(
        "xlm-roberta", VOCABULARY, 32, 2, 4, 64, 514, 1, 1e-5, 1, initializer_range=0.2
    )
    graphdef, params = nnx.split(Encoder(config, rngs=nnx.Rngs(0)))
    mesh = make_mesh(devices=jax.devices()[:devices])
    return Predictor(graphdef, function, mesh, config), place_params(params, mesh, "replicated")


@pytest.fixture
def few_tokens(monkeypatch):
    """Many small steps."""
    monkeypatch.setattr("xt_jax.model.predict.step_tokens", lambda hidden_size: 256)


@pytest.mark.parametrize("packing", [True, False])
@pytest.mark.parametrize("devices", [1, 4])
def test_every_token_of_every_data_set_comes_back_to_its_place(sets, packing, devices, few_tokens):
    predictor, params = predictor_of(echo, devices)
    stream = predictor.stream(sets, packing=packing)
    assert stream.plan.steps > 5
    outputs = dict(predictor(params, stream))
    assert list(outputs) == list(range(len(sets)))
    for i, features in enumerate(sets):
        if not len(features):
            assert outputs[i] == {}
            continue
        starts = features.splits[:-1]
        np.testing.assert_array_equal(outputs[i]["length"], features.lengths)
        np.testing.assert_array_equal(outputs[i]["first"], features.tokens["input_ids"][starts])
        ids, position = outputs[i]["both"].T
        np.testing.assert_array_equal(ids, features.tokens["input_ids"])
        expected = np.arange(len(ids)) - np.repeat(starts, features.lengths)
        np.testing.assert_array_equal(position, expected)


def test_the_stream_says_what_each_data_set_alone_says(sets, few_tokens):
    predictor, params = predictor_of(hidden)
    for i, outputs in predictor(params, predictor.stream(sets)):
        ((_, alone),) = predictor(params, predictor.stream([sets[i]]))
        assert alone.keys() == outputs.keys()
        for name, values in alone.items():
            assert values.shape == outputs[name].shape
            np.testing.assert_allclose(outputs[name], values, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("wanted", [(3,), (0, 5), (2, 4), (1,), ()])
def test_what_is_left_after_a_stop_has_the_same_bits(sets, wanted, few_tokens, monkeypatch):
    predictor, params = predictor_of(hidden)
    stream = predictor.stream(sets)
    whole = dict(predictor(params, stream))
    ran = []
    compiled = predict._compiled
    monkeypatch.setattr(predict, "_compiled", lambda *args: ran.append(1) or compiled(*args))
    left = dict(predictor(params, stream, wanted))
    assert set(left) == set(wanted)
    assert len(ran) == len(stream.steps(wanted)) < stream.plan.steps
    for i, outputs in left.items():
        for name, values in outputs.items():
            assert (values == whole[i][name]).all()


def test_a_data_set_comes_as_soon_as_its_last_row_is_there(sets, few_tokens, monkeypatch):
    predictor, params = predictor_of(echo)
    stream = predictor.stream(sets)
    ran = []
    compiled = predict._compiled
    monkeypatch.setattr(predict, "_compiled", lambda *args: ran.append(1) or compiled(*args))
    for i, _ in predictor(params, stream):
        needed = max(stream.steps(range(i + 1)), default=-1) + 1
        ahead = 0 < needed < stream.plan.steps
        assert len(ran) == needed + ahead  # the device is one step ahead


def test_many_data_sets_are_one_compile(sets, few_tokens):
    traces = []

    def counted(model, batch):
        traces.append(batch["input_ids"].shape)
        return echo(model, batch)

    predictor, params = predictor_of(counted)
    stream = predictor.stream(sets)
    for wanted in (None, [3], [0, 2]):
        dict(predictor(params, stream, wanted))
    assert traces == [(stream.plan.rows, stream.plan.length)]


def test_a_row_holds_one_data_set_and_only_the_last_step_has_empty_rows(sets, few_tokens):
    stream = pack_sets(sets, devices=2, step_tokens=256)
    plan = stream.plan
    assert plan.rows % 2 == 0
    which = np.searchsorted(stream.first, plan.feature, side="right") - 1
    step = np.repeat(np.arange(plan.steps), np.diff(plan.splits))
    row = step * plan.rows + plan.row
    owners = {}
    for r, i in zip(row.tolist(), which.tolist(), strict=True):
        assert owners.setdefault(r, i) == i
    assert sorted(owners) == list(range(len(owners)))  # no gaps
    assert (np.diff([owners[r] for r in range(len(owners))]) >= 0).all()
    assert (plan.steps - 1) * plan.rows < len(owners) <= plan.steps * plan.rows
    np.testing.assert_array_equal(np.sort(plan.feature), np.arange(sum(SIZES)))
    for s in range(plan.steps):
        covered = [i for _, at in stream.parts(s) for i in range(at.start, at.stop)]
        assert covered == list(range(plan.splits[s], plan.splits[s + 1]))


def test_rows_of_small_data_sets_fill_the_steps():
    """As PAN-X: forty languages of 300 short sentences, one sentence of one of them is long."""
    rng = np.random.default_rng(0)
    sets = []
    for language in range(40):
        lengths = np.clip(rng.gamma(3, 5, 300), 4, 80).astype(np.int32)
        lengths[0] = 256 if language == 7 else lengths[0]
        sets.append(Features(lengths, {}, {"example": np.arange(300, dtype=np.int32)}))
    for devices in (1, 8):
        stream = pack_sets(sets, devices=devices)
        assert stream.fill >= 0.92
        assert stream.plan.length >= 256


def test_a_feature_left_out_is_noticed(sets, few_tokens, monkeypatch):
    predictor, params = predictor_of(echo)
    stream = predictor.stream(sets)
    steps = type(stream).steps
    monkeypatch.setattr(type(stream), "steps", lambda self, wanted: steps(self, wanted)[:-1])
    with pytest.raises(AssertionError, match=r"\[5\]"):
        dict(predictor(params, stream))
    monkeypatch.setattr(type(stream), "steps", lambda self, wanted: steps(self, wanted)[:1] * 2)
    with pytest.raises(AssertionError, match="twice"):
        dict(predictor(params, stream))
