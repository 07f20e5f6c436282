"""Question answering where the context may have no answer: SQuAD v2.0.

As `xt_jax.tasks.spans`; `<s>` as start and end stands for no answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from xt_jax.data.examples import ANSWERABLE, UNANSWERABLE
from xt_jax.data.packing import Features
from xt_jax.tasks import spans
from xt_jax.tasks.family import Array, Labels, Metrics, Outputs, Task
from xt_jax.tasks.metrics.basic import over_one
from xt_jax.tasks.metrics.squad_v2 import each_best_f1, squad_v2_scores
from xt_jax.tasks.spans import best_answers, gold_answers

_CHANCE = 51.0  # percent F1; half the questions have no answer, and saying so takes no learning


def decode(outputs: Outputs, features: Features, examples: Sequence, labels: Labels) -> list:
    """Returns (best answer, null odds) for each example; high odds mean that there is no answer.

    Odds are the lowest score of `<s>` over the example's windows less the best answer's, which
    counts as 0 where no span is valid (google-research/bert, run_squad.py).
    """
    first = features.splits[:-1]
    null = np.full(len(examples), np.inf)
    np.minimum.at(null, features.fields["example"], outputs["start"][first] + outputs["end"][first])
    best = best_answers(outputs, features, examples)
    return [
        (text, float(none) - (score if np.isfinite(score) else 0.0))
        for none, (score, text) in zip(null, best, strict=True)
    ]


def score(task: Task, examples: Sequence, predictions: Sequence, language: str) -> Metrics:
    """Returns the official script's scores, at the thresholds on null odds that are best here."""
    return squad_v2_scores(gold_answers(examples), predictions)


def example_scores(task: Task, examples: Sequence, predictions: Sequence, language: str) -> Array:
    """Returns what each question contributes to the best F1, over 1."""
    return over_one(each_best_f1(gold_answers(examples), predictions))


FAMILY = replace(
    spans.FAMILY,
    name="spans_or_none",
    decode=decode,
    score=score,
    example_scores=example_scores,
    chance=lambda task, n: _CHANCE,
    kinds=(ANSWERABLE, UNANSWERABLE),
)
