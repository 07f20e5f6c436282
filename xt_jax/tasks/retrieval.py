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
from xt_jax.retrieval.embed import embed_layers
from xt_jax.retrieval.mining import Search
from xt_jax.retrieval.topk import cosine_topk
from xt_jax.tasks.family import AT_LAYER, Array, Evaluation, Family, Labels, Metrics, Scores, Task
from xt_jax.tasks.metrics.basic import accuracy, matches, over_one
from xt_jax.tasks.packed import encode

ByLayer = dict[int, list[int]]  # the line nearest to each English sentence


def tokenize(
    examples: Sequence[SentenceExample], tokenizer: Tokenizer, labels: Labels, **limits: int
) -> Features:
    """Makes two features per pair, each cut at `max_length`."""
    texts = [text for e in examples for text in (e.english, e.translation)]
    encoded = encode(tokenizer, limits["max_length"], texts)
    return ragged(encoded, {"example": [i // 2 for i in range(len(texts))]})


def predict(
    encoder: Encoder, batch: Batch, layers: range | None = None, pooling: str = "mean"
) -> dict[str, dict[str, jax.Array]]:
    """Returns the fp32 embedding [R, S, K, D] of each sentence at K layers; None: all L+1.

    Where the batch has `counted` [R, T], a mean is over the tokens that it marks.
    """
    layers = layers or range(encoder.config.num_layers + 1)
    embedding = embed_layers(encoder, batch, layers=layers, pooling=pooling)
    return {"fields": {"embedding": embedding}, "tokens": {}}


def nearest_foreign(embeddings: np.ndarray, search: Search = cosine_topk) -> np.ndarray:
    """Returns the line [K, n] of the foreign sentence nearest to each English one, by layer.

    Args:
        embeddings: [2n, K, D], English and foreign in turn.
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


def _find(evaluation: Evaluation) -> ByLayer:
    nearest = nearest_foreign(evaluation.outputs["embedding"], evaluation.search)
    return dict(zip(evaluation.layers, nearest.tolist(), strict=True))


def layer_scores(
    task: Task, nearest: ByLayer, examples: Sequence, language: str
) -> dict[int, float]:
    """Returns the accuracy at each layer."""
    matches = [e.match for e in examples]
    return {layer: accuracy(matches, lines) for layer, lines in nearest.items()}


def results(nearest: ByLayer, evaluation: Evaluation, fitted: None) -> tuple[list, Scores]:
    """Returns (nearest lines at the layer that counts, the accuracy there and at every layer)."""
    predictions = nearest[evaluation.layer]
    scores = FAMILY.scores_of(evaluation, predictions)
    if scores is not None:
        e = evaluation
        for layer, value in layer_scores(e.task, nearest, e.examples, e.language).items():
            scores[AT_LAYER.format(metric="accuracy", layer=layer)] = value
    return predictions, scores


FAMILY = Family(
    "retrieval",
    SentenceExample,
    tokenize,
    predict,
    score,
    example_scores=example_scores,
    layer_scores=layer_scores,
    find=_find,
    conclude=results,
)
