"""`cosine_topk` against float64 numpy.

Tolerances, fixed: scores 1e-6 absolute; indices wherever float64 separates neighbours by > 1e-6.
"""

from __future__ import annotations

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tpu_compiler import compile_for_tpu

from xt_jax.errors import ConfigError
from xt_jax.model.sharding import make_mesh
from xt_jax.retrieval import blocks, topk
from xt_jax.retrieval.topk import cosine_topk

TOLERANCE = 1e-6


def unit(x):
    x = np.asarray(x, np.float64)
    norm = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(norm == 0, 1, norm)


def reference(queries, corpus, k):
    """Scores and indices [Q, k] in float64, ties to the lowest index; all similarities [Q, N]."""
    similarity = unit(queries) @ unit(corpus).T
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(similarity, order, 1), order, similarity


def assert_agrees(queries, corpus, k, **options):
    scores, indices = cosine_topk(queries, corpus, k, **options)
    assert scores.shape == indices.shape == (len(queries), k)
    assert scores.dtype == jnp.float32
    assert indices.dtype == jnp.int32
    indices = np.asarray(indices)
    want_scores, want_indices, similarity = reference(queries, corpus, k)
    np.testing.assert_allclose(scores, want_scores, rtol=0, atol=TOLERANCE)
    ranked = -np.sort(-similarity, axis=1)
    far = np.full((len(queries), 1), np.inf)
    gap = np.concatenate([far, -np.diff(ranked, axis=1), far], axis=1)
    clear = np.minimum(gap[:, :k], gap[:, 1 : k + 1]) > TOLERANCE
    np.testing.assert_array_equal(indices[clear], want_indices[clear])
    assert all(len(set(row)) == k for row in indices.tolist())
    chosen = np.take_along_axis(similarity, indices, 1)
    np.testing.assert_allclose(chosen, want_scores, rtol=0, atol=TOLERANCE)
    return clear


@pytest.mark.parametrize(
    ("n_queries", "n_corpus", "dim", "k", "block"),
    [
        (5, 64, 16, 4, 16),  # whole blocks
        (37, 101, 24, 7, 16),  # both sides ragged
        (3, 40, 8, 40, 16),  # k = N and k > block
        (9, 50, 8, 3, 1),  # block rounded up
        (6, 30, 384, 4, 2048),  # one block for all
        (1, 1, 4, 1, 16),
        (40, 20, 1, 2, 16),  # similarities are all -1 or 1
    ],
)
def test_equals_float64(n_queries, n_corpus, dim, k, block):
    rng = np.random.default_rng(0)
    queries = rng.normal(size=(n_queries, dim)).astype(np.float32)
    corpus = rng.normal(size=(n_corpus, dim)).astype(np.float32)
    clear = assert_agrees(queries, corpus, k, block=block)
    assert dim == 1 or clear.mean() > 0.95


def test_similarities_that_only_full_precision_separates():
    """Neighbours are 1e-5 or more apart, less than one bfloat16 or TF32 step."""
    rng = np.random.default_rng(2)
    query = unit(rng.normal(size=(1, 256)))
    other = rng.normal(size=(20, 256))
    other -= (other @ query.T) * query
    angle = np.sqrt(2e-5 * np.arange(1, 21))[rng.permutation(20), None]
    corpus = np.cos(angle) * query + np.sin(angle) * unit(other)
    clear = assert_agrees(query.astype(np.float32), corpus.astype(np.float32), 20, block=16)
    assert clear.all()


def test_asks_for_full_precision():
    """On a CPU every precision is the highest: only the program shows what a TPU would do."""
    rows = jax.eval_shape(lambda: blocks.prepare(jnp.zeros((64, 8)), jnp.float32))
    block = jax.eval_shape(blocks.group, rows)
    best = jax.eval_shape(lambda: blocks.none(64, 1))
    text = jax.jit(blocks.merge).lower(best, rows, block, 0, 64).as_text()
    assert "precision = [HIGHEST, HIGHEST]" in text


