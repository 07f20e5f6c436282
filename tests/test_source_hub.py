"""Tests the source `hub` on parquet files with the published schemas, written from real files."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import huggingface_hub.constants
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from published import (
    NLI,
    STRIPPED,
    WRITERS,
    shard,
    write,
    write_bucc,
    write_treebank,
)
from released import COMMON, NLI_LANGUAGES, compose, read, without_ids
from scored import scored

from xt_jax.data.examples import SpanExample
from xt_jax.data.sources import hub, open_source
from xt_jax.data.sources.hub import REVISIONS, HubSource
from xt_jax.errors import ConfigError, DataError
from xt_jax.tasks.table import FAMILIES, TASKS

CASES = [
    *COMMON,
    *((f"anli_r{n}", "train", "en") for n in (1, 2, 3)),
    *(("commonsense_qa", split, "en") for split in ("train", "dev", "test")),
    ("xnli", "train", "en"),
    ("pawsx", "train", "en"),
    *(("pawsx", split, "zh") for split in ("dev", "test")),
    ("mlqa_cross", "dev", "de-es"),
]


@pytest.fixture(scope="session")
def releases(shared, tmp_path_factory) -> Path:
    return compose(shared / "data", tmp_path_factory.mktemp("releases"))


@pytest.fixture(scope="session")
def published(releases, tmp_path_factory) -> Path:
    """Writes the repositories' files below owner and name."""
    root = tmp_path_factory.mktemp("hub")
    files = open_source("files", str(releases))
    for task, split, language in dict.fromkeys((t, s, lang) for t, s, lang in CASES):
        if (task, split) in (("xnli", "train"), ("tydiqa", "dev")):
            continue  # MNLI's, and the split that is written as test
        if (task, split) in (
            ("xnli", "dev"),
            ("xnli", "test"),
            ("tydiqa", "train"),
            ("tydiqa", "test"),
        ) and language != "en":
            continue  # all languages in one file
        WRITERS[task](root, files, task, split, language)
    return root


def as_stripped(example: SpanExample) -> SpanExample:
    """Strips the white space around the texts of an example and moves its answers accordingly."""
    before = len(example.context) - len(example.context.lstrip())
    answers = tuple((text.strip(), start - before) for text, start in example.answers)
    return example._replace(
        question=example.question.strip(), context=example.context.strip(), answers=answers
    )


@pytest.mark.parametrize(("task", "split", "language"), CASES)
def test_same_examples_as_from_files(releases, published, task, split, language):
    expected = read(open_source("files", str(releases)), task, split, language)
    actual = read(open_source("hub", str(published)), task, split, language)
    if task in STRIPPED:
        expected = [as_stripped(example) for example in expected]
    assert without_ids(actual) == without_ids(expected)
    if TASKS[task].family in ("spans", "spans_or_none") or task.startswith("anli"):
        assert [example.id for example in actual] == [example.id for example in expected]


@pytest.mark.parametrize(
    ("task", "split", "language"), [("tydiqa", "test", "fi"), ("xquad", "test", "zh")]
)
def test_stripped_texts_give_the_same_features(
    releases, published, xlmr_tokenizer, task, split, language
):
    """All that a model sees; the characters kept for decoding are those of the stripped context."""
    features = [
        FAMILIES["spans"].tokenize(
            read(open_source(name, str(folder)), task, "test", language),
            xlmr_tokenizer,
            (),
            max_length=384,
            doc_stride=128,
        )
        for name, folder in (("files", releases), ("hub", published))
    ]
    ours, theirs = ({"lengths": f.lengths, **f.tokens, **f.fields} for f in features)
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_array_equal(theirs[name], array)


def test_offsets_of_stripped_contexts_were_moved(releases):
    """The release has contexts that begin with white space, so the case above is not empty."""
    questions = read(open_source("files", str(releases)), "tydiqa", "test", "fi")
    moved = [example for example in questions if example.answers != as_stripped(example).answers]
    assert len(moved) == 43


@pytest.mark.parametrize(("language", "bank", "fused"), [("th", "PUD", 0), ("de", "PUD", 14)])
def test_treebanks(releases, tmp_path, language, bank, fused):
    """Published as syntactic words: a substitute, the same where no token is fused."""
    write_treebank(tmp_path, releases, language, bank, "test")
    source = HubSource(str(tmp_path))
    actual = read(source, "udpos", "test", language, substitutes=True)
    expected = read(open_source("files", str(releases)), "udpos", "test", language)
    assert sum(pair[0] != pair[1] for pair in zip(actual, expected, strict=True)) == fused
    assert source.find("udpos", "test", language) == source.languages("udpos", "test") == []


