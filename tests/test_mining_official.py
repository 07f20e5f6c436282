"""Mining against a plain float64 account of XTREME's evaluation of BUCC.

Tolerances, fixed: scores 1e-7 on real data (the search may take either of two neighbours that
fp32 cannot tell apart), everything else equal. Cosines of the property tests are exact in fp32.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xt_jax.data.examples import MiningExample
from xt_jax.retrieval.mining import above, unify
from xt_jax.tasks import mining
from xt_jax.tasks.metrics.basic import set_scores

SCORE_TOLERANCE = 1e-7


# The official evaluation, read as a description. Its order of equal scores is that of a quicksort;
# here, as in the package, of equals the lowest index comes first.


def knn(queries, corpus, k):
    """Indices and cosines of the k best rows of the corpus for each query, float64."""
    indices, cosines = [], []
    for start in range(0, len(queries), 512):
        similarity = queries[start : start + 512] @ corpus.T
        worst = -np.partition(-similarity, k - 1, axis=1)[:, k - 1]
        for row, least in zip(similarity, worst, strict=True):
            at_least = np.flatnonzero(row >= least)
            best = at_least[np.argsort(-row[at_least], kind="stable")][:k]
            indices.append(best)
            cosines.append(row[best])
    return np.array(indices), np.array(cosines)


def margin_score(name, cosine, mean):
    if name == "ratio":
        return cosine / mean if mean else 0.0
    return cosine - mean if name == "distance" else cosine


def official_side(lines):
    """Distinct lines, their unit embeddings, and the ids of lines that stand there once."""
    embeddings, ids = {}, {}
    for id, text, embedding in lines:
        embeddings[text] = np.asarray(embedding, np.float64)
        ids.setdefault(text.strip(), []).append(id)
    x = np.array(list(embeddings.values()))
    norm = np.linalg.norm(x, axis=1, keepdims=True)
    only = {text: same[0] for text, same in ids.items() if len(same) == 1}
    return list(embeddings), np.divide(x, norm, out=x, where=norm > 0), only


def official_candidates(source_lines, target_lines, k=4, margin="ratio"):
    """[(source id, target id, score)], best first, from lines of (id, text, embedding)."""
    sources, x, source_id = official_side(source_lines)
    targets, y, target_id = official_side(target_lines)
    forward, forward_cosine = knn(x, y, min(k, len(y)))
    backward, backward_cosine = knn(y, x, min(k, len(x)))
    x_mean, y_mean = forward_cosine.mean(axis=1), backward_cosine.mean(axis=1)
    proposals = []
    for i, neighbours in enumerate(forward):
        scored = [
            margin_score(margin, x[i] @ y[j], (x_mean[i] + y_mean[j]) / 2) for j in neighbours
        ]
        proposals.append((-max(scored), i, neighbours[int(np.argmax(scored))]))
    for j, neighbours in enumerate(backward):
        scored = [
            margin_score(margin, y[j] @ x[i], (y_mean[j] + x_mean[i]) / 2) for i in neighbours
        ]
        proposals.append((-max(scored), neighbours[int(np.argmax(scored))], j))
    found, seen_sources, seen_targets = [], set(), set()
    for negative, i, j in sorted(proposals):
        if i in seen_sources or j in seen_targets:
            continue
        seen_sources.add(i)
        seen_targets.add(j)
        source, target = sources[i].strip(), targets[j].strip()
        if negative < 0 and source in source_id and target in target_id:
            found.append((source_id[source], target_id[target], -negative))
    return found


def official_threshold(found, gold):
    right = best = threshold = 0
    for n, (source, target, score) in enumerate(found, start=1):
        right += (source, target) in gold
        following = found[n][2] if n < len(found) else score
        if right == 0 or (n < len(found) and following == score):
            continue
        precision, recall = right / n, right / len(gold)
        f1 = 2 * precision * recall / (precision + recall)
        if f1 > best:
            best, threshold = f1, (score + following) / 2
    return threshold


def official_scores(found, gold, threshold):
    taken = {(source, target) for source, target, score in found if score >= threshold}
    right = len(gold & taken)
    if not right:
        return {"f1": 0, "precision": 0, "recall": 0}
    precision, recall = right / len(taken), right / len(gold)
    f1 = 2 * precision * recall / (precision + recall)
    return {"f1": f1 * 100, "precision": precision * 100, "recall": recall * 100}


def as_examples(source_lines, target_lines, gold):
    partners = {id: tuple(t for s, t in gold if s == id) for id, _, _ in source_lines}
    return [MiningExample(id, text, False, partners[id]) for id, text, _ in source_lines] + [
        MiningExample(id, text, True, None) for id, text, _ in target_lines
    ]


@pytest.fixture(scope="module")
def bucc(shared):
    """(Chinese, English, gold) of the official dev set, as (id, text) lines and pairs of ids."""

    def rows(name):
        text = (shared / "data" / "bucc2018" / f"zh-en.dev.{name}").read_text(encoding="utf-8")
        return [tuple(line.split("\t")) for line in text.rstrip("\n").split("\n")]

    return rows("zh"), rows("en"), rows("gold")


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 10))]
)
def test_the_real_corpus_is_mined_as_the_official_evaluation_does(bucc, seed):
    """Vectors by text that share a direction; translations are near each other, some more."""
    chinese, english, gold = bucc
    rng = np.random.default_rng(seed)
    dim, noise = ((32, 1.5), (64, 2.5))[seed % 2]
    partner = dict(gold)

    def vectors(lines):
        by_text = {}
        for _, text in lines:
            by_text.setdefault(text.strip(), rng.standard_normal(dim))
        return {id: by_text[text.strip()] for id, text in lines}

    target, source = vectors(english), vectors(chinese)
    for id in partner:
        away = noise * rng.random() * rng.standard_normal(dim)
        source[id] = target[partner[id]] + away
    common = rng.standard_normal(dim)
    source_lines = [(*line, np.float32(source[line[0]] + common)) for line in chinese]
    target_lines = [(*line, np.float32(target[line[0]] + common)) for line in english]
    want = official_candidates(source_lines, target_lines)
    threshold = official_threshold(want, set(gold))
    wanted = official_scores(want, set(gold), threshold)
    assert 20 < wanted["f1"] < 99
    assert len(want) < len(unify([text for _, text in chinese])) - 500

    examples = as_examples(source_lines, target_lines, gold)
    embeddings = np.array([line[2] for line in source_lines + target_lines])
    candidates = mining.candidates(embeddings, examples)
    scores = {(s, t): score for s, t, score in want}
    assert set(candidates.pairs) == set(scores)
    assert len(candidates.pairs) == len(want)
    np.testing.assert_allclose(
        candidates.score, [scores[pair] for pair in candidates.pairs], rtol=0, atol=SCORE_TOLERANCE
    )
    fitted = mining.threshold(candidates, examples)
    assert abs(fitted - threshold) < SCORE_TOLERANCE
    assert set_scores(gold, mining.decode(candidates, fitted)) == wanted


# Vectors of +1 and -1 in 4 or 16 dimensions, and of 0: norms are powers of two or zero.
def sides(dim):
    vector = st.lists(st.sampled_from([-1.0, 1.0]), min_size=dim, max_size=dim)
    vector = st.one_of(vector, st.just([0.0] * dim))
    vocabulary = st.lists(vector, min_size=1, max_size=9)
    order = st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=1, max_size=14)
    return st.tuples(vocabulary, order)


def lines_of(side, prefix):
    """Texts by number, some with a space behind; equal texts have equal vectors."""
    vocabulary, order = side
    return [
        (f"{prefix}-{i}", f"text {w}" + " " * spaced, vocabulary[w % len(vocabulary)])
        for i, (w, spaced) in enumerate(order)
    ]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([4, 16]).flatmap(lambda dim: st.tuples(sides(dim), sides(dim))),
    st.sampled_from([1, 2, 4]),
    st.sampled_from(["ratio", "distance", "absolute"]),
    st.sets(st.tuples(st.integers(0, 13), st.integers(0, 13)), min_size=1, max_size=8),
)
def test_ties_and_repeated_sentences(both, k, margin, gold):
    source_lines, target_lines = lines_of(both[0], "de"), lines_of(both[1], "en")
    gold = {(f"de-{s % len(source_lines)}", f"en-{t}") for s, t in gold}
    want = official_candidates(source_lines, target_lines, k, margin)
    examples = as_examples(source_lines, target_lines, gold)
    embeddings = np.array([line[2] for line in source_lines + target_lines], np.float32)
    candidates = mining.candidates(embeddings, examples, k=k, margin=margin)
    assert list(zip(*(part.tolist() for part in candidates), strict=True)) == want
    threshold = mining.threshold(candidates, examples)
    assert threshold == official_threshold(want, gold)
    predicted = mining.decode(candidates, threshold)
    assert set_scores(gold, predicted) == official_scores(want, gold, threshold)
    for score in candidates.score:  # no other threshold is better
        other = set_scores(gold, above(candidates, score).pairs)["f1"]
        assert other <= set_scores(gold, predicted)["f1"]
