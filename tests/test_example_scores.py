"""Per-example scores: they add up to the score, and a study saves them."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
from etils import epath
from hypothesis import given, settings
from hypothesis import strategies as st

from xt_jax.config import Config, DataConfig, ModelConfig, RecipeOverrides
from xt_jax.data.examples import (
    ChoiceExample,
    MiningExample,
    PairExample,
    SentenceExample,
    SpanExample,
    TagExample,
)
from xt_jax.errors import DataError
from xt_jax.records import example_scores as kept
from xt_jax.records.results import read_rows
from xt_jax.study import runner
from xt_jax.tasks.table import FAMILIES, TASKS

unhurried = settings(deadline=None, max_examples=60)
ROUNDING = 1e-9
TEXTS = ("", "the cat", "cat", "a black cat", "cat on the mat.", "the", "chat noir", "mat")


def first_metric(found: np.ndarray) -> float:
    numerator, denominator = found.sum(axis=0)
    return 100 * numerator / denominator if denominator else 0.0


def assert_adds_up(name, examples, predictions, language="en") -> np.ndarray:
    task = TASKS[name]
    family = FAMILIES[task.family]
    found = family.example_scores(task, examples, predictions, language)
    expected = family.scores(task, examples, predictions, language)[task.metrics[0]]
    assert found.shape == (len(examples), 2)
    assert found.dtype == np.float64
    assert (found >= 0).all()
    assert (found[:, 0] <= found[:, 1]).all()
    assert first_metric(found) == pytest.approx(expected, abs=ROUNDING)
    return found


def some(choices, **sizes):
    return st.lists(st.sampled_from(choices), **sizes)


@unhurried
@given(st.lists(st.tuples(*[st.sampled_from(TASKS["xnli"].labels)] * 2), min_size=1))
def test_labels(pairs):
    gold, predicted = zip(*pairs, strict=True)
    examples = [PairExample(str(i), "a", "b", label) for i, label in enumerate(gold)]
    found = assert_adds_up("xnli", examples, predicted, "de")
    assert found.tolist() == [[float(g == p), 1.0] for g, p in pairs]
    examples = [ChoiceExample(str(i), "a", ("b",), label) for i, label in enumerate(gold)]
    assert_adds_up("hellaswag", examples, predicted)


TAGS = {
    "panx": ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"],
    "udpos": ["X", "NOUN", "SYM", "SCONJ", "ADJ"],  # seqeval lets entities cross sentences
    "ccg": ["N", "NP", "S"],
}


@pytest.mark.parametrize("task", TAGS)
@unhurried
@given(st.data())
def test_tags_and_entities(task, data):
    gold = data.draw(st.lists(some(TAGS[task], min_size=1, max_size=6), min_size=1))
    predicted = [data.draw(st.permutations(tags)) for tags in gold]
    examples = [TagExample(str(i), tuple(tags), tuple(tags)) for i, tags in enumerate(gold)]
    found = assert_adds_up(task, examples, predicted)
    for example, tags, own in zip(examples, predicted, found, strict=True):
        if task == "panx":  # what a sentence has alone is what it has here
            np.testing.assert_array_equal(assert_adds_up(task, [example], [tags])[0], own)
        if task == "ccg":
            assert own.tolist() == [sum(map(str.__eq__, example.tags, tags)), len(tags)]


def test_an_entity_counts_where_it_ends():
    # `X` has no type, so that seqeval ends it no earlier than in the next sentence
    examples = [TagExample("0", ("a",), ("X",)), TagExample("1", ("b", "c"), ("X", "NOUN"))]
    found = assert_adds_up("udpos", examples, [["X"], ["X", "NOUN"]])
    assert found.tolist() == [[0, 0], [4, 4]]


ANSWERS = st.lists(st.tuples(st.sampled_from(TEXTS), st.just(0)), min_size=1, max_size=3)


@pytest.mark.parametrize(
    ("task", "language"),
    [("xquad", "zh"), ("mlqa", "zh"), ("mlqa", "de"), ("mlqa_cross", "de-zh"), ("squad_v2", "en")],
)
@unhurried
@given(st.data())
def test_answers(task, language, data):
    none = st.just([]) if task == "squad_v2" else ANSWERS
    answers = data.draw(st.lists(st.one_of(none, ANSWERS), min_size=1))
    examples = [SpanExample(str(i), "q", "c", tuple(a)) for i, a in enumerate(answers)]
    said = [data.draw(st.sampled_from(TEXTS)) for _ in examples]
    if task == "squad_v2":
        said = [(text, data.draw(st.sampled_from([-2.0, 0, 1]))) for text in said]
    assert (assert_adds_up(task, examples, said, language)[:, 1] == 1).all()


@unhurried
@given(st.integers(1, 30), st.randoms(use_true_random=False))
def test_nearest_sentences(n, rng):
    matches, nearest = rng.sample(range(n), n), [rng.randrange(n) for _ in range(n)]
    examples = [SentenceExample(str(i), "a", "b", line) for i, line in enumerate(matches)]
    found = assert_adds_up("tatoeba", examples, nearest, "de")
    assert found.tolist() == [[g == p, 1] for g, p in zip(matches, nearest, strict=True)]


@unhurried
@given(st.integers(1, 12), st.integers(1, 12), st.randoms(use_true_random=False))
def test_mined_pairs_count_at_their_foreign_sentence(foreign, english, rng):
    def pairs():
        return {
            (str(rng.randrange(foreign)), str(rng.randrange(english)))  # ids that both sides have
            for _ in range(rng.randrange(9))
        }

    gold, mined = pairs(), sorted(pairs())
    examples = [
        MiningExample(f := str(i), "t", False, tuple(b for a, b in gold if a == f))
        for i in range(foreign)
    ]
    examples += [MiningExample(str(i), "t", True, None) for i in range(english)]
    found = assert_adds_up("bucc", examples, mined, "de")
    assert not found[foreign:].any()
    for i in range(foreign):
        mine = [{b for a, b in side if a == str(i)} for side in (gold, mined)]
        assert found[i].tolist() == [2 * len(mine[0] & mine[1]), len(mine[0]) + len(mine[1])]


# --- kept with a study -------------------------------------------------------------------------


@unhurried
@given(st.lists(st.tuples(st.integers(0, 70_000), st.integers(0, 300)), min_size=1), st.booleans())
def test_what_is_read_is_what_was_written(tmp_path_factory, pairs, halve):
    folder = epath.Path(tmp_path_factory.mktemp("example_scores"))
    array = np.array(pairs, np.float64) / (2 if halve else 1)
    assert not kept.exists(folder, "run", "data")
    assert kept.read(folder, "run", "data") is None
    kept.write(folder, "run", "data", array)
    assert kept.exists(folder, "run", "data")
    found = kept.read(folder, "run", "data")
    np.testing.assert_array_equal(found, array)
    assert kept.read(folder, "data", "run") is None
    assert [p.name for p in (folder / "example_scores").iterdir()] == ["run-data.npy"]
    counts = (array % 1 == 0).all()
    smallest = next(b for b in (1, 2, 4) if array.max() < 256**b)
    assert found.dtype == (np.dtype(f"u{smallest}") if counts else np.float32)


def test_fractions_are_single_precision_and_a_damaged_file_is_named(tmp_path):
    kept.write(epath.Path(tmp_path), "run", "data", np.array([[1 / 3, 1]]))
    found = kept.read(epath.Path(tmp_path), "run", "data")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.float32([[1 / 3, 1]]))
    (tmp_path / "example_scores" / "run-data.npy").write_bytes(b"no array")
    with pytest.raises(DataError, match=r"run-data\.npy"):
        kept.read(epath.Path(tmp_path), "run", "data")


@pytest.mark.slow
def test_a_study_keeps_example_scores_and_asks_again_for_those_that_are_missing(
    world, mini_tokenizer_folder, tmp_path, one_device
):
    recipe = RecipeOverrides(epochs=1, batch_size=16, max_length=96, eval_every=1000)
    config = Config(
        model=ModelConfig("tiny", str(mini_tokenizer_folder)),
        data=DataConfig(dir=str(world), max_train_examples=32, max_eval_examples=24),
        languages=("en", "de"),
        targets=("xnli", "udpos", "xquad", "tatoeba"),
        intermediates=("direct",),
        seeds=2,
        target=recipe,
    )
    runner.run(config, str(tmp_path))
    results, folder = tmp_path / "results.jsonl", epath.Path(tmp_path)
    rows = read_rows(epath.Path(results))
    first = [r for r in rows if r["metric"] == TASKS[r["target"]].metrics[0]]
    assert {r["target"] for r in first} == set(config.targets)
    for row in first:
        found = kept.read(folder, row["run"], row["data"])
        assert len(found) == row["n"]
        assert first_metric(found.astype(float)) == pytest.approx(row["value"], abs=1e-4)
    files = {path: path.read_bytes() for path in (tmp_path / "example_scores").iterdir()}
    # the untrained encoder is one run whatever the seed
    assert len(files) == 2 * 2 * 3 + 1
    before = results.read_bytes()
    for path in random.Random(0).sample(sorted(files), 3):
        path.unlink()
    runner.run(config, str(tmp_path))
    assert {path: path.read_bytes() for path in (tmp_path / "example_scores").iterdir()} == files
    assert results.read_bytes() == before


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


DAMAGED = {
    "empty": b"",
    "text": b"no array",
    "cut off": npy(np.ones((50, 2)))[:-9],
    "a header of a terabyte": npy(np.ones((5, 2))).replace(b"(5, 2), }", b"(99999999999, 2), }"),
    "a header that is no dictionary": npy(np.ones((5, 2))).replace(b"{", b"["),
    "objects": npy(np.array([[0, 1]], "O")),
    "texts": npy(np.array([["a", "b"]])),
    "one column": npy(np.ones((5, 1))),
    "no columns": npy(np.ones(5)),
    "not finite": npy(np.array([[np.nan, 1.0]])),
    "negative": npy(np.array([[-1, 1]])),
    "an archive": b"PK\x03\x04" + b"\0" * 100,
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_named(content, tmp_path):
    (tmp_path / "example_scores").mkdir()
    path = tmp_path / "example_scores" / "run-data.npy"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        kept.read(epath.Path(tmp_path), "run", "data")
    assert caught.value.where == str(path)
