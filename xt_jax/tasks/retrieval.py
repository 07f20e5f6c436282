"""Retrieval of each sentence's translation among all translations: Tatoeba.

Features 2i and 2i + 1 are the English sentence i and its translation.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import numpy as np

from xt_jax.data.examples import SentenceExample
from xt_jax.data.packing import Features
from xt_jax.data.tokenize import Tokenizer, ragged
from xt_jax.model.batch import Batch
from xt_jax.model.encoder import Encoder
from xt_jax.retrieval.embed import ALL_LAYERS, embed_batch
from xt_jax.retrieval.mining import Search
from xt_jax.retrieval.topk import cosine_topk
from xt_jax.tasks.family import AT_LAYER, Array, Evaluation, Family, Labels, Metrics, Scores, Task
from xt_jax.tasks.metrics.basic import accuracy, matches, over_one
from xt_jax.tasks.packed import encode


def tokenize(
    examples: Sequence[SentenceExample], tokenizer: Tokenizer, labels: Labels, **limits: int
) -> Features:
    """Makes two features per pair, each cut at `max_length`."""
    texts = [text for e in examples for text in (e.english, e.translation)]
    encoded = encode(tokenizer, limits["max_length"], texts)
    return ragged(encoded, {"example": [i // 2 for i in range(len(texts))]})


def predict(encoder: Encoder, batch: Batch) -> dict[str, dict[str, jax.Array]]:
    """Returns the fp32 mean [R, S, L+1, D] over each sentence's tokens at every layer.

    Where the batch has `counted` [R, T], the mean is over the tokens that it marks.
    """
    return {"fields": {"embedding": embed_batch(encoder, batch, layer=ALL_LAYERS)}, "tokens": {}}


def nearest_foreign(embeddings: np.ndarray, search: Search = cosine_topk) -> np.ndarray:
    """Returns the line [L+1, n] of the foreign sentence nearest to each English one, by layer.

    Args:
        embeddings: [2n, L+1, D], English and foreign in turn.
        search: `cosine_topk` with what options it needs.
    """
    english, foreign = embeddings[0::2], embeddings[1::2]
    layers = range(embeddings.shape[1])
    nearest = [search(english[:, k], foreign[:, k], 1)[1] for k in layers]
    return np.concatenate([indices.T for indices in nearest])


def score(task: Task, examples: Sequence, predictions: Sequence, language: str) -> Metrics:
    """Returns the accuracy: percent of English sentences nearest to their own translation."""
    return {"accuracy": accuracy([e.match for e in examples], predictions)}


def example_scores(task: Task, examples: Sequence, predictions: Sequence, language: str) -> Array:
    """Returns for each example 1 or 0, whether the nearest sentence is its translation, over 1."""
    return over_one(matches([e.match for e in examples], predictions))


def _find(evaluation: Evaluation) -> np.ndarray:
    return nearest_foreign(evaluation.outputs["embedding"], evaluation.search)


def results(nearest: np.ndarray, evaluation: Evaluation, fitted: None) -> tuple[list, Scores]:
    """Returns (nearest lines at the task's layer, the accuracy there and at every layer).

    Args:
        nearest: [L+1, n], see `nearest_foreign`.
    """
    at_layer = nearest.tolist()
    predictions = at_layer[evaluation.layer]
    scores = FAMILY.scores_of(evaluation, predictions)
    if scores is not None:
        for layer, lines in enumerate(at_layer):
            name = AT_LAYER.format(metric="accuracy", layer=layer)
            scores[name] = accuracy([e.match for e in evaluation.examples], lines)
    return predictions, scores


FAMILY = Family(
    "retrieval",
    SentenceExample,
    tokenize,
    predict,
    score,
    example_scores=example_scores,
    find=_find,
    conclude=results,
)
