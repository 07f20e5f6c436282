"""Tests `check_data`: its counts of the real files, and its command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from checking import Copies, run
from real_pieces import SHARED, spelled

from xt_jax import check_data
from xt_jax.data.lengths import words_ruler
from xt_jax.data.sources import open_source
from xt_jax.data_checks import check
from xt_jax.tasks.table import TASKS

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def checked(shared, tmp_path_factory):
    """Checks all the real data; returns (exit status, the JSON report)."""
    output = tmp_path_factory.mktemp("check") / "report.json"
    status = check_data.main(
        [f"--data_dir={shared / 'data'}", "--tokenizer=words", f"--output={output}"]
    )
    return status, json.loads(output.read_text())


def rows_of(report: dict, task: str, split: str, language: str = "en") -> list[dict]:
    return [
        row
        for row in report["rows"]
        if (row["task"], row["split"], row["language"]) == (task, split, language)
    ]


def test_the_real_data_has_no_fault(checked):
    status, report = checked
    assert report["faults"] == []
    assert status == 0
    absent = {"anli_plus", "mlm"}  # joined from others; no plain text is there
    assert {row["task"] for row in report["rows"]} == set(TASKS) - absent


def test_every_split_has_the_counts_of_the_readme(checked):
    actual: dict[str, list[str]] = {}
    for row in checked[1]["rows"]:
        count = f"{row['language']}:{row['examples']}{'*' if row['substitute'] else ''}"
        actual.setdefault(f"{row['task']} {row['split']}", []).append(count)
    assert {name: sorted(counts) for name, counts in actual.items()} == {
        name: sorted(spelled(counts)) for name, counts in SHARED.items()
    }


def test_labels_of_the_real_data(checked):
    def labels(*place: str) -> dict[str, int]:
        return rows_of(checked[1], *place)[0]["labels"]

    assert labels("mnli", "train") == dict.fromkeys(TASKS["mnli"].labels, 962)
    assert labels("xnli", "dev", "th") == dict.fromkeys(TASKS["xnli"].labels, 200)
    assert labels("qqp", "train") == {"1": 3542, "0": 7000 - 3542}
    assert labels("squad_v2", "train") == {"answerable": 4719 - 348, "unanswerable": 348}
    assert labels("squad_v2", "dev") == {"answerable": 705, "unanswerable": 702}
    assert labels("xquad", "test", "de") == {"answerable": 298}
    assert labels("bucc", "dev", "zh") == {"English": 13589, "foreign": 8624, "gold pairs": 257}
    assert labels("xnli", "test", "de") == {}
    ccg = labels("ccg", "train")
    assert (len(ccg), sum(ccg.values())) == (275, 34884)


def test_unlabelled_and_substitute_files_are_marked(checked):
    report = checked[1]
    assert not rows_of(report, "xnli", "test", "de")[0]["labelled"]
    assert rows_of(report, "xnli", "dev", "de")[0]["labelled"]
    substitutes = [r["file"].rsplit("paws_x/")[-1] for r in report["rows"] if r["substitute"]]
    assert "paws_wiki/dev.tsv" in substitutes
    assert not rows_of(report, "tatoeba", "test", "sw")[0]["substitute"]


def test_what_the_official_lists_have_and_the_folder_does_not(checked):
    missing = {(m["task"], m["split"]): set(m["languages"]) for m in checked[1]["missing"]}
    assert missing["xnli", "test"] == set(TASKS["xnli"].languages) - {"de", "en", "sw"}
    assert missing["panx", "dev"] == {"th"}
    assert missing["bucc", "dev"] == {"de", "fr", "ru"}
    assert missing["cosmos_qa", "train"] == {"en"}
    assert ("udpos", "dev") not in missing  # kk, th, tl and yo have none
    assert ("tatoeba", "test") not in missing
    assert not {task for task, _ in missing} & {"anli_plus", "mlm"}


# ------------------------------------------------------------------ command


def test_filters(world, capsys):
    status, _, report = run(capsys, world, "--task=xnli", "--task=panx", "--language=de")
    assert status == 0
    assert {(row["task"], row["language"]) for row in report["rows"]} == {
        ("xnli", "de"),
        ("panx", "de"),
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data_dir=/no/such/folder"], "does not exist"),
        ([], "No data folder"),
        (["--data_dir={empty}"], "No data of these tasks"),
        (["--data_dir={world}", "--language=xx"], "language xx"),
    ],
)
def test_what_cannot_be_checked_ends_with_status_2(world, tmp_path, capsys, arguments, words):
    places = {"world": world, "empty": tmp_path}
    assert check_data.main([a.format(**places) for a in arguments] + ["--tokenizer=words"]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert words in captured.err
    assert "--config" not in captured.err
    assert captured.out == ""


def test_an_unknown_task_is_a_wrong_command(world, capsys):
    with pytest.raises(SystemExit) as stopped:
        check_data.main([f"--data_dir={world}", "--task=mnlli"])
    assert stopped.value.code == 2
    assert "mnlli" in capsys.readouterr().err


def test_missing_pieces_fail_only_when_strict(shared, tmp_path, capsys):
    _ = Copies(shared / "data", tmp_path) / "panx/dev-de.tsv"
    status, out, report = run(capsys, tmp_path, "--task=panx", "--language=de")
    assert (status, report["warnings"]) == (0, [])
    assert "missing: test de (looked first at panx/de/test or panx/test-de.tsv)" in out
    assert run(capsys, tmp_path, "--task=panx", "--language=de", "--strict")[0] == 1


def test_the_table_of_a_task(shared, tmp_path, capsys):
    copies = Copies(shared / "data", tmp_path)
    for name in ("dev-de", "test-de"):
        _ = copies / f"xnli/{name}.tsv"
    lines = run(capsys, tmp_path, "--task=xnli", "--language=de")[1].split("\n")
    assert lines[2] == ("xnli (target, pairs; labels entailment / neutral / contradiction)")
    assert lines[3].split() == "split language examples p50 p95 max >256 labels file".split()
    dev, test = lines[4].split(), lines[5].split()
    assert dev[:3] == ["dev", "de", "600"]
    assert dev[6:] == "0 33 / 33 / 33 % xnli/dev-de.tsv".split()
    assert test[:3] == ["test", "de", "150"]
    assert test[6:] == ["0", "unlabelled", "xnli/test-de.tsv"]


def test_the_command_of_the_design(world):
    command = [sys.executable, "-m", "xt_jax.check_data", f"--data_dir={world}"]
    done = subprocess.run(
        [*command, "--task=tatoeba", "--tokenizer=words"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "tatoeba (target, retrieval)" in done.stdout
    assert "0 faults" in done.stdout


def test_a_source_is_asked_for_languages_beyond_the_official_ones(shared):
    source = open_source("files", str(shared / "data"))
    report = check(source, words_ruler(), ["tydiqa"], ["sw"])
    splits = {row.split: row.examples for row in report.rows}
    assert splits == {"train": 150, "test": 100}
