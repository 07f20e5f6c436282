"""The mining family: sentences to features, to embeddings of one layer, to pairs."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from xt_jax.data.examples import MiningExample
from xt_jax.data.packed_sets import pack_sets
from xt_jax.model import Encoder, preset
from xt_jax.model.predict import Predictor
from xt_jax.model.sharding import make_mesh
from xt_jax.retrieval.embed import ALL_LAYERS, embed_batch, tatoeba_layer
from xt_jax.tasks import mining

EMBEDDING_TOLERANCE = 1e-5


@pytest.fixture(scope="module", params=["xlm-roberta", "xlm-roberta-xl"])
def encoder(request, mini_tokenizer) -> Encoder:
    config = preset("mini-128", len(mini_tokenizer)).config
    config = dataclasses.replace(
        config, model_type=request.param, hidden_size=32, intermediate_size=64
    )
    return Encoder(config, rngs=nnx.Rngs(0))


def corpus():
    """English sentences, and among the foreign ones the same words again."""
    words = "the old cat dog bird house sees finds and then small green river"
    rng = np.random.default_rng(0)
    english = [" ".join(rng.choice(words.split(), 3 + i % 9)) for i in range(60)]
    foreign = english[10:30] + [" ".join(rng.choice(words.split(), 2 + i % 7)) for i in range(25)]
    return [MiningExample(f"en-{i}", t, True, None) for i, t in enumerate(english)] + [
        MiningExample(f"xx-{i}", t, False, (f"en-{i + 10}",) if i < 20 else ())
        for i, t in enumerate(foreign)
    ]


def test_a_feature_is_a_sentence(mini_tokenizer):
    examples = [*corpus(), MiningExample("long", "cat " * 50, True, None)]
    whole = mining.tokenize(examples, mini_tokenizer, (), max_length=16)
    assert whole.fields["example"].tolist() == list(range(len(examples)))
    assert whole.lengths[-1] == whole.lengths.max() == 16
    for i in (0, 50, len(examples) - 1):
        ids = mini_tokenizer(examples[i].text, truncation=True, max_length=16)["input_ids"]
        assert whole.take(np.array([i])).tokens["input_ids"].tolist() == ids
    assert len(mining.tokenize([], mini_tokenizer, (), max_length=16)) == 0


def test_one_layer_is_that_of_all_and_those_above_are_not_run(encoder, mini_tokenizer):
    features = mining.tokenize(corpus(), mini_tokenizer, (), max_length=64)
    stream = pack_sets([features])
    batch = jax.tree.map(jnp.asarray, stream.batch(0, mini_tokenizer.pad_token_id))
    layers = encoder.config.num_layers
    embed = jax.jit(embed_batch, static_argnames="layer")
    every = embed(encoder, batch, layer=ALL_LAYERS)
    for layer in range(layers + 1):
        got = embed(encoder, batch, layer=layer)
        np.testing.assert_allclose(got, every[:, :, layer], rtol=0, atol=EMBEDDING_TOLERANCE)
    graphdef, params = nnx.split(encoder)
    middle = tatoeba_layer(layers)
    poisoned = jax.tree.map(lambda p: p, params)
    poisoned["layers"] = jax.tree.map(lambda p: p.at[middle:].set(jnp.nan), params["layers"])
    got = mining.predict(nnx.merge(graphdef, poisoned), batch)["fields"]["embedding"]
    np.testing.assert_allclose(got[:, :, 0], every[:, :, middle], rtol=0, atol=EMBEDDING_TOLERANCE)
    with pytest.raises(ValueError, match="layer"):
        embed_batch(encoder, batch, layer=layers + 1)


def test_from_sentences_to_pairs(encoder, mini_tokenizer):
    """The same words have the same embedding: their pairs come first; copied ones are dropped."""
    examples = corpus()
    copies = [examples[12]._replace(id="en-copy"), examples[70]._replace(id="xx-copy", partners=())]
    examples += copies
    features = mining.tokenize(examples, mini_tokenizer, (), max_length=64)
    graphdef, params = nnx.split(encoder)
    mesh = make_mesh(devices=jax.devices()[:1])
    predictor = Predictor(graphdef, mining.predict, mesh, encoder.config)
    ((_, outputs),) = predictor(params, predictor.stream([features]))
    candidates = mining.candidates(outputs["embedding"][:, 0], examples, margin="absolute")
    gold = mining.gold_pairs(examples)
    assert len(gold) == 20
    clear = gold - {("xx-2", "en-12"), ("xx-10", "en-20")}  # copied, on one side or the other
    assert set(candidates.pairs[:18]) == clear
    np.testing.assert_allclose(candidates.score[:18], 1, rtol=0, atol=1e-6)
    assert candidates.score[18] < 1 - 1e-4
    assert set(mining.decode(candidates, mining.threshold(candidates, examples))) == clear
