"""Scores of tagged sentences, 0..100: entity F1 (PAN-X and, officially, UD-POS) and accuracy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, chain

import numpy as np

from xt_jax.tasks.metrics.basic import matches, precision_recall_f1, set_counts

Tags = Sequence[Sequence[str]]

# What the versions of seqeval take for the type in a tag, whose prefix is its first character.
_TYPE_OF: dict[str, Callable[[str], str]] = {
    "1.2.2": lambda tag: tag[1:].split("-", 1)[-1] or "_",
    "0.0.12": lambda tag: tag.split("-")[-1],
}
SEQEVAL_VERSIONS = tuple(_TYPE_OF)  # the first is the default


def entity_scores(
    gold: Tags, predicted: Tags, seqeval: str = SEQEVAL_VERSIONS[0]
) -> dict[str, float]:
    """Returns micro-averaged F1, precision and recall over entities, by seqeval's default rules.

    XTREME scores UD-POS with it too, whose tags have no B- or I-. Both versions then take a tag's
    first letter as prefix: neighbours with the same tag become one entity, unless the letter is
    S (each SCONJ and SYM is one). For 1.2.2 the rest is the type, so SCONJ and CCONJ are of
    one; for 0.0.12 the type is the whole tag. Report `tag_accuracy` beside it.

    Args:
        gold, predicted: one sequence of tags per sentence, equally long on both sides.
        seqeval: whose rules, one of SEQEVAL_VERSIONS.
    """
    return precision_recall_f1(*entity_counts(gold, predicted, seqeval).sum(axis=0).tolist())


def entity_counts(gold: Tags, predicted: Tags, seqeval: str = SEQEVAL_VERSIONS[0]) -> np.ndarray:
    """Returns how many entities of each sentence are right, predicted and gold, [n, 3].

    seqeval's entity can begin in an earlier sentence (a one-letter tag there has no type and so no
    end); it is counted where it ends. See `entity_scores`.
    """
    _check_aligned(gold, predicted)
    sides = (_entities(side, _TYPE_OF[seqeval]) for side in (gold, predicted))
    items = set_counts(*sides)
    ends = np.array(list(accumulate(len(sentence) + 1 for sentence in gold)), np.int64)
    counts = np.zeros((len(gold), 3), np.int64)
    if items:
        last = np.array([entity[2] for entity in items])
        np.add.at(counts, np.searchsorted(ends, last, side="right"), list(items.values()))
    return counts


def tag_accuracy(gold: Tags, predicted: Tags) -> float:
    """Returns the percentage of right tags over all tokens (CCG; UD-POS, unofficially)."""
    right, tags = tag_counts(gold, predicted).sum(axis=0).tolist()
    if not tags:
        raise ValueError("accuracy of no tag is undefined")
    return 100.0 * right / tags


def tag_counts(gold: Tags, predicted: Tags) -> np.ndarray:
    """Returns how many tags of each sentence are right, and how many there are, [n, 2]."""
    _check_aligned(gold, predicted)
    counts = [(sum(matches(g, p)), len(g)) for g, p in zip(gold, predicted, strict=True)]
    return np.array(counts, np.int64).reshape(-1, 2)


def _entities(sentences: Tags, type_of: Callable[[str], str]) -> set[tuple[str, int, int]]:
    """Returns (type, first, last) of the entities of all sentences, joined with an O behind each.

    The prefixes are those of conlleval: B, I, O, E(nd), S(ingle) and, outside as O is, a full
    stop; any other letter is inside.
    """
    entities = set()
    first, before, kind = 0, "O", ""
    for i, tag in enumerate(chain.from_iterable((*sentence, "O") for sentence in sentences)):
        prefix, new_kind = tag[0], type_of(tag)
        new = kind != new_kind
        if before in "ES" or (before in "BI" and prefix in "BSO") or (before not in "O." and new):
            entities.add((kind, first, i - 1))
        if prefix in "BS" or (before in "ESO" and prefix in "EI") or (prefix not in "O." and new):
            first = i
        before, kind = prefix, new_kind
    return entities


def _check_aligned(gold: Tags, predicted: Tags) -> None:
    if len(gold) != len(predicted):
        raise ValueError(f"{len(gold)} gold sentences but {len(predicted)} predicted")
    for i, (g, p) in enumerate(zip(gold, predicted, strict=True)):
        if len(g) != len(p):
            raise ValueError(f"sentence {i} has {len(g)} gold tags but {len(p)} predicted")
