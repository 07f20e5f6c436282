"""Submission folders: written and read again, partial ones, malformed files."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from etils import epath
from readers import ner, parallel, squad
from submissions import MADE_UP, TOLERANCE, assert_equal, made_up, ref, verdict

from xt_jax import score as command
from xt_jax.data.examples import (
    MiningExample,
    PairExample,
    SentenceExample,
    SpanExample,
    TagExample,
)
from xt_jax.errors import ConfigError, DataError
from xt_jax.study.job import TargetRecord
from xt_jax.tasks.benchmarks import XTREME
from xt_jax.tasks.submission.official import evaluate
from xt_jax.tasks.submission.write import write, write_labels
from xt_jax.tasks.table import TARGETS, TASKS


@pytest.fixture
def xtreme(tmp_path):
    return made_up(tmp_path)


# --- written --------------------------------------------------------------------------------

PAIRS = [PairExample(str(i), "a", "b", label) for i, label in enumerate("1001")]
TAGGED = [
    TagExample("0", ("a", "b"), ("NOUN", "VERB")),
    TagExample("1", ("c",), ("X",)),
]
QUESTIONS = [
    SpanExample("q-1", "?", "eine Katze, zwei", (("Katze", 5), ("eine Katze", 0))),
    SpanExample("q-2", "?", "eine Katze, zwei", (("zwei", 12),)),
    SpanExample("q-3", "?", "三只猫", (("猫", 2),)),
]
MINED = [
    MiningExample("de-1", "a", False, ("en-2",)),
    MiningExample("de-2", "b", False, ()),
    MiningExample("de-3", "c", False, ("en-1", "en-2")),
    MiningExample("en-1", "d", True, None),
    MiningExample("en-2", "e", True, None),
]
# By code points and less outer white space: "Zeta", "alpha", "b", "beta", "beta", "\u00e9".
SENTENCES = [
    SentenceExample(str(i), english, "x", i)
    for i, english in enumerate(["beta", "\u00e9", "alpha", "  b ", "beta", "Zeta"])
]


class Case(NamedTuple):
    """Examples of a task, predictions, and the texts of both files; None for questions."""

    examples: list
    predictions: list
    text: str | None
    labels: str | None
    right: list  # what scores 100


SAME = ["1", "0", "0", "1"]
TAG_TEXT = "NOUN\nVERB\n\nX\n"
ASKED = Case(QUESTIONS, ["Katze", "", "「猫」"], None, None, ["Katze", "zwei", "猫"])
CASES = {
    "xnli": Case(PAIRS, ["a", "b", "c", "d"], "a\nb\nc\nd\n", "1\n0\n0\n1\n", SAME),
    "pawsx": Case(PAIRS, list("0110"), "0\n1\n1\n0\n", "1\n0\n0\n1\n", SAME),
    "udpos": Case(TAGGED, [["A", "B"], ["C"]], "A\nB\n\nC\n", TAG_TEXT, [e.tags for e in TAGGED]),
    "panx": Case(TAGGED, [["O", "O"], ["O"]], "O\nO\n\nO\n", TAG_TEXT, [["NOUN", "VERB"], ["X"]]),
    "bucc": Case(
        MINED,
        [("de-1", "en-1")],
        "de-1\ten-1\n",
        "de-1\ten-2\nde-3\ten-1\nde-3\ten-2\n",
        [("de-3", "en-1"), ("de-1", "en-2"), ("de-3", "en-2")],
    ),
    "tatoeba": Case(
        SENTENCES, [9, 8, 7, 6, 5, 4], "4\n7\n6\n9\n5\n8\n", "5\n2\n3\n0\n4\n1\n", [*range(6)]
    ),
    **dict.fromkeys(("xquad", "mlqa", "tydiqa"), ASKED),
}


@pytest.mark.parametrize("task", CASES)
def test_layout(tmp_path, task):
    case, folder = CASES[task], XTREME.tasks[task].folder
    path = write(tmp_path / "predictions", task, "de", case.examples, case.predictions)
    suffix = "json" if case.text is None else "tsv"
    assert str(path) == str(tmp_path / "predictions" / folder / f"test-de.{suffix}")
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    label = write_labels(tmp_path / "labels", task, "de", case.examples)
    assert label == XTREME.tasks[task].file(tmp_path / "labels", "de")
    if case.text is None:
        assert json.loads(path.read_bytes()) == {"q-1": "Katze", "q-2": "", "q-3": "「猫」"}
        assert squad(label) == case.examples
    else:
        assert path.read_bytes().decode() == case.text
        assert label.read_bytes().decode() == case.labels


def test_no_pair_is_an_empty_file(tmp_path):
    assert write(tmp_path, "bucc", "de", MINED, []).read_bytes() == b""


def test_labels_are_right_in_the_eyes_of_the_scorer(tmp_path):
    """A submission with the labels as predictions scores 100 everywhere."""
    for task, entry in XTREME.tasks.items():
        for language in entry.languages:
            write(tmp_path / "predictions", task, language, CASES[task].examples, CASES[task].right)
            write_labels(tmp_path / "labels", task, language, CASES[task].examples)
    result = verdict(tmp_path)
    assert result.notes == ()
    assert result.scores["all_task"] == pytest.approx(100, abs=TOLERANCE)
    assert set(result.unofficial["udpos"]["accuracy"].values()) == {100.0}


def test_every_scored_target_has_its_folder():
    assert set(XTREME.tasks) == set(TARGETS)
    for task, entry in XTREME.tasks.items():
        assert entry.languages == TASKS[task].languages
        assert set(entry.metrics) <= set(TASKS[task].metrics)


@pytest.mark.parametrize("task", ["panx", "tatoeba", "bucc2018"])
def test_real_files_written_as_the_official_ones(shared, tmp_path, task):
    """Through readers and writers, the text of the label files that other code makes."""
    data = shared / "data"
    gold = {(t, lang): g for t, lang, g in ref.read_gold(shared) if t == task}
    for (_, language), labels in list(gold.items())[:8]:
        if task == "panx":
            examples = ner(data / "panx" / f"dev-{language}.tsv")
        elif task == "tatoeba":
            three = {two: three for three, two in ref.TATOEBA.items()}[language]
            stem = f"{data / 'tatoeba'}/tatoeba.{three}-eng"
            examples = parallel(f"{stem}.eng", f"{stem}.{three}")
        else:
            partners = dict(labels)
            examples = [MiningExample(k, "x", False, (v,)) for k, v in partners.items()]
        name = "bucc" if task == "bucc2018" else task
        path = write_labels(tmp_path, name, language, examples)
        assert path.read_bytes().decode() == ref.as_text(task, labels)


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(ConfigError, match="no folder for the task `mnli`"):
        write(tmp_path, "mnli", "en", PAIRS, list("0110"))
    with pytest.raises(ConfigError, match="no folder for the task `mlqa_cross`"):
        write_labels(tmp_path, "mlqa_cross", "de-en", QUESTIONS)
    with pytest.raises(ValueError, match="4 xnli examples but 3 predictions"):
        write(tmp_path, "xnli", "de", PAIRS, list("011"))
    with pytest.raises(ValueError, match="sentence '1' has 1 words but 2 tags"):
        write(tmp_path, "panx", "de", TAGGED, [["O", "O"], ["O", "O"]])
    with pytest.raises(DataError, match="two questions have the id 'q-1'"):
        write(tmp_path, "xquad", "de", [QUESTIONS[0]] * 2, ["a", "b"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("task", "example"),
    [
        ("xnli", PairExample("7", "a", "b", None)),
        ("panx", TagExample("7", ("a",), None)),
        ("xquad", SpanExample("7", "?", "a", None)),
        ("tatoeba", SentenceExample("7", "a", "b", None)),
        ("bucc", MiningExample("7", "a", False, None)),
    ],
)
def test_unlabelled_examples_have_no_label_file(tmp_path, task, example):
    with pytest.raises(DataError, match=f"{task} example '7' has no label"):
        write_labels(tmp_path, task, "de", [example])
    assert list(tmp_path.iterdir()) == []


# --- partial submissions --------------------------------------------------------------------


def test_tasks_left_out_count_in_no_group(xtreme):
    shutil.rmtree(xtreme / "predictions" / "xnli")
    shutil.rmtree(xtreme / "labels" / "bucc2018")
    result = verdict(xtreme)
    expected = MADE_UP["xtreme"]
    left = {k: expected[k] for k in "tagging qa pawsx panx udpos tatoeba xquad mlqa tydiqa".split()}
    assert_equal(result.scores, left)
    alone = [note for note in result.notes if "nothing to compare it with" in note]
    assert [note.partition(":")[0] for note in alone] == [
        str(xtreme / "predictions" / "bucc2018"),
        str(xtreme / "labels" / "xnli"),
    ]


def test_languages_left_out_are_named(xtreme):
    (xtreme / "predictions" / "xnli" / "test-sw.tsv").unlink()
    (xtreme / "labels" / "xnli" / "test-ur.tsv").unlink()
    (xtreme / "predictions" / "mlqa" / "test-zh.json").unlink()
    with pytest.raises(DataError) as error:
        verdict(xtreme)
    assert "xnli lacks sw, ur; mlqa lacks zh" in error.value.problem
    assert str(xtreme / "predictions" / "xnli" / "test-sw.tsv") in error.value.where
    assert "--allow_missing" in error.value.remedy


def test_what_is_there_can_be_averaged(xtreme):
    (xtreme / "predictions" / "xnli" / "test-sw.tsv").unlink()
    for path in (xtreme / "labels" / "bucc2018").iterdir():
        path.unlink()
    result = verdict(xtreme, allow_missing=True)
    expected = MADE_UP["xtreme"]
    assert result.missing["xnli"] == ("sw",)
    assert "bucc2018: no language is in both folders" in result.notes
    scores = {k: v for k, v in expected["xnli"]["accuracy"].items() if k != "sw"}
    assert result.scores["xnli"]["accuracy"] == pytest.approx(scores, abs=TOLERANCE)
    mean = sum(scores.values()) / 14
    assert result.scores["xnli"]["avg_metric"] == pytest.approx(mean, abs=TOLERANCE)
    assert not {"all_task", "classification", "retrieval", "bucc2018"} & set(result.scores)
    assert result.scores["qa"] == pytest.approx(expected["qa"], abs=TOLERANCE)
    text = command.table(result, "xtreme")
    assert "xnli               14/15" in text
    assert "missing: sw" in text
    assert "all_task             -" in text


def test_unknown_folders_languages_and_ids_are_noted(xtreme):
    (xtreme / "predictions" / "bucc").mkdir()
    (xtreme / "predictions" / "xnli" / "test-xx.tsv").write_text("a\n")
    (xtreme / "predictions" / "mlqa" / "test-de.json").write_text('{"0": "cat", "q": "owl"}')
    text = "\n".join(verdict(xtreme).notes)
    assert f"{xtreme / 'predictions' / 'bucc'}: no task that this version scores" in text
    assert f"{xtreme / 'predictions' / 'xnli'}: ignored test-xx.tsv" in text
    assert "mlqa/test-de.json: 7 of 8 ids are missing and score 0, e.g. 1" in text
    assert "mlqa/test-de.json: ignored 1 ids that the labels do not have" in text


def test_nothing_to_score(xtreme):
    with pytest.raises(DataError, match="no file in common"):
        evaluate(xtreme / "predictions" / "xnli", xtreme / "labels")
    with pytest.raises(DataError, match="does not exist") as error:
        evaluate(xtreme / "nowhere", xtreme / "labels")
    assert error.value.where == str(xtreme / "nowhere")


# --- malformed files ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "problem", "line"),
    [
        ("predictions/xnli/test-de.tsv", "a\nb\n", "2 labels predicted, but 20", ":2"),
        ("predictions/xnli/test-de.tsv", "a\n" * 22, "22 labels predicted, but 20", ":21"),
        ("predictions/xnli/test-de.tsv", "", "0 labels predicted, but 20", ":1"),
        ("predictions/xnli/test-de.tsv", "a\nb\tc\n", "2 tab-separated columns", ":2"),
        ("predictions/xnli/test-de.tsv", "\ufeffa\n" + "a\n" * 19, "byte-order mark", ":1"),
        ("labels/xnli/test-de.tsv", "a\n" * 9 + "\n" * 11, "the label is missing", ":10"),
        ("labels/tatoeba/test-de.tsv", "", "the label is missing", ":1"),
        (
            "predictions/udpos/test-de.tsv",
            "O\n\nO\nO\nO\n\nO\n",
            "the sentence has 3 tags, but 2",
            ":3",
        ),
        ("predictions/udpos/test-de.tsv", "O\n\nO\nO\n", "2 sentences predicted, but 10", ":3"),
        ("predictions/panx/test-de.tsv", "word\tO\n", "2 tab-separated columns", ":1"),
        ("predictions/bucc2018/test-de.tsv", "a\tb\na b\n", "1 tab-separated columns", ":2"),
        ("predictions/bucc2018/test-de.tsv", "a\tb\n\na\tb\n", "0 tab-separated columns", ":2"),
        ("labels/bucc2018/test-de.tsv", "a\tb\t0.5\n", "3 tab-separated columns", ":1"),
        ("predictions/xquad/test-de.json", '{\n"a": "b",\n}', "broken JSON", ":3:1"),
        ("predictions/xquad/test-de.json", "", "broken JSON", ":1:1"),
        ("predictions/xquad/test-de.json", '["a"]', "not a JSON map", ""),
        (
            "predictions/xquad/test-de.json",
            '{\n"0": "b",\n"1": 2}',
            "answer to '1' is not a text",
            ":3",
        ),
        ("labels/xquad/test-de.json", '{"data": [}', "broken JSON", ":1:11"),
        ("labels/xquad/test-de.json", '{"a": "b"}', "'data'", ""),
        ("predictions/tydiqa/test-ko.json", b'{"0":\n"\xff"}', "not UTF-8", ":2"),
        ("predictions/mewslix/test-de.json", '{\n"0": "Q1"}', "value of '0' is not a list", ":2"),
        ("labels/mewslix/test-de.json", '{\n"0": ["Q1", "Q2"]}', "'0' has 2 entities", ""),
        ("predictions/xcopa/test-et.jsonl", '{"label": 0}\n{"lable": 0}\n', "`label`", ":2"),
        ("predictions/xcopa/test-et.jsonl", '{"label": 0}\n{"label":}\n', "broken JSON", ":2:10"),
    ],
)
def test_malformed_files(tmp_path, name, text, problem, line):
    version = "xtreme-r" if "mewslix" in name or "xcopa" in name else "xtreme"
    made_up(tmp_path, version)
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError) as error:
        verdict(tmp_path, version)
    assert problem in error.value.problem
    assert error.value.where == f"{tmp_path / name}{line}"
    assert error.value.remedy


ROWS = ['{"id": "a", "prediction": "neutral"}', '{"id": "b", "prediction": "entailment"}']


@pytest.mark.parametrize(
    ("lines", "problem", "place"),
    [
        (ROWS, "", ""),
        (ROWS[:1], "not those of the data set's examples", ""),
        (ROWS[::-1], "not those of the data set's examples", ""),
        ([ROWS[0], ROWS[1][:-3]], "broken JSON", ":2:27"),
        (["[" * 100_000, ROWS[1]], "nested too deep", ":1:1"),
        ([ROWS[0], '{"id": 3}'], "column 'id' holds 3, no str", ":2"),
        ([], "not those of the data set's examples", ""),
    ],
)
def test_predictions_of_an_earlier_run_are_those_of_the_examples(tmp_path, lines, problem, place):
    path = epath.Path(tmp_path / "predictions.jsonl")
    path.write_text("".join(f"{line}\n" for line in lines))
    dataset = SimpleNamespace(examples=[SimpleNamespace(id=name) for name in "ab"])
    data = SimpleNamespace(task=TASKS["xnli"])
    record = SimpleNamespace(_predictions=lambda _: path, data=data)
    if not problem:
        found = TargetRecord._read_predictions(record, dataset)
        assert found == ["neutral", "entailment"]
        return
    with pytest.raises(DataError, match=problem) as error:
        TargetRecord._read_predictions(record, dataset)
    assert error.value.where == f"{path}{place}"


def test_stripped_answers_are_not_scored(xtreme):
    path = xtreme / "labels" / "xquad" / "test-de.json"
    document = json.loads(path.read_text())
    for question in document["data"][0]["paragraphs"][0]["qas"]:
        question["answers"] = [{"answer_start": 0, "text": ""}]
    path.write_text(json.dumps(document, indent=1))
    with pytest.raises(DataError, match="question '0' has no answer to score against"):
        verdict(xtreme)


def test_lines_are_read_as_the_official_scorer_reads_them(xtreme):
    """Any line end, white space around a label, no end of the last line: the same labels."""
    for task in ("xnli", "udpos", "bucc2018"):
        for path in (xtreme / "predictions" / task).iterdir():
            lines = path.read_text().split("\n")[:-1]
            ends = ("\n", "\r\n", "\r")
            text = "".join(f"\u3000{line} {ends[i % 3]}" for i, line in enumerate(lines))
            path.write_bytes(text.rstrip().encode())
    assert_equal(verdict(xtreme).scores, MADE_UP["xtreme"])
