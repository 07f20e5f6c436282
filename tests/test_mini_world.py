"""Tests the embedded world's folder: complete, correct, reproducible, its text apart from tasks."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from checking import run

from xt_jax import mini
from xt_jax.config import Config, DataConfig
from xt_jax.data.examples import TagExample
from xt_jax.data.sources import open_source
from xt_jax.errors import DataError
from xt_jax.mini import LANGUAGES, Sizes, official
from xt_jax.mini import write as making
from xt_jax.mini.write import FINGERPRINT, FORMAT
from xt_jax.study.build import open_data
from xt_jax.tasks.table import DIRECT, TARGETS, TASKS

TINY = Sizes(12, 4, dev=8, parallel=6, pairs=4, alone=6, text=5, translations=("de", "zh"))
# SHA-256 of the tiny world in each format; other contents need a new format
DIGESTS = {4: "42674a0f89e03c34848135fcf1f382b23b83c03a9c2234c6ac0390afdd6d1e70"}
ALL = tuple(task for task in TASKS if task != "anli_plus")  # which is joined from others
SPLITS = ("train", "dev", "test")
STOPS = r"(?<=[.?؟।。？])\s*"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return Path(mini.write_world(tmp_path_factory.mktemp("tiny") / "world", TINY))


def _examples(root: Path, task: str, split: str, language: str) -> list:
    labels = TASKS[task].labels
    actual = open_source("files", str(root)).find(task, split, language)
    return actual[0].read(labels) if actual else []


def _pieces(root: Path, task: str) -> Iterator[tuple[str, str]]:
    """Returns (split, language) of all splits that the world has of a task."""
    source = open_source("files", str(root))
    for split in SPLITS:
        for language in source.languages(task, split):
            if language in LANGUAGES or "-" in language:
                yield split, language


def test_the_check_finds_no_fault_and_nothing_missing(world, capsys, tmp_path):
    (tmp_path / "data").symlink_to(world)
    status, _, report = run(capsys, tmp_path / "data")
    assert (status, report["faults"]) == (0, [])
    (warning,) = report["warnings"]
    assert "no training example has the label INTJ, SCONJ, SYM, X" in warning["problem"]
    assert {row["task"] for row in report["rows"]} == set(ALL) == set(official.WRITTEN)
    assert all(row["labelled"] and row["examples"] for row in report["rows"])
    missing = {
        (row["task"], row["split"])
        for row in report["missing"]
        for language in row["languages"]
        if {*language.split("-")} <= {*LANGUAGES}
    }
    # their test labels were never published
    assert missing == {(task, "test") for task in ("hellaswag", "cosmos_qa", "commonsense_qa")}


def test_every_language_has_every_task_that_it_has_in_xtreme(world):
    assert set(official.SPOKEN) == set(TARGETS)
    for task in TARGETS:
        languages = {language for split, language in _pieces(world, task) if split == "test"}
        assert languages == {*TASKS[task].languages} & {*LANGUAGES}
        assert len(languages) >= 3
    assert {language for _, language in _pieces(world, "mlm")} == {*LANGUAGES}


def test_the_sizes_are_those_asked_for(tiny):
    counts = {
        (task, split, language): len(_examples(tiny, task, split, language))
        for task in ALL
        for split, language in _pieces(tiny, task)
    }
    assert len(counts) > 150
    fixed = {"bucc": 2 * (TINY.pairs + TINY.alone), "tatoeba": TINY.parallel}
    for (task, split, language), count in counts.items():
        train = TINY.train // 3 if TASKS[task].family == "tags" else TINY.train
        train = TINY.text if task == "mlm" else train
        assert count == fixed.get(task, train if split == "train" else TINY.dev), (task, language)


def test_any_first_examples_are_balanced(world):
    for task in ALL:
        if TASKS[task].family in ("pairs", "choices"):
            for split, language in _pieces(world, task):
                labels = [e.label for e in _examples(world, task, split, language)]
                for size in (60, len(labels)):
                    counts = [labels[:size].count(label) for label in TASKS[task].labels]
                    assert sum(counts) == size, (task, split)
                    assert max(counts) - min(counts) <= 1, (task, split)


@pytest.mark.parametrize("task", ["xnli", "pawsx", "udpos", "panx", "xquad", "mlqa"])
def test_the_languages_of_a_test_set_tell_the_same(world, task):
    for split in ("dev", "test"):
        languages = [language for s, language in _pieces(world, task) if s == split]
        told = {lang: _examples(world, task, split, lang) for lang in languages}
        assert len({len(examples) for examples in told.values()}) <= 1
        if TASKS[task].family == "pairs":
            assert len({tuple(e.label for e in examples) for examples in told.values()}) == 1
        if task == "panx":
            starts = [[[t for t in e.tags if t[0] == "B"] for e in s] for s in told.values()]
            assert all(
                sorted(a) == sorted(b) for b in starts for a, b in zip(starts[0], b, strict=True)
            )


def test_no_example_is_in_two_splits(world):
    seen: dict[tuple[str, str], set] = {}
    for task in ALL:
        name = {"mnli": "nli", "xnli": "nli"}.get(task, task)
        for split, language in _pieces(world, task):
            actual = {_content(e) for e in _examples(world, task, split, language)}
            others = seen.setdefault((name, language), set())
            if (task, split, language) in (("xnli", "train", "en"), ("tydiqa", "test", "en")):
                assert actual <= others  # MNLI's; English dev is test
            else:
                assert not actual & others, (task, split, language)
            others |= actual
    assert {language for _, language in seen} >= {*LANGUAGES}
    pieces = "squad train, squad dev, xquad test, mlqa dev, mlqa test, tydiqa train, tydiqa dev"
    contexts = [
        {e.context for e in _examples(world, *piece.split(), "en")} for piece in pieces.split(", ")
    ]
    assert len(set.union(*contexts)) == sum(map(len, contexts)) > 1000


def _content(example) -> tuple:
    """Returns what an example tells, and its choices."""
    return (*_told(example), *sorted(getattr(example, "choices", ())))


def test_no_sentence_of_the_text_is_in_a_task(world):
    compared = 0
    for code in LANGUAGES:
        stories = [e.text for s in ("train", "dev") for e in _examples(world, "mlm", s, code)]
        text = {bare for story in stories for bare in _bare(story)}
        for task in ALL:
            for split, language in _pieces(world, task):
                if language == code and task != "mlm":
                    examples = _examples(world, task, split, language)
                    told = {b for e in examples for part in _told(e) for b in _bare(part)}
                    assert not text & told, (task, split)
                    compared += len(told)
    assert compared > 10_000


def _bare(text: str) -> list[str]:
    """Returns the statements of a text without white space, and no questions."""
    sentences = ["".join(sentence.split()) for sentence in re.split(STOPS, text)]
    return [sentence for sentence in sentences if sentence and sentence[-1] not in "?؟？"]


def _told(example) -> list[str]:
    """Returns the texts of an example that state facts; its choices do not."""
    if isinstance(example, TagExample):
        return [" ".join(example.words)]
    names = ("text", "text_a", "text_b", "context", "english", "translation")
    told = [getattr(example, name) for name in names if hasattr(example, name)]
    return [text for text in told if isinstance(text, str)]


def test_gold_translations_say_the_same(tiny):
    labels = {}
    for code in ("en", *TINY.translations):
        for task in ("mnli", "squad", "hellaswag", "qqp"):
            examples = _examples(tiny, task, "train", code)
            assert len(examples) == TINY.train, (task, code)
            if task != "squad":
                gold = [example.label for example in examples]
                assert labels.setdefault(task, gold) == gold
            else:
                assert all(
                    e.context[start:].startswith(t) for e in examples for t, start in e.answers
                )
    assert not (tiny / "translated" / "es").exists()
    hypotheses = {e.text_b for e in _examples(tiny, "mnli", "train", "zh")}
    assert all(re.search("[一-鿿]", hypothesis) for hypothesis in hypotheses)


@pytest.mark.parametrize("task", ALL)
def test_one_task_alone_has_what_its_study_reads(task, tiny, tmp_path):
    needed = {task, *TASKS[task].train}
    root = Path(mini.write_world(tmp_path / "world", dataclasses.replace(TINY, tasks=(*needed,))))
    for name in needed:
        assert [*_pieces(root, name)] == [*_pieces(tiny, name)]
        splits = {split for split, _ in _pieces(root, name)}
        assert splits >= ({"train", "dev"} if TASKS[name].role == "intermediate" else {"test"})
    folders = {path.name for path in root.iterdir() if path.is_dir()} - {"translated"}
    assert len(folders) == len(needed) + (task in ("mnli", "xnli"))  # which go together
    if task == "xnli":
        assert _examples(root, "xnli", "train", "en")  # MNLI's


def test_a_study_gets_as_many_examples_as_it_asks_for(tmp_path):
    config = Config(data=DataConfig("mini"), intermediates=(DIRECT,), targets=("panx",))
    config.data.max_train_examples, config.data.max_eval_examples = 9000, 20
    source, _ = open_data(config, tmp_path)
    (train,), (test,) = (source.find("panx", *of) for of in (("train", "en"), ("test", "tr")))
    assert (len(train.read(())), len(test.read(()))) == (9000, 20)


def _digest(root: Path) -> str:
    """Returns the SHA-256 of names and contents, ignoring the white space of writers."""
    content = hashlib.sha256()
    for path in sorted(p for p in root.rglob("*") if p.is_file() and p.name != FINGERPRINT):
        text = " ".join(path.read_text(encoding="utf-8").split())
        content.update(f"{path.relative_to(root)}\0{text}".encode())
    return content.hexdigest()


def test_same_seed_same_bytes_and_other_bytes_need_a_new_format(tiny, tmp_path):
    assert _digest(tiny) == DIGESTS[FORMAT]
    again = Path(mini.write_world(tmp_path / "again", TINY))
    other = Path(mini.write_world(tmp_path / "other", TINY, seed=1))
    names = [sorted(str(p.relative_to(r)) for p in r.rglob("*")) for r in (tiny, again, other)]
    assert names[0] == names[1] == names[2]
    for file in (path.relative_to(tiny) for path in tiny.rglob("*") if path.is_file()):
        content = (tiny / file).read_bytes()
        assert (again / file).read_bytes() == content
        assert file.suffix == ".gold" or (other / file).read_bytes() != content, file
    assert json.loads((tiny / FINGERPRINT).read_text())["format"] == FORMAT


SOME = dataclasses.replace(TINY, tasks=("tatoeba", "panx"))


def test_a_made_world_stays_and_another_replaces_it(tmp_path, monkeypatch):
    root = tmp_path / "new" / "world"
    assert Path(mini.write_world(root, SOME)) == root
    with monkeypatch.context() as patched:
        patched.setattr(making, "write_files", None)
        assert Path(mini.write_world(root, SOME)) == root
    for sizes, seed in ((SOME, 1), (dataclasses.replace(SOME, dev=9), 1)):
        (root / "mark").write_text("")
        mini.write_world(root, sizes, seed=seed)
        assert not (root / "mark").exists()
    assert [path.name for path in root.parent.iterdir()] == ["world"]


def test_a_foreign_folder_and_a_file_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for target in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(DataError, match=re.escape(str(target))):
            mini.write_world(target, SOME)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    assert (tmp_path / "notes.txt").read_text() == "mine"
    empty = tmp_path / "empty"
    empty.mkdir()
    mini.write_world(empty, SOME)
    assert (empty / "panx" / "train-en.tsv").exists()


@pytest.mark.parametrize("before", [False, True])
def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch, before):
    if before:
        mini.write_world(tmp_path / "world", SOME)

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(official.formats, "write_parallel", fail)
    with pytest.raises(OSError, match="disk full"):
        mini.write_world(tmp_path / "world", SOME, seed=1)
    assert [path.name for path in tmp_path.iterdir()] == ["world"] * before
    if before:
        assert json.loads((tmp_path / "world" / FINGERPRINT).read_text())["seed"] == 0
