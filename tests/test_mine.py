"""The command, from two files to a file of pairs, with the smallest encoder."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from xt_jax import mine as command
from xt_jax.errors import DataError, UserError
from xt_jax.model.sharding import make_mesh
from xt_jax.records import lock
from xt_jax.retrieval import encode
from xt_jax.retrieval.encode import SentenceEncoder

WORDS = "the old cat dog bird house sees finds and then small green river".split()
COMMON = 12  # sentences that both files have


def sentences(count, seed):
    rng = np.random.default_rng(seed)
    return list(dict.fromkeys(" ".join(rng.choice(WORDS, 4 + i % 6)) for i in range(count)))


# Of the target the common sentences come last and in another order.
SOURCE = [*sentences(COMMON, 0), *sentences(20, 1)]
TARGET = [*sentences(30, 2), *SOURCE[:COMMON][::-1]]


load = functools.cache(SentenceEncoder.load)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """One device, small steps, and what is compiled for an encoder is used again."""
    monkeypatch.setattr(command, "make_mesh", lambda: make_mesh(devices=jax.devices()[:1]))
    monkeypatch.setattr(encode, "step_tokens", lambda _: 512)
    monkeypatch.setattr(SentenceEncoder, "load", load)


@pytest.fixture
def mined(tmp_path):
    """Mines two lists of lines, or the bytes of two files, and returns the rows of the output."""

    def run(source=SOURCE, target=TARGET, *options):
        for name, lines in (("a.txt", source), ("b.txt", target)):
            data = lines if isinstance(lines, bytes) else "\n".join(lines).encode()
            path = tmp_path / name
            if not path.exists() or path.read_bytes() != data:
                path.write_bytes(data)
        command.main(arguments(tmp_path, *options))
        return rows(tmp_path)

    return run


def arguments(folder, *options):
    return [
        "--model=mini-48",
        f"--source={folder / 'a.txt'}",
        f"--target={folder / 'b.txt'}",
        f"--output={folder / 'out.tsv'}",
        *options,
    ]


def rows(folder):
    """Reads the output as [(score, source, target, line of source, line of target)]."""
    text = (folder / "out.tsv").read_text(encoding="utf-8")
    assert text.endswith("\n") or not text
    found = [line.split("\t") for line in text.split("\n")[:-1]]
    assert all(len(row) == 5 for row in found)
    return [(float(score), s, t, int(i), int(j)) for score, s, t, i, j in found]


def numbers(found):
    return {(i, j) for *_, i, j in found}


def test_what_both_files_have_is_found(mined, tmp_path, capsys):
    found = mined()
    for _, source, target, i, j in found:
        assert source == SOURCE[i - 1]
        assert target == TARGET[j - 1]
    scores = [row[0] for row in found]
    assert scores == sorted(scores, reverse=True)
    assert all(score > 0 for score in scores)
    assert len({i for *_, i, _ in found}) == len({j for *_, j in found}) == len(found) > COMMON
    common = {(i + 1, TARGET.index(text) + 1) for i, text in enumerate(SOURCE[:COMMON])}
    assert common <= numbers(found)
    nearest = mined(SOURCE, TARGET, "--margin=absolute")
    assert numbers(nearest[:COMMON]) == common
    assert {row[0] for row in nearest[:COMMON]} == {1.0}
    assert nearest[COMMON][0] < 0.9999
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b.txt", "out.tsv"]
    out, err = capsys.readouterr()
    assert out == ""
    assert f"source: {len(SOURCE)} lines, {len(SOURCE)} distinct sentences\n" in err
    assert f"{len(found)} pairs in {tmp_path / 'out.tsv'}" in err


def test_all_devices_find_the_same(mined, monkeypatch):
    wanted = mined()
    monkeypatch.setattr(command, "make_mesh", make_mesh)
    found = mined()
    assert len(jax.devices()) > 1
    scores = {row[1:]: row[0] for row in wanted}
    assert {row[1:]: row[0] for row in found} == pytest.approx(scores, rel=0, abs=1e-5)


def test_blank_and_repeated_lines_take_no_part(mined, capsys):
    """Line numbers are those of the file; of equal lines it is the first."""
    plain = mined()
    capsys.readouterr()
    source = ["", *SOURCE[:3], " \t", SOURCE[1], *SOURCE[3:], f" {SOURCE[0]}", "\u3000", ""]
    found = mined(source, [*TARGET, *TARGET[:2]])
    assert found == [(*row[:3], row[3] + (1 if row[3] <= 3 else 3), row[4]) for row in plain]
    err = capsys.readouterr().err
    assert (
        f"source: {len(SOURCE) + 5} lines, {len(SOURCE)} distinct sentences, "
        "3 empty lines left out" in err
    )
    assert f"target: {len(TARGET) + 2} lines, {len(TARGET)} distinct sentences\n" in err


def test_line_ends_a_bom_and_tabs_make_no_difference(mined):
    wanted = mined()
    crlf = "".join(f"{line}\r\n" for line in SOURCE).encode()
    assert mined(crlf, b"\xef\xbb\xbf" + "\r".join(TARGET).encode()) == wanted
    source = ["  the\told\rcat \t", "a\x0bdog\u2028finds\x85it", "the house"]
    found = mined(source, ["the\told\rcat", "the house", source[1]])
    assert {row[1:] for row in found} == {
        ("the old cat", "the old cat", 1, 1),
        ("a\x0bdog\u2028finds\x85it", "a\x0bdog\u2028finds\x85it", 2, 3),
        ("the house", "the house", 3, 2),
    }


@pytest.mark.parametrize("margin", ["ratio", "absolute"])
def test_which_pairs_are_kept(mined, margin):
    found = {
        kind: mined(SOURCE, TARGET, f"--retrieval={kind}", f"--margin={margin}")
        for kind in ("forward", "backward", "intersection", "max")
    }
    pairs = {kind: numbers(rows) for kind, rows in found.items()}
    assert pairs["intersection"] == pairs["forward"] & pairs["backward"]
    assert pairs["intersection"] <= pairs["max"] <= pairs["forward"] | pairs["backward"]
    assert len(pairs["forward"]) == len({i for i, _ in pairs["forward"]}) == len(SOURCE)
    assert len(pairs["backward"]) == len({j for _, j in pairs["backward"]}) == len(TARGET)
    assert COMMON <= len(pairs["intersection"]) < len(pairs["max"]) < len(SOURCE)
    assert mined(SOURCE, TARGET, f"--margin={margin}") == found["max"]
    # What the sources propose here, the targets propose the other way round.
    swapped = mined(TARGET, SOURCE, "--retrieval=backward", f"--margin={margin}")
    assert {(i, j) for *_, j, i in swapped} == pairs["forward"]


def test_neighbours_and_threshold(mined):
    every = mined(SOURCE, TARGET, "--k=2")
    middle = every[len(every) // 2][0]
    above = [row for row in every if row[0] >= middle]
    assert 0 < len(above) < len(every)
    assert mined(SOURCE, TARGET, "--k=2", f"--threshold={middle - 1e-6}") == above
    assert mined(SOURCE, TARGET, "--k=2", "--threshold=99") == []
    assert mined(SOURCE, TARGET, "--k=2", "--threshold=0") == every != mined()
    assert mined(SOURCE[:2], TARGET[-12:], "--k=50")  # more than there are


def test_options_of_the_encoder_have_an_effect(mined):
    plain = mined()
    for option in ("--layer=2", "--pooling=first", "--max_length=5", "--dtype=float16"):
        found = mined(SOURCE, TARGET, option)
        assert [row[0] for row in found] != [row[0] for row in plain]
    assert numbers(found[:COMMON]) == numbers(plain[:COMMON])  # float16 ranks the same


def stopping(monkeypatch, chunks, stop=None):
    """Records the chunks that are embedded, and stops at the one with the number `stop`."""
    whole = SentenceEncoder._chunk

    def chunk(self, texts, bar):
        if len(chunks) == stop:
            raise KeyboardInterrupt
        chunks.append(texts)
        return whole(self, texts, bar)

    monkeypatch.setattr(SentenceEncoder, "_chunk", chunk)


def test_after_stops_it_goes_on_where_it_was(mined, tmp_path, monkeypatch):
    """Stops mining four times: in the source file, between the files, twice in the target."""
    monkeypatch.setattr(command, "CHUNK", 8)
    mined()
    wanted = (tmp_path / "out.tsv").read_bytes()
    (tmp_path / "out.tsv").unlink()
    total = -(-len(SOURCE) // 8) - (-len(TARGET) // 8)
    chunks: list[list[str]] = []
    for stop in (1, 4, 5, 7):
        with monkeypatch.context() as patch:
            stopping(patch, chunks, stop)
            with pytest.raises(KeyboardInterrupt):
                mined()
        assert len(chunks) == stop < total
        assert not (tmp_path / "out.tsv").exists()
    stopping(monkeypatch, chunks)
    mined()
    assert (tmp_path / "out.tsv").read_bytes() == wanted
    assert [text for chunk in chunks for text in chunk] == SOURCE + TARGET
    assert not (tmp_path / "out.tsv.embeddings").exists()


def test_what_a_stopped_run_left_is_not_taken_for_a_changed_file(mined, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stopping(patch, [], 1)
        with pytest.raises(KeyboardInterrupt):
            mined()
    assert (tmp_path / "out.tsv.embeddings").exists()
    found = mined(SOURCE[::-1], TARGET)
    shutil.rmtree(tmp_path / "out.tsv.embeddings", ignore_errors=True)
    assert mined(SOURCE[::-1], TARGET) == found


def test_a_folder_that_another_run_writes_is_refused(mined, tmp_path):
    kept = tmp_path / "kept"
    with lock.locked(kept), pytest.raises(UserError, match="Another run is writing to this folder"):
        mined(SOURCE, TARGET, f"--embeddings={kept}")


def test_embeddings_are_kept_where_asked(mined, tmp_path, monkeypatch):
    folder = tmp_path / "kept" / "here"
    wanted = mined(SOURCE, TARGET, f"--embeddings={folder}")
    held = np.load(folder / "source" / "embeddings.npy")
    assert (held.shape, held.dtype) == ((len(SOURCE), 48), np.float32)
    stopping(monkeypatch, [], 0)
    (tmp_path / "a.txt").touch()  # its content is what counts
    assert mined(SOURCE, TARGET, f"--embeddings={folder}") == wanted
    assert mined(SOURCE, TARGET, f"--embeddings={folder}", "--k=2") != wanted
    assert sorted(path.name for path in folder.iterdir()) == ["source", "target"]


def test_embeddings_of_something_else_are_not_used(mined, tmp_path):
    kept = f"--embeddings={tmp_path / 'kept'}"
    mined(SOURCE, TARGET, kept)
    for option, named in (
        ("--layer=0", "layer"),
        ("--pooling=first", "pooling"),
        ("--dtype=float16", "dtype"),
        ("--max_length=100", "max_length"),
        ("--model=mini-64", "model"),
    ):
        with pytest.raises(DataError, match=f"another {named}") as error:
            mined(SOURCE, TARGET, kept, option)
        assert error.value.where == str(tmp_path / "kept" / "source")
    with pytest.raises(DataError, match="another file, sentences"):
        mined(SOURCE, TARGET[1:], kept)
    file = tmp_path / "b.txt"
    file.write_text("\n".join(TARGET))
    times = file.stat()
    file.write_text("\n".join(TARGET).replace("house", "horse"))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert file.stat().st_size == times.st_size
    with pytest.raises(DataError, match=r"another file\.") as error:
        command.main(arguments(tmp_path, kept))
    assert error.value.where == str(tmp_path / "kept" / "target")


@pytest.mark.parametrize(
    ("data", "problem", "line"),
    [
        (b"a cat\nthe \xff dog\n", "byte 0xff is not UTF-8", ":2"),
        (b"", "the file is empty", ""),
        (b"\n \n\t\r\n\n", "holds no sentence", ""),
        (b"\xef\xbb\xbf", "holds no sentence", ""),
        (None, "cannot be opened", ""),
    ],
)
@pytest.mark.parametrize("name", ["a.txt", "b.txt"])
def test_files_that_cannot_be_mined_are_named(tmp_path, monkeypatch, name, data, problem, line):
    """Before the encoder is loaded."""
    monkeypatch.setattr(command.SentenceEncoder, "load", None)
    for file in ("a.txt", "b.txt"):
        (tmp_path / file).write_text("the old cat\n")
    (tmp_path / name).unlink()
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=problem) as error:
        command.main(arguments(tmp_path))
    assert error.value.where == f"{tmp_path / name}{line}"
    assert not (tmp_path / "out.tsv.embeddings").exists()


@pytest.mark.parametrize(
    ("option", "problem", "where"),
    [
        ("--k=0", "0 neighbours", "--k"),
        ("--layer=-1", "no layer -1", "--layer"),
        ("--layer=3", "no hidden state 3", "layer"),
        ("--max_length=2", "cut at 2 tokens", "max_length"),
        ("--output={folder}", "is a folder", "--output"),
        ("--embeddings={folder}/b.txt", "is a file", "--embeddings"),
        ("--threshold=nan", "cannot be nan", "--threshold"),
        ("--model=mini-47", "mini-47", "--config.model.name"),
    ],
)
def test_options_that_cannot_be_are_named(mined, tmp_path, option, problem, where):
    with pytest.raises(UserError, match=problem) as error:
        mined(SOURCE[:3], TARGET[:3], option.format(folder=tmp_path))
    assert error.value.where.partition("=")[0] == where
    assert error.value.remedy
    assert not (tmp_path / "out.tsv.embeddings").exists()


def test_embeddings_that_are_no_numbers(mined, tmp_path, monkeypatch):
    stream = SentenceEncoder.stream

    def broken(self, texts, **options):
        for rows in stream(self, texts, **options):
            rows = np.array(rows)
            rows[2, 7] = np.inf
            yield rows

    monkeypatch.setattr(SentenceEncoder, "stream", broken)
    with pytest.raises(DataError, match=SOURCE[2]) as error:
        mined()
    assert error.value.remedy == "use a model with sound weights"
    assert not (tmp_path / "out.tsv").exists()
    monkeypatch.undo()
    mined()  # nothing of it was kept


@pytest.mark.slow
def test_the_command_line(tmp_path, repository):
    command_line = [sys.executable, "-m", "xt_jax.mine", *arguments(tmp_path)]
    done = subprocess.run(command_line, capture_output=True, text=True, cwd=repository, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: the file cannot be opened (No such file")
    assert f"where: {tmp_path / 'a.txt'}" in done.stderr
    assert "Traceback" not in done.stderr


KILLED = "import sys; from xt_jax import mine; mine.CHUNK = 4; mine.main(sys.argv[1:])"


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_gives_the_same_pairs(tmp_path, repository):
    lines = [f"{text} {number}" for number, text in enumerate(sentences(60, 3))]
    (tmp_path / "a.txt").write_text("\n".join(lines))
    (tmp_path / "b.txt").write_text("\n".join(lines[::-1]))

    def start():
        command_line = [sys.executable, "-c", KILLED, *arguments(tmp_path)]
        return subprocess.Popen(command_line, cwd=repository)

    def done():
        records = (tmp_path / "out.tsv.embeddings").rglob("progress.json")
        return sum(json.loads(path.read_text())["done"] for path in records)

    assert start().wait() == 0
    wanted = (tmp_path / "out.tsv").read_bytes()
    (tmp_path / "out.tsv").unlink()
    for _ in range(4):
        before, process = done(), start()
        while process.poll() is None and done() < before + 12:
            time.sleep(0.001)
        process.kill()
        process.wait()
        assert before < done() < 2 * len(lines)
    assert start().wait() == 0
    assert (tmp_path / "out.tsv").read_bytes() == wanted
