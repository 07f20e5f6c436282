"""A task's metrics from its gold examples and the predictions, 0..100."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from xt_jax.data.examples import (
    ChoiceExample,
    Example,
    MiningExample,
    PairExample,
    SentenceExample,
    SpanExample,
    TagExample,
)
from xt_jax.evaluate import mlqa, squad
from xt_jax.evaluate.metrics import accuracy, binary_f1, set_scores
from xt_jax.evaluate.squad_v2 import Prediction, squad_v2_scores
from xt_jax.evaluate.tagging import entity_scores, tag_accuracy
from xt_jax.tasks.mining import gold_pairs
from xt_jax.tasks.table import Task

AT_LAYER = "{metric}@layer={layer}"


def score(
    task: Task, examples: Sequence[Example], predictions: Sequence, language: str
) -> dict[str, float]:
    """Every metric of the task, in its order.

    Args:
        examples: labelled ones, all of a language.
        predictions: what the family's `decode` gave: one per example, a label, its tags, a text,
            or (text, null odds); in mining the pairs (foreign id, English id) taken for
            translations; in mlm (summed loss, masked tokens).
        language: ISO 639-1; `<context>-<question>` in mlqa_cross. MLQA's rules depend on it.
    """
    computed = _SCORERS[task.family](task, examples, predictions, language)
    return {name: computed[name] for name in task.metrics}


def score_retrieval(
    nearest: np.ndarray, examples: Sequence[SentenceExample], layer: int
) -> dict[str, float]:
    """Tatoeba: share of English sentences whose nearest foreign one is their translation.

    Args:
        nearest: [L+1, n], see `xt_jax.tasks.retrieval.nearest_foreign`.
        layer: the hidden state (0 = embeddings) that counts as the task's accuracy.

    Returns:
        `accuracy` at `layer`, and `accuracy@layer=k` for every k.
    """
    gold = [e.match for e in examples]
    by_layer = [accuracy(gold, found.tolist()) for found in nearest]
    sweep = {AT_LAYER.format(metric="accuracy", layer=k): v for k, v in enumerate(by_layer)}
    return {"accuracy": by_layer[layer], **sweep}


def gold_tags(examples: Sequence[TagExample]) -> list[list[str]]:
    return [list(e.tags or ()) for e in examples]


def gold_answers(examples: Sequence[SpanExample]) -> list[list[str]]:
    return [[text for text, _ in e.answers or ()] for e in examples]


def normaliser(task: Task, language: str) -> squad.Normalise:
    """What the task's scorer does to texts before it compares them."""
    if task.name in ("mlqa", "mlqa_cross"):
        return mlqa.normaliser(language.split("-")[0])
    return squad.normalise


def _labels(
    task: Task, examples: Sequence[PairExample | ChoiceExample], predictions: Sequence[str], _: str
) -> dict[str, float]:
    gold = [e.label for e in examples]
    scores = {"accuracy": accuracy(gold, predictions)}
    if "f1" in task.metrics:
        scores["f1"] = binary_f1(gold, predictions)
    return scores


def _tags(
    task: Task, examples: Sequence[TagExample], predictions: Sequence[list[str]], _: str
) -> dict[str, float]:
    gold = gold_tags(examples)
    entities = entity_scores(gold, predictions) if "f1" in task.metrics else {}
    return {**entities, "accuracy": tag_accuracy(gold, predictions)}


def _spans(
    task: Task, examples: Sequence[SpanExample], predictions: Sequence[str], language: str
) -> dict[str, float]:
    return squad.answer_scores(gold_answers(examples), predictions, normaliser(task, language))


def _spans_or_none(
    task: Task, examples: Sequence[SpanExample], predictions: Sequence[Prediction], _: str
) -> dict[str, float]:
    return squad_v2_scores(gold_answers(examples), predictions)


def _mining(
    task: Task, examples: Sequence[MiningExample], predictions: Sequence[tuple[str, str]], _: str
) -> dict[str, float]:
    return set_scores(gold_pairs(examples), map(tuple, predictions))


def _mlm(
    task: Task, examples: Sequence[Example], predictions: Sequence[tuple[float, int]], _: str
) -> dict[str, float]:
    losses, counts = zip(*predictions, strict=True)
    return {"neg_loss": -sum(losses) / max(sum(counts), 1)}


_SCORERS: dict[str, Callable[..., dict[str, float]]] = {
    "pairs": _labels,
    "choices": _labels,
    "tags": _tags,
    "spans": _spans,
    "spans_or_none": _spans_or_none,
    "mining": _mining,
    "mlm": _mlm,
}
