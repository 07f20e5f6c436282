"""Reading `results.jsonl` and the files of shards: order, faults, what is left out."""

from __future__ import annotations

import json

import pytest
from rows import rows_of

from xt_jax.errors import DataError
from xt_jax.records.results import append_rows, read_all, read_rows, result_files

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
    "not JSON": ('{"model": ', "Not a row of JSON"),
    "an empty line": ("", "Not a row of JSON"),
    "no object": ("[1]", "no row"),
    "a number": ("3", "no row"),
    "fields missing": ('{"model": "base"}', "lacks encoder_params, total_params, intermediate"),
    "text as value": (json.dumps(ROW | {"value": "60"}), "value is '60', which is no number"),
    "no number": (json.dumps(ROW | {"value": float("nan")}), "value is nan"),
    "infinite": (json.dumps(ROW | {"value": float("inf")}), "value is inf"),
    "a seed of text": (json.dumps(ROW | {"seed": "0"}), "seed is '0', which is no whole number"),
    "half a seed": (json.dumps(ROW | {"seed": 0.5}), "seed is 0.5, which is no whole number"),
    "a true seed": (json.dumps(ROW | {"seed": True}), "seed is True"),
    "a model without a name": (json.dumps(ROW | {"model": None}), "model is None, which is no te"),
    "no parameters": (json.dumps(ROW | {"encoder_params": 0}), "without parameters"),
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
