"""`Lines` against reading the whole file at once, and what is left of lines that repeat."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xt_jax.errors import DataError
from xt_jax.retrieval import lines as module
from xt_jax.retrieval.lines import Lines, distinct

BOM = b"\xef\xbb\xbf"


def naive(data):
    end = b"\n" if b"\n" in data else b"\r"
    parts = data.removeprefix(BOM).split(end)
    if parts[-1] == b"" and data.endswith(end):
        parts.pop()
    return [line.removesuffix(b"\r").decode() for line in parts]


@pytest.fixture(scope="session")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("lines") / "file.txt"


@pytest.fixture
def written(tmp_path):
    """Writes bytes and returns the path."""

    def write(data):
        path = tmp_path / "file.txt"
        path.write_bytes(data)
        return path

    return write


def small_blocks(monkeypatch, size=7):
    monkeypatch.setattr(module, "_BYTES", size)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a\nb\n", ["a", "b"]),
        (b"a\r\nb", ["a", "b"]),
        (b"a\nb\r", ["a", "b"]),
        (b"a\r\r\nb\n", ["a\r", "b"]),
        (b"a\rb\n", ["a\rb"]),
        (b"a\rb", ["a", "b"]),
        (b"a\r\rb\r", ["a", "", "b"]),
        (b"\r\n", [""]),
        (b"\n\na\n\n", ["", "", "a", ""]),
        (b" \n\t\nx\n", [" ", "\t", "x"]),
        (b"\0\na\0b\n", ["\0", "a\0b"]),
        (BOM + b"a\nb\n", ["a", "b"]),
        (BOM + b"a\r\n" + BOM + b"b", ["a", "\ufeffb"]),
        (BOM + b"\r\n", [""]),
        (BOM, [""]),
    ],
)
def test_where_lines_end(written, data, expected):
    lines = Lines(written(data))
    assert list(lines) == [lines[i] for i in range(len(lines))] == expected == naive(data)
    assert len(lines) == len(expected)


@settings(max_examples=200, deadline=None)
@given(
    st.text(st.sampled_from("ab \t\n\n\r\x0b\x0c\x1c\x85\u2028\u3000é中😀\ufeff\0"), min_size=1),
    st.integers(1, 9),
)
def test_any_text_is_read_as_at_once(scratch, text, size):
    data = text.encode()
    scratch.write_bytes(data)
    with pytest.MonkeyPatch.context() as monkeypatch:
        small_blocks(monkeypatch, size)
        lines = Lines(scratch)
    want = naive(data)
    assert list(lines) == want
    assert [lines[i] for i in range(len(lines))] == want
    first, count = distinct(lines)
    stripped = [line.strip() for line in want]
    seen = [s for s in dict.fromkeys(stripped) if set(s) & set("abé中😀")]
    assert [line.strip() for line in first] == seen
    assert first.rows.tolist() == [stripped.index(line.strip()) for line in first]
    assert count.tolist() == [stripped.count(line.strip()) for line in first]


def test_slices_and_taken_lines_know_their_rows(written):
    lines = Lines(written(b"0\n1\r\n2\n3\n4"))
    for rows in (slice(1, 3), slice(None, None, -2), slice(3, 99), slice(5, None), slice(2, 2)):
        assert list(lines[rows]) == list("01234")[rows]
        assert lines[rows].rows.tolist() == list(range(5))[rows]
    taken = lines.take(np.array([4, 1, 1, 0]))
    assert (list(taken), taken.rows.tolist()) == (["4", "1", "1", "0"], [4, 1, 1, 0])
    assert taken[1:].take(np.array([2, 0])).rows.tolist() == [0, 1]
    assert (taken[0], taken[-1], len(taken), lines[-1], len(lines)) == ("4", "0", 4, "4", 5)
    with pytest.raises(IndexError):
        lines[5]


def test_of_equal_lines_the_first_stands_for_all(written):
    text = "\n cat\n\t \ndog\ncat \n\u3000\nCat\ndog\r\ncat\n\u00a0\n"
    first, count = distinct(Lines(written(text.encode())))
    assert list(first) == [" cat", "dog", "Cat"]
    assert first.rows.tolist() == [1, 3, 6]
    assert count.tolist() == [3, 2, 1]
    first, count = distinct(Lines(written(b"\n \n\t\r\n")))
    assert list(first) == list(count) == []


def test_lines_without_a_visible_character_are_no_sentences(written):
    unseen = [
        "\u200b",
        "\u200c \u200d",
        "\ufeff\u2060",
        "\u00ad",
        "\u2800\u3164",
        "\ufe0f",
        "\0",
        "\x1f",
    ]
    lines = Lines(written("\n".join([*unseen, "\u200bcat", "\u0301", "\u200b."]).encode()))
    first, count = distinct(lines)
    assert list(first) == ["\u200bcat", "\u0301", "\u200b."]
    assert count.sum() == 3


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("block", [3, 2**24])
@pytest.mark.parametrize("wrong", range(4))
def test_a_byte_that_is_not_utf8_is_found(written, monkeypatch, end, block, wrong):
    lines = [b"abc", b"", "é中".encode(), b"the last"]
    lines[wrong] += b"\xff."
    path = written(end.join(lines))
    small_blocks(monkeypatch, block)
    with pytest.raises(DataError, match="byte 0xff is not UTF-8") as error:
        Lines(path)
    assert error.value.where == f"{path}:{wrong + 1}"
    assert error.value.remedy


def test_a_character_cut_off_is_found(written):
    for data, line in ((b"a\n\xe4\xb8\nb\n", 2), (b"a\nb\n\xe4\xb8", 3), (b"\xe4\xb8\n", 1)):
        path = written(data)
        with pytest.raises(DataError, match="byte 0xe4") as error:
            Lines(path)
        assert error.value.where == f"{path}:{line}"
    with pytest.raises(DataError, match="byte 0xff") as error:
        Lines(written("ab\n".encode("utf-16-le").join([b"\xff\xfe", b""])))
    assert error.value.where.endswith(":1")


def test_files_that_cannot_be_read_are_named(tmp_path):
    empty = tmp_path / "empty.txt"
    empty.touch()
    for path, problem in (
        (empty, "the file is empty"),
        (tmp_path / "none.txt", "cannot be opened .No such file"),
        (tmp_path, "cannot be opened .Is a directory"),
    ):
        with pytest.raises(DataError, match=problem) as error:
            Lines(str(path))
        assert error.value.where == str(path)
        assert error.value.remedy
