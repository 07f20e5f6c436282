"""Damaged data files: an error with its place, or examples that make sense.

    XT_JAX_FUZZ=10000 XT_JAX_SEED=1 python -m pytest -n0 -s tests/fuzz

Each test tries so many inputs; without the variable a few, so that all takes some seconds. No input
of less than 1 MB may take 2 s or 500 MB. What is read may not hold anything that the file does not
hold, nor lack anything but what the format leaves out.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from random import Random

import numpy as np
import pytest
from data_pieces import Piece, check_against, check_examples, pieces_of
from etils import epath
from mutations import SEED, Outcomes, damaged, rounds

from xt_jax import mini
from xt_jax.data import tokenize
from xt_jax.data.packing import Features
from xt_jax.data.sources import Found, has_labels
from xt_jax.retrieval.lines import Lines, distinct
from xt_jax.tasks.table import FAMILIES, TASKS

LIMITS = {"max_length": 128, "doc_stride": 32}
SIZES = mini.Sizes(train=40, tagged=20, dev=20, parallel=20, pairs=8, alone=8, text=20)


@pytest.fixture(scope="module")
def pieces(shared, tmp_path_factory) -> list[Piece]:
    world = Path(mini.write_world(tmp_path_factory.mktemp("fuzz") / "world", SIZES))
    return [*pieces_of(shared / "data"), *pieces_of(world)]


def read(piece: Piece, files: dict[str, bytes], folder: Path) -> list:
    """Writes the files and reads them as a study does."""
    for path in folder.iterdir():
        path.unlink()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    task, paths = TASKS[piece.task], [folder / name for name in files]
    examples = piece.read(paths, piece.language, () if task.min_count else task.labels)
    has_labels(Found(str(paths[0]), piece.language, False, piece.read, str), examples)
    return examples


def test_the_pieces_themselves_are_read(pieces, tmp_path):
    assert {piece.task for piece in pieces} == {*TASKS} - {"anli_plus"}
    for piece in pieces:
        examples = read(piece, dict(piece.files), tmp_path)
        check_examples(piece.task, examples)
        check_against(piece, dict(piece.files), examples)


def test_damaged_files(pieces, tmp_path, mini_tokenizer):
    rng, outcomes = Random(f"files {SEED}"), Outcomes()
    others = [data for piece in pieces for _, data in piece.files]
    for turn in range(rounds(400)):
        piece = rng.choice(pieces)
        files = dict(piece.files)
        name = rng.choice(list(files))
        files[name] = damaged(rng, files[name], others=others)
        about = f"turn {turn} of seed {SEED}: {piece.task} {piece.split} {piece.language}, {name}"
        examples = outcomes.attempt(piece.task, about, partial(read, piece, files, tmp_path))
        if examples is None:
            continue
        try:
            check_examples(piece.task, examples)
            check_against(piece, files, examples)
            if turn % 5 == 0:
                task = TASKS[piece.task]
                FAMILIES[task.family].tokenize(examples, mini_tokenizer, task.labels, **LIMITS)
        except Exception as error:
            raise AssertionError(f"{about}: {error!r}") from error
    outcomes.check()


def test_damaged_sentences_to_mine(pieces, tmp_path):
    rng, outcomes = Random(f"sentences {SEED}"), Outcomes()
    originals = [d for p in pieces if p.task in ("tatoeba", "mlm") for _, d in p.files]
    path = tmp_path / "sentences.txt"

    def read_sentences():
        lines = Lines(path)
        return lines, distinct(lines)

    for turn in range(rounds(200)):
        data = damaged(rng, rng.choice(originals), others=originals)
        path.write_bytes(data)
        about = f"turn {turn} of seed {SEED}"
        found = outcomes.attempt("sentences", about, read_sentences)
        if found is None:
            continue
        lines, (sentences, count) = found
        end = "\n" if b"\n" in data else "\r"
        expected = data.decode().removeprefix("\ufeff").removesuffix(end).split(end)
        assert [line.removesuffix("\r") for line in expected] == list(lines), about
        assert len(sentences) == len({line.strip() for line in sentences}), about
        assert len(sentences) <= count.sum() <= len(lines), about
    outcomes.check()


def test_a_damaged_cache_is_made_again(tmp_path):
    rng, outcomes = Random(f"cache {SEED}"), Outcomes()
    numbers = np.arange(5, dtype=np.int32)
    made = Features(
        np.array([3, 2], np.int32),
        {"input_ids": numbers},
        {"example": np.arange(2, dtype=np.int32)},
        {"begin": numbers},
    )
    tokenize.cached(epath.Path(tmp_path), "x", lambda: made)
    whole = (tmp_path / "x.npz").read_bytes()
    for turn in range(rounds(200)):
        (tmp_path / "x.npz").write_bytes(damaged(rng, whole))
        about = f"turn {turn} of seed {SEED}"
        read = partial(tokenize.cached, epath.Path(tmp_path), "x", lambda: made)
        found = outcomes.attempt("cache", about, read)
        np.testing.assert_equal(vars(found), vars(made), about)
    assert not outcomes["cache", "refused"]
