"""Tests that unpacked official releases are found, at the top of the data folder or by task."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from xt_jax.data.examples import PairExample, is_labelled
from xt_jax.data.sources.files import FileSource
from xt_jax.errors import DataError
from xt_jax.mini import formats as mini_formats
from xt_jax.tasks.table import TASKS

NLI = TASKS["mnli"].labels
PAIR = PairExample("0", "a", "b", "neutral")


def held(source: FileSource, task: str, split: str) -> list[str]:
    """Returns the languages and the number of examples read in each, such as ["de:5", "en:5"]."""
    return [
        f"{language}:{len(data.read(TASKS[task].labels))}"
        for language in source.languages(task, split)
        for data in source.find(task, split, language)
    ]


def squad_json(*ids: str, **more: bool) -> str:
    question = {"question": "why?", "answers": [{"text": "b", "answer_start": 2}], **more}
    questions = [question | {"id": id_} for id_ in ids]
    return json.dumps({"data": [{"paragraphs": [{"context": "a b", "qas": questions}]}]})


NLI_ROW = {"pairID": "0", "sentence1": "a", "sentence2": "b", "gold_label": "neutral"}
# One example in the format that belongs to a path: the first pattern that is found in it decides.
CONTENTS = {
    r"/xnli\.": "language\tgold_label\tsentence1\tsentence2\tpairID\n"
    "de\tneutral\tA\tB\t1\nen\tneutral\ta\tb\t1\n",
    r"/multinli\.train": "premise\thypo\tlabel\na\tb\tcontradictory\n",
    r"v1\.1-(train|dev)\.json": squad_json("english-1", "telugu-1"),
    r"/R\d/": '{"uid": "0", "context": "a", "hypothesis": "b", "label": "n"}\n',
    r"\.txt$": "gold_label\tsentence1\tsentence2\tpairID\tlabel1\nneutral\ta\tb\t1\tneutral\n",
    r"\.jsonl$": json.dumps(NLI_ROW),
    r"\.conllu$": "1\ta\t_\tNOUN\t_\t_\t0\troot\t_\t_\n",
    r"2k\.tsv$": "id\tsentence1\tsentence2\tlabel\n0\ta\tb\t1\n",
    r"v2\.0\.json$": squad_json("q", is_impossible=False),
    r"\.json$": squad_json("q"),
    r"\.auto$": "ID={name} PARSER=GOLD NUMPARSE=1\n(<L N X X a N>)\n",
    "": "de:Berlin\tB-LOC\n",
}


def write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = next(text for pattern, text in CONTENTS.items() if re.search(pattern, str(path)))
    path.write_text(text.replace("{name}", path.name))


CCG_TRAIN = "data/AUTO/02/wsj_0201.auto data/AUTO/10/wsj_1001.auto data/AUTO/21/wsj_2172.auto"


@pytest.mark.parametrize(
    ("name", "files", "expected"),
    [
        ("mnli train", "multinli_1.0/multinli_1.0_train.jsonl", "en:1"),
        ("mnli train", "mnli/multinli_1.0_train.txt", "en:1"),
        ("mnli dev", "mnli/multinli_1.0/multinli_1.0_dev_matched.jsonl", "en:1"),
        ("mnli dev", "multinli_1.0/multinli_1.0_dev_matched.txt", "en:1"),
        ("snli train", "snli_1.0/snli_1.0_train.jsonl", "en:1"),
        ("snli test", "snli/snli_1.0/snli_1.0_test.txt", "en:1"),
        ("anli_r2 train", "anli_v1.0/R2/train.jsonl", "en:1"),
        ("anli_r3 test", "anli/R3/test.jsonl", "en:1"),
        ("squad train", "train-v1.1.json", "en:1"),
        ("squad_v2 dev", "squad/dev-v2.0.json", "en:1"),
        ("ccg train", " ".join(f"ccg/{path}" for path in CCG_TRAIN.split()), "en:3"),
        ("ccg train", " ".join(f"ccgbank_1_1/{path}" for path in CCG_TRAIN.split()), "en:3"),
        ("ccg dev", "ccg/CCGbank/data/AUTO/00/wsj_0003.auto", "en:1"),
        ("ccg test", "data/AUTO/23/wsj_2300.auto data/AUTO/23/wsj_2399.auto", "en:2"),
        ("xnli train", "XNLI-MT-1.0/multinli/multinli.train.en.tsv", "en:1"),
        ("xnli train", "xnli/XNLI-MT-1.0/multinli/multinli.train.sw.tsv", "sw:1"),
        ("mnli train", "XNLI-MT-1.0/multinli/multinli.train.sw.tsv", "sw:1"),
        ("xnli train", "multinli_1.0/multinli_1.0_train.jsonl", "en:1"),
        ("pawsx test", "x-final/ko/test_2k.tsv", "ko:1"),
        ("pawsx dev", "pawsx/x-final/ko/dev_2k.tsv", "ko:1"),
        ("udpos dev", "ud-treebanks-v2.5/UD_X/de_gsd-ud-dev.conllu", "de:1"),
        ("panx test", "panx_dataset/de-test", "de:1"),
        ("panx dev", "panx/de/dev", "de:1"),
        ("xquad test", "xquad.de.json", "de:1"),
        ("mlqa test", "MLQA_V1/test/test-context-vi-question-vi.json", "vi:1"),
        ("mlqa_cross test", "MLQA_V1/test/test-context-vi-question-en.json", "vi-en:1"),
        ("tydiqa test", "tydiqa-goldp-v1.1-dev/tydiqa-goldp-dev-korean.json", "ko:1"),
        ("tydiqa dev", "tydiqa/tydiqa-goldp-v1.1-dev.json", "en:1"),
    ],
)
def test_official_releases_are_found_as_they_unpack(name, files, expected, tmp_path):
    for file in files.split():
        write(tmp_path / file)
    assert held(FileSource(str(tmp_path)), *name.split()) == [expected]


def test_a_file_of_all_languages_is_found_for_each(tmp_path):
    write(tmp_path / "XNLI-1.0/xnli.test.tsv")
    write(tmp_path / "tydiqa/tydiqa-goldp-v1.1-train.json")
    source = FileSource(str(tmp_path))
    assert len(source.languages("xnli", "test")) == 15
    german, english = (source.find("xnli", "test", lang)[0] for lang in ("de", "en"))
    assert german.read(NLI) == [PairExample("1", "A", "B", "neutral")]
    assert english.read(NLI) == [PairExample("1", "a", "b", "neutral")]
    assert german.digest() != english.digest()
    (telugu,) = source.find("tydiqa", "train", "te")
    assert [example.id for example in telugu.read(())] == ["telugu-1"]
    with pytest.raises(DataError, match="no example in 'ar'"):
        source.find("tydiqa", "train", "ar")[0].read(())


def test_a_labelled_test_set_goes_before_xtremes_copy(tmp_path):
    write(tmp_path / "XNLI-1.0/xnli.test.tsv")
    mini_formats.write_xtreme_pairs(tmp_path / "xnli/test-de.tsv", [PAIR._replace(label=None)])
    actual = FileSource(str(tmp_path)).find("xnli", "test", "de")
    assert [is_labelled(f.read(NLI)[0]) for f in actual] == [True, False]


def test_training_sections_of_ccgbank_must_be_there_from_each_decade(tmp_path):
    write(tmp_path / "ccg/data/AUTO/02/wsj_0201.auto")
    write(tmp_path / "ccg/data/AUTO/22/wsj_2201.auto")
    assert FileSource(str(tmp_path)).find("ccg", "train", "en") == []
    for section in ("10", "20"):
        write(tmp_path / f"ccg/data/AUTO/{section}/wsj_{section}01.auto")
    (data,) = FileSource(str(tmp_path)).find("ccg", "train", "en")
    ids = [example.id for example in data.read(())]
    assert ids == ["wsj_0201.auto", "wsj_1001.auto", "wsj_2001.auto"]


def test_bucc_under_upstream_names_with_and_without_gold(tmp_path):
    folder = tmp_path / "bucc2018/de-en"
    folder.mkdir(parents=True)
    for split in ("sample", "training"):
        (folder / f"de-en.{split}.de").write_text("d1\tA\n")
        (folder / f"de-en.{split}.en").write_text("e1\ta\n")
    (folder / "de-en.sample.gold").write_text("d1\te1\n")
    source = FileSource(str(tmp_path))
    (dev,), (test,) = (source.find("bucc", split, "de") for split in ("dev", "test"))
    assert [example.partners for example in dev.read(())] == [("e1",), None]
    assert [example.partners for example in test.read(())] == [None, None]
    assert source.languages("bucc", "test") == ["de"]
    before = dev.digest()
    (folder / "de-en.sample.gold").write_text("d1\te1\nd1\te1\n")
    assert dev.digest() != before
