"""Result files: sets of rows appended and indexed, torn ends, order, malformed lines."""

from __future__ import annotations

import json

import pytest
from rows import rows_of

from xt_jax.errors import DataError
from xt_jax.records.results import Results, Row, append_rows, read_all, read_rows, result_files

(ROW,) = rows_of("direct", {"de": 60.0})


def write(path, *lines: str) -> None:
    path.write_text("".join(line + "\n" for line in lines))


def test_all_files_of_a_folder_are_read_shards_in_the_order_of_their_numbers(tmp_path):
    names = ["results-10-of-16.jsonl", "results.jsonl", "results-3-of-16.jsonl", "other.jsonl"]
    for i, name in enumerate(names):
        append_rows(tmp_path / name, rows_of("direct", {"de": float(i)}))
    found = [path.name for path in result_files(tmp_path)]
    assert found == ["results.jsonl", "results-3-of-16.jsonl", "results-10-of-16.jsonl"]
    assert [row["value"] for row in read_all(tmp_path)] == [1.0, 2.0, 0.0]


def test_an_empty_folder_has_no_rows(tmp_path):
    assert result_files(tmp_path) == []
    assert read_all(tmp_path) == []


FAULTS = {
    "not JSON": ('{"model": ', "broken JSON"),
    "an empty line": ("", "no JSON object"),
    "no object": ("[1]", "no JSON object"),
    "a number": ("3", "no JSON object"),
    "fields missing": ('{"model": "base"}', "lacks encoder_params, total_params, intermediate"),
    "text as value": (json.dumps(ROW | {"value": "60"}), "value is '60', which is not a number"),
    "no number": (json.dumps(ROW | {"value": float("nan")}), "value is nan"),
    "infinite": (json.dumps(ROW | {"value": float("inf")}), "value is inf"),
    "a seed of text": (json.dumps(ROW | {"seed": "0"}), "seed is '0', which is not an integer"),
    "half a seed": (json.dumps(ROW | {"seed": 0.5}), "seed is 0.5, which is not an integer"),
    "a true seed": (json.dumps(ROW | {"seed": True}), "seed is True"),
    "a model without a name": (
        json.dumps(ROW | {"model": None}),
        "model is None, which is not a",
    ),
    "no parameters": (json.dumps(ROW | {"encoder_params": 0}), "encoder_params is 0"),
    "more parameters than all": (json.dumps(ROW | {"total_params": 5}), "more parameters than"),
    "10^400 steps": (json.dumps(ROW | {"step": 10**400}), "step is 1000"),
    "an integer of 5,000 digits": ('{"step": ' + "1" * 5000 + "}", "thousands of digits"),
    "nested too deep": ("[" * 100_000, "nested too deep"),
    "no example": (json.dumps(ROW | {"n": 0}), "n is 0"),
    "too many examples": (json.dumps(ROW | {"n": 10**12}), "n is 1000"),
    "a negative seed": (json.dumps(ROW | {"seed": -1}), "seed is -1"),
    "a negative value": (json.dumps(ROW | {"value": -1.0}), "value is -1.0"),
    "a value above 100": (json.dumps(ROW | {"value": 101.0}), "value is 101.0"),
    "a NUL in a name": (json.dumps(ROW | {"run": "a\0b"}), "run has the character U+0000"),
    "a slash in the name of a file": (json.dumps(ROW | {"data": "../../x"}), "slash"),
    "a name of 5,000 characters": (json.dumps(ROW | {"split": "x" * 5000}), "5000 characters"),
    "an empty name": (json.dumps(ROW | {"model": ""}), "model has 0 characters"),
    "half a surrogate pair": (json.dumps(ROW | {"language": "\ud800"}), "surrogate"),
    "a direction mark": (json.dumps(ROW | {"intermediate": "\u202e"}), "U+202E"),
    "a layer that is no number": (json.dumps(ROW | {"metric": "f1@layer=x"}), "layer"),
    "a set of no number": (json.dumps(ROW | {"set_of": "3"}), "set_of is '3'"),
}


@pytest.mark.parametrize(("line", "problem"), FAULTS.values(), ids=FAULTS)
def test_a_malformed_row_is_named_by_file_and_line(line, problem, tmp_path):
    path = tmp_path / "results.jsonl"
    write(path, json.dumps(ROW), line, json.dumps(ROW))
    with pytest.raises(DataError, match="--skip_malformed") as caught:
        read_rows(path)
    assert caught.value.where == f"{path}:2"
    assert problem in caught.value.problem


