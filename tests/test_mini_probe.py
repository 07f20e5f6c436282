"""Tests how the alignment of the mini encoders is measured: filtering, pooling and retrieval."""

from __future__ import annotations

import functools
import json

import jax
import numpy as np
import pytest
from flax import nnx

from xt_jax import model as models
from xt_jax.data.tokenize import load_tokenizer
from xt_jax.errors import ConfigError
from xt_jax.ladder import alignment, probe
from xt_jax.mini import tokenizer as mini_pieces
from xt_jax.mini import weights
from xt_jax.mini.languages import LANGUAGES
from xt_jax.mini.lexicon import entries, word

# English, its translation, the words of each that count
PAIRS = {
    "de": (
        "In winter, Atlas's nurse ran in the Hotel at 6:15.",
        "Im Winter rannte Atlas Pflegerin um 6:15 in das hotel.",
        "s nurse ran the at",
        "Im rannte Pflegerin um das",
    ),
    "tr": (
        "Leo Moretti sold a bag to Nova Invest in 2015.",
        "Leo Moretti'ye 2015'te Nova Invest'a çanta satıldı, Bag.",
        "sold to in",
        "ye te çanta satıldı",
    ),
    "ru": (
        "Emma Wolf bought 12 boats, didn't she?",
        "Emma Wolf купила 12 лодок, Delta, не так ли?",
        "bought boats didn t she",
        "купила лодок не так ли",
    ),
    "hi": (
        "Anna's doctor sang at 7:30.",
        "अन्ना के डॉक्टर ने 7:30 बजे गाना गाया। Anna",
        "s doctor sang at",
        "अन्नाकेडॉक्टरनेबजेगानागाया",
    ),
    "zh": (
        "Lukas Berg gave Orion a ball in 2007.",
        "Lukas Berg2007年给了Orion一个球，x。",
        "gave a ball in",
        "年给了一个球",
    ),
}


@pytest.fixture(scope="module")
def texts():
    return alignment.parallel_texts(12)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, texts):
    """Trains a small tokenizer in which most words have several pieces."""
    root = tmp_path_factory.mktemp("encoders")
    lines = [line for some in (*texts.values(), *PAIRS.values()) for line in some]
    lines += [word(language, entry) for language in LANGUAGES.values() for entry in entries()]
    mini_pieces.train_tokenizer(filter(None, lines), root / "tokenizer", 1500)
    return root


@pytest.fixture
def tokenizer(folder, monkeypatch):
    """Opens the tokenizer that the mini encoders share."""
    monkeypatch.setattr(weights, "ENCODERS", folder)
    return load_tokenizer(str(weights.tokenizer_folder()))


def counted_text(tokenizer, text, other, latin):
    """Returns the characters of the counted tokens."""
    spans = tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
    marks = alignment.unshared(text, other, spans, latin=latin)
    assert marks[0] == marks[-1] == 0  # <s> and </s>
    counted = [range(*span) for span, mark in zip(spans, marks, strict=True) if mark]
    return "".join(text[i] for i in sorted(set().union(*counted)))


@pytest.mark.parametrize("language", PAIRS)
def test_what_the_languages_share_is_left_out_of_both(language, tokenizer):
    english, foreign, *kept = PAIRS[language]
    latin = language in ("de", "tr")
    found = [(english, foreign, True), (foreign, english, latin)]
    assert [counted_text(tokenizer, *each) for each in found] == [w.replace(" ", "") for w in kept]


def test_a_token_counts_if_it_has_a_letter_and_nothing_shared():
    spans = [(0, 0), (0, 2), (2, 5), (0, 5), (5, 6), (5, 9), (9, 10)]
    #        special, half,  half,  word,  space, " B12",  "!"
    assert alignment.unshared("lamps B12!", "", spans) == [0, 1, 1, 1, 0, 0, 0]
    assert alignment.unshared("lamps B12!", "Lamps", spans) == [0, 0, 0, 0, 0, 0, 0]
    assert alignment.unshared("lamps B12!", "lamp", spans) == [0, 1, 1, 1, 0, 0, 0]
    assert alignment.unshared("lamps B12!", "", spans, latin=False) == [0] * 7


@pytest.mark.parametrize("language", alignment.OTHERS)
def test_no_sentence_of_the_world_is_left_without_a_token(language, tokenizer):
    texts = alignment.parallel_texts(300, seed=1)
    foreign, english = texts[language], texts["en"]
    latin = alignment.is_latin(foreign)
    assert latin == (language in ("de", "es", "tr"))
    for here, there, script in ((english, foreign, True), (foreign, english, latin)):
        made = alignment.features(tokenizer, here, there, latin=script)
        assert np.add.reduceat(made.tokens["counted"], made.splits[:-1]).min() > 0


