"""`SentenceEncoder` in the hands of MTEB and of sentence-transformers, on real Tatoeba pairs."""

from __future__ import annotations

import numpy as np
import pytest

from xt_jax.data import formats
from xt_jax.retrieval.encode import SentenceEncoder
from xt_jax.retrieval.topk import cosine_topk

pytestmark = pytest.mark.parity
LANGUAGE = "deu"


@pytest.fixture(scope="module")
def pairs(shared):
    folder = shared / "data" / "tatoeba"
    sides = [folder / f"tatoeba.{LANGUAGE}-eng.{side}" for side in ("eng", LANGUAGE)]
    return formats.parallel(sides, "de", ())


@pytest.fixture(scope="module")
def encoder():
    return SentenceEncoder.load("mini-64")


@pytest.fixture(scope="module")
def accuracies(encoder, pairs):
    """(foreign to English, English to foreign), 0..1, as this package finds neighbours."""
    foreign = encoder.encode([pair.translation for pair in pairs])
    english = encoder.encode([pair.english for pair in pairs])
    right = np.arange(len(pairs))
    both = (foreign, english), (english, foreign)
    return [float((cosine_topk(*sides, 1)[1][:, 0] == right).mean()) for sides in both]


def test_mteb_finds_the_same_accuracy_in_its_direction(encoder, pairs, accuracies):
    mteb = pytest.importorskip("mteb")
    from datasets import Dataset
    from mteb.abstasks.task_metadata import TaskMetadata
    from mteb.abstasks.text.bitext_mining import AbsTaskBitextMining

    unknown = (
        *("reference", "date", "domains", "task_subtypes", "license", "annotations_creators"),
        *("dialect", "sample_creation", "bibtex_citation"),
    )

    class Tatoeba(AbsTaskBitextMining):
        metadata = TaskMetadata(
            name="LocalTatoeba",
            description="Tatoeba from files",
            dataset={"path": "local", "revision": "1"},
            type="BitextMining",
            category="t2t",
            modalities=["text"],
            eval_splits=["test"],
            eval_langs={"deu-eng": ["deu-Latn", "eng-Latn"]},
            main_score="accuracy",
            **dict.fromkeys(unknown),
        )

        def load_data(self, **_):
            columns = {
                "sentence1": [pair.translation for pair in pairs],
                "sentence2": [pair.english for pair in pairs],
            }
            self.dataset = {"deu-eng": {"test": Dataset.from_dict(columns)}}
            self.data_loaded = True

    assert isinstance(encoder, mteb.models.EncoderProtocol)
    scores = Tatoeba().evaluate(encoder, "test", encode_kwargs={"batch_size": 32})
    assert scores["deu-eng"]["accuracy"] == accuracies[0]
    assert accuracies[0] > 10 / len(pairs)  # more than chance
    assert accuracies[0] != accuracies[1]
    assert encoder.mteb_model_meta.name == "xt_jax/mini-64"


def test_sentence_transformers_finds_the_same_accuracies(encoder, pairs, accuracies):
    pytest.importorskip("sentence_transformers")
    from sentence_transformers.sentence_transformer.evaluation import TranslationEvaluator

    evaluator = TranslationEvaluator(
        [pair.translation for pair in pairs], [pair.english for pair in pairs], write_csv=False
    )
    scores = evaluator(encoder)
    assert scores["src2trg_accuracy"] == accuracies[0]
    assert scores["trg2src_accuracy"] == accuracies[1]
