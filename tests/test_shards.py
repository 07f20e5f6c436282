"""Embeddings on disk read as one array, and made in several goes without a difference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xt_jax.errors import DataError
from xt_jax.retrieval.shards import Shards, embed_to_disk

DIM, SHARD = 3, 4
KEY = {"model": "m", "layer": 1, "file": [10, 20]}
TEXTS = [f"text {i}" for i in range(11)]  # two whole shards and one of 3


def vectors(texts):
    """A number that no float16 and hardly a float32 has, and two more, of each text."""
    return np.array([[int(text.split()[1]) / 3, len(text), 0.1] for text in texts], np.float32)


def embedder(stop=None, log=None):
    """Gives a shard at a time; stops before the one with the number `stop`; logs what it embeds."""

    def embed(texts):
        for i, start in enumerate(range(0, len(texts), SHARD)):
            if i == stop:
                raise KeyboardInterrupt
            here = list(texts[start : start + SHARD])
            if log is not None:
                log.extend(here)
            yield vectors(here)

    return embed


def made(folder, embed=None, texts=TEXTS, shard=SHARD, dtype="float32", key=KEY):
    return embed_to_disk(texts, embed or embedder(), folder, shard=shard, dtype=dtype, key=key)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 4),
    st.integers(1, 6),
    st.integers(1, 4),
    st.integers(-30, 30),
    st.integers(-30, 30),
    st.data(),
)
def test_it_reads_as_one_array(whole, size, last, start, stop, data):
    lengths = [size] * (whole - 1) + [min(last, size)]
    x = np.random.default_rng(0).normal(size=(sum(lengths), DIM)).astype(np.float32)
    shards = Shards(tuple(np.split(x, np.cumsum(lengths)[:-1])))
    assert shards.shape == x.shape
    assert len(shards) == len(x)
    assert shards.dtype == x.dtype
    for rows in (slice(start, stop), slice(None), slice(start, None), slice(None, stop)):
        np.testing.assert_array_equal(shards[rows], x[rows], strict=True)
    index = np.array(data.draw(st.lists(st.integers(0, len(x) - 1))), np.int32)
    np.testing.assert_array_equal(shards[index], x[index], strict=True)


def test_what_is_read_is_a_copy():
    x = np.ones((5, DIM), np.float16)
    shards = Shards((x[:3], x[3:]))
    shards[0:2][:] = 0
    shards[np.array([0, 4])][:] = 0
    assert (x == 1).all()


def test_embeddings_are_written_and_read(tmp_path):
    shards = made(tmp_path / "new" / "folder")
    np.testing.assert_array_equal(shards[:], vectors(TEXTS), strict=True)
    assert [len(array) for array in shards.arrays] == [4, 4, 3]
    assert all(isinstance(array, np.memmap) for array in shards.arrays)
    assert sorted(contents(tmp_path / "new" / "folder")) == [
        *(f"00000{i}.npy" for i in range(3)),
        "about.json",
    ]


@pytest.mark.parametrize("count", [1, 3, 4, 5, 8])
def test_one_shard_and_a_last_one_that_is_shorter(tmp_path, count):
    shards = made(tmp_path, texts=TEXTS[:count])
    np.testing.assert_array_equal(shards[:], vectors(TEXTS[:count]), strict=True)
    assert len(list(tmp_path.glob("*.npy"))) == -(-count // SHARD)


def test_half_precision(tmp_path):
    shards = made(tmp_path, dtype="float16")
    assert shards.dtype == np.float16
    np.testing.assert_array_equal(shards[:], vectors(TEXTS).astype(np.float16), strict=True)
    np.testing.assert_array_equal(
        shards[np.array([9, 1])], vectors(TEXTS).astype(np.float16)[[9, 1]], strict=True
    )


@pytest.mark.parametrize("stop", [0, 1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_after_a_stop_it_goes_on_where_it_was(tmp_path, stop, dtype):
    first, second = [], []
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "stopped", embedder(stop, first), dtype=dtype)
    assert first == TEXTS[: stop * SHARD]
    shards = made(tmp_path / "stopped", embedder(log=second), dtype=dtype)
    assert second == TEXTS[stop * SHARD :]
    whole = made(tmp_path / "whole", dtype=dtype)
    np.testing.assert_array_equal(shards[:], whole[:], strict=True)
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


def test_what_is_finished_is_not_made_again(tmp_path):
    made(tmp_path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    shards = made(tmp_path, embedder(stop=0, log=(log := [])))
    assert log == []
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == times
    np.testing.assert_array_equal(shards[:], vectors(TEXTS), strict=True)


def test_a_stop_while_a_shard_is_written_leaves_no_half_of_it(tmp_path, monkeypatch):
    save = np.save

    def half(file, array):
        save(file, array[:1])
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "save", half)
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path)
    monkeypatch.undo()
    assert not list(tmp_path.glob("*.npy"))
    assert list(tmp_path.glob("*.tmp"))
    (tmp_path / "000001.123.tmp").write_bytes(b"half")
    np.testing.assert_array_equal(made(tmp_path)[:], vectors(TEXTS), strict=True)
    assert not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize(("dtype", "value"), [("float32", np.nan), ("float16", 1e5)])
def test_what_is_not_finite_is_not_kept(tmp_path, dtype, value):
    def embed(texts):
        rows = vectors(texts)
        rows[texts.index("text 5"), 1] = value
        yield from np.split(rows, [SHARD, 2 * SHARD])

    with pytest.raises(DataError, match="'text 5' holds NaN or infinity") as error:
        made(tmp_path, embed, dtype=dtype)
    assert ("float32" in error.value.remedy) == (dtype == "float16")
    assert [path.name for path in tmp_path.glob("*.npy")] == ["000000.npy"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"key": {**KEY, "layer": 2}}, "layer"),
        ({"key": {**KEY, "model": "n", "file": [10, 21]}}, "model, file"),
        ({"texts": TEXTS[:-1]}, "sentences"),
        ({"shard": SHARD + 1}, "shard"),
        ({"dtype": "float16"}, "dtype"),
        ({"key": {**KEY, "pooling": "mean"}}, "pooling"),
        ({"key": {"model": "m", "layer": 1}}, "program"),
    ],
)
def test_embeddings_of_something_else_are_not_touched(tmp_path, change, named):
    made(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(DataError, match=f"made with another {named}[.]") as error:
        made(tmp_path, embedder(log=(log := [])), **change)
    assert log == []
    assert error.value.where == str(tmp_path)
    assert error.value.remedy
    assert contents(tmp_path) == before


def test_an_embedder_that_gives_too_little_is_noticed(tmp_path):
    with pytest.raises(ValueError, match="shorter"):
        made(tmp_path, lambda texts: iter([vectors(texts[:SHARD])]))