def test_the_sentences_are_those_of_tasks_and_the_same_in_all_languages(texts):
    assert set(texts) == set(LANGUAGES)
    assert {len(set(lines)) for lines in texts.values()} == {12}
    assert texts == alignment.parallel_texts(12)
    assert texts != alignment.parallel_texts(12, seed=1)
    digits = [[sorted(filter(str.isdigit, line)) for line in lines] for lines in texts.values()]
    assert all(of_one == digits[0] for of_one in digits)
    assert any(digits[0])


def test_the_embedding_is_the_mean_over_the_counted_tokens_at_every_depth(tokenizer, texts):
    config = models.preset("mini-48", len(tokenizer)).config
    encoder = models.Encoder(config, rngs=nnx.Rngs(3))
    sets = [
        alignment.features(tokenizer, texts["en"]),
        alignment.features(tokenizer, texts["ru"], texts["en"], latin=False),
    ]
    actual = list(alignment.embeddings(encoder, sets))
    assert [x.shape for x in actual] == [(12, config.num_layers + 1, 48)] * 2
    for made, pooled in zip(sets, actual, strict=True):
        present = np.arange(64) < made.lengths[:, None]
        ids, weights = (np.zeros(present.shape, np.int32) for _ in range(2))
        ids[present], weights[present] = made.tokens["input_ids"], made.tokens["counted"]
        assert (weights == present).all() == (made is sets[0])
        states = np.asarray(encoder.hidden_states(ids, present.astype(np.int32)), np.float64)
        sums = np.einsum("nt,lntd->nld", weights, states)
        expected = sums / weights.sum(axis=1)[:, None, None]
        np.testing.assert_allclose(pooled, expected, atol=2e-6)


def test_retrieval_is_that_of_numpy():
    rng = np.random.default_rng(0)
    english = rng.normal(size=(40, 3, 8)).astype(np.float32)
    foreign = english + rng.normal(size=english.shape, scale=[[[0.5], [1], [2]]])
    foreign = (3 * foreign).astype(np.float32)

    def unit(x):
        return x / np.linalg.norm(x, axis=-1, keepdims=True)

    similarity = np.einsum("nld,mld->lnm", unit(english), unit(foreign))
    gold = np.arange(40)
    there = 100 * (similarity.argmax(axis=2) == gold).mean(axis=1)
    back = 100 * (similarity.argmax(axis=1) == gold).mean(axis=1)
    assert len({*there, *back}) == 6
    actual = alignment.retrieval(english, foreign)
    np.testing.assert_allclose(actual[0], there, rtol=1e-12)
    np.testing.assert_allclose(actual[1], back, rtol=1e-12)
    x = english[:20]
    assert np.array(alignment.retrieval(x, x)).tolist() == [[100] * 3] * 2
    assert np.array(alignment.retrieval(x, np.roll(x, 1, axis=0))).tolist() == [[0] * 3] * 2


@pytest.mark.parametrize("language", alignment.OTHERS)
def test_words_are_translations_that_share_nothing(language, tokenizer):
    pairs = alignment.word_pairs(LANGUAGES[language], tokenizer)
    assert len(pairs) == len(set(pairs)) > 100
    for english, foreign in pairs:
        assert english
        assert foreign
        assert not set(english.lower().split()) & set(foreign.lower().split("'")[0].split())
        ids = [tokenizer(w, add_special_tokens=False)["input_ids"] for w in (english, foreign)]
        assert not set(ids[0]) & set(ids[1])
        assert not any(c.isdigit() for c in english + foreign)
        assert language in ("de", "es", "tr") or not foreign.isascii()


def test_words_of_every_kind_of_concept(tokenizer):
    said = {(e.concept, e.role): word(LANGUAGES["es"], e) for e in entries()}
    assert len(said) == len(entries()) > 250
    expected = {
        ("dog", "thing"): "perros", ("red", "thing"): "rojos", ("library", "place"): "biblioteca",
        ("cook", "agent"): "cocinero", ("cook", ""): "cocinó", ("five", "number"): None,
        ("5", "number"): "cinco", ("Monday", "time"): "lunes", ("give", ""): "dio",
    }  # fmt: skip
    assert {key: said.get(key) for key in expected} == expected
    assert [k for k, v in said.items() if not v] == []
    turkish = {(e.concept, e.role): word(LANGUAGES["tr"], e) for e in entries()}
    assert turkish["help", ""] == "yardım etti"
    hindi = {(e.concept, e.role): word(LANGUAGES["hi"], e) for e in entries()}
    assert hindi["short", "thing"] == hindi["small", "thing"]


def test_a_word_is_the_mean_of_its_pieces_without_signs(tokenizer):
    table = np.random.default_rng(0).normal(size=(len(tokenizer), 4))
    ids = tokenizer("Atina'da", add_special_tokens=False)["input_ids"]
    (sign,) = (i for i, p in enumerate(tokenizer.convert_ids_to_tokens(ids)) if p == "'")
    kept = [*ids[:sign], *ids[sign + 1 :]]
    (actual,) = alignment.word_vectors(table, ["Atina'da"], tokenizer)
    np.testing.assert_allclose(actual, table[kept].mean(axis=0), rtol=1e-12)


