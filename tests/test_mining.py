"""`mine`: margins, retrievals, thresholds, rows on disk, and input that it refuses."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from xt_jax.retrieval.mining import (
    RETRIEVALS,
    Candidates,
    above,
    fit_threshold,
    mine,
    repeated,
    unify,
)
from xt_jax.retrieval.topk import cosine_topk


def test_the_margin_is_against_the_neighbours_of_both_sides():
    """Two sources near one target, worked out by hand."""
    source = np.array([[1.0, 0.0], [0.8, 0.6]])
    target = np.array([[1.0, 0.0], [0.0, 1.0]])
    candidates = mine(source, target, k=2)
    # cosines [[1, 0], [0.8, 0.6]]; means of sources 0.5, 0.7, of targets 0.9, 0.3
    assert candidates.pairs == [(0, 0), (1, 1)]
    np.testing.assert_allclose(candidates.score, [1 / 0.7, 0.6 / 0.5], rtol=1e-14)
    np.testing.assert_allclose(mine(source, target, k=2, margin="distance").score, [0.3, 0.1])
    assert mine(source, target, k=2, margin="absolute").pairs == [(0, 0), (1, 1)]
    assert mine(source, target, k=4).pairs == candidates.pairs  # as many neighbours as there are


def test_of_equal_scores_the_lowest_source_comes_first():
    """Source 0, which target 1 proposes, before source 1, which proposes target 1."""
    source = np.array([[1, 1, 1, -1], [1, -1, -1, -1], [1, 1, 1, 1]])
    target = np.array([[1, 1, 1, 1], [1, 1, -1, -1]])
    candidates = mine(source, target, k=1, margin="absolute")
    assert candidates.pairs == [(2, 0), (0, 1)]
    assert candidates.score.tolist() == [1.0, 0.5]


def test_blocks_change_nothing():
    rng = np.random.default_rng(0)
    source, target = rng.standard_normal((150, 12)), rng.standard_normal((90, 12))
    want = mine(source, target)
    for block in (16, 64):
        search = functools.partial(cosine_topk, block=block)
        for got, wanted in zip(mine(source, target, search=search), want, strict=True):
            np.testing.assert_array_equal(got, wanted)
    swapped = mine(target, source)
    assert sorted((s, t) for t, s in swapped.pairs) == sorted(want.pairs)
    np.testing.assert_array_equal(swapped.score, want.score)


def laser(source, target, k, margin, retrieval):
    """[(source, target, score)], best first, by every cosine: what LASER's mine_bitexts.py keeps.

    Without the scores of 0 and below, which it keeps.
    """
    x, y = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (source, target))
    cosine = x @ y.T
    kth_of_row, kth_of_column = -np.sort(-cosine, 1)[:, k - 1], -np.sort(-cosine, 0)[k - 1]
    of_row, of_column = cosine >= kth_of_row[:, None], cosine >= kth_of_column
    assert (of_row.sum(1) == k).all()
    assert (of_column.sum(0) == k).all()
    row_mean = np.where(of_row, cosine, 0).sum(1) / k
    column_mean = np.where(of_column, cosine, 0).sum(0) / k
    mean = (row_mean[:, None] + column_mean) / 2
    score = {"ratio": cosine / mean, "distance": cosine - mean, "absolute": cosine}[margin]
    forward = np.where(of_row, score, -np.inf).argmax(1)
    backward = np.where(of_column, score, -np.inf).argmax(0)
    ahead = {(i, int(j)) for i, j in enumerate(forward)}
    back = {(int(i), j) for j, i in enumerate(backward)}
    best = sorted(ahead | back, key=lambda pair: -score[pair])
    if retrieval == "max":
        sources, targets, kept = set(), set(), []
        for i, j in best:
            if i not in sources and j not in targets:
                kept.append((i, j))
                sources.add(i)
                targets.add(j)
        best = kept
    else:
        allowed = {"forward": ahead, "backward": back, "intersection": ahead & back}[retrieval]
        best = [pair for pair in best if pair in allowed]
    kept_pairs = [(*pair, score[pair]) for pair in best if score[pair] > 0]
    assert np.diff([score for *_, score in kept_pairs]).max(initial=-1) < -1e-9, "a tie"
    return kept_pairs


@pytest.mark.parametrize("retrieval", ["forward", "backward", "intersection", "max"])
@pytest.mark.parametrize("margin", ["ratio", "distance", "absolute"])
@pytest.mark.parametrize(
    ("n", "m", "k", "common"), [(80, 60, 4, 1.0), (30, 90, 2, 1.0), (50, 50, 7, 0.2), (3, 40, 3, 1)]
)
def test_which_proposals_are_kept(n, m, k, common, margin, retrieval):
    """`common`: of the direction that all rows share; with little of it cosines are negative."""
    rng = np.random.default_rng(n + m)
    source, target = rng.standard_normal((n, 16)), rng.standard_normal((m, 16))
    shared = min(n, m) // 2
    source[:shared] = target[:shared] + 0.7 * rng.standard_normal((shared, 16))
    direction = common * rng.standard_normal(16)
    source, target = source + direction, target + direction
    want = laser(source, target, k, margin, retrieval)
    candidates = mine(source, target, k=k, margin=margin, retrieval=retrieval)
    assert candidates.pairs == [(i, j) for i, j, _ in want]
    np.testing.assert_allclose(candidates.score, [score for *_, score in want], rtol=1e-12)
    if margin == "absolute" and retrieval != "intersection":
        assert (
            len(want) > (n if retrieval == "forward" else m if retrieval == "backward" else 1) / 2
        )


def test_proposals_that_are_not_mutual():
    """Both sources propose target 0, which proposes source 0; target 1 proposes source 1."""
    source = np.array([[1.0, 0.0], [0.8, 0.6]])
    target = np.array([[1.0, 0.0], [0.0, 1.0]])
    options = {"k": 2, "margin": "absolute"}
    pairs = {kind: mine(source, target, retrieval=kind, **options).pairs for kind in RETRIEVALS}
    assert pairs == {
        "forward": [(0, 0), (1, 0)],
        "backward": [(0, 0), (1, 1)],
        "intersection": [(0, 0)],
        "max": [(0, 0), (1, 1)],
    }


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_rows_on_disk_are_mined_as_in_memory(tmp_path, dtype):
    rng = np.random.default_rng(2)
    source, target = (rng.standard_normal((n, 12)).astype(dtype) for n in (610, 300))

    def mapped(x):
        np.save(tmp_path / f"{len(x)}.npy", x)
        return np.load(tmp_path / f"{len(x)}.npy", mmap_mode="r")

    for got, wanted in zip(mine(mapped(source), mapped(target)), mine(source, target), strict=True):
        np.testing.assert_array_equal(got, wanted)
    source[605, 3] = np.nan
    with pytest.raises(ValueError, match=r"1 rows of source .* row 605"):
        mine(mapped(source), target)


def scored(*scores):
    index = np.arange(len(scores))
    return Candidates(index, index, np.array(scores, np.float64))


@pytest.mark.parametrize(
    ("scores", "gold", "threshold"),
    [
        ((4.0, 3.0, 2.0, 1.0), [0, 1], 2.5),
        ((4.0, 3.0, 2.0, 1.0), [0, 2], 1.5),  # 2/3 at once, 4/5 with the two that follow
        ((4.0, 3.0), [0, 1], 3.0),  # nothing follows
        ((4.0,), [0], 4.0),
        ((4.0, 3.0, 2.0), [9], 0.0),  # none right
        ((), [0], 0.0),
        ((4.0, 4.0, 4.0, 1.0), [0], 2.5),  # equal scores cannot be told apart
        ((5.0, 4.0, 4.0, 4.0, 4.0, 4.0, 1.0), [0, 1], 4.5),
        ((1.0, np.nextafter(1.0, 0), 0.5), [0], 1.0),  # no number lies between
        ((np.nextafter(1.0, 2), 1.0), [0], np.nextafter(1.0, 2)),
    ],
)
def test_threshold_under_the_best_prefix(scores, gold, threshold):
    assert fit_threshold(scored(*scores), {(i, i) for i in gold}) == threshold


def test_threshold_needs_gold_pairs():
    with pytest.raises(ValueError, match="gold"):
        fit_threshold(scored(1.0), set())


def test_above_keeps_the_threshold_itself():
    assert above(scored(3.0, 2.0, 1.0), 2.0).pairs == [(0, 0), (1, 1)]


def test_unify_keeps_the_first_and_repeated_ignores_white_space():
    texts = ["b", "a", "b", "c ", "c", "a\u3000"]
    assert unify(texts).tolist() == [0, 1, 3, 4, 5]
    assert repeated(texts).tolist() == [True] * 6
    assert repeated(["a", "b", "b\n"]).tolist() == [False, True, True]
    assert len(unify([])) == len(repeated([])) == 0


def test_bad_input_is_named():
    good = np.ones((3, 4))
    for value in (np.nan, np.inf, -np.inf):
        bad = good.copy()
        bad[1, 2] = value
        with pytest.raises(ValueError, match=r"1 rows of target .* row 1"):
            mine(good, bad)
    with pytest.raises(ValueError, match="margin"):
        mine(good, good, margin="cosine")
    with pytest.raises(ValueError, match=r"retrieval must be one of .*max.*, got 'both'"):
        mine(good, good, retrieval="both")
    with pytest.raises(ValueError, match="k must"):
        mine(good, good, k=0)
    with pytest.raises(ValueError, match=r"\(3, 4\).*\(3, 5\)"):
        mine(good, np.ones((3, 5)))
    assert mine(good, np.ones((0, 4))).pairs == mine(np.ones((0, 4)), good).pairs == []
