"""Tests that files are found where XTREME's scripts, a translator or our layout put them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from readers import squad
from real_pieces import SHARED, spelled

from xt_jax.data.examples import PairExample, is_labelled
from xt_jax.data.sources.files import FileSource
from xt_jax.errors import ConfigError
from xt_jax.mini import formats as mini_formats
from xt_jax.tasks.table import TASKS

NLI = TASKS["mnli"].labels
PAIR = PairExample("0", "a", "b", "neutral")

ABSENT = "mnli test, snli test, hellaswag test, cosmos_qa test, bucc test, mlm train, xquad dev"


def held(source: FileSource, task: str, split: str) -> list[str]:
    """Returns what a source finds and reads, in the form of SHARED."""
    languages = source.languages(task, split)
    return [
        f"{language}:{len(data.read(TASKS[task].labels))}{'*' if data.substitute else ''}"
        for language in languages or ["en"]
        for data in source.find(task, split, language, substitutes=True)
    ]


@pytest.mark.parametrize("name", SHARED)
def test_the_shared_pieces_are_found_with_their_counts(name, shared):
    assert held(FileSource(str(shared / "data")), *name.split()) == spelled(SHARED[name])


def test_nothing_is_found_where_nothing_is(shared):
    source = FileSource(str(shared / "data"))
    for name in ABSENT.split(", "):
        assert held(source, *name.split()) == []
    for task, split, language in [
        ("xnli", "dev", "xx"),
        ("mnli", "dev", "de"),
        ("no", "dev", "en"),
    ]:
        assert source.find(task, split, language, substitutes=True) == []


def test_substitutes_are_found_only_where_asked_for(shared):
    source = FileSource(str(shared / "data"))
    assert source.find("ccg", "train", "en") == source.find("anli_r1", "train", "en") == []
    assert [f.substitute for f in source.find("squad", "train", "en")] == [False]
    both = source.find("squad", "train", "en", substitutes=True)
    assert [f.substitute for f in both] == [False, True]
    assert source.languages("ccg", "train") == []


def test_no_data_folder_is_told_apart_from_a_wrong_one(tmp_path):
    with pytest.raises(ConfigError, match="No data folder"):
        FileSource("")
    with pytest.raises(ConfigError, match="nowhere` does not exist"):
        FileSource(str(tmp_path / "nowhere"))


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


@pytest.fixture(scope="module")
def downloads(shared, tmp_path_factory) -> Path:
    """Writes the folder that XTREME's scripts leave, from shared files and a few of our own."""
    data, root = shared / "data", tmp_path_factory.mktemp("download")
    for task, folder in {
        "xnli": "xnli",
        "paws_x": "pawsx",
        "udpos": "udpos",
        "panx": "panx",
    }.items():
        for path in [*(data / task).glob("dev-de.tsv"), *(data / task).glob("test-*.tsv")]:
            copy(path, root / folder / path.name)
    for folder in ("xnli", "pawsx"):
        labels = NLI if folder == "xnli" else ("0", "1")
        examples = [PairExample(str(i), "a", "b", labels[i % 2]) for i in range(7)]
        mini_formats.write_xtreme_pairs(root / folder / "train-en.tsv", examples)
    for split in ("train", "dev"):
        copy(data / f"squad_v1/{split}-v1.1.json", root / f"squad/{split}-v1.1.json")
    copy(data / "xquad/xquad.el.json", root / "xquad/xquad.el.json")
    for path in (data / "mlqa/MLQA_V1").glob("*/*.json"):
        copy(path, root / "mlqa/MLQA_V1" / path.relative_to(data / "mlqa/MLQA_V1"))
    for path in (data / "tydiqa/tydiqa-goldp-v1.1-train").iterdir():
        copy(path, root / "tydiqa/tydiqa-goldp-v1.1-train" / path.name)
    for code, name in {"en": "english", "te": "telugu"}.items():
        folder = "tydiqa/tydiqa-goldp-v1.1-dev"
        examples = squad(data / folder / f"tydiqa-goldp-dev-{name}.json")
        blank = [example._replace(answers=None) for example in examples]
        mini_formats.write_squad(root / folder / f"tydiqa.goldp.{code}.dev.json", blank)
    for name in ("dev.zh", "dev.en", "dev.gold"):
        copy(data / f"bucc2018/zh-en.{name}", root / f"bucc2018/zh-en.{name}")
    for name in ("zh", "en"):
        copy(data / f"bucc2018/zh-en.dev.{name}", root / f"bucc2018/zh-en.test.{name}")
    copy(data / "tatoeba/tatoeba.tam-eng.tam", root / "tatoeba/ta-en.ta")
    english = (data / "tatoeba/tatoeba.tam-eng.eng").read_text(encoding="utf-8").split("\n")[:-1]
    (root / "tatoeba/ta-en.en").write_text("".join(f"{line}\n" for line in sorted(english)))
    return root