@pytest.mark.parametrize("ids", [True, False])
def test_bucc_is_the_gold_pairs(releases, tmp_path, ids):
    corpora = read(open_source("files", str(releases / "sample")), "bucc", "dev", "zh")
    rows = write_bucc(tmp_path, corpora, ids)
    source = HubSource(str(tmp_path))
    assert source.find("bucc", "dev", "zh") == []
    actual = read(source, "bucc", "dev", "zh", substitutes=True)
    partners = {partner for example in corpora for partner in example.partners or ()}
    expected = [e for e in corpora if e.partners or e.id in partners]
    if ids:
        assert actual == expected
    by_id = {example.id: example.text for example in actual}
    assert sorted((e.text, by_id[p]) for e in actual for p in e.partners or ()) == sorted(
        (row["source_sentence"], row["target_sentence"]) for row in rows
    )


def test_what_is_there(published):
    source = HubSource(str(published))
    assert source.languages("xquad", "test") == ["ar", "en", "zh"]
    assert source.languages("xnli", "dev") == NLI_LANGUAGES
    assert source.languages("mlqa_cross", "dev") == ["de-es"]
    assert source.languages("ccg", "train") == []
    assert source.find("xquad", "test", "de") == source.find("xquad", "test", "sw") == []
    assert source.expected("udpos", "test", "ta") == (
        f"{published}/google/xtreme/udpos.Tamil/test-*.parquet"
    )
    assert source.expected("mlqa_cross", "test", "hi-vi").endswith("/MLQA.hi.vi/test-*.parquet")
    assert source.expected("udpos", "dev", "kk") == source.expected("ccg", "train", "en") == ""


def test_revisions_are_commits():
    tables = [table for rows in hub.LAYOUT.values() for table in rows]
    assert {"/".join(table.place.split("/")[:2]) for table in tables} == set(REVISIONS)
    assert all(re.fullmatch(r"[0-9a-f]{40}", revision) for revision in REVISIONS.values())


def test_fetched_at_the_pinned_revision(published, tmp_path, monkeypatch):
    """What `snapshot_download` is asked for, and that nothing is fetched before it is read."""
    asked = []

    def snapshot_download(repository, **options):
        asked.append((repository, options))
        return str(published / repository)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    source = HubSource("")
    actual = source.find("tydiqa", "test", "fi")[0]
    digests = {actual.digest(), source.find("tydiqa", "test", "ko")[0].digest()}
    assert asked == []
    assert len(digests) == 2
    assert actual.where == "google/xtreme@ec5f1f46e9af/tydiqa/validation-*.parquet"
    assert actual.read(()) == read(HubSource(str(published)), "tydiqa", "test", "fi")
    assert asked == [
        (
            "google/xtreme",
            {
                "repo_type": "dataset",
                "revision": REVISIONS["google/xtreme"],
                "allow_patterns": ["tydiqa/validation-*.parquet"],
            },
        )
    ]
    monkeypatch.setitem(REVISIONS, "google/xtreme", "0" * 40)
    assert source.find("tydiqa", "test", "fi")[0].digest() not in digests


