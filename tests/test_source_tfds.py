"""Tests the source `tfds` on data sets that TFDS's own builders prepare from the real files."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from released import COMMON, NLI_LANGUAGES, compose, read, without_ids
from scored import scored

from xt_jax.data.examples import MiningExample
from xt_jax.data.sources import open_source
from xt_jax.data.sources.tfds import TfdsSource
from xt_jax.errors import ConfigError, DataError

HERE = Path(__file__).resolve().parent
PREPARED = (
    "glue/mnli glue/qqp snli anli/r1 anli/r2 anli/r3 squad/v1.1 squad/v2.0 hellaswag cosmos_qa "
    "xnli xtreme_xnli paws_x_wiki/de paws_x_wiki/en xtreme_pawsx/de wikiann/en wikiann/fa "
    "wikiann/ja xquad/ar xquad/en xquad/zh mlqa/de mlqa/vi tydi_qa/goldp tatoeba/tatoeba_ja "
    "tatoeba/tatoeba_sw bucc/bucc_zh"
).split()
TREEBANKS = [f"xtreme_pos/xtreme_pos_{code}" for code in ("de", "en", "ta", "th", "tl", "yo")]
SHUFFLED = "glue/mnli snli hellaswag squad/v1.1 xnli xtreme_xnli xtreme_pawsx/de wikiann/fa".split()

needs_conllu = pytest.mark.skipif(
    not importlib.util.find_spec("conllu"), reason="TFDS reads treebanks with the package conllu"
)

SAME = [
    *COMMON,
    *(("xnli", "train", language) for language in NLI_LANGUAGES),
    *(("pawsx", "train", language) for language in ("de", "en")),
]


@pytest.fixture(scope="session")
def releases(shared, tmp_path_factory) -> Path:
    return compose(shared / "data", tmp_path_factory.mktemp("releases"))


def prepare(releases: Path, folder: Path, *arguments: str) -> Path:
    command = [sys.executable, str(HERE / "prepare_tfds.py"), str(releases), str(folder)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE.parent), str(HERE)])}
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="session")
def prepared(releases, tmp_path_factory) -> Path:
    """Prepares the data sets in the releases' order."""
    names = PREPARED + (TREEBANKS if importlib.util.find_spec("conllu") else [])
    return prepare(releases, tmp_path_factory.mktemp("tfds"), *names)


@pytest.fixture(scope="session")
def shuffled(releases, tmp_path_factory) -> Path:
    return prepare(releases, tmp_path_factory.mktemp("shuffled"), "--shuffle", *SHUFFLED)


@pytest.fixture
def copied(prepared, tmp_path) -> Path:
    """Copies English XQuAD, so that a test can damage it."""
    shutil.copytree(prepared / "xquad/en", tmp_path / "xquad/en")
    return tmp_path / "xquad/en/3.0.0"


@pytest.mark.parametrize(("task", "split", "language"), SAME)
def test_same_examples_as_from_files(releases, prepared, task, split, language):
    expected = read(open_source("files", str(releases)), task, split, language)
    actual = read(open_source("tfds", str(prepared)), task, split, language)
    assert without_ids(actual) == without_ids(expected)
    assert len({example.id for example in actual}) == len(actual)


@pytest.mark.parametrize(
    ("task", "split", "language"),
    [
        ("mnli", "train", "en"),
        ("snli", "dev", "en"),
        ("xnli", "dev", "de"),
        ("xnli", "train", "sw"),
        ("pawsx", "train", "de"),
        ("panx", "dev", "fa"),
    ],
)
def test_order_of_the_release_is_restored(releases, shuffled, task, split, language):
    expected = read(open_source("files", str(releases)), task, split, language)
    actual = read(TfdsSource(str(shuffled)), task, split, language)
    assert without_ids(actual) == without_ids(expected)


