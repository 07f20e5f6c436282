"""SQuAD v2.0: answers that may be none, and the threshold that decides it, 0..100.

The definitions are those of the official evaluate-v2.0 (Rajpurkar, Jia and Liang, arXiv
1806.03822); the names of the scores are its own.
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
    """What the official script says of `predictions`, their null odds given as its na_probs.

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
        (float(not has), float(not has)) if odds > threshold else scores
        for scores, (_, odds), has in zip(raw, predictions, has_answer, strict=True)
    ]
    found = _means(kept)
    for prefix, wanted in (("HasAns", True), ("NoAns", False)):
        if wanted in has_answer:
            some = [scores for scores, has in zip(kept, has_answer, strict=True) if has == wanted]
            found |= {f"{prefix}_{name}": value for name, value in _means(some).items()}
    return {
        **found,
        "best_exact": best_exact,
        "best_exact_thresh": exact_threshold,
        "best_f1": best_f1,
        "best_f1_thresh": f1_threshold,
    }


def each_best_f1(
    answers: Sequence[Sequence[str]], predictions: Sequence[Prediction]
) -> list[float]:
    """What each question, 0..1, contributes to `best_f1`: 100 times their mean.

    As in the script, a question without an answer that is answered counts 0 whatever it says, and
    1 where nothing is said.
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
    """Whether each question has an answer, and its scores before any threshold."""
    if not answers:
        raise ValueError("scores of no question are undefined")
    if any(math.isnan(odds) for _, odds in predictions):
        raise ValueError("the null odds of a question are not a number")
    raw = [_raw(some, text) for some, (text, _) in zip(answers, predictions, strict=True)]
    return [bool(some) for some in answers], raw


def _raw(answers: Sequence[str], text: str) -> tuple[float, float]:
    """Exact match and F1, 0..1, before any threshold.

    Gold answers without a word are passed over; where none is left, saying nothing is right.
    """
    said = normalise(text)
    gold = [n for n in map(normalise, answers) if n] or [""]
    if gold == [""]:
        same = float(said in gold)
        return same, same
    return float(said in gold), max(word_f1(said.split(), g.split()) for g in gold)


def _best(
    predictions: Sequence[Prediction], scores: Sequence[float], has_answer: Sequence[bool]
) -> tuple[float, float, list[int]]:
    """(best mean score, its threshold, the questions that are answered there).

    From answering nothing on to answering everything; sums run in the script's order, so that
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
    """By answering a question rather than calling it unanswerable."""
    return score if has_answer else -float(bool(prediction[0]))


def _means(scores: Iterable[tuple[float, float]]) -> dict[str, float]:
    exact, f1 = zip(*scores, strict=True)
    n = len(exact)
    return {"exact": 100.0 * sum(exact) / n, "f1": 100.0 * sum(f1) / n, "total": n}
