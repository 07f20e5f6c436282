"""Tests the warnings of the data check: readable files that look like a mistake."""

from __future__ import annotations

import shutil
from pathlib import Path

from checking import Copies, run

from xt_jax.data.examples import SpanExample
from xt_jax.data_checks import wrong_script


def warned(capsys, root: Path, task: str) -> list[tuple[str, str]]:
    """Returns (file name, problem) of each warning; there must be no fault."""
    status, _, report = run(capsys, root, f"--task={task}", "--language=en", "--language=de")
    assert status == 0
    assert report["faults"] == []
    return [(Path(w["where"]).name, w["problem"]) for w in report["warnings"]]


def test_training_text_in_an_evaluation_set(world, tmp_path, capsys):
    root = Path(shutil.copytree(world, tmp_path / "data")) / "panx"
    train = (root / "train-en.tsv").read_text().split("\n\n")
    fresh = ["Nowhere\tB-LOC\nsleeps\tO", "Nobody\tB-PER\nruns\tO"]
    for name, sentences in (
        ("dev-en", fresh),
        ("test-en", fresh[::-1]),
        ("dev-de", train[:4]),  # the training data is in another language
    ):
        (root / f"{name}.tsv").write_text("\n\n".join(sentences) + "\n")
    arguments = (root.parent, "--task=panx", "--language=en", "--language=de", "--strict")
    status, _, report = run(capsys, *arguments)
    assert (status, report["warnings"], report["missing"]) == (0, [], [])
    (root / "dev-en.tsv").write_text("\n\n".join(train[:3] + fresh) + "\n")
    status, out, report = run(capsys, *arguments)
    assert (status, report["faults"], report["missing"]) == (1, [], [])
    [warning] = report["warnings"]
    assert warning["where"] == str(root / "dev-en.tsv")
    assert warning["problem"] == (
        f"3 of 5 examples are also in the training data {root / 'train-en.tsv'}"
    )
    assert "0 faults, 1 warning, 0 missing official splits." in out
    assert run(capsys, *arguments[:-1])[0] == 0


def test_a_copy_of_another_language_and_a_foreign_script(shared, tmp_path, capsys):
    copies = Copies(shared / "data", tmp_path)
    english = copies / "xnli/dev-en.tsv"
    shutil.copyfile(english, copies / "xnli/dev-ru.tsv")
    status, _, report = run(capsys, tmp_path, "--task=xnli")
    assert status == 0
    assert [Path(w["where"]).name for w in report["warnings"]] == ["dev-ru.tsv"] * 2
    problems = " / ".join(w["problem"] for w in report["warnings"])
    assert f"the same texts as those of en, {english}" in problems
    assert "Latin, which is not the script of ru" in problems


def test_a_class_that_training_never_shows(shared, tmp_path, capsys):
    path = Copies(shared / "data", tmp_path) / "mnli/train.tsv"
    lines = path.read_text().split("\n")
    path.write_text("\n".join(line for line in lines if not line.endswith("\tcontradiction")))
    problems = [problem for _, problem in warned(capsys, tmp_path, "mnli")]
    assert "no training example has the label contradiction" in problems


def test_parallel_files_of_different_lengths(shared, tmp_path, capsys):
    copies = Copies(shared / "data", tmp_path)
    for language in ("en", "fr"):
        _ = copies / f"xnli/dev-{language}.tsv"
    path = copies / "xnli/dev-de.tsv"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-2]))
    assert warned(capsys, tmp_path, "xnli") == [
        ("dev-de.tsv", "598 examples, 600 in other languages")
    ]


def test_a_dev_split_without_labels(shared, tmp_path, capsys):
    path = Copies(shared / "data", tmp_path) / "xnli/dev-de.tsv"
    rows = [line.split("\t")[:2] for line in path.read_bytes().decode().split("\r\n")]
    path.write_bytes("\r\n".join("\t".join(row) for row in rows).encode())
    assert warned(capsys, tmp_path, "xnli") == [("dev-de.tsv", "a dev split without labels")]


def test_ids_that_stand_for_two_examples(shared, tmp_path, capsys):
    path = Copies(shared / "data", tmp_path) / "qqp/dev.tsv"
    lines = path.read_text().split("\n")
    lines[9] = "\t".join([lines[4].split("\t")[0], *lines[9].split("\t")[1:]])
    path.write_text("\n".join(lines))
    id_ = lines[4].split("\t")[0]
    actual = warned(capsys, tmp_path, "qqp")
    assert ("dev.tsv", f"ids that occur more than once: 1, the first is {id_!r}") in actual


def test_the_script_of_a_language_pair_is_that_of_the_context():
    example = SpanExample("0", "who runs ?", "собака бежит", None)
    assert wrong_script([example], "ru-en") == ""
    assert wrong_script([example], "en-ru") == "CYRILLIC"
    assert wrong_script([example], "xx") == ""
