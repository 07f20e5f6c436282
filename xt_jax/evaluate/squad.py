"""Exact match and F1 of SQuAD v1.1 answers, 0..100 (XQuAD and TyDiQA in every language).

The rules are those of the SQuAD v1.1 scorer (Rajpurkar et al., arXiv 1606.05250), which XTREME
applies as they are, ASCII punctuation and English articles included, to all languages but MLQA's.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLE = re.compile(r"\b(?:a|an|the)\b")


def normalise(text: str) -> str:
    """Lower-cases, deletes ASCII punctuation, then English articles, and joins words by one space.

    Words are split at Unicode white space, the no-break space included.
    """
    without_punctuation = text.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLE.sub(" ", without_punctuation).split())


def exact_match(prediction: str, answers: Sequence[str]) -> float:
    """100 where `prediction`, normalised, is one of the gold `answers`, else 0."""
    return 100.0 * (normalise(prediction) in {normalise(a) for a in answers})


def f1(prediction: str, answers: Sequence[str]) -> float:
    """F1 of the words of `prediction` against the nearest of the gold `answers`.

    Texts without a word left after normalisation score 0, even against each other.
    """
    words = normalise(prediction).split()
    return max((_word_f1(words, normalise(a).split()) for a in answers), default=0.0)


def squad_scores(
    gold: Mapping[str, Sequence[str]], predicted: Mapping[str, str]
) -> dict[str, float]:
    """Mean exact match and F1 over all questions of `gold`.

    Args:
        gold: question id to its gold answers.
        predicted: question id to the predicted text; a missing id scores 0, one that is not in
            `gold` is passed over.

    Returns:
        `{"exact_match": ..., "f1": ...}`.

    Raises:
        ValueError: there is no question, or one has no gold answer.
    """
    if not gold:
        raise ValueError("scores of no question are undefined")
    unanswered = [key for key, answers in gold.items() if not answers]
    if unanswered:
        raise ValueError(f"{len(unanswered)} questions without a gold answer, e.g. {unanswered[0]}")
    answered = [key for key in gold if key in predicted]
    return {
        "exact_match": sum(exact_match(predicted[k], gold[k]) for k in answered) / len(gold),
        "f1": sum(f1(predicted[k], gold[k]) for k in answered) / len(gold),
    }


def _word_f1(predicted: list[str], gold: list[str]) -> float:
    common = (Counter(predicted) & Counter(gold)).total()
    return 200.0 * common / (len(predicted) + len(gold)) if common else 0.0
