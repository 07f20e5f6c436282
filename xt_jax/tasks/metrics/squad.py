"""Exact match and F1 of SQuAD v1.1 answers, 0..100 (XQuAD and TyDiQA in every language).

The rules are those of the SQuAD v1.1 scorer (Rajpurkar et al., arXiv 1606.05250), which XTREME
applies as they are, ASCII punctuation and English articles included, to all languages but MLQA's;
`mlqa` and `squad_v2` change them where theirs differ.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

Normalise = Callable[[str], str]

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLE = re.compile(r"\b(?:a|an|the)\b")


def normalise(text: str) -> str:
    """Lower-cases, deletes ASCII punctuation, then English articles, and joins words by one space.

    Words are split at Unicode white space, the no-break space included.
    """
    without_punctuation = text.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLE.sub(" ", without_punctuation).split())


def normaliser(language: str) -> Normalise:
    """Returns `normalise`, whatever the language."""
    return normalise


def exact_match(prediction: str, answers: Sequence[str], normalise: Normalise = normalise) -> float:
    """Returns 100 if `prediction`, normalised, is one of the gold `answers`, else 0."""
    return 100.0 * (normalise(prediction) in {normalise(a) for a in answers})


def f1(prediction: str, answers: Sequence[str], normalise: Normalise = normalise) -> float:
    """Returns the F1 of the words of `prediction` against the nearest of the gold `answers`.

    Texts without a word left after normalisation score 0, even against each other.
    """
    words = normalise(prediction).split()
    return 100.0 * max((word_f1(words, normalise(a).split()) for a in answers), default=0.0)


def answer_scores(
    answers: Sequence[Sequence[str]],
    predictions: Sequence[str | None],
    normalise: Normalise = normalise,
) -> dict[str, float]:
    """Returns the mean `exact_match` and `f1` over all questions.

    Args:
        answers: the gold answers of each question, at least one.
        predictions: the predicted text, or None for a question left out, which scores 0.
        normalise: what is done to both before they are compared.
    """
    if not answers:
        raise ValueError("scores of no question are undefined")
    exact, f1s = zip(*each_answer(answers, predictions, normalise), strict=True)
    return {"exact_match": sum(exact) / len(answers), "f1": sum(f1s) / len(answers)}


def each_answer(
    answers: Sequence[Sequence[str]],
    predictions: Sequence[str | None],
    normalise: Normalise = normalise,
) -> list[tuple[float, float]]:
    """Returns the exact match and F1 of each question, as `answer_scores` averages them."""
    if unanswered := [i for i, texts in enumerate(answers) if not texts]:
        raise ValueError(f"{len(unanswered)} questions without a gold answer, e.g. {unanswered[0]}")
    return [
        (0.0, 0.0) if p is None else (exact_match(p, a, normalise), f1(p, a, normalise))
        for p, a in zip(predictions, answers, strict=True)
    ]


def word_f1(predicted: Sequence[str], gold: Sequence[str]) -> float:
    """Returns the F1 of two bags of words, 0..1; 0 where they have none in common."""
    common = (Counter(predicted) & Counter(gold)).total()
    if not common:
        return 0.0
    precision, recall = common / len(predicted), common / len(gold)
    return 2 * precision * recall / (precision + recall)
