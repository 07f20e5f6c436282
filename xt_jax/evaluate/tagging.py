"""Scores of tagged sentences, 0..100: entity F1 (PAN-X and, officially, UD-POS) and accuracy."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import chain

from seqeval.metrics import f1_score

from xt_jax.evaluate.metrics import accuracy

Tags = Sequence[Sequence[str]]


def entity_f1(gold: Tags, predicted: Tags) -> float:
    """Micro-averaged F1 over entities, as seqeval >= 1.2.2 counts them by default.

    XTREME scores UD-POS with it too. There, for want of a B- or I- prefix, seqeval takes the first
    letter of a tag as its prefix and the rest as its type: neighbours with the same tag become
    one entity, and SCONJ and CCONJ are one type. Report `tag_accuracy` beside it.

    Args:
        gold: the right tags, one sequence per sentence.
        predicted: the predicted tags, as many per sentence as in `gold`.

    Returns:
        F1, 0 where neither side has an entity.

    Raises:
        ValueError: the number of sentences, or of tags in a sentence, differs.
    """
    _check_aligned(gold, predicted)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* seems not to be NE tag", UserWarning)
        # seqeval recognises sentences only where they are lists.
        f1 = f1_score([list(s) for s in gold], [list(s) for s in predicted], zero_division=0)
    return 100.0 * float(f1)


def tag_accuracy(gold: Tags, predicted: Tags) -> float:
    """Percentage of right tags over all tokens of all sentences.

    Raises:
        ValueError: the number of sentences, or of tags in a sentence, differs, or there is no tag.
    """
    _check_aligned(gold, predicted)
    return accuracy(list(chain.from_iterable(gold)), list(chain.from_iterable(predicted)))


def _check_aligned(gold: Tags, predicted: Tags) -> None:
    if len(gold) != len(predicted):
        raise ValueError(f"{len(gold)} gold sentences but {len(predicted)} predicted")
    for i, (g, p) in enumerate(zip(gold, predicted, strict=True)):
        if len(g) != len(p):
            raise ValueError(f"sentence {i} has {len(g)} gold tags but {len(p)} predicted")