def test_a_word_may_have_several_translations_and_several_words_one():
    pairs = [("small", "kurz"), ("short", "kurz"), ("big", "groß"), ("big", "dick")]
    english = np.eye(3)  # small, short, big
    kurz, big, far = [1, 1, 0], [0, 0, 1], [0, 0, -1]
    for foreign in ([kurz, big, far], [kurz, far, big]):
        actual = alignment.translation(pairs, english, np.array(foreign))
        assert actual == (100, pytest.approx(400 / 9))
    accuracy, _ = alignment.translation(pairs, english, np.array([[1, 0, 0], [0, 1, 1], far]))
    assert accuracy == pytest.approx(200 / 3)  # short is nearest to groß


@pytest.fixture
def saved(tokenizer, tmp_path):
    """Saves random weights of `mini-48`, without a tokenizer."""
    config = models.preset("mini-48", len(tokenizer)).config
    make = jax.jit(lambda: models.Encoder(config, rngs=nnx.Rngs(0)))
    models.save(make(), tmp_path / "step-7", dtype="float32")
    return tmp_path / "step-7"


def test_the_command_measures_each_model_beside_random_weights(saved, tmp_path, capsys):
    output = tmp_path / "scores.json"
    models_ = [f"--model={saved}", "--model=mini-48-random"]
    probe.main([*models_, "--sentences=20", "--layer=1", f"--output={output}"])
    scores = [alignment.Score(**row) for row in json.loads(output.read_text())]
    by_model: dict[str, list] = {}
    for score in scores:
        by_model.setdefault(score.model, []).append(score[1:])
    trained, random, preset = by_model.values()
    assert list(by_model) == [str(saved), f"{saved}-random", "mini-48-random"]
    assert trained == random == preset
    layers, languages = 3, len(alignment.OTHERS)
    assert len(trained) == languages * (2 * 3 * layers + 2)
    assert {s.chance for s in scores if s.measure == "retrieval"} == {5}
    assert all(0 <= s.accuracy <= 100 for s in scores)

    out = capsys.readouterr().out
    german = next(line.split() for line in out.splitlines() if line.split()[:2] == ["1", "de"])
    first = scores[: len(trained)]
    wanted = [f"{s.accuracy:.1f}" for s in first if (s.language, s.layer) == ("de", 1)]
    assert german[2::2] == wanted
    assert german[3::2] == [f"({value})" for value in wanted]
    assert not any(line.split()[:2] == ["2", "de"] for line in out.splitlines())


def test_scores_are_those_of_the_model_by_pooling_layer_and_direction(saved, tmp_path):
    texts = alignment.parallel_texts(30)
    config = probe.open_model(str(saved)).config
    encoder = models.Encoder(config, rngs=nnx.Rngs(1))
    models.save(encoder, tmp_path / "trained", dtype="float32")
    source = probe.open_model(str(tmp_path / "trained"))
    scores = probe.probe(source, texts)
    trained, random = scores[: len(scores) // 2], scores[len(scores) // 2 :]
    assert [s.accuracy for s in trained] != [s.accuracy for s in random]

    sides = (texts["en"], texts["ru"], True), (texts["ru"], texts["en"], False)
    features = functools.partial(alignment.features, source.tokenizer)
    plain = [features(here) for here, *_ in sides]
    marked = [features(here, there, latin=latin) for here, there, latin in sides]
    actual = list(alignment.embeddings(encoder, [*plain, *marked]))
    centred = [x - x.mean(axis=0) for x in actual[2:]]
    for key, pair in zip(alignment.POOLINGS, (actual[:2], actual[2:], centred), strict=True):
        for direction, layers in zip(("en-x", "x-en"), alignment.retrieval(*pair), strict=True):
            wanted = ("retrieval", "ru", direction, *key)
            same = [s for s in trained if (s.measure, *_setting(s)) == wanted]
            assert {s.layer: s.accuracy for s in same} == dict(enumerate(layers.tolist()))


def _setting(score: alignment.Score) -> tuple:
    return score.language, score.direction, score.tokens, score.centred


def test_a_layer_that_the_model_has_not_and_a_model_that_is_not_there(saved):
    with pytest.raises(ConfigError, match=r"no such layer; it has 2\.\n  where: --layer=3"):
        probe.main([f"--model={saved}", "--layer=3"])
    with pytest.raises(ConfigError, match="mini-49"):
        probe.main(["--model=mini-49"])
    with pytest.raises(SystemExit, match="2"):
        probe.main([f"--model={saved}", "--sentences=0"])
    with pytest.raises(ConfigError, match="do not come with the package"):
        probe.open_model("mini-48")
