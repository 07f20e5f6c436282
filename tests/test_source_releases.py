"""Tests that unpacked official releases are found, at the top of the data folder or by task."""

from __future__ import annotations

from pathlib import Path

import pytest

from xt_jax.data.examples import PairExample, SpanExample, TagExample, is_labelled
from xt_jax.data.sources.files import FileSource
from xt_jax.errors import DataError
from xt_jax.mini import formats as mini_formats
from xt_jax.tasks.table import TASKS

NLI = TASKS["mnli"].labels
PAIR = PairExample("0", "a", "b", "neutral")
SPAN = SpanExample("q", "why?", "a b", (("b", 2),))


def held(source: FileSource, task: str, split: str) -> list[str]:
    """Returns the languages and the number of examples read in each, such as ["de:5", "en:5"]."""
    return [
        f"{language}:{len(data.read(TASKS[task].labels))}"
        for language in source.languages(task, split)
        for data in source.find(task, split, language)
    ]


def write_xnli(path: Path) -> None:
    header = "language\tgold_label\tsentence1\tsentence2\tpairID\n"
    path.write_text(header + "de\tneutral\tA\tB\t1\nen\tneutral\ta\tb\t1\n")


def write_xnli_mt(path: Path) -> None:
    path.write_text("premise\thypo\tlabel\na\tb\tcontradictory\n")


def write_text_pairs(path: Path) -> None:
    path.write_text("gold_label\tsentence1\tsentence2\tpairID\tlabel1\nneutral\ta\tb\t1\tneutral\n")


def write_tydiqa(path: Path) -> None:
    mini_formats.write_squad(
        path, [SPAN._replace(id=f"{name}-1") for name in ("english", "telugu")]
    )


def write_panx(path: Path) -> None:
    path.write_text("de:Berlin\tB-LOC\n")


def write_treebank(path: Path) -> None:
    path.write_text("1\ta\t_\tNOUN\t_\t_\t0\troot\t_\t_\n")


def write(path: Path) -> None:
    """Writes one example in the format that belongs to the file's name."""
    name = path.name
    path.parent.mkdir(parents=True, exist_ok=True)
    writers = {
        "xnli.": write_xnli,
        "multinli.train": write_xnli_mt,
        "tydiqa-goldp-v1.1": write_tydiqa,
    }
    endings = {
        ".txt": write_text_pairs,
        "nli_1.0_train.jsonl": lambda path: mini_formats.write_nli_jsonl(path, [PAIR]),
        "nli_1.0_test.jsonl": lambda path: mini_formats.write_nli_jsonl(path, [PAIR]),
        "matched.jsonl": lambda path: mini_formats.write_nli_jsonl(path, [PAIR]),
        ".conllu": write_treebank,
        "2k.tsv": lambda path: mini_formats.write_paws(path, [PAIR._replace(label="1")]),
        "v2.0.json": lambda path: mini_formats.write_squad_v2(path, [SPAN]),
        ".json": lambda path: mini_formats.write_squad(path, [SPAN]),
        ".auto": lambda path: mini_formats.write_ccg(path, [TagExample(name, ("a",), ("N",))]),
    }
    for start, writer in writers.items():
        if name.startswith(start):
            return writer(path)
    if path.parent.name.startswith("R"):
        return mini_formats.write_anli(path, [PAIR])
    for end, writer in endings.items():
        if name.endswith(end):
            return writer(path)
    return write_panx(path)


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