@pytest.mark.parametrize("task", ["squad", "hellaswag"])
def test_order_that_is_lost(releases, shuffled, task):
    expected = without_ids(read(open_source("files", str(releases)), task, "dev", "en"))
    actual = without_ids(read(TfdsSource(str(shuffled)), task, "dev", "en"))
    assert actual != expected
    assert sorted(actual, key=repr) == sorted(expected, key=repr)


@pytest.mark.skipif(
    not importlib.util.find_spec("tensorflow"), reason="TFDS lists its data sets with TensorFlow"
)
def test_prepared_with_tensorflow(releases, prepared, tmp_path):
    names = ["snli", "tatoeba/tatoeba_sw", "xquad/en"]
    prepare(releases, tmp_path, "--registered", *names)
    for task, split, language in (("snli", "dev", "en"), ("tatoeba", "test", "sw")):
        actual = read(TfdsSource(str(tmp_path)), task, split, language)
        assert actual == read(TfdsSource(str(prepared)), task, split, language)


@needs_conllu
@pytest.mark.parametrize("language", ["th", "tl", "yo"])
def test_treebanks_without_fused_tokens(releases, prepared, language):
    expected = read(open_source("files", str(releases)), "udpos", "test", language)
    assert read(TfdsSource(str(prepared)), "udpos", "test", language, substitutes=True) == expected


@needs_conllu
@pytest.mark.parametrize(("language", "fused"), [("de", 14), ("ta", 50)])
def test_fused_tokens_are_a_difference(releases, prepared, language, fused):
    source = TfdsSource(str(prepared))
    expected = read(open_source("files", str(releases)), "udpos", "test", language)
    actual = read(source, "udpos", "test", language, substitutes=True)
    different = [pair for pair in zip(actual, expected, strict=True) if pair[0] != pair[1]]
    assert len(different) == fused
    assert all(len(words.words) > len(tokens.words) for words, tokens in different)
    assert source.find("udpos", "test", language) == []
    assert source.languages("udpos", "test") == []


def test_bucc_is_the_gold_pairs(releases, prepared):
    source = TfdsSource(str(prepared))
    assert source.find("bucc", "dev", "zh") == []
    corpora = read(open_source("files", str(releases / "sample")), "bucc", "dev", "zh")
    actual = read(source, "bucc", "dev", "zh", substitutes=True)
    ids = {example.id for example in actual}
    assert actual == [example for example in corpora if example.id in ids]
    assert all(isinstance(example, MiningExample) for example in actual)
    pairs = [(e.id, partner) for e in corpora for partner in e.partners or ()]
    lost = [pair for pair in pairs if not ids.issuperset(pair)]
    assert (len(pairs), len(lost), len(actual)) == (257, 6, 2 * 251)  # to TFDS's quoting


