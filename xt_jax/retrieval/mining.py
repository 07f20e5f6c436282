"""Bitext mining: margin scores both ways, one-to-one candidates and a fitted threshold.

The margins are those of Artetxe and Schwenk (2019), arXiv:1811.01136; candidates, threshold and
the treatment of repeated sentences those of BUCC 2018 in XTREME (google-research/xtreme,
third_party/utils_retrieve.py). Where that script depends on the order of equal scores, the lowest
index comes first here.

Dimensions: N source rows, M target rows, D embedding, C candidates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from xt_jax.retrieval.topk import cosine_topk

Pair = tuple[Any, Any]  # (source, target): indices or ids
Rows = Any  # [N, D]: has a shape and a dtype, gives arrays for slices and lists of rows
Search = Callable[[Rows, Rows, int], tuple[np.ndarray, np.ndarray]]
_ROWS = 256  # rows whose neighbours are scored at a time


class Candidates(NamedTuple):
    """Scored pairs of a source and a target, best first; no source and no target in two pairs.

    Attributes:
        source, target: [C] row indices, or ids.
        score: [C] float64.
    """

    source: np.ndarray
    target: np.ndarray
    score: np.ndarray

    @property
    def pairs(self) -> list[Pair]:
        return list(zip(self.source.tolist(), self.target.tolist(), strict=True))

    def take(self, index: np.ndarray) -> Candidates:
        """Returns the candidates at `index`, or where a mask is true."""
        return Candidates(self.source[index], self.target[index], self.score[index])


def unify(texts: Sequence[str]) -> np.ndarray:
    """Returns the indices [U] of the first occurrence of each distinct text, ascending."""
    first: dict[str, int] = {}
    for i, text in enumerate(texts):
        first.setdefault(text, i)
    return np.fromiter(first.values(), np.int64, len(first))


def repeated(texts: Sequence[str]) -> np.ndarray:
    """Returns whether each text [N] occurs more than once, ignoring surrounding white space.

    The official evaluation mines one of the copies and then drops its pairs, since the sentence
    does not say which id is meant.
    """
    stripped = [text.strip() for text in texts]
    count = Counter(stripped)
    return np.array([count[text] > 1 for text in stripped], bool)


def mine(
    source: Rows,
    target: Rows,
    *,
    k: int = 4,
    margin: str = "ratio",
    retrieval: str = "max",
    search: Search = cosine_topk,
) -> Candidates:
    """Mines pairs of rows that fit each other better than their neighbours do.

    A pair is scored by its cosine against the mean cosine of the `k` nearest neighbours of both
    its rows (of all, where there are fewer). Each row proposes the best-scored of its neighbours;
    `retrieval` says which proposals are kept. Scores of 0 and below are left out. Neighbours are
    searched by `cosine_topk` and scored in float64; N x M scores are never held.

    Args:
        source: [N, D], any real dtype, need not be normalised; a row of norm zero has cosine 0
            with everything. An array, or an object that gives arrays for slices and lists of rows.
        target: [M, D], likewise.
        margin: `ratio` (cosine / mean; 0 where the mean is 0), `distance` (cosine - mean) or
            `absolute` (the cosine alone).
        retrieval: `max`, from the best proposal of both sides down those whose rows are both free;
            `forward`, those of the source rows; `backward`, those of the target rows; or
            `intersection`, those that both rows make.
        search: `cosine_topk`, with options where needed.

    Returns:
        Candidates of row indices; equal scores by lowest source, then lowest target.

    Raises:
        ValueError: shapes that do not fit, an unknown margin or retrieval, k below 1, or a row that
            is not finite.
    """
    for name, value, known in (("margin", margin, MARGINS), ("retrieval", retrieval, RETRIEVALS)):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    if len(source.shape) != 2 or len(target.shape) != 2 or source.shape[1] != target.shape[1]:
        raise ValueError(
            f"expected [N, D] and [M, D], got source {source.shape} and target {target.shape}"
        )
    if not source.shape[0] or not target.shape[0]:
        none = np.empty(0, np.int64)
        return Candidates(none, none, np.empty(0))
    _check_finite("source", source)
    _check_finite("target", target)
    forward, forward_cosine = _neighbours(source, target, k, search)
    backward, backward_cosine = _neighbours(target, source, k, search)
    means = forward_cosine.mean(axis=1), backward_cosine.mean(axis=1)
    best_target, forward_score = _best(forward, forward_cosine, *means, MARGINS[margin])
    best_source, backward_score = _best(backward, backward_cosine, *means[::-1], MARGINS[margin])
    of_source = Candidates(np.arange(len(best_target)), best_target, forward_score)
    of_target = Candidates(best_source, np.arange(len(best_source)), backward_score)
    return RETRIEVALS[retrieval](of_source, of_target)


def fit_threshold(candidates: Candidates, gold: Collection[Pair]) -> float:
    """Returns the threshold on scores that gives the best F1 against `gold`.

    The threshold is half-way between the scores of the last candidate to keep and the next one;
    the score of the last one where none follows; and 0 where no candidate is right. Candidates of
    equal score are kept or dropped together.

    Args:
        candidates: best first.
        gold: all right pairs, found or not, in what `candidates` hold: indices or ids.

    Raises:
        ValueError: no gold pair.
    """
    gold = set(gold)
    if not gold:
        raise ValueError("a threshold cannot be fitted without gold pairs")
    score = candidates.score
    right = np.cumsum([pair in gold for pair in candidates.pairs])
    if not len(score) or not right[-1]:
        return 0.0
    precision, recall = right / np.arange(1, len(right) + 1), right / len(gold)
    # The order of operations is the official script's, since prefixes of equal F1 differ in bits.
    f1 = 2 * precision * recall / np.maximum(precision + recall, np.finfo(float).tiny)
    separable = np.append(score[:-1] != score[1:], True)
    last = int(np.argmax(np.where(separable, f1, -1.0)))
    if last + 1 == len(score):
        return float(score[last])
    middle = (score[last] + score[last + 1]) / 2
    return float(middle if middle > score[last + 1] else score[last])


def above(candidates: Candidates, threshold: float) -> Candidates:
    """Returns the candidates that score `threshold` or more."""
    return candidates.take(candidates.score >= threshold)


def _ratio(cosine: np.ndarray, mean: np.ndarray) -> np.ndarray:
    return np.divide(cosine, mean, out=np.zeros_like(cosine), where=mean != 0)


MARGINS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "ratio": _ratio,
    "distance": np.subtract,
    "absolute": lambda cosine, mean: cosine,
}


def _check_finite(name: str, x: Rows) -> None:
    wrong = [
        start + row
        for start in range(0, x.shape[0], _ROWS)
        for row in np.flatnonzero(~np.isfinite(x[start : start + _ROWS]).all(axis=1))
    ]
    if wrong:
        raise ValueError(
            f"{len(wrong)} rows of {name} hold NaN or infinity, the first is row {wrong[0]}"
        )


def _neighbours(
    queries: Rows, corpus: Rows, k: int, search: Search
) -> tuple[np.ndarray, np.ndarray]:
    """Returns indices and cosines [Q, k] of the nearest corpus rows, or of all if there are fewer.

    The cosines are computed again in float64, so that a pair has the same one from both sides,
    whatever the blocks of the search.
    """
    indices = search(queries, corpus, min(k, corpus.shape[0]))[1]
    cosines = np.empty(indices.shape)
    for start in range(0, len(indices), _ROWS):
        part = slice(start, start + _ROWS)
        neighbours = corpus[indices[part].ravel()].reshape(*indices[part].shape, -1)
        cosines[part] = (_unit(queries[part])[:, None] * _unit(neighbours)).sum(axis=-1)
    return indices, cosines


def _unit(x: np.ndarray) -> np.ndarray:
    """Scales rows to unit norm in float64; rows of norm zero stay as they are."""
    x = x.astype(np.float64)
    norm = np.sqrt((x * x).sum(axis=-1, keepdims=True))
    return x / np.where(norm == 0, 1.0, norm)


def _best(
    neighbours: np.ndarray,
    cosine: np.ndarray,
    row_mean: np.ndarray,
    neighbour_mean: np.ndarray,
    margin: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the best-scored neighbour of each row and its score; ties go to the nearest."""
    score = margin(cosine, (row_mean[:, None] + neighbour_mean[neighbours]) / 2)
    best = score.argmax(axis=1)[:, None]
    return (
        np.take_along_axis(neighbours, best, axis=1)[:, 0],
        np.take_along_axis(score, best, axis=1)[:, 0],
    )


