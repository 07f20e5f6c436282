"""Scores of SQuAD v2.0, whose questions may have no answer, and the null threshold, 0..100.

The definitions and the names of the scores are those of the official evaluate-v2.0 (Rajpurkar,
Jia and Liang, arXiv 1806.03822).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from xt_jax.tasks.metrics.squad import normalise, word_f1

Prediction = tuple[str, float]


def squad_v2_scores(
    answers: Sequence[Sequence[str]],
    predictions: Sequence[Prediction],
    threshold: float | None = None,
) -> dict[str, float]:
    """Returns the official script's scores of `predictions`, with null odds as its na_probs.

    Args:
        answers: the gold answers of each question; none, (), says that there is no answer.
        predictions: (best span, null odds); null odds = null score - score of the best span.
        threshold: a question with higher null odds counts as unanswered. None takes the one that
            is best for F1 on these very questions, `best_f1_thresh`.

    Returns:
        `exact`, `f1`, `total`; the same with `HasAns_` and `NoAns_` in front over the questions
        with and without an answer, where there are any; `best_exact` and `best_f1`, which the
        thresholds `best_exact_thresh` and `best_f1_thresh` reach. Where it is best to answer
        nothing, the script calls the threshold 0, and so does this.

    Raises:
        ValueError: the lengths differ, there is no question, or null odds are not a number.
    """
    has_answer, raw = _checked(answers, predictions)
    best_exact, exact_threshold, _ = _best(predictions, [exact for exact, _ in raw], has_answer)
    best_f1, f1_threshold, _ = _best(predictions, [f1 for _, f1 in raw], has_answer)
    if threshold is None:
        threshold = f1_threshold
    kept = [
        (float(not has), float(not has)) if odds > threshold else pair
        for pair, (_, odds), has in zip(raw, predictions, has_answer, strict=True)
    ]
    scores = _means(kept)
    for prefix, wanted in (("HasAns", True), ("NoAns", False)):
        if wanted in has_answer:
            subset = [pair for pair, has in zip(kept, has_answer, strict=True) if has == wanted]
            scores |= {f"{prefix}_{name}": value for name, value in _means(subset).items()}
    return {
        **scores,
        "best_exact": best_exact,
        "best_exact_thresh": exact_threshold,
        "best_f1": best_f1,
        "best_f1_thresh": f1_threshold,
    }


def each_best_f1(
    answers: Sequence[Sequence[str]], predictions: Sequence[Prediction]
) -> list[float]:
    """Returns each question's contribution, 0..1, to `best_f1`, which is 100 times their mean.

    As in the script, a question without an answer counts 0 if any text is predicted for it, and 1
    if none is.
    """
    has_answer, raw = _checked(answers, predictions)
    f1s = [f1 for _, f1 in raw]
    _, _, answered = _best(predictions, f1s, has_answer)
    each = [float(not has) for has in has_answer]
    for i in answered:
        each[i] += _gained(predictions[i], f1s[i], has_answer[i])
    return each


def _checked(
    answers: Sequence[Sequence[str]], predictions: Sequence[Prediction]
) -> tuple[list[bool], list[tuple[float, float]]]:
    """Returns whether each question has an answer, and its scores before any threshold."""
    if not answers:
        raise ValueError("scores of no question are undefined")
    if any(math.isnan(odds) for _, odds in predictions):
        raise ValueError("the null odds of a question are not a number")
    raw = [_raw(gold, text) for gold, (text, _) in zip(answers, predictions, strict=True)]
    return [bool(gold) for gold in answers], raw


def _raw(answers: Sequence[str], text: str) -> tuple[float, float]:
    """Returns exact match and F1, 0..1, before any threshold.

    Gold answers without a word are ignored; where none is left, an empty prediction is right.
    """
    predicted = normalise(text)
    gold = [n for n in map(normalise, answers) if n] or [""]
    if gold == [""]:
        same = float(predicted in gold)
        return same, same
    return float(predicted in gold), max(word_f1(predicted.split(), g.split()) for g in gold)


def _best(
    predictions: Sequence[Prediction], scores: Sequence[float], has_answer: Sequence[bool]
) -> tuple[float, float, list[int]]:
    """Returns (best mean score, its threshold, the questions that are answered at it).

    Sums run in the script's order, from answering nothing to answering everything, so that
    thresholds agree to the bit where they nearly tie.
    """
    total = best = float(sum(not has for has in has_answer))
    threshold, answered = 0.0, 0
    order = sorted(range(len(scores)), key=lambda i: predictions[i][1])
    for count, i in enumerate(order, start=1):
        total += _gained(predictions[i], scores[i], has_answer[i])
        if total > best:
            best, threshold, answered = total, predictions[i][1], count
    return 100.0 * best / len(scores), threshold, order[:answered]


def _gained(prediction: Prediction, score: float, has_answer: bool) -> float:
    """Returns the score gained by answering a question rather than calling it unanswerable."""
    return score if has_answer else -float(bool(prediction[0]))


def _means(scores: Iterable[tuple[float, float]]) -> dict[str, float]:
    exact, f1 = zip(*scores, strict=True)
    n = len(exact)
    return {"exact": 100.0 * sum(exact) / n, "f1": 100.0 * sum(f1) / n, "total": n}