def test_reads_without_tensorflow(prepared):
    code = (
        "import sys; from xt_jax.data.sources.tfds import TfdsSource;"
        f"found = TfdsSource({str(prepared)!r}).find('xquad', 'test', 'en')[0];"
        "print(len(found.read(())), found.digest());"
        "print([m for m in sys.modules if m.split('.')[0] in ('tensorflow', 'torch')])"
    )
    environment = os.environ | {"PYTHONPATH": str(HERE.parent)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    first, modules = done.stdout.splitlines()[-2:]
    digest = TfdsSource(str(prepared)).find("xquad", "test", "en")[0].digest()
    assert first == f"298 {digest}"
    assert modules == "[]"


def test_what_is_there(prepared):
    source = TfdsSource(str(prepared))
    assert source.languages("xquad", "test") == ["ar", "en", "zh"]
    assert source.languages("xnli", "dev") == NLI_LANGUAGES
    assert source.languages("mlm", "train") == source.languages("xquad", "train") == []
    assert source.find("xquad", "test", "de") == []
    assert source.find("commonsense_qa", "train", "en") == []


def test_expected_names_the_command(prepared):
    source = TfdsSource(str(prepared))
    assert source.expected("panx", "dev", "sw") == (
        "wikiann/sw, split validation "
        f"(python -m xt_jax.prepare_tfds --data_dir={prepared} wikiann/sw)"
    )
    assert source.expected("udpos", "test", "ta").startswith("xtreme_pos/xtreme_pos_tl, split test")
    assert source.expected("tydiqa", "test", "ko").startswith("tydi_qa/goldp, split validation-ko")
    assert source.expected("xquad", "train", "en") == source.expected("ccg", "train", "en") == ""


def test_the_newest_version_is_read(prepared, copied):
    newer = copied.with_name("3.10.0")
    shutil.copytree(copied, newer)
    shutil.copytree(copied, copied.with_name("3.9.0"))
    assert (
        TfdsSource(str(copied.parents[2]))
        .find("xquad", "test", "en")[0]
        .where.startswith(str(newer))
    )


def test_digest_follows_the_content(prepared, copied):
    def digest(folder, task="xquad", split="test", language="en"):
        return TfdsSource(str(folder)).find(task, split, language)[0].digest()

    first = digest(prepared)
    assert digest(copied.parents[2]) == first
    shard = next(copied.glob("*array_record*"))
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(bytes(data))
    assert digest(copied.parents[2]) != first
    assert digest(prepared, "xnli", "dev", "de") != digest(prepared, "xnli", "dev", "fr")


def fault(copied: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        TfdsSource(str(copied.parents[2])).find("xquad", "test", "en")[0].read(())
    return caught.value


def test_another_file_format(copied):
    shard = next(copied.glob("*array_record*"))
    shard.rename(copied / shard.name.replace("array_record", "tfrecord"))
    error = fault(copied)
    assert "without TensorFlow" in error.problem
    assert "-m xt_jax.prepare_tfds --data_dir=DIR xquad/en" in error.remedy


def test_a_missing_shard(copied):
    info = json.loads((copied / "dataset_info.json").read_text())
    info["splits"][0]["shardLengths"] = ["200", "98"]
    (copied / "dataset_info.json").write_text(json.dumps(info))
    assert fault(copied).problem == "1 of the 2 files exist"


def test_a_damaged_shard(copied):
    shard = next(copied.glob("*array_record*"))
    data = shard.read_bytes()
    shard.write_bytes(data[: len(data) // 2])
    error = fault(copied)
    assert "cannot be read" in error.problem
    assert str(copied) in error.where


@pytest.mark.parametrize(
    ("text", "problem", "where"),
    [
        ("{", "broken JSON", ":1:2"),
        ("", "the file is empty", ""),
        ("[" * 100_000, "nested too deep", ":1:1"),
        ('{"splits": [{"name": "\\ud83d"}]}', "surrogate", ":1:23"),
        ('{"splits": 3}', "does not list the splits", ""),
    ],
)
def test_an_unreadable_description(copied, text, problem, where):
    (copied / "dataset_info.json").write_text(text)
    with pytest.raises(DataError) as caught:
        TfdsSource(str(copied.parents[2])).find("xquad", "test", "en")
    error = caught.value
    assert problem in error.problem
    assert error.where == f"{copied / 'dataset_info.json'}{where}"


def test_no_folder(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="does not exist"):
        TfdsSource(str(tmp_path / "none"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert TfdsSource("").find("xquad", "test", "en") == []


@pytest.mark.slow
@pytest.mark.usefixtures("one_device")
def test_a_study_scores_the_targets_that_are_there(prepared, xlmr_tokenizer, tmp_path, monkeypatch):
    actual = scored("tfds", prepared, tmp_path, xlmr_tokenizer, monkeypatch)
    treebanks = {"udpos": {"en", "th"}} if importlib.util.find_spec("conllu") else {}
    assert actual == {
        "xnli": {"en", "sw", "th", "vi", "zh"},
        "pawsx": {"en"},
        "panx": {"en"},
        "xquad": {"en", "zh"},
        "mlqa": {"vi"},
        "tydiqa": {"en", "sw"},
        "tatoeba": {"sw"},
        "bucc": {"zh"},
        **treebanks,
    }
