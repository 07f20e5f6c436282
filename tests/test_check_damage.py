"""Tests that the check finds every fault in damaged copies of the real files, by file and line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from checking import Copies, at_line, edit, edit_question, indented, questions, run

from xt_jax.data.lengths import words_ruler
from xt_jax.data.sources import open_source
from xt_jax.data_checks import check
from xt_jax.errors import ConfigError
from xt_jax.mini import LANGUAGES


def cut_line(root: Path) -> tuple[Path, int, str]:
    return (*at_line(root / "xnli/dev-de.tsv", 8, lambda line: line.split("\t")[0]), "columns")


def unknown_label(root: Path) -> tuple[Path, int, str]:
    path = root / "xnli/dev-sw.tsv"
    return path, edit(path, "\tneutral", "\tneutrall"), "neutrall"


def blank_sentence(root: Path) -> tuple[Path, int, str]:
    def blank(line: str) -> str:
        return "\t".join(["  ", *line.split("\t")[1:]])

    return (*at_line(root / "paws_x/dev-ko.tsv", 31, blank), "sentence 1 is empty")


def lost_gold_id(root: Path) -> tuple[Path, int, str]:
    def other(line: str) -> str:
        return line.split("\t")[0] + "\ten-999999999"

    return (*at_line(root / "bucc2018/zh-en.dev.gold", 100, other), "en-999999999")


def broken_json(root: Path) -> tuple[Path, int, str]:
    path = root / "xquad/xquad.de.json"
    text = indented(path)
    path.write_text(text[: len(text) // 2])
    return path, text[: len(text) // 2].count("\n") + 1, "JSON"


def wrong_offset(root: Path) -> tuple[Path, int, str]:
    def later(question: dict) -> None:
        question["answers"][0]["answer_start"] += 1

    path = root / "mlqa/MLQA_V1/dev/dev-context-hi-question-hi.json"
    return path, *edit_question(path, later)


def repeated_question_id(root: Path) -> tuple[Path, int, str]:
    path = root / "tydiqa/tydiqa-goldp-v1.1-dev/tydiqa-goldp-dev-swahili.json"
    first = questions(json.loads(path.read_text()))[0]["id"]

    def same(question: dict) -> None:
        question["id"] = first

    return path, *edit_question(path, same)


def half_labelled(root: Path) -> tuple[Path, int, str]:
    def without(question: dict) -> None:
        question["answers"] = []

    path = root / "xquad/xquad.th.json"
    return path, *edit_question(path, without)


def not_utf8(root: Path) -> tuple[Path, int, str]:
    path = root / "tatoeba/tatoeba.jav-eng.jav"
    lines = path.read_bytes().split(b"\n")
    lines[11] += b"\xe9"
    path.write_bytes(b"\n".join(lines))
    return path, 12, "UTF-8"


def empty_file(root: Path) -> tuple[Path, None, str]:
    path = root / "udpos/dev-mr.tsv"
    path.write_bytes(b"")
    return path, None, "empty"


def unequal_lines(root: Path) -> tuple[Path, None, str]:
    path = root / "tatoeba/tatoeba.tel-eng.tel"
    path.write_text("\n".join(path.read_text().split("\n")[1:]))
    return path, None, "233"


def unlabelled_training(root: Path) -> tuple[Path, None, str]:
    path = root / "udpos/train-kk.tsv"
    path.write_text("\n".join(line.split("\t")[0] for line in path.read_text().split("\n")))
    return path, None, "without labels"


# What each reader finds by itself is in test_formats_faults.py.
DAMAGE: dict[str, list[Callable]] = {
    "xnli": [cut_line, unknown_label],
    "pawsx": [blank_sentence],
    "udpos": [empty_file, unlabelled_training],
    "xquad": [broken_json, half_labelled],
    "mlqa": [wrong_offset],
    "tydiqa": [repeated_question_id],
    "bucc": [lost_gold_id],
    "tatoeba": [not_utf8, unequal_lines],
}


@pytest.mark.parametrize(
    ("task", "damage"),
    [(task, damage) for task, some in DAMAGE.items() for damage in some],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_damage_is_located(shared, tmp_path, capsys, task, damage):
    complete, root = tmp_path / "whole", tmp_path / "data"
    path, line, words = damage(Copies(shared / "data", root))
    shutil.copytree(root, complete)
    for copy in filter(Path.is_file, complete.rglob("*")):
        shutil.copyfile(shared / "data" / copy.relative_to(complete), copy)
    assert run(capsys, complete, f"--task={task}")[0] == 0
    status, out, report = run(capsys, root, f"--task={task}")
    assert status == 1
    [fault] = report["faults"]
    assert words in fault["problem"]
    assert fault["remedy"]
    place = f"{path}:{line}" if line else str(path)
    assert place in fault["where"]
    if line:
        assert fault["where"][len(place) :][:1] in ("", ":")  # a column may follow
    assert f"{fault['where']}: {fault['problem']}\n    what to do: {fault['remedy']}" in out


def test_the_check_goes_on_after_a_fault(shared, tmp_path, capsys):
    root = tmp_path / "data"
    copies = Copies(shared / "data", root)
    _ = copies / "xnli/dev-en.tsv"
    places = [cut_line(copies), unknown_label(copies), not_utf8(copies)]
    status, out, report = run(capsys, root)
    assert status == 1
    assert {f["where"] for f in report["faults"]} == {f"{path}:{line}" for path, line, _ in places}
    assert [row["language"] for row in report["rows"]] == ["en"]
    assert "3 faults:" in out
    assert "1 file with 600 examples read; 3 faults" in out


def test_a_fault_of_a_file_that_two_tasks_read_is_told_once(shared, tmp_path, capsys):
    path, line = at_line(Copies(shared / "data", tmp_path) / "mnli/train.tsv", 3, str.upper)
    status, _, report = run(capsys, tmp_path)
    assert status == 1
    assert [fault["where"] for fault in report["faults"]] == [f"{path}:{line}"]
    run(capsys, tmp_path, "--task=xnli")
    assert run(capsys, tmp_path, "--task=anli_plus")[0] == 1


def test_a_source_that_fails_on_one_table_goes_on_with_the_next(world):
    files = open_source("files", str(world))

    class Flaky:
        def find(self, task, split, language, *, substitutes=False):
            if language == "de":
                raise ConfigError("the table cannot be fetched", where="t", remedy="wait")
            return files.find(task, split, language, substitutes=substitutes)

        expected, languages = files.expected, files.languages

    report = check(Flaky(), words_ruler(), ["xnli"])
    assert [fault.problem for fault in report.faults] == ["the table cannot be fetched"]
    assert {row.language for row in report.rows} == {*LANGUAGES} - {"de"}
    assert ("xnli", "test", "de") not in {
        (piece.task, piece.split, lang) for piece in report.missing for lang in piece.languages
    }
