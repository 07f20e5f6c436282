"""`SentenceEncoder` against one padded sentence at a time, pooled in numpy.

Tolerance, fixed: 1e-5 absolute.
"""

from __future__ import annotations

import copy
import dataclasses

import jax
import numpy as np
import pytest
from flax import nnx
from tokenizers.processors import TemplateProcessing

from xt_jax.errors import ConfigError
from xt_jax.model import Encoder, preset
from xt_jax.model.predict import _compiled
from xt_jax.model.sharding import make_mesh
from xt_jax.retrieval import encode
from xt_jax.retrieval.encode import ALL_LAYERS, POOLINGS, SentenceEncoder

TOLERANCE = 1e-5
WORDS = "the old cat dog bird house sees finds and then small green river".split()


def sentences(count, longest=12, seed=0):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, 1 + i % longest)) for i in range(count)]


# Rows of several sentences and of one; an empty one, and one of more than 64 tokens.
TEXTS = [*sentences(40), "", "cat", "été 中文 😀", " ".join(sentences(20)), " the  dog "]


@pytest.fixture(autouse=True)
def small_steps(monkeypatch):
    """Makes steps so small that a few sentences fill several."""
    monkeypatch.setattr(encode, "step_tokens", lambda _: 512)


@pytest.fixture(scope="module")
def mini():
    return SentenceEncoder.load("mini-48")


@pytest.fixture(scope="module", params=["mini-48", "xlm-roberta-xl"])
def encoder(request, mini, mini_tokenizer):
    if request.param == "mini-48":
        return nnx.merge(mini._predictor.graphdef, mini._params)
    return random_encoder(request.param, len(mini_tokenizer))


def random_encoder(kind, entries, **changes):
    config = dataclasses.replace(
        preset("mini-128", entries).config,
        model_type=kind,
        hidden_size=32,
        intermediate_size=64,
        num_layers=3,
        initializer_range=0.2,  # else all layers are nearly equal
        **changes,
    )
    return Encoder(config, rngs=nnx.Rngs(0))


def one_by_one(encoder, tokenizer, texts, max_length=512):
    """Embeds each text alone and returns {pooling: [n, L+1, D]}."""
    found = {name: [] for name in POOLINGS}
    for text in texts:
        encoded = tokenizer(
            text, truncation=True, max_length=max_length, return_special_tokens_mask=True
        )
        ids = encoded["input_ids"]
        width = 32 if len(ids) <= 32 else 512
        padded = np.full((1, width), tokenizer.pad_token_id)
        padded[0, : len(ids)] = ids
        types = np.zeros_like(padded)
        types[0, : len(ids)] = encoded.get("token_type_ids", 0)
        mask = (np.arange(width)[None] < len(ids)).astype(np.int32)
        states = np.asarray(encoder.hidden_states(padded, mask, token_type_ids=types))
        states = states[:, 0, : len(ids)].astype(np.float64)
        own = np.array(encoded["special_tokens_mask"]) == 0
        found["first"].append(states[:, 0])
        found["mean"].append(states.mean(axis=1))
        none = np.zeros_like(states[:, 0])
        found["mean_no_special"].append(states[:, own].mean(axis=1) if own.any() else none)
    return {name: np.array(rows) for name, rows in found.items()}


def close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE)
    assert found.dtype == np.float32


def test_equal_to_one_sentence_at_a_time(encoder, mini_tokenizer):
    wanted = one_by_one(encoder, mini_tokenizer, TEXTS)
    layers = encoder.config.num_layers
    for pooling in POOLINGS:
        options = {"pooling": pooling}
        every = SentenceEncoder(encoder, mini_tokenizer, layer=ALL_LAYERS, **options).encode(TEXTS)
        close(every, wanted[pooling])
        for layer in range(layers + 1) if pooling == "mean" else (1,):
            one = SentenceEncoder(encoder, mini_tokenizer, layer=layer, **options).encode(TEXTS)
            close(one, wanted[pooling][:, layer])
            assert np.abs(one - every[:, layer - 1]).max() > 0.01  # and no other
    apart = [np.abs(wanted["mean"] - wanted[name]).max() for name in ("first", "mean_no_special")]
    assert min(apart) > 0.01
    assert SentenceEncoder(encoder, mini_tokenizer).layer == {2: 1, 3: 2}[layers]


