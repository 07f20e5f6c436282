"""Embeddings on disk: written in one go or in several, they are the same array to the last bit."""

from __future__ import annotations

import os

import numpy as np
import pytest

from xt_jax.errors import DataError
from xt_jax.retrieval import store
from xt_jax.retrieval.store import embed_to_disk

DIM, CHUNK = 3, 4
KEY = {"model": "m", "layer": 1, "file": "abc"}
TEXTS = [f"text {i}" for i in range(11)]  # two whole chunks and one of 3


def vectors(texts):
    """A number that no float16 and hardly a float32 has, and two more, of each text."""
    return np.array([[int(text.split()[1]) / 3, len(text), 0.1] for text in texts], np.float32)


def embedder(stop=None, log=None):
    """Gives a chunk at a time; stops before the one with the number `stop`; logs what it embeds."""

    def embed(texts):
        for i, start in enumerate(range(0, len(texts), CHUNK)):
            if i == stop:
                raise KeyboardInterrupt
            chunk = list(texts[start : start + CHUNK])
            if log is not None:
                log.extend(chunk)
            yield vectors(chunk)

    return embed


def made(folder, embed=None, texts=TEXTS, **options):
    options = {"dim": DIM, "dtype": "float32", "key": KEY} | options
    return embed_to_disk(texts, embed or embedder(), folder, **options)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("count", [1, 3, 4, 5, 8, 11])
def test_embeddings_are_written_and_mapped(tmp_path, count, dtype):
    array = made(tmp_path / "new" / "folder", texts=TEXTS[:count], dtype=dtype)
    assert isinstance(array, np.memmap)
    assert not array.flags.writeable
    np.testing.assert_array_equal(array, vectors(TEXTS[:count]).astype(dtype), strict=True)
    assert sorted(contents(tmp_path / "new" / "folder")) == ["embeddings.npy", "progress.json"]