@pytest.mark.parametrize(
    ("name", "expected", "labelled"),
    [
        ("xnli train", "en:7", True),
        ("xnli dev", "de:600", True),
        ("xnli test", "de en sw :150", False),
        ("pawsx train", "en:7", True),
        ("pawsx dev", "de:600", True),
        ("pawsx test", "de en :200", False),
        ("udpos dev", "de:150", True),
        ("panx dev", "de:300", True),
        ("panx test", "en sw th :100", False),
        ("squad train", "en:269", True),
        ("squad dev", "en:810", True),
        ("xquad test", "el:298", True),
        ("mlqa dev", "ar:120 de:122 en:120 es:120 hi:121 vi:128 zh:120", True),
        ("mlqa_cross test", "de-es:40", False),
        ("tydiqa train", "en:1400 sw:150", True),
        ("tydiqa dev", "en:300", False),
        ("tydiqa test", "en:300 te:100", False),
        ("bucc dev", "zh:22213", True),
        ("bucc test", "zh:22213", False),
        ("tatoeba test", "ta:307", False),
    ],
)
def test_what_xtremes_scripts_leave_is_found(name, expected, labelled, downloads):
    source = FileSource(str(downloads))
    task, split = name.split()
    assert held(source, task, split) == spelled(expected)
    for language in source.languages(task, split):
        examples = source.find(task, split, language)[0].read(TASKS[task].labels)
        assert all(map(is_labelled, examples)) == labelled


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("mnli train", "translated/{}/mnli/train.tsv"),
        ("mnli train", "translated/{}/multinli_1.0/multinli_1.0_train.jsonl"),
        ("snli train", "translated/{}/snli/train.tsv"),
        ("anli_r1 train", "translated/{}/anli/anli_v1.0/R1/train.jsonl"),
        ("qqp train", "translated/{}/qqp/train.tsv"),
        ("squad train", "translated/{}/squad_v1/train-v1.1.json"),
        ("squad_v2 train", "translated/{}/squad_v2/train-v2.0.json"),
        ("hellaswag train", "translated/{}/hellaswag/hellaswag_train.jsonl"),
        ("cosmos_qa train", "translated/{}/cosmos_qa/train.csv"),
        ("commonsense_qa train", "translated/{}/commonsense_qa/train_rand_split.jsonl"),
        ("mnli train", "xtreme_translations/XNLI/translate-train/en-{}-translated.tsv"),
        ("xnli train", "XNLI/translate-train/en-{}-translated.tsv"),
        ("mnli train", "xnli/XNLI-Translated/en-{}-translated.tsv"),
        ("pawsx train", "PAWSX/translate-train/en-{}-translated.tsv"),
        ("pawsx train", "pawsx/translated/en-{}-translated.tsv"),
        ("pawsx train", "x-final/{}/translated_train.tsv"),
        (
            "squad train",
            "xtreme_translations/SQuAD/translate-train/squad.translate.train.en-{}.json",
        ),
        ("squad train", "squad/translate-train/squad.translate.train.en-{}.json"),
    ],
)
def test_translated_training_data_is_found_in_other_languages_only(name, file, tmp_path):
    for language in ("de", "en"):
        path = tmp_path / file.format(language)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{")
    task, split = name.split()
    source = FileSource(str(tmp_path))
    assert source.languages(task, split) == ["de"]
    assert [f.where for f in source.find(task, split, "de")] == [str(tmp_path / file.format("de"))]
    assert source.find(task, split, "en") == []


def test_translations_are_read(tmp_path):
    mini_formats.write_mnli(tmp_path / "translated/de/mnli/train.tsv", [PAIR])
    mini_formats.write_mnli(tmp_path / "mnli/train.tsv", [PAIR, PAIR])
    xtreme = tmp_path / "xtreme_translations/XNLI/translate-train/en-de-translated.tsv"
    xtreme.parent.mkdir(parents=True)
    xtreme.write_text("a\tb\tA\tB\tentailment\n")
    source = FileSource(str(tmp_path))
    own, theirs = source.find("mnli", "train", "de")
    assert own.read(NLI) == [PAIR]
    assert theirs.read(NLI) == [PairExample("0", "A", "B", "entailment")]
    assert (own.language, own.substitute) == ("de", False)
    assert len(source.find("mnli", "train", "en")[0].read(NLI)) == 2
    misplaced = json.dumps(
        {"data": [{"paragraphs": [{"context": "a b", "qas": [
            {"id": str(start), "question": "q", "answers": [{"text": "b", "answer_start": start}]}
            for start in (2, 1)
        ]}]}]}
    )  # fmt: skip
    path = tmp_path / "translated/de/squad_v1/train-v1.1.json"
    path.parent.mkdir(parents=True)
    path.write_text(misplaced)
    assert [e.id for e in FileSource(str(tmp_path)).find("squad", "train", "de")[0].read(())] == [
        "2"
    ]


def test_plain_text_tells_its_languages(tmp_path):
    folder = tmp_path / "mlm"
    folder.mkdir()
    for name in ("de.txt", "sw.txt", "train-zh.txt", "dev-de.txt", "notes.txt", "de.txt.bak"):
        (folder / name).write_text("a\n\nb\n")
    source = FileSource(str(tmp_path))
    assert source.languages("mlm", "train") == ["de", "sw", "zh"]
    assert source.languages("mlm", "dev") == ["de"]
    assert [len(source.find("mlm", "train", lang)[0].read(())) for lang in ("de", "zh")] == [2, 2]


def test_what_is_looked_for_first(tmp_path):
    source = FileSource(str(tmp_path))
    places = {
        ("mnli", "dev", "en"): "mnli/dev_matched.tsv or multinli_1.0_dev_matched.jsonl",
        ("panx", "test", "de"): "panx/de/test or panx/test-de.tsv",
        ("xquad", "test", "de"): "xquad/xquad.de.json",
        ("mlqa_cross", "dev", "de-en"): "mlqa/MLQA_V1/dev/dev-context-de-question-en.json",
    }
    for asked, expected in places.items():
        actual = source.expected(*asked).split(" or ")
        assert actual[0] == str(tmp_path / expected.split(" or ")[0])
        assert [p.split("/")[-1] for p in actual] == [
            p.split("/")[-1] for p in expected.split(" or ")
        ]
    for asked in [("xquad", "dev", "de"), ("tydiqa", "dev", "te"), ("mlqa_cross", "dev", "de-de")]:
        assert source.expected(*asked) == ""


def test_a_digest_covers_names_and_contents(tmp_path):
    mini_formats.write_mnli(tmp_path / "mnli/train.tsv", [PAIR])
    (data,) = FileSource(str(tmp_path)).find("mnli", "train", "en")
    first = data.digest()
    assert len(first) == 64
    assert data.digest() == first
    mini_formats.write_mnli(tmp_path / "mnli/train.tsv", [PAIR._replace(text_a="c")])
    assert data.digest() != first
    digests = set()
    for name in ("mnli/multinli_1.0_dev_matched.jsonl", "snli/snli_1.0_dev.jsonl"):
        mini_formats.write_nli_jsonl(tmp_path / name, [PAIR])
        (data,) = FileSource(str(tmp_path)).find(name.split("/")[0], "dev", "en")
        digests.add(data.digest())
    assert len(digests) == 2