def test_token_types_reach_the_encoder(mini_tokenizer):
    """BERT's tokenizer gives them, here not the zeros that the encoder takes where there are none.

    The positions of BERT count padding, too.
    """
    encoder = random_encoder("bert", len(mini_tokenizer), type_vocab_size=2)
    tokenizer = copy.deepcopy(mini_tokenizer)
    tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s>:0 $A:1 </s>:1",
        special_tokens=[(t, tokenizer.convert_tokens_to_ids(t)) for t in ("<s>", "</s>")],
    )
    assert tokenizer("cat")["token_type_ids"] == [0, 1, 1]
    made = SentenceEncoder(encoder, tokenizer, layer=2)
    close(made.encode(TEXTS), one_by_one(encoder, tokenizer, TEXTS)["mean"][:, 2])


def test_neighbours_order_and_chunks_change_nothing(mini):
    texts = sentences(100) + TEXTS
    embeddings = mini.encode(texts)
    order = np.random.default_rng(1).permutation(len(texts))
    close(mini.encode([texts[i] for i in order]), embeddings[order])
    close(mini.encode(texts[7:20]), embeddings[7:20])
    for chunk in (1, 11, len(texts), 1000):
        last = texts[-25:]
        parts = list(mini.stream(last, chunk=chunk))
        assert [len(part) for part in parts] == [
            min(chunk, len(last) - start) for start in range(0, len(last), chunk)
        ]
        close(np.concatenate(parts), embeddings[-25:])


def test_several_devices_change_nothing(mini):
    spread = SentenceEncoder.load("mini-48", mesh=make_mesh())
    assert spread._predictor.mesh.size == len(jax.devices()) > 1
    close(spread.encode(TEXTS), mini.encode(TEXTS))


def test_what_may_be_given(mini):
    texts = TEXTS[:7]
    wanted = mini.encode(texts)
    assert wanted.shape == (7, mini.dim) == (7, 48)
    close(mini.encode(tuple(texts)), wanted)
    close(mini.encode(np.array(texts)), wanted)
    batches = ({"text": texts[i : i + 3], "id": [i]} for i in range(0, 7, 3))
    close(mini.encode(batches, task_metadata=None, hf_split="test", batch_size=2), wanted)
    close(mini.encode([{"text": texts[:6]}, {"text": []}, {"text": texts[6:]}]), wanted)
    single = mini.encode(texts[3])
    assert single.shape == (48,)
    close(single, wanted[3])


def test_nothing_to_embed(mini, encoder, mini_tokenizer):
    for nothing in ([], iter(()), [{"text": []}]):
        empty = mini.encode(nothing, normalize_embeddings=True)
        assert (empty.shape, empty.dtype) == ((0, 48), np.float32)
    every = SentenceEncoder(encoder, mini_tokenizer, layer=ALL_LAYERS)
    config = encoder.config
    assert every.encode([]).shape == (0, config.num_layers + 1, config.hidden_size)


def test_unit_norm_after_truncation(encoder, mini_tokenizer):
    """Each layer has its own norm; an embedding of zeros stays what it is."""
    every = SentenceEncoder(encoder, mini_tokenizer, layer=ALL_LAYERS, pooling="mean_no_special")
    whole, plain = every.encode(TEXTS), every.encode(TEXTS, truncate_dim=8)
    close(plain, whole[..., :8])
    for options, rows in (({}, whole), ({"truncate_dim": 8}, plain)):
        unit = every.encode(TEXTS, normalize_embeddings=True, **options)
        norm = np.linalg.norm(rows, axis=-1)
        assert (norm == 0).sum() == encoder.config.num_layers + 1  # of the empty sentence
        np.testing.assert_allclose(np.linalg.norm(unit, axis=-1), norm > 0, rtol=0, atol=TOLERANCE)
        close(unit * norm[..., None], rows)
    assert np.linalg.norm(every.encode("cat", normalize_embeddings=True)[0]) == pytest.approx(1)


def test_cosines_as_evaluators_ask_for_them(mini):
    rows = mini.encode(TEXTS[:6])
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    close(mini.similarity(rows, rows[1:3]), unit @ unit[1:3].T)
    close(mini.similarity_pairwise(rows[:3], rows[3:]), (unit[:3] * unit[3:]).sum(axis=1))
    assert mini.similarity(0 * rows[:1], rows).tolist() == [[0] * 6]