def test_malformed_rows_are_given_to_who_asks_and_left_out(tmp_path):
    write(tmp_path / "results.jsonl", json.dumps(ROW), "[]")
    write(tmp_path / "results-1-of-2.jsonl", "{}", json.dumps(ROW | {"seed": 1}), "x")
    faults: list[DataError] = []
    rows = read_all(tmp_path, malformed=faults.append)
    assert [row["seed"] for row in rows] == [0, 1]
    assert [fault.where for fault in faults] == [
        f"{tmp_path}/results.jsonl:2",
        f"{tmp_path}/results-1-of-2.jsonl:1",
        f"{tmp_path}/results-1-of-2.jsonl:3",
    ]
    with pytest.raises(DataError):
        read_all(tmp_path)


def test_a_whole_number_is_a_value(tmp_path):
    write(tmp_path / "results.jsonl", json.dumps(ROW | {"value": 60}))
    assert read_all(tmp_path)[0]["value"] == 60


def rows_set(seed: int, language: str = "de") -> list[Row]:
    """The rows of one data set: two metrics."""
    row = rows_of("direct", {language: 60.0}, target="xquad", seed=seed)[0] | {"run": "a run"}
    return [row | {"metric": "em"}, row | {"metric": "f1", "value": 61.5}]


def test_rows_are_appended_and_found_by_seed_language_and_data(tmp_path):
    results = Results.open(tmp_path)
    key = "a run", "direct", "xquad"
    assert results.of(*key) == {}
    results.append(rows_set(0) + rows_set(0, "el"))
    results.append(rows_set(1))
    expected = {
        0: {("de", "xquad de all"): rows_set(0), ("el", "xquad el all"): rows_set(0, "el")},
        1: {("de", "xquad de all"): rows_set(1)},
    }
    assert results.of(*key) == expected
    results.close()
    assert Results.open(tmp_path).of(*key) == expected
    assert Results.open(tmp_path, "1/2").of(*key) == expected
    assert Results.open(tmp_path).of("another", "direct", "xquad") == {}
    assert read_all(tmp_path) == rows_set(0) + rows_set(0, "el") + rows_set(1)
    lines = (tmp_path / "results.jsonl").read_text().splitlines()
    assert [json.loads(line).get("set_of") for line in lines] == [None, 2] * 3


def test_rows_that_are_not_written_are_kept_in_memory(tmp_path):
    results = Results.open(tmp_path / "none", writes=False)
    results.append(rows_set(0))
    assert list(results.of("a run", "direct", "xquad")) == [0]
    assert not (tmp_path / "none").exists()


def test_a_set_that_was_cut_anywhere_is_left_out_and_cut_off_by_its_owner_alone(tmp_path):
    path = tmp_path / "results-1-of-2.jsonl"
    append_rows(path, rows_set(0))
    whole = path.read_bytes()
    append_rows(path, rows_set(1))
    both = path.read_bytes()
    for size in range(len(whole), len(both)):
        path.write_bytes(both[:size])
        assert read_rows(path) == rows_set(0)
        other = Results.open(tmp_path, "2/2")
        assert list(other.of("a run", "direct", "xquad")) == [0]
        other.append(rows_set(5))
        other.close()
        assert path.read_bytes() == both[:size]
        (tmp_path / "results-2-of-2.jsonl").unlink()
        results = Results.open(tmp_path, "1/2")
        assert list(results.of("a run", "direct", "xquad")) == [0]
        results.append(rows_set(1))
        results.close()
        assert path.read_bytes() == both


def test_a_file_without_marks_is_taken_as_whole_unless_its_last_line_is_torn(tmp_path):
    path = tmp_path / "results.jsonl"
    write(path, *(json.dumps(row) for row in rows_set(0) + rows_set(1)))
    assert read_rows(path) == rows_set(0) + rows_set(1)
    results = Results.open(tmp_path)
    results.append(rows_set(2))
    results.close()
    assert read_rows(path) == rows_set(0) + rows_set(1) + rows_set(2)
    write(path, *(json.dumps(row) for row in rows_set(0) + rows_set(1)))
    path.write_bytes(path.read_bytes()[:-5])
    assert read_rows(path) == rows_set(0)


def test_a_line_that_is_not_utf8_is_named(tmp_path):
    (tmp_path / "results.jsonl").write_bytes(b"\xff\n")
    with pytest.raises(DataError, match="is not UTF-8"):
        read_all(tmp_path)