@pytest.mark.parametrize(("n_queries", "dim"), [(1, 64), (1, 384), (17, 384)])
def test_duplicates_come_in_order_of_index(n_queries, dim):
    rng = np.random.default_rng(3)
    distinct = rng.normal(size=(5, dim)).astype(np.float32)
    which = rng.integers(0, 5, size=83)
    queries = rng.normal(size=(n_queries, dim)).astype(np.float32)
    indices = np.asarray(cosine_topk(queries, distinct[which], 83, block=20)[1])
    by_group = np.argsort(-(unit(queries) @ unit(distinct).T), axis=1)
    want = [np.concatenate([np.flatnonzero(which == g) for g in row]) for row in by_group]
    np.testing.assert_array_equal(indices, np.stack(want))


@pytest.mark.parametrize(
    ("queries", "corpus", "scores", "indices"),
    [
        # all rows tied
        (np.ones((3, 6)), np.ones((50, 6)), [[1] * 9] * 3, [range(9)] * 3),
        # a norm of zero is similarity zero
        (
            [[2, 2], [0, 0]],
            [[-1, -1], [0, 0], [1, 1], [0, 0], [1, -1]],
            [[1, 0, 0, 0, -1], [0] * 5],
            [[2, 1, 3, 4, 0], range(5)],
        ),
        # a negative zero ties with zero
        (
            [[3.0], [-3.0]],
            [[-0.0], [0.0], [-0.0], [1.0]],
            [[1, 0, 0, 0], [0, 0, 0, -1]],
            [[3, 0, 1, 2], range(4)],
        ),
        # the zero rows of the padding would win, all others being negative
        (np.ones((3, 2)), -np.ones((5, 2)), [[-1] * 5] * 3, [range(5)] * 3),
        # no query
        (np.zeros((0, 3)), np.ones((4, 3)), np.zeros((0, 2)), np.zeros((0, 2))),
    ],
)
def test_cases_by_hand(queries, corpus, scores, indices):
    queries, corpus = np.array(queries, np.float32), np.array(corpus, np.float32)
    got = cosine_topk(queries, corpus, np.shape(scores)[1], block=16)
    np.testing.assert_allclose(got[0], scores, rtol=0, atol=TOLERANCE)
    assert got[1].tolist() == [list(row) for row in indices]


@pytest.mark.parametrize(
    ("scale", "dtype"),
    [(1e-30, np.float32), (1e30, np.float32), (50, jnp.bfloat16), (50, jnp.int32)],
)
def test_other_scales_and_dtypes(scale, dtype):
    """Norms neither underflow nor overflow; arrays may be on a device."""
    rng = np.random.default_rng(4)
    queries, corpus = (jnp.asarray(rng.normal(size=(n, 32)) * scale, dtype) for n in (6, 50))
    assert_agrees(queries, corpus, 3, block=16)


def test_non_finite_rows_show():
    corpus = np.ones((3, 2), np.float32)
    corpus[1, 0] = np.nan
    assert np.isnan(cosine_topk(np.ones((1, 2), np.float32), corpus, 1)[0]).all()


@pytest.mark.parametrize(
    ("queries", "corpus", "k", "options", "message"),
    [
        ((2, 3), (4, 3), 0, {}, "k must be at least 1, got 0"),
        ((2, 3), (4, 5), 1, {}, r"queries \(2, 3\) and corpus \(4, 5\)"),
        ((3,), (4, 3), 1, {}, r"queries \(3,\)"),
        ((2, 3), (4, 3), 1, {"block": -1}, "block must be at least 0, got -1"),
        ((2, 3), (2, 3), 1, {"kernel": "pallas"}, "TPU, not on cpu"),
        ((2, 3), (2, 3), 129, {"kernel": "pallas"}, "128 neighbours, not 129"),
        ((2, 3), (2, 3), 1, {"kernel": "cuda"}, "xla or pallas, got 'cuda'"),
    ],
)
def test_errors(queries, corpus, k, options, message):
    with pytest.raises((ValueError, ConfigError), match=message):
        cosine_topk(np.ones(queries), np.ones(corpus), k, **options)


def test_other_sizes_seldom_compile():
    rng = np.random.default_rng(6)
    before = topk._merge._cache_size()
    for n_queries, n_corpus in [(48, 33), (48, 150), (37, 448), (33, 640), (60, 1000)]:
        queries = rng.normal(size=(n_queries, 11)).astype(np.float32)
        assert_agrees(queries, rng.normal(size=(n_corpus, 11)).astype(np.float32), 5, block=32)
    assert topk._merge._cache_size() == before + 1


