"""Bitext mining: which sentences of two corpora are translations of each other (BUCC).

A feature is a sentence of either side. Predictions are pairs of ids, foreign and English.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from xt_jax.data.examples import MiningExample
from xt_jax.data.packing import Features
from xt_jax.data.tokenize import Tokenizer, ragged
from xt_jax.model.batch import Batch
from xt_jax.model.encoder import Encoder
from xt_jax.retrieval.embed import tatoeba_layer
from xt_jax.retrieval.mining import (
    Candidates,
    Pair,
    above,
    fit_threshold,
    mine,
    repeated,
    unify,
)
from xt_jax.tasks import retrieval
from xt_jax.tasks.family import AT_LAYER, Array, Evaluation, Family, Labels, Metrics, Scores, Task
from xt_jax.tasks.metrics.basic import f1_ratios, set_counts, set_scores
from xt_jax.tasks.packed import encode

ORACLE = "{metric}@oracle_threshold"
ByLayer = dict[int, Candidates]


def tokenize(
    examples: Sequence[MiningExample], tokenizer: Tokenizer, labels: Labels, **limits: int
) -> Features:
    """Makes one feature per sentence, cut at `max_length`."""
    encoded = encode(tokenizer, limits["max_length"], [e.text for e in examples])
    return ragged(encoded, {"example": range(len(examples))})


def predict(
    encoder: Encoder, batch: Batch, layers: range | None = None, pooling: str = "mean"
) -> dict[str, dict[str, jax.Array]]:
    """Returns the fp32 embedding [R, S, K, D] of each sentence; None: at the `tatoeba_layer`."""
    published = tatoeba_layer(encoder.config.num_layers)
    return retrieval.predict(encoder, batch, layers or range(published, published + 1), pooling)


def candidates(
    embeddings: np.ndarray, examples: Sequence[MiningExample], **options: Any
) -> Candidates:
    """Returns scored pairs of ids (foreign, English), best first.

    Equal sentences of one side are mined as one, and what is found for them is dropped (see
    `xt_jax.retrieval.mining.repeated`).

    Args:
        embeddings: [n, D], one row per example.
        options: of `xt_jax.retrieval.mining.mine`; by default the official ones.
    """
    english = np.array([e.english for e in examples], bool)
    foreign_rows, foreign_repeated = _distinct(examples, np.flatnonzero(~english))
    english_rows, english_repeated = _distinct(examples, np.flatnonzero(english))
    mined = mine(embeddings[foreign_rows], embeddings[english_rows], **options)
    mined = mined.take(~(foreign_repeated[mined.source] | english_repeated[mined.target]))
    ids = np.array([e.id for e in examples], object)
    return Candidates(ids[foreign_rows[mined.source]], ids[english_rows[mined.target]], mined.score)


def gold_pairs(examples: Sequence[MiningExample]) -> set[Pair]:
    """Returns all right pairs of ids (foreign, English) of a labelled split."""
    return {(e.id, partner) for e in examples for partner in e.partners or ()}


def threshold(found: Candidates, examples: Sequence[MiningExample]) -> float:
    """Returns the score with the best F1 on a labelled split, from that split's own candidates.

    Fitted on dev it serves test; fitted on the split that is scored it is the oracle's.

    Raises:
        ValueError: the split has no right pair.
    """
    return fit_threshold(found, gold_pairs(examples))


def decode(found: Candidates, least: float) -> list[Pair]:
    """Returns the pairs of ids (foreign, English) that score `least` or more, best first."""
    return above(found, least).pairs


def _distinct(examples: Sequence[MiningExample], rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the first row of each distinct text, and whether the text occurs again."""
    texts = [examples[i].text for i in rows]
    first = unify(texts)
    return rows[first], repeated(texts)[first]


def score(task: Task, examples: Sequence, predictions: Sequence, language: str) -> Metrics:
    """Returns the F1, precision and recall of the pairs of ids."""
    return set_scores(gold_pairs(examples), map(tuple, predictions))


def example_scores(task: Task, examples: Sequence, predictions: Sequence, language: str) -> Array:
    """Returns for each foreign sentence twice its right pairs, over its predicted and gold ones.

    Every pair has exactly one foreign sentence; the English ones contribute nothing. The threshold
    is taken as given.
    """
    row = {e.id: i for i, e in enumerate(examples) if not e.english}
    counts = np.zeros((len(examples), 3), np.int64)
    for pair, each in set_counts(gold_pairs(examples), map(tuple, predictions)).items():
        counts[row[pair[0]]] += each
    return f1_ratios(counts)


def _find(evaluation: Evaluation) -> ByLayer:
    """Returns candidates at every layer that was embedded."""
    embeddings = evaluation.outputs["embedding"]  # [n, K, D]
    return {
        layer: candidates(of_layer, evaluation.examples, search=evaluation.search)
        for layer, of_layer in zip(evaluation.layers, embeddings.swapaxes(0, 1), strict=True)
    }


def _fit(found: ByLayer, examples: Sequence[MiningExample]) -> dict[int, float]:
    return {layer: threshold(of_layer, examples) for layer, of_layer in found.items()}


def layer_scores(
    task: Task, found: ByLayer, examples: Sequence[MiningExample], language: str
) -> dict[int, float]:
    """Returns the F1 at each layer with the threshold fitted on the same split."""
    return {layer: _best(task, of_layer, examples, language) for layer, of_layer in found.items()}


def _best(task: Task, found: Candidates, examples: Sequence[MiningExample], language: str) -> float:
    pairs = decode(found, threshold(found, examples))
    return score(task, examples, pairs, language)[task.metrics[0]]


def results(found: ByLayer, evaluation: Evaluation, least: dict[int, float]) -> tuple[list, Scores]:
    """Returns (pairs above the threshold, scores, also at the oracle's and at all layers found)."""
    task, examples, language = evaluation.task, evaluation.examples, evaluation.language
    main = task.metrics[0]
    predictions = {layer: decode(found[layer], least[layer]) for layer in found}
    pairs = predictions[evaluation.layer]
    scores = FAMILY.scores_of(evaluation, pairs)
    if scores is None:
        return pairs, None
    best = _best(task, found[evaluation.layer], examples, language)
    scores[ORACLE.format(metric=main)] = best
    if len(found) > 1:
        for layer, others in predictions.items():
            name = AT_LAYER.format(metric=main, layer=layer)
            scores[name] = score(task, examples, others, language)[main]
    return pairs, scores


FAMILY = Family(
    "mining",
    MiningExample,
    tokenize,
    predict,
    score,
    example_scores=example_scores,
    layer_scores=layer_scores,
    find=_find,
    fit=_fit,
    conclude=results,
    whole=True,
)
