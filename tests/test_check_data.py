"""`check_data`: what it counts in the real files, and the command around it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from checking import Copies, run

from xt_jax import check_data
from xt_jax.data.lengths import words_ruler
from xt_jax.data.sources import open_source
from xt_jax.data_checks import check
from xt_jax.tasks.table import TASKS

ROOT = Path(__file__).resolve().parents[1]

# As ../shared/data/README.md has them: task, split, file name -> examples per language.
EN_COUNTS = """
mnli train train.tsv 2886
mnli dev dev_matched.tsv 500
snli train train.tsv 1536
snli dev snli_1.0_dev.jsonl 493
anli_r1 dev dev.jsonl 1000
anli_r2 dev dev.jsonl 1000
anli_r3 dev dev.jsonl 1200
qqp train train.tsv 7000
qqp dev dev.tsv 600
squad train train-v1.1.json 269
squad dev dev-v1.1.json 810
squad_v2 train train-v2.0.json 4719
squad_v2 dev dev-v2.0.json 1407
hellaswag train hellaswag_train.jsonl 2800
hellaswag dev hellaswag_val.jsonl 700
cosmos_qa dev valid.csv 2000
commonsense_qa train train_rand_split.jsonl 4500
commonsense_qa dev dev_rand_split.jsonl 800
ccg train en_ewt-ud-train.auto 2000
ccg dev en_ewt-ud-dev.auto 400
udpos train train-en.tsv 4500
panx train train-en.tsv 6000
tydiqa train tydiqa.goldp.en.train.json 1400
"""
COUNTS = {
    ("xnli", "dev"): dict.fromkeys("ar bg de el en es fr hi ru sw th tr ur vi zh".split(), 600),
    ("xnli", "test"): dict.fromkeys("de en sw".split(), 150),
    ("pawsx", "dev"): dict.fromkeys("de en es fr ja ko zh".split(), 600),
    ("xquad", "test"): dict.fromkeys("ar de el en es hi ru th tr vi zh".split(), 298),
    ("mlqa", "dev"): {"ar": 120, "de": 122, "en": 120, "es": 120, "hi": 121, "vi": 128, "zh": 120},
    ("mlqa_cross", "dev"): {"de-es": 60, "en-de": 60},
    ("tydiqa", "test"): {"en": 300, **dict.fromkeys("ar bn fi id ko ru sw te".split(), 100)},
    ("bucc", "dev"): {"zh": 8624 + 13589},
    ("udpos", "dev"): {
        **dict.fromkeys(
            "af ar bg de el es et eu fa fi fr he hi hu id it ja ko nl pt ru tr ur vi zh".split(),
            150,
        ),
        "en": 400,
        "mr": 46,
        "ta": 80,
        "te": 131,
    },
    ("udpos", "test"): {**dict.fromkeys(TASKS["udpos"].languages, 50), "mr": 47},
    ("panx", "dev"): {
        **{lang: 300 for lang in TASKS["panx"].languages if lang != "th"},
        "en": 1000,
        "ja": 150,
        "jv": 100,
        "my": 100,
        "yo": 100,
        "zh": 150,
    },
    ("panx", "test"): dict.fromkeys("en sw th".split(), 100),
    ("tatoeba", "test"): {
        **dict.fromkeys(TASKS["tatoeba"].languages, 1000),
        "jv": 205,
        "ka": 746,
        "kk": 575,
        "ml": 687,
        "sw": 390,
        "ta": 307,
        "te": 234,
        "th": 548,
    },
}
RELEASED = {
    "test_2k.tsv": 600,
    "ar_pud-ud-test.conllu": 40,
    "zh_pud-ud-test.conllu": 40,
    "en_ewt-ud-dev.conllu": 150,
    "fr_sequoia-ud-dev.conllu": 60,
    "de_pud-ud-test.conllu": 40,
    "he_htb-ud-dev.conllu": 60,
    "kk_ktb-ud-test.conllu": 150,
    "tl_trg-ud-test.conllu": 55,
    "ta_ttb-ud-test.conllu": 60,
    "th_pud-ud-test.conllu": 150,
    "yo_ytb-ud-test.conllu": 100,
}


@pytest.fixture(scope="module")
def checked(shared, tmp_path_factory):
    """(exit status, the JSON) of all the real data; rows by (task, split, language)."""
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


@pytest.mark.parametrize("line", EN_COUNTS.split("\n")[1:-1])
def test_the_english_files_have_the_counts_of_the_readme(checked, line):
    task, split, name, count = line.split()
    found = [
        r["examples"] for r in rows_of(checked[1], task, split) if Path(r["file"]).name == name
    ]
    assert found == [int(count)]


@pytest.mark.parametrize(("task", "split"), COUNTS)
def test_every_language_has_the_counts_of_the_readme(checked, task, split):
    found = {
        row["language"]: row["examples"]
        for row in checked[1]["rows"]
        if (row["task"], row["split"]) == (task, split)
        if not row["file"].endswith(".conllu") and "x-final" not in row["file"]
    }
    assert found == COUNTS[task, split]


def test_the_released_files_beside_xtremes_have_the_counts_of_the_readme(checked):
    found = {
        Path(row["file"]).name: row["examples"]
        for row in checked[1]["rows"]
        if row["file"].endswith(".conllu") or "x-final/de" in row["file"]
    }
    assert found == RELEASED


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


def test_unlabelled_and_stand_in_files_are_marked(checked):
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
        (["--data_dir={empty}"], "Nothing of these tasks"),
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
