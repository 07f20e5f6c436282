"""Appending to files on a disk and in a bucket, and what killed runs leave behind."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from etils import epath

from xt_jax import files
from xt_jax.errors import DataError
from xt_jax.files import (
    AppendedFile,
    find,
    parse_json,
    read_appended,
    sweep_temporaries,
    temporary_path,
)


@pytest.fixture(params=["disk", "bucket"])
def anywhere(request, monkeypatch):
    """A folder is taken for one on a disk, and for one in a bucket."""
    if request.param == "bucket":
        monkeypatch.setattr(files, "is_local", lambda path: False)
        monkeypatch.setattr(AppendedFile, "PART_BYTES", 8)
    return request.param


def appended(path: epath.Path, *data: bytes, size: int | None = None) -> None:
    file = AppendedFile(path, size)
    for each in data:
        file.append(each)
    file.close()


def test_appends_are_read_in_order_and_a_line_without_an_end_is_cut_off(anywhere, tmp_path):
    path = epath.Path(tmp_path / "log.jsonl")
    assert read_appended(path) == b""
    (tmp_path / "log.parts").mkdir()  # which a bucket does not need
    appended(path, b"one\n", b"two\n", b"three\n", b"four\n")
    appended(path, b"five\n", b"torn")
    content = b"one\ntwo\nthree\nfour\nfive\n"
    assert read_appended(path) == content + b"torn"
    appended(path)
    assert read_appended(path) == content
    appended(path, b"six\n", size=len(content) - 5)
    assert read_appended(path) == b"one\ntwo\nthree\nfour\nsix\n"
    parts = sorted(part.name for part in tmp_path.glob("log.parts/*"))
    assert parts == ([] if anywhere == "disk" else ["0001.jsonl", "0002.jsonl"])


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_of_a_write_that_is_interrupted_nothing_stays(fault, tmp_path, monkeypatch):
    path = epath.Path(tmp_path / "log.jsonl")
    file = AppendedFile(path)
    file.append(b"one\n")
    written = []

    def write(descriptor, data):
        """Three bytes at a time; the second time it fails."""
        if written:
            raise fault
        written.append(data)
        return os.pwrite(descriptor, data[:3], 0)

    with monkeypatch.context() as patched:
        patched.setattr(files.os, "write", write)
        with pytest.raises(type(fault)):
            file.append(b"two\n")
    assert read_appended(path) == b"one\n"
    file.append(b"three\n")
    assert read_appended(path) == b"one\nthree\n"


def test_short_writes_go_on(tmp_path, monkeypatch):
    path = epath.Path(tmp_path / "log.jsonl")
    write = os.write
    monkeypatch.setattr(files.os, "write", lambda to, data: write(to, data[:3]))
    appended(path, b"a long line\n")
    assert read_appended(path) == b"a long line\n"


def test_old_temporary_files_are_swept(tmp_path):
    old, new, other = (tmp_path / "phases" / name for name in (".a.1.tmp", ".b.2.tmp", "c.tmp"))
    old.parent.mkdir()
    for path in (old, new, other):
        path.write_text("")
        os.utime(path, (1000, 1000 if path != new else 3000))
    sweep_temporaries(tmp_path, before=2000)
    assert sorted(old.parent.iterdir()) == [new, other]


def test_what_a_killed_process_left_is_swept_at_once(tmp_path, monkeypatch):
    running = temporary_path(epath.Path(tmp_path / "a.json"))
    running.write_text("")
    process = subprocess.Popen(["true"])
    process.wait()
    monkeypatch.setattr(files.os, "getpid", lambda: process.pid)
    file, folder = (temporary_path(epath.Path(tmp_path / name)) for name in ("b.json", "world"))
    file.write_text("")
    folder.mkdir()
    (folder / "c").write_text("")
    sweep_temporaries(tmp_path, before=0)
    assert list(tmp_path.iterdir()) == [Path(running)]


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ('{"a":\n 1', "f.json:2:3", "broken JSON"),
        ('{"a":\n "x\\ud83d"}', "f.json:2:4", "surrogate"),
        ('["\\ud83d\\ude00",\n"\\ude00"]', "f.json:2:2", "surrogate"),
        ("[" * 100_000, "f.json:1:1", "nested too deep"),
        ("[1,\n" + "9" * 5000 + "]", "f.json:2:1", "thousands of digits"),
    ],
)
def test_json_that_cannot_be_read_is_named_with_its_place(text, place, problem):
    with pytest.raises(DataError, match=problem) as error:
        parse_json(text, "f.json")
    assert error.value.where == place


def test_whole_surrogate_pairs_and_escaped_backslashes_are_text():
    assert parse_json('["\\ud83d\\ude00", "\\\\ud800"]', "f.json") == ["😀", "\\ud800"]


def test_wildcards_count_in_the_pattern_and_not_in_the_folder(tmp_path):
    for name in ("b/x-1.txt", "a/x-2.txt", "a/y.txt", "a/[1].txt"):
        path = tmp_path / "w[1]*" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "w1").mkdir()
    assert [p.name for p in find(tmp_path / "w[1]*", "*/x-*.txt")] == ["x-1.txt", "x-2.txt"]
    assert [p.name for p in find(tmp_path / "w[1]*", "a/[1].txt")] == ["[1].txt"]
    assert find(tmp_path / "none", "*") == []