@pytest.mark.parametrize("n", [1, 31, 4096, 4097, 40_960, 1_000_003])
def test_pieces_are_few_and_nearly_full(n):
    for most in (32, 4096, 8192):
        length = topk._even(n, most, blocks.ROWS)
        pieces = -(-n // length)
        assert length <= most
        assert length % blocks.ROWS == 0
        assert pieces == -(-n // most)
        assert pieces * length - n <= pieces * max(32, most // 32)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_product_of_the_sizes(tmp_path):
    """4,096 x 65,536 similarities would be 1 GiB."""
    script = """
import resource, sys, numpy as np
from xt_jax.retrieval.topk import cosine_topk
rng = np.random.default_rng(0)
queries = rng.standard_normal((4096, 16), np.float32)
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
cosine_topk(queries[:64], rng.standard_normal((2048, 16), np.float32), 4, block=2048)
before = peak()
cosine_topk(queries, rng.standard_normal((65536, 16), np.float32), 4, block=2048)
print(peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 256


@pytest.mark.parametrize("devices", [1, 8])
@pytest.mark.parametrize(
    ("n_queries", "n_corpus", "k"), [(5, 3000, 4), (3, 3, 9), (1, 1, 1), (4, 257, 70), (9, 0, 2)]
)
def test_on_one_and_eight_devices(devices, n_queries, n_corpus, k):
    """Random, copied and zero rows over several blocks; fewer rows than neighbours."""
    rng = np.random.default_rng(7)
    queries = rng.normal(size=(n_queries, 24)).astype(np.float32)
    corpus = rng.normal(size=(n_corpus, 24)).astype(np.float32)
    corpus[n_corpus // 2 :] = corpus[: n_corpus - n_corpus // 2]
    corpus[n_corpus // 3 : n_corpus // 3 + 1] = 0
    mesh = make_mesh(devices=jax.devices()[:devices])
    scores, indices = cosine_topk(queries, corpus, k, block=96, mesh=mesh)
    filled = min(k, n_corpus)
    assert (indices[:, filled:] == -1).all()
    assert (scores[:, filled:] == -np.inf).all()
    one = cosine_topk(queries, corpus, filled or 1, block=8192)
    np.testing.assert_array_equal(indices[:, :filled], one[1][:, :filled])
    want_scores, want_indices, _ = reference(queries, corpus, filled)
    np.testing.assert_allclose(scores[:, :filled], want_scores, rtol=0, atol=TOLERANCE)
    # Of two copies the first; copies have equal scores to the last bit in float64 too.
    np.testing.assert_array_equal(indices[:, :filled], want_indices)


def test_a_corpus_on_disk_or_on_devices(tmp_path):
    rng = np.random.default_rng(8)
    queries = rng.normal(size=(10, 16)).astype(np.float32)
    corpus = rng.normal(size=(500, 16)).astype(np.float32)
    np.save(tmp_path / "corpus.npy", corpus)
    want = cosine_topk(queries, corpus, 3, block=128)
    mapped = np.load(tmp_path / "corpus.npy", mmap_mode="r")
    for other in (mapped, jnp.asarray(corpus)):
        for got, wanted in zip(cosine_topk(queries, other, 3, block=128), want, strict=True):
            np.testing.assert_array_equal(got, wanted)


# One entry or none per row, a power of two: every cosine is exactly -1, 0 or 1.
AXIS_ROWS = np.concatenate([np.eye(3, dtype=np.float32) * v for v in (-4.0, -0.5, 0.0, 1.0, 8.0)])


@st.composite
def searches(draw):
    n_queries, n_corpus, k = draw(st.sampled_from([(3, 40, 6), (18, 16, 16), (2, 300, 1)]))
    n_rows = n_queries + n_corpus
    which = draw(st.lists(st.integers(0, len(AXIS_ROWS) - 1), min_size=n_rows, max_size=n_rows))
    rows = AXIS_ROWS[which]
    return rows[:n_queries], rows[n_queries:], k


@settings(max_examples=60, deadline=None, derandomize=True)
@given(searches(), st.sampled_from([1, 8]))
def test_exact_ties_follow_the_index(search, devices):
    queries, corpus, k = search
    mesh = make_mesh(devices=jax.devices()[:devices])
    scores, indices = cosine_topk(queries, corpus, k, block=32, mesh=mesh)
    want_scores, want_indices, _ = reference(queries, corpus, k)
    np.testing.assert_array_equal(scores, want_scores)
    np.testing.assert_array_equal(indices, want_indices)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(7, 49, 3), (20, 33, 5)]))
def test_any_values(seed, sizes):
    n_queries, n_corpus, k = sizes
    rng = np.random.default_rng(seed)
    queries = rng.standard_cauchy(size=(n_queries, 8)).astype(np.float32)
    corpus = rng.standard_cauchy(size=(n_corpus, 8)).astype(np.float32)
    corpus[rng.integers(0, n_corpus, 4)] = corpus[rng.integers(0, n_corpus, 4)]
    assert_agrees(queries, corpus, k, block=16)


@pytest.fixture
def interpreted(monkeypatch):
    """The TPU's kernel runs on a CPU; a partial function of each test its own, so compiled anew."""
    monkeypatch.setattr(topk, "_INTERPRET", True)


@pytest.mark.parametrize(
    ("dtype", "devices", "n_queries", "n_corpus", "k"),
    [
        (np.float32, 8, 5, 700, 4),
        (jnp.bfloat16, 1, 5, 700, 4),
        (np.float32, 1, 3, 3, 9),
        (jnp.bfloat16, 8, 40, 300, 128),
    ],
)
def test_the_kernel_finds_what_xla_finds(interpreted, dtype, devices, n_queries, n_corpus, k):
    """Rows of norm 2, whose cosines are exact: ties by the dozen, in the same order."""
    rng = np.random.default_rng(9)
    rows = np.zeros((n_queries + n_corpus, 12), dtype)
    for row in rows:
        row[rng.choice(12, 4, replace=False)] = rng.choice([-1, 1], 4)
    queries, corpus = rows[:n_queries], rows[n_queries:]
    mesh = make_mesh(devices=jax.devices()[:devices])
    got, want = (
        cosine_topk(queries, corpus, k, block=256, mesh=mesh, kernel=kernel)
        for kernel in ("pallas", "xla")
    )
    np.testing.assert_array_equal(got[0], want[0])
    np.testing.assert_array_equal(got[1], want[1])


def test_the_kernel_agrees_with_float64(interpreted):
    rng = np.random.default_rng(10)
    queries, corpus = (rng.normal(size=(n, 40)).astype(np.float32) for n in (33, 1000))
    corpus[17] = 0
    assert_agrees(queries, corpus, 5, block=384, kernel="pallas")
    corpus[400, 3] = np.nan
    assert np.isnan(cosine_topk(queries, corpus, 1, kernel="pallas")[0]).all()


TPU_PROGRAM = """
import sys
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import Mesh, NamedSharding
from tpu.slices import devices_of
from xt_jax.retrieval import blocks, kernel

device = devices_of(sys.argv[1])[:1]
here = NamedSharding(Mesh(np.array(device), ("x",)), jax.P())
rows = jax.ShapeDtypeStruct((4096, 768), jnp.float32)
for dtype in (jnp.float32, jnp.bfloat16):
    tile = jax.eval_shape(lambda x: blocks.prepare(x, dtype), rows)
    shapes = blocks.none(4096, 4), tile, jax.eval_shape(blocks.group, tile), *2 * [jnp.int32(0)]
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here), shapes)
    for merge in (blocks.merge, kernel.merge):
        compiled = jax.jit(merge).lower(*shapes).compile()
        print(compiled.memory_analysis().temp_size_in_bytes)
"""


@pytest.mark.slow
@pytest.mark.parametrize("topology", ["v5e:2x2", "v4:2x2x1"])
def test_the_kernel_compiles_for_a_tpu_and_holds_no_similarities(topology):
    xla, pallas, xla_half, pallas_half = map(int, compile_for_tpu(TPU_PROGRAM, topology).split())
    assert min(xla, xla_half) >= 4 * 4096 * 4096  # a float32 for every similarity
    assert max(pallas, pallas_half) < 2**20