def _one_to_one(of_source: Candidates, of_target: Candidates) -> Candidates:
    """Keeps, from the best proposal down, those whose rows are both free."""
    proposals = _best_first(
        Candidates(*map(np.concatenate, zip(of_source, of_target, strict=True)))
    )
    taken_source: set[int] = set()
    taken_target: set[int] = set()
    kept = []
    for i, (source, target) in enumerate(proposals.pairs):
        if source not in taken_source and target not in taken_target:
            taken_source.add(source)
            taken_target.add(target)
            kept.append(i)
    return proposals.take(np.array(kept, np.int64))


def _mutual(of_source: Candidates, of_target: Candidates) -> Candidates:
    """Keeps the pairs that are the best of both their rows."""
    mutual = of_target.source[of_source.target] == of_source.source
    return _best_first(of_source.take(mutual))


def _best_first(pairs: Candidates) -> Candidates:
    """Sorts the pairs that score above 0; ties by lowest source, then lowest target."""
    order = np.lexsort((pairs.target, pairs.source, -pairs.score))
    return pairs.take(order[pairs.score[order] > 0])


RETRIEVALS: dict[str, Callable[[Candidates, Candidates], Candidates]] = {
    "max": _one_to_one,
    "forward": lambda of_source, of_target: _best_first(of_source),
    "backward": lambda of_source, of_target: _best_first(of_target),
    "intersection": _mutual,
}
