"""Outputs that are not finite are an error that names model and data set, whatever is predicted."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from small_models import small_model

from xt_jax.data.packing import Features
from xt_jax.data.sources import open_source
from xt_jax.errors import DataError
from xt_jax.model import Encoder, EncoderConfig
from xt_jax.model.heads import MlmHead, Model
from xt_jax.model.predict import Predictor, most_probable
from xt_jax.model.sharding import make_mesh
from xt_jax.retrieval.encode import SentenceEncoder
from xt_jax.tasks import retrieval
from xt_jax.tasks.table import FAMILIES, TASKS

LIMITS = {"max_length": 96, "doc_stride": 24}
VALUES = [np.nan, np.inf]
# task: what it is predicted on
SPLITS = {
    "mnli": ("dev", "en"),
    "udpos": ("dev", "en"),
    "squad": ("dev", "en"),
    "squad_v2": ("dev", "en"),
    "hellaswag": ("dev", "en"),
    "tatoeba": ("test", "de"),
    "bucc": ("dev", "de"),
    "mlm": ("dev", "en"),
}


def model_for(task: str, words: int) -> Model | Encoder:
    """Returns a small model of the task; the encoder alone where the task has no head."""
    family = FAMILIES[TASKS[task].family]
    if family.head is None:
        return small_model("mnli", words).encoder
    if task == "mlm":
        encoder = small_model("mnli", words).encoder
        return Model(encoder, MlmHead(encoder.config, 0, nnx.Rngs(1)))
    return small_model(task, words)


def predictor_of(model, predict, **options) -> tuple[Predictor, nnx.State]:
    graphdef, params = nnx.split(model)
    config = getattr(model, "encoder", model).config
    return Predictor(graphdef, predict, make_mesh(1, jax.devices()[:1]), config, **options), params


def test_the_families_are_all_here():
    assert {TASKS[task].family for task in SPLITS} == set(FAMILIES)


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("task", SPLITS)
def test_every_family_refuses_a_broken_weight(task, value, world, mini_tokenizer):
    row, family = TASKS[task], FAMILIES[TASKS[task].family]
    (found, *_) = open_source("files", str(world)).find(task, *SPLITS[task], substitutes=True)
    examples = found.read(row.labels)[:12]
    features = family.tokenize(examples, mini_tokenizer, row.labels, **LIMITS)
    model = model_for(task, len(mini_tokenizer))
    encoder = getattr(model, "encoder", model)
    predictor, params = predictor_of(model, family.predict, name="mini-x")
    stream = predictor.stream([features])
    assert len(dict(predictor(params, stream))) == 1  # sound as it is
    word = encoder.embeddings.word.embedding
    word[...] = word[...].at[int(features.tokens["input_ids"][0]), 3].set(value)
    predictor, params = predictor_of(model, family.predict, name="mini-x")
    with pytest.raises(DataError, match=f"outputs for {task} dev hold NaN or infinity") as error:
        dict(predictor(params, stream, names=[f"{task} dev"]))
    assert error.value.where == "mini-x"
    assert error.value.remedy == "use a model with sound weights"


def test_only_the_data_sets_with_the_broken_word_are_refused():
    """Their rows are their own: what comes before is predicted, and what is not wanted is not."""
    config = EncoderConfig("xlm-roberta", 40, 32, 2, 4, 64, 514, 1, 1e-5, 1)
    encoder = Encoder(config, rngs=nnx.Rngs(0))
    word = encoder.embeddings.word.embedding
    word[...] = word[...].at[39].set(np.nan)
    sets = [
        Features(np.array([3, 2], np.int32), {"input_ids": np.array(ids, np.int32)},
                 {"example": np.arange(2, dtype=np.int32)})
        for ids in ([0, 5, 2, 0, 2], [0, 39, 2, 0, 2], [0, 6, 2, 0, 2])
    ]  # fmt: skip
    predictor, params = predictor_of(encoder, retrieval.predict)
    stream = predictor.stream(sets)
    assert list(dict(predictor(params, stream, [0, 2]))) == [0, 2]
    with pytest.raises(DataError, match="outputs for de hold NaN"):
        dict(predictor(params, stream, names=["en", "de", "fr"]))


def test_sentences_are_refused_too(mini_tokenizer):
    model = small_model("mnli", len(mini_tokenizer)).encoder
    model.embeddings.word.embedding[...] *= np.nan
    with pytest.raises(DataError, match="2 sentences from 'the cat' on") as error:
        SentenceEncoder(model, mini_tokenizer, name="mini-x").encode(["the cat", "a dog"])
    assert error.value.where == "mini-x"


def test_no_label_is_most_probable_among_what_is_not_finite():
    rows = [[1.0, 3.0, 3.0], [1.0, np.nan, 3.0], [-np.inf, 0.0, 1.0], [np.inf, 0.0, 1.0]]
    assert most_probable(jnp.array(rows)).tolist() == [1, -1, -1, -1]