def test_no_network(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    actual = HubSource("").find("xquad", "test", "th")[0]
    with pytest.raises(DataError, match="cannot be fetched") as caught:
        actual.read(())
    assert REVISIONS["google/xtreme"] in caught.value.where
    assert "--config.data.dir" in caught.value.remedy


def test_digest_follows_the_content(published, tmp_path):
    path = shard(tmp_path / "google/xtreme/XQuAD.en", "validation")
    original = shard(published / "google/xtreme/XQuAD.en", "validation")
    path.parent.mkdir(parents=True)
    path.write_bytes(original.read_bytes())
    digests = [
        HubSource(str(root)).find("xquad", "test", "en")[0].digest()
        for root in (published, tmp_path)
    ]
    assert digests[0] == digests[1]
    path.write_bytes(original.read_bytes() + b"\0")
    assert HubSource(str(tmp_path)).find("xquad", "test", "en")[0].digest() != digests[0]


def test_reads_without_torch(published):
    code = (
        "import sys; from xt_jax.data.sources.hub import HubSource;"
        f"print(len(HubSource({str(published)!r}).find('xquad', 'test', 'en')[0].read(())));"
        "print([m for m in sys.modules if m.split('.')[0] in ('tensorflow', 'torch')])"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert done.stdout.splitlines() == ["298", "[]"], done.stderr


def fault(folder: Path, task: str, split: str, language: str = "en") -> DataError:
    with pytest.raises(DataError) as caught:
        HubSource(str(folder)).find(task, split, language)[0].read(TASKS[task].labels)
    return caught.value


def test_a_label_out_of_range(tmp_path):
    path = shard(tmp_path / "nyu-mll/glue/mnli", "train")
    rows = [{"premise": "a", "hypothesis": "b", "label": label, "idx": 0} for label in (2, 3)]
    for classes in (None, {"label": NLI}):
        write(path, rows, classes)
        error = fault(tmp_path, "mnli", "train")
        assert error.problem == "label 3 is out of range: there are 3 classes"
        assert error.where == f"{path}, row 1"


def test_class_names_of_the_file_come_first(tmp_path):
    path = shard(tmp_path / "nyu-mll/glue/mnli", "train")
    rows = [{"premise": "a", "hypothesis": "b", "label": 0}]
    write(path, rows, {"label": ("contradiction", "entailment", "neutral")})
    assert read(HubSource(str(tmp_path)), "mnli", "train", "en")[0].label == "contradiction"


@pytest.mark.parametrize(
    ("note", "problem", "where"),
    [
        (b'{"info"', "broken JSON", ":1:8"),
        (b'{"info": "\xff"}', "byte 0xff is not UTF-8", ":1"),
        (b"[" * 100_000, "nested too deep", ":1:1"),
        (
            b'{"info": {"features": {"label": {"_type": "ClassLabel", "names": 3}}}}',
            "column 'names' holds 3, no list",
            "",
        ),
    ],
)
def test_class_names_that_cannot_be_read(tmp_path, note, problem, where):
    path = shard(tmp_path / "nyu-mll/glue/mnli", "train")
    rows = [{"premise": "a", "hypothesis": "b", "label": 0}]
    path.parent.mkdir(parents=True)
    table = pa.Table.from_pylist(rows).replace_schema_metadata({"huggingface": note})
    pq.write_table(table, path)
    error = fault(tmp_path, "mnli", "train")
    assert problem in error.problem
    assert error.where == f"{path}{where}"


@pytest.mark.parametrize("text", [b"\xff", b"\xed\xa0\x80"])  # half of a surrogate pair
def test_a_string_that_is_not_utf8(tmp_path, text):
    path = shard(tmp_path / "nyu-mll/glue/mnli", "train")
    path.parent.mkdir(parents=True)
    texts = pa.StringArray.from_buffers(2, *pa.array([b"a", text], pa.binary()).buffers()[1:])
    columns = {"premise": texts, "hypothesis": texts, "label": pa.array([0, 0])}
    pq.write_table(pa.table(columns), path)
    error = fault(tmp_path, "mnli", "train")
    assert "cannot be read ('utf-8' codec can't decode byte" in error.problem
    assert error.where == str(path)


def test_a_column_that_is_missing_or_null(tmp_path):
    path = shard(tmp_path / "nyu-mll/glue/mnli", "train")
    write(path, [{"premise": "a", "label": 0}])
    error = fault(tmp_path, "mnli", "train")
    assert error.problem == "there is no column 'hypothesis'; there are premise, label"
    write(path, [{"premise": "a", "hypothesis": None, "label": 0}])
    assert fault(tmp_path, "mnli", "train").problem == "column 'hypothesis' holds None, no str"


def test_a_missing_file(published, tmp_path):
    name = "validation-00000-of-00002.parquet"
    path = tmp_path / "stanfordnlp/snli/plain_text" / name
    path.parent.mkdir(parents=True)
    path.write_bytes((published / path.relative_to(tmp_path)).read_bytes())
    error = fault(tmp_path, "snli", "dev")
    assert error.problem == "1 of the 2 files exist"
    assert "validation-*.parquet" in error.where


@pytest.mark.parametrize("keep", [0, 100, 2000])
def test_a_file_that_is_cut_off(published, tmp_path, keep):
    path = shard(tmp_path / "google/xtreme/XQuAD.en", "validation")
    path.parent.mkdir(parents=True)
    path.write_bytes((published / path.relative_to(tmp_path)).read_bytes()[:keep])
    error = fault(tmp_path, "xquad", "test")
    assert "the parquet file cannot be read" in error.problem
    assert error.where == str(path)


def test_a_language_that_a_mixed_file_lacks(published, tmp_path):
    path = shard(tmp_path / "google/xtreme/tydiqa", "train")
    path.parent.mkdir(parents=True)
    path.write_bytes((published / path.relative_to(tmp_path)).read_bytes())
    assert fault(tmp_path, "tydiqa", "train", "te").problem == "no example in 'te' was found"


def test_no_folder(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        HubSource(str(tmp_path / "none"))
    assert HubSource(str(tmp_path)).find("xquad", "test", "en") == []


@pytest.mark.slow
@pytest.mark.usefixtures("one_device")
def test_a_study_scores_the_targets_that_are_there(
    releases, published, xlmr_tokenizer, tmp_path, monkeypatch
):
    root = Path(shutil.copytree(published, tmp_path / "hub"))
    for split in ("train", "dev", "test"):
        write_treebank(root, releases, "en", "EWT", split)
    write_treebank(root, releases, "th", "PUD", "test")
    write_bucc(root, read(open_source("files", str(releases / "sample")), "bucc", "dev", "zh"))
    assert scored("hub", root, tmp_path / "work", xlmr_tokenizer, monkeypatch) == {
        "udpos": {"en", "th"},
        "bucc": {"zh"},
        "xnli": {"en", "sw", "th", "vi", "zh"},
        "pawsx": {"en", "zh"},
        "panx": {"en"},
        "xquad": {"en", "zh"},
        "mlqa": {"vi"},
        "tydiqa": {"en", "sw"},
        "tatoeba": {"sw"},
    }
