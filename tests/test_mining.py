"""Mining against a plain float64 account of XTREME's evaluation of BUCC, and the family around it.

Tolerances, fixed: scores 1e-7 on real data (the search may take either of two neighbours that
fp32 cannot tell apart), everything else equal. Cosines of the property tests are exact in fp32.
"""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from xt_jax.data.examples import MiningExample
from xt_jax.data.stream import plan_stream
from xt_jax.evaluate.metrics import set_scores
from xt_jax.model import Encoder, preset
from xt_jax.predict import Predictor
from xt_jax.retrieval.embed import (
    pooled_hidden_state,
    pooled_hidden_states,
    segment_means,
    tatoeba_layer,
)
from xt_jax.retrieval.mining import (
    RETRIEVALS,
    Candidates,
    above,
    fit_threshold,
    mine,
    repeated,
    unify,
)
from xt_jax.retrieval.shards import Shards
from xt_jax.retrieval.topk import cosine_topk
from xt_jax.sharding import make_mesh
from xt_jax.tasks import mining

SCORE_TOLERANCE = 1e-7
EMBEDDING_TOLERANCE = 1e-5


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


@pytest.mark.parametrize("seed", range(10))
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
    found = mining.candidates(embeddings, examples)
    scores = {(s, t): score for s, t, score in want}
    assert set(found.pairs) == set(scores)
    assert len(found.pairs) == len(want)
    np.testing.assert_allclose(
        found.score, [scores[pair] for pair in found.pairs], rtol=0, atol=SCORE_TOLERANCE
    )
    fitted = mining.threshold(found, examples)
    assert abs(fitted - threshold) < SCORE_TOLERANCE
    assert set_scores(gold, mining.decode(found, fitted)) == wanted


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
    found = mining.candidates(embeddings, examples, k=k, margin=margin)
    assert list(zip(*(part.tolist() for part in found), strict=True)) == want
    threshold = mining.threshold(found, examples)
    assert threshold == official_threshold(want, gold)
    predicted = mining.decode(found, threshold)
    assert set_scores(gold, predicted) == official_scores(want, gold, threshold)
    for score in found.score:  # no other threshold is better
        other = set_scores(gold, above(found, score).pairs)["f1"]
        assert other <= set_scores(gold, predicted)["f1"]


def test_the_margin_is_against_the_neighbours_of_both_sides():
    """Two sources near one target, worked out by hand."""
    source = np.array([[1.0, 0.0], [0.8, 0.6]])
    target = np.array([[1.0, 0.0], [0.0, 1.0]])
    found = mine(source, target, k=2)
    # cosines [[1, 0], [0.8, 0.6]]; means of sources 0.5, 0.7, of targets 0.9, 0.3
    assert found.pairs == [(0, 0), (1, 1)]
    np.testing.assert_allclose(found.score, [1 / 0.7, 0.6 / 0.5], rtol=1e-14)
    np.testing.assert_allclose(mine(source, target, k=2, margin="distance").score, [0.3, 0.1])
    assert mine(source, target, k=2, margin="absolute").pairs == [(0, 0), (1, 1)]
    assert mine(source, target, k=4).pairs == found.pairs  # as many neighbours as there are


def test_of_equal_scores_the_lowest_source_comes_first():
    """Source 0, which target 1 proposes, before source 1, which proposes target 1."""
    source = np.array([[1, 1, 1, -1], [1, -1, -1, -1], [1, 1, 1, 1]])
    target = np.array([[1, 1, 1, 1], [1, 1, -1, -1]])
    found = mine(source, target, k=1, margin="absolute")
    assert found.pairs == [(2, 0), (0, 1)]
    assert found.score.tolist() == [1.0, 0.5]


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
    found = [(*pair, score[pair]) for pair in best if score[pair] > 0]
    assert np.diff([score for *_, score in found]).max(initial=-1) < -1e-9, "a tie"
    return found


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
    found = mine(source, target, k=k, margin=margin, retrieval=retrieval)
    assert found.pairs == [(i, j) for i, j, _ in want]
    np.testing.assert_allclose(found.score, [score for *_, score in want], rtol=1e-12)
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
def test_rows_in_several_files_are_mined_as_one_array(tmp_path, dtype):
    rng = np.random.default_rng(2)
    source, target = (rng.standard_normal((n, 12)).astype(dtype) for n in (610, 300))

    def filed(name, x, size):
        pieces = []
        for start in range(0, len(x), size):
            np.save(path := tmp_path / f"{name}-{start}.npy", x[start : start + size])
            pieces.append(np.load(path, mmap_mode="r"))
        return Shards(tuple(pieces))

    want = mine(source, target)
    found = mine(filed("source", source, 100), filed("target", target, 70))
    for got, wanted in zip(found, want, strict=True):
        np.testing.assert_array_equal(got, wanted)
    source[605, 3] = np.nan
    with pytest.raises(ValueError, match=r"1 rows of source .* row 605"):
        mine(filed("wrong", source, 100), target)


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