@pytest.mark.parametrize("call", range(3))
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("place", ["fsync", "half", "progress"])
def test_kills_at_any_point_of_a_write_make_no_difference(
    tmp_path, monkeypatch, place, dtype, call
):
    """A chunk may be on the disk in part, or whole and not yet counted as done.

    After the kill each run but the last stops before its second chunk.
    """
    whole = made(tmp_path / "whole", dtype=dtype)
    module, name = (store, "atomic_write_text") if place == "progress" else (os, "fsync")
    usual, calls = getattr(module, name), []

    def killed(target, *text):
        calls.append(target)
        if len(calls) <= call:
            return usual(target, *text)
        if place == "half":
            os.ftruncate(target, os.fstat(target).st_size - 5)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, name, killed)
        with pytest.raises(KeyboardInterrupt):
            made(tmp_path / "killed", dtype=dtype)
    log: list[str] = []
    for _ in range(2 - call):
        with pytest.raises(KeyboardInterrupt):
            made(tmp_path / "killed", embedder(1, log), dtype=dtype)
    array = made(tmp_path / "killed", embedder(log=log), dtype=dtype)
    assert log == TEXTS[call * CHUNK :]
    np.testing.assert_array_equal(array, whole, strict=True)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_what_is_finished_is_not_made_again(tmp_path):
    made(tmp_path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    array = made(tmp_path, embedder(stop=0))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == times
    np.testing.assert_array_equal(array, vectors(TEXTS), strict=True)


@pytest.mark.parametrize("size", [0, 100, 150])
def test_an_array_that_was_cut_short_is_made_again(tmp_path, size):
    made(tmp_path)
    before = contents(tmp_path)
    os.truncate(tmp_path / "embeddings.npy", size)
    made(tmp_path, embedder(log=(log := [])))
    assert log == TEXTS
    assert contents(tmp_path) == before


@pytest.mark.parametrize("at", [-1, -100])
def test_an_array_with_a_changed_byte_is_made_again(tmp_path, at):
    made(tmp_path)
    before = contents(tmp_path)
    damaged = bytearray(before["embeddings.npy"])
    damaged[at] ^= 1
    (tmp_path / "embeddings.npy").write_bytes(damaged)
    made(tmp_path, embedder(log=(log := [])))
    assert log == TEXTS
    assert contents(tmp_path) == before


def test_embeddings_of_something_else_are_replaced_where_asked(tmp_path):
    made(tmp_path, key={**KEY, "file": "another"})
    made(tmp_path, embedder(log=(log := [])), renew=True)
    assert log == TEXTS
    made(tmp_path, embedder(stop=0))


@pytest.mark.parametrize(("dtype", "value"), [("float32", np.nan), ("float16", 1e5)])
def test_what_is_not_finite_is_not_kept(tmp_path, dtype, value):
    def embed(texts):
        rows = vectors(texts)
        rows[texts.index("text 5"), 1] = value
        yield from np.split(rows, [CHUNK, 2 * CHUNK])

    with pytest.raises(DataError, match="'text 5' holds NaN or infinity") as error:
        made(tmp_path, embed, dtype=dtype)
    assert ("float32" in error.value.remedy) == (dtype == "float16")
    made(tmp_path, embedder(log=(log := [])), dtype=dtype)
    assert log == TEXTS[CHUNK:]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"key": {**KEY, "layer": 2}}, "layer"),
        ({"key": {**KEY, "model": "n", "file": "abd"}}, "model, file"),
        ({"texts": TEXTS[:-1]}, "sentences"),
        ({"dim": DIM + 1}, "dim"),
        ({"dtype": "float16"}, "dtype"),
        ({"key": {**KEY, "pooling": "mean"}}, "pooling"),
        ({"key": {"model": "m", "layer": 1}}, "program"),
    ],
)
@pytest.mark.parametrize("stop", [1, None])
def test_embeddings_of_something_else_are_not_touched(tmp_path, stop, change, named):
    if stop:
        with pytest.raises(KeyboardInterrupt):
            made(tmp_path, embedder(stop))
    else:
        made(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(DataError, match=f"made with another {named}[.]") as error:
        made(tmp_path, embedder(stop=0), **change)
    assert error.value.where == str(tmp_path)
    assert error.value.remedy
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("text", "problem", "place"),
    [
        ("{", "broken JSON", "progress.json:1:2"),
        ("", "the file is empty", "progress.json"),
        ("[" * 100_000, "nested too deep", "progress.json:1:1"),
        ("[]", "does not say how much", "progress.json"),
        ('{"done": "4"}', "does not say how much", "progress.json"),
        ('{"done": true}', "does not say how much", "progress.json"),
        ('{"done": 4}', "does not say how much", "progress.json"),
        ('{"done": 4, "crc32": 0}', "made with another model, layer, file", ""),
    ],
)
def test_a_damaged_record_is_named_and_nothing_is_touched(tmp_path, text, problem, place):
    made(tmp_path)
    (tmp_path / "progress.json").write_text(text)
    before = contents(tmp_path)
    with pytest.raises(DataError, match=problem) as error:
        made(tmp_path)
    assert error.value.where == str(tmp_path / place)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("done", [-1, 12])
def test_more_or_fewer_embeddings_than_can_be_are_not_done(tmp_path, done):
    made(tmp_path)
    path = tmp_path / "progress.json"
    path.write_text(path.read_text().replace('"done": 11', f'"done": {done}'))
    with pytest.raises(DataError, match=f"{done} of 11 embeddings cannot be done"):
        made(tmp_path)


def test_an_array_with_another_header_is_made_again(tmp_path):
    made(tmp_path)
    before = contents(tmp_path)
    with (tmp_path / "embeddings.npy").open("r+b") as file:
        file.write(b"no numpy")
    made(tmp_path, embedder(log=(log := [])))
    assert log == TEXTS
    assert contents(tmp_path) == before


def test_an_embedder_that_gives_too_little_is_noticed(tmp_path):
    with pytest.raises(ValueError, match="expected 11 embeddings, got 4"):
        made(tmp_path, lambda texts: iter([vectors(texts[:CHUNK])]))