def test_tensors_of_pytorch(mini):
    torch = pytest.importorskip("torch")
    wanted = mini.encode(TEXTS[:3])
    tensor = mini.encode(TEXTS[:3], convert_to_tensor=True)
    assert isinstance(tensor, torch.Tensor)
    close(tensor.numpy(), wanted)
    several = mini.encode(TEXTS[:3], convert_to_numpy=False)
    assert isinstance(several, list)
    close(torch.stack(several).numpy(), wanted)
    close(mini.similarity(tensor, several[0][None]), mini.similarity(wanted, wanted[:1]))


def test_a_long_sentence_is_cut(encoder, mini_tokenizer):
    long = " ".join(sentences(200))
    texts = ["cat", long, *sentences(5)]
    ids = mini_tokenizer(long)["input_ids"]
    assert len(ids) > 1000
    for max_length, pooling in ((8, "mean_no_special"), (512, "mean")):
        wanted = one_by_one(encoder, mini_tokenizer, texts, max_length)[pooling][:, 1]
        options = {"layer": 1, "pooling": pooling, "max_length": max_length}
        cut = SentenceEncoder(encoder, mini_tokenizer, **options)
        assert cut._tokenize(texts).lengths[1] == max_length
        close(cut.encode(texts), wanted)


@pytest.mark.parametrize(
    ("options", "problem", "remedy"),
    [
        ({"layer": 3}, "no hidden state 3 in an encoder of 2 layers", "from 0 .* to 2"),
        ({"layer": -2}, "no hidden state -2", "from 0 .* to 2"),
        ({"pooling": "max"}, "pooling 'max'", "use mean, mean_no_special, first"),
        ({"max_length": 513}, "cut at 513 tokens.* 512", "use 3 to 512"),
        ({"max_length": 2}, "cut at 2 tokens.* 2 are special", "use 3 to 512"),
        ({"max_length": -1}, "cut at -1 tokens", "use 3 to 512"),
    ],
)
def test_what_cannot_be_is_named(options, problem, remedy):
    with pytest.raises(ConfigError, match=problem) as error:
        SentenceEncoder.load("mini-48", **options)
    assert error.value.where == next(iter(options))
    error.match(remedy)
    with pytest.raises(ConfigError, match="mini-47"):
        SentenceEncoder.load("mini-47", **options)


def test_the_key_is_that_of_the_numbers(mini, mini_tokenizer_folder, tmp_path):
    """Of the weights, the tokenizer and the precision; not of how they were named."""
    assert mini.key == SentenceEncoder.load("mini-48", layer=0, max_length=16).key != ""
    again = SentenceEncoder.load("mini-48", tokenizer=str(mini_tokenizer_folder))
    assert mini.key == again.key
    text = (mini_tokenizer_folder / "tokenizer.json").read_text(encoding="utf-8")
    settings = mini_tokenizer_folder / "tokenizer_config.json"
    (tmp_path / settings.name).write_bytes(settings.read_bytes())
    other = text.replace('"▁the"', '"▁thee"')
    assert other != text
    (tmp_path / "tokenizer.json").write_text(other, encoding="utf-8")
    assert mini.key != SentenceEncoder.load("mini-48", tokenizer=str(tmp_path)).key
    assert mini.key != SentenceEncoder.load("mini-48", dtype="bfloat16").key
    assert mini.key != SentenceEncoder.load("mini-64").key


def test_few_programs_are_compiled():
    """Whatever the number of sentences and their lengths: one program for each power of two."""
    encoder = SentenceEncoder.load("mini-48", max_length=256)
    _compiled.clear_cache()
    for i in range(12):
        encoder.encode(sentences(1 + 17 * i, longest=1 + 5 * i, seed=i))
    for length in range(0, 300, 23):
        encoder.encode(["cat " * length, "dog"])
    assert _compiled._cache_size() == 3  # 64, 128, 256 tokens
    SentenceEncoder.load("mini-48", max_length=256).encode(TEXTS)
    assert _compiled._cache_size() == 3


def test_progress_is_shown_when_asked(mini, capsys):
    mini.encode(TEXTS[:3], show_progress_bar=False)
    mini.encode(TEXTS[:3])
    assert capsys.readouterr() == ("", "")
    mini.encode(TEXTS[:3], show_progress_bar=True)
    assert "sentence/s" in capsys.readouterr().err