@pytest.fixture(scope="module", params=["xlm-roberta", "xlm-roberta-xl"])
def encoder(request, mini_tokenizer) -> Encoder:
    config = preset("mini-128", len(mini_tokenizer)).config
    config = dataclasses.replace(
        config, model_type=request.param, hidden_size=32, intermediate_size=64
    )
    return Encoder(config, rngs=nnx.Rngs(0))


def corpus():
    """English sentences, and among the foreign ones the same words again."""
    words = "the old cat dog bird house sees finds and then small green river"
    rng = np.random.default_rng(0)
    english = [" ".join(rng.choice(words.split(), 3 + i % 9)) for i in range(60)]
    foreign = english[10:30] + [" ".join(rng.choice(words.split(), 2 + i % 7)) for i in range(25)]
    return [MiningExample(f"en-{i}", t, True, None) for i, t in enumerate(english)] + [
        MiningExample(f"xx-{i}", t, False, (f"en-{i + 10}",) if i < 20 else ())
        for i, t in enumerate(foreign)
    ]


def test_a_feature_is_a_sentence(mini_tokenizer):
    examples = [*corpus(), MiningExample("long", "cat " * 50, True, None)]
    whole = mining.tokenize(examples, mini_tokenizer, (), max_length=16)
    assert whole.fields["example"].tolist() == list(range(len(examples)))
    assert whole.lengths[-1] == whole.lengths.max() == 16
    for i in (0, 50, len(examples) - 1):
        ids = mini_tokenizer(examples[i].text, truncation=True, max_length=16)["input_ids"]
        assert whole.take(np.array([i])).tokens["input_ids"].tolist() == ids
    assert len(mining.tokenize([], mini_tokenizer, (), max_length=16)) == 0


def test_one_layer_is_that_of_all_and_those_above_are_not_run(encoder, mini_tokenizer):
    features = mining.tokenize(corpus(), mini_tokenizer, (), max_length=64)
    stream = plan_stream([features])
    batch = jax.tree.map(jnp.asarray, stream.batch(0, mini_tokenizer.pad_token_id))
    rows = (batch["input_ids"], batch["positions"], batch["segment_ids"])
    layers = encoder.config.num_layers
    pool = segment_means(batch["segment_ids"], stream.plan.segments)
    every = jax.jit(lambda encoder: pooled_hidden_states(encoder, *rows, pool))(encoder)
    one = jax.jit(
        lambda encoder, layer: pooled_hidden_state(encoder, *rows, pool, layer=layer),
        static_argnames="layer",
    )
    for layer in range(layers + 1):
        got = one(encoder, layer=layer)
        np.testing.assert_allclose(got, every[:, :, layer], rtol=0, atol=EMBEDDING_TOLERANCE)
    graphdef, params = nnx.split(encoder)
    middle = tatoeba_layer(layers)
    poisoned = jax.tree.map(lambda p: p, params)
    poisoned["layers"] = jax.tree.map(lambda p: p.at[middle:].set(jnp.nan), params["layers"])
    got = mining.predict(nnx.merge(graphdef, poisoned), batch)["fields"]["embedding"]
    np.testing.assert_allclose(got, every[:, :, middle], rtol=0, atol=EMBEDDING_TOLERANCE)
    with pytest.raises(ValueError, match="layer"):
        pooled_hidden_state(encoder, *rows, pool, layer=layers + 1)


def test_from_sentences_to_pairs(encoder, mini_tokenizer):
    """The same words have the same embedding: their pairs come first; copied ones are dropped."""
    examples = corpus()
    copies = [examples[12]._replace(id="en-copy"), examples[70]._replace(id="xx-copy", partners=())]
    examples += copies
    features = mining.tokenize(examples, mini_tokenizer, (), max_length=64)
    graphdef, params = nnx.split(encoder)
    mesh = make_mesh(devices=jax.devices()[:1])
    predictor = Predictor(graphdef, mining.predict, mesh, encoder.config)
    ((_, outputs),) = predictor(params, predictor.stream([features]))
    found = mining.candidates(outputs["embedding"], examples, margin="absolute")
    gold = mining.gold_pairs(examples)
    assert len(gold) == 20
    clear = gold - {("xx-2", "en-12"), ("xx-10", "en-20")}  # copied, on one side or the other
    assert set(found.pairs[:18]) == clear
    np.testing.assert_allclose(found.score[:18], 1, rtol=0, atol=1e-6)
    assert found.score[18] < 1 - 1e-4
    assert set(mining.decode(found, mining.threshold(found, examples))) == clear
