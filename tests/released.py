"""Writes a folder of small releases in their official layouts from the files in ../shared.

What TFDS would download and unpack lies where `find_upstream` says, so its own builders can prepare
from it; the `files` source reads the same folder.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from xt_jax.data.sources import open_source
from xt_jax.mini import formats as mini_formats
from xt_jax.tasks.table import TASKS

NLI_LANGUAGES = "ar bg de el en es fr hi ru sw th tr ur vi zh".split()
TYDIQA = {
    "ar": "arabic",
    "bn": "bengali",
    "en": "english",
    "fi": "finnish",
    "id": "indonesian",
    "ko": "korean",
    "ru": "russian",
    "sw": "swahili",
    "te": "telugu",
}
ROWS = 120


def find_upstream(root: Path, url: str) -> Path:
    """Returns what a builder gets for a URL: a file, or the folder of an unpacked archive."""
    url, _, name = url.partition("?")[0].rpartition("/")
    if "xtreme_translations" in url:
        return root / url.partition("xtreme_translations/")[2] / name
    if name.startswith("bucc2018-"):
        return root / name.split(".")[1].removesuffix("-gold")
    if name == "panx_dataset.tar":
        return root / "panx_dataset"
    if "cosmosqa" in url:
        return root / "cosmosqa" / "data" / name
    if name.startswith("tatoeba."):
        return root / "tatoeba" / name
    if "tydiqa" in url:
        name = name.replace("tydiqa-goldp-v1.1-dev.tgz", "")
    return root if name.endswith((".zip", ".tgz", ".tar.gz")) or not name else root / name


def compose(data: Path, root: Path) -> Path:
    """Writes the releases below `root` from the real files in `data`."""
    for write in (
        _glue,
        _snli,
        _anli,
        _xnli,
        _pawsx,
        _squads,
        _tydiqa,
        _choices,
        _tags,
        _retrieval,
    ):
        write(data, root)
    return root


def read(source, task: str, split: str, language: str = "en", *, substitutes: bool = False) -> list:
    """Returns the examples of the first form of a split that a source holds."""
    found = source.find(task, split, language, substitutes=substitutes)
    return found[0].read(TASKS[task].labels)


def without_ids(examples: list) -> list:
    return [example._replace(id="") for example in examples]


def _real(data: Path, task: str, split: str, language: str = "en") -> list:
    return read(open_source("files", str(data)), task, split, language, substitutes=True)


COMMON = [
    ("mnli", "train", "en"),
    ("mnli", "dev", "en"),
    *((f"anli_r{n}", split, "en") for n in (1, 2, 3) for split in ("dev", "test")),
    *((task, split, "en") for task in ("snli", "qqp", "hellaswag", "cosmos_qa", "squad", "squad_v2")
      for split in ("train", "dev")),
    *((task, "test", "en") for task in ("snli", "hellaswag", "cosmos_qa")),
    *(("xnli", split, language) for split in ("dev", "test") for language in NLI_LANGUAGES),
    *(("pawsx", split, language) for split in ("dev", "test") for language in ("de", "en")),
    *(("panx", split, language) for split in ("train", "dev", "test")
      for language in ("en", "fa", "ja")),
    *(("xquad", "test", language) for language in ("ar", "en", "zh")),
    *(("mlqa", split, language) for split in ("dev", "test") for language in ("de", "vi")),
    ("tydiqa", "train", "en"),
    ("tydiqa", "train", "sw"),
    ("tydiqa", "dev", "en"),
    *(("tydiqa", "test", language) for language in TYDIQA),
    ("tatoeba", "test", "ja"),
    ("tatoeba", "test", "sw"),
]  # fmt: skip


def _lines(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def _head(source: Path, target: Path, rows: int, change: Callable[[str], str] = str) -> None:
    _lines(target, map(change, source.read_text(encoding="utf-8").split("\n")[:rows]))


def _json(path: Path, document: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")


def _glue(data: Path, root: Path) -> None:
    def unlabelled(line: str) -> str:
        return "\t".join(line.split("\t")[:10])

    _head(data / "mnli/train.tsv", root / "MNLI/train.tsv", ROWS)
    for half in ("matched", "mismatched"):
        _head(data / f"mnli/dev_{half}.tsv", root / f"MNLI/dev_{half}.tsv", ROWS)
        _head(data / f"mnli/dev_{half}.tsv", root / f"MNLI/test_{half}.tsv", 20, unlabelled)
    _head(data / "qqp/train.tsv", root / "QQP/train.tsv", ROWS)
    _head(data / "qqp/dev.tsv", root / "QQP/dev.tsv", ROWS)
    _head(data / "qqp/dev.tsv", root / "QQP/test.tsv", 20, lambda line: line.rpartition("\t")[0])


def _snli(data: Path, root: Path) -> None:
    text = (data / "snli/snli_1.0_dev.jsonl").read_text(encoding="utf-8")
    records = [json.loads(line) for line in text.split("\n") if line]
    columns = "gold_label sentence1 sentence2 captionID pairID".split()
    for split, some in (("train", records[:200]), ("dev", records[200:]), ("test", records[:90])):
        rows = ["\t".join(record[column] for column in columns) for record in some]
        _lines(root / f"snli_1.0/snli_1.0_{split}.txt", ["\t".join(columns), *rows])
    assert sum(record["gold_label"] == "-" for record in records[200:])


def _anli(data: Path, root: Path) -> None:
    for number in (1, 2, 3):
        folder = data / f"anli/anli_v1.0/R{number}"
        for split, source in (("train", "dev"), ("dev", "dev"), ("test", "test")):
            target = root / f"anli_v1.0/R{number}/{split}.jsonl"
            _head(folder / f"{source}.jsonl", target, ROWS if split == "train" else 90)
    (root / "anli_v0.1").symlink_to("anli_v1.0")


def _xnli(data: Path, root: Path) -> None:
    parallel = {lang: _real(data, "xnli", "dev", lang)[:ROWS] for lang in NLI_LANGUAGES}
    header = "language\tgold_label\tsentence1\tsentence2\tpairID"
    for split, some in (("dev", slice(0, 80)), ("test", slice(80, ROWS))):
        rows = [
            "\t".join((lang, pair.label, pair.text_a, pair.text_b, str(number)))
            for lang in NLI_LANGUAGES
            for number, pair in enumerate(parallel[lang][some], start=1)
        ]
        _lines(root / f"XNLI-1.0/xnli.{split}.tsv", [header, *rows])
    for lang in set(NLI_LANGUAGES) - {"en"}:
        _lines(
            root / f"XNLI/translate-train/en-{lang}-translated.tsv",
            (
                "\t".join((a.text_a, a.text_b, b.text_a, b.text_b, _as_in_xnli_mt(b.label)))
                for a, b in zip(parallel["en"], parallel[lang], strict=True)
            ),
        )


def _as_in_xnli_mt(label: str) -> str:
    return "contradictory" if label == "contradiction" else label


def _pawsx(data: Path, root: Path) -> None:
    """Writes PAWS-X without quote marks, in which the copies differ."""

    def plain(language: str) -> list:
        pairs = _real(data, "pawsx", "dev", language)
        return [p for p in pairs if '"' not in p.text_a + p.text_b]

    for language, first in (
        ("de", "translated_train"),
        ("en", "train"),
        ("zh", "translated_train"),
    ):
        pairs = plain(language)
        assert language != "de" or any(p.text_a == "NS" for p in pairs)
        for name, some in ((first, pairs[:90]), ("dev_2k", pairs), ("test_2k", pairs[90:])):
            path = root / f"x-final/{language}/{name}.tsv"
            path.parent.mkdir(parents=True, exist_ok=True)
            mini_formats.write_paws(path, some)
    german = {p.id: p for p in plain("de")}
    english = {p.id: p for p in plain("en")}
    _lines(
        root / "PAWSX/translate-train/en-de-translated.tsv",
        (
            "\t".join((a.text_a, a.text_b, german[i].text_a, german[i].text_b, german[i].label))
            for i, a in english.items()
            if i in german
        ),
    )


def _squads(data: Path, root: Path) -> None:
    for version, folder in (("v1.1", "squad_v1"), ("v2.0", "squad_v2")):
        for split in ("train", "dev"):
            document = json.loads((data / f"{folder}/{split}-{version}.json").read_text())
            for article in document["data"]:
                del article["paragraphs"][8:]
            document["data"] = document["data"][:3]
            _json(root / f"{split}-{version}.json", document)
    for language in ("ar", "en", "zh"):
        document = json.loads((data / f"xquad/xquad.{language}.json").read_text())
        _json(root / f"xquad.{language}.json", document)
        for place in (
            "SQuAD/translate-train/squad.translate.train.en-",
            "SQuAD/translate-dev/squad.translate.dev.en-",
            "XQuAD/translate-test/xquad.translate.test.",
        ):
            ending = f"{language}-en.json" if "xquad" in place else f"{language}.json"
            _json(root / f"{place}{ending}", document)
    for language in ("de", "vi"):
        name = f"context-{language}-question-{language}.json"
        for split in ("dev", "test"):
            document = json.loads((data / f"mlqa/MLQA_V1/dev/dev-{name}").read_text())
            _json(root / f"MLQA_V1/{split}/{split}-{name}", document)
    name = "context-de-question-es.json"
    shutil.copy(data / f"mlqa/MLQA_V1/dev/dev-{name}", root / f"MLQA_V1/dev/dev-{name}")


def _tydiqa(data: Path, root: Path) -> None:
    """Renumbers the ids of the training set, which XTREME's copy has cut."""
    merged = []
    for code in ("en", "sw"):
        path = data / f"tydiqa/tydiqa-goldp-v1.1-train/tydiqa.goldp.{code}.train.json"
        number = 0
        for article in json.loads(path.read_text())["data"][:150]:
            for paragraph in article["paragraphs"]:
                for question in paragraph["qas"]:
                    question["id"] = f"{TYDIQA[code]}-{number}"
                    number += 1
            merged.append(article)
    _json(root / "tydiqa-goldp-v1.1-train.json", {"data": merged})
    folder = "tydiqa-goldp-v1.1-dev"
    merged = []
    for name in TYDIQA.values():
        document = json.loads((data / f"tydiqa/{folder}/tydiqa-goldp-dev-{name}.json").read_text())
        _json(root / f"{folder}/tydiqa-goldp-dev-{name}.json", document)
        merged += document["data"]
        code = next(code for code, known in TYDIQA.items() if known == name)
        translated = f"TyDiQA-GoldP/translate-train/tydiqa.translate.train.en-{code}.json"
        _json(root / translated, {"data": document["data"][:2]})
    _json(root / f"{folder}.json", {"data": merged})


def _choices(data: Path, root: Path) -> None:
    """Writes the tasks with choices; HellaSwag's training set gets the WikiHow rows of dev."""
    train, dev = (
        (data / f"hellaswag/hellaswag_{name}.jsonl").read_text().split("\n")
        for name in ("train", "val")
    )
    dev = [line for line in dev if line]
    wikihow = [line for line in dev if '"wikihow' in line]
    assert len(wikihow) > 50
    _lines(root / "hellaswag_train.jsonl", [*train[:ROWS], *wikihow[:20]])
    dev = [*dev[:ROWS], *wikihow]
    _lines(root / "hellaswag_val.jsonl", dev)
    unlabelled = [json.loads(line) for line in dev]
    for record in unlabelled:
        del record["label"]
    _lines(root / "hellaswag_test.jsonl", map(json.dumps, unlabelled))

    examples = _real(data, "cosmos_qa", "dev")
    folder = root / "cosmosqa/data"
    folder.mkdir(parents=True)
    mini_formats.write_cosmos_qa(folder / "train.csv", examples[:ROWS])
    mini_formats.write_cosmos_qa(folder / "valid.csv", examples[ROWS : 2 * ROWS])
    names = ("id", "context", "question", "answer0", "answer1", "answer2", "answer3")
    _lines(
        folder / "test.jsonl",
        (
            json.dumps(dict(zip(names, (e.id, e.text, "Why ?", *e.choices), strict=True)))
            for e in examples[:20]
        ),
    )
    for name in ("train_rand_split", "dev_rand_split", "test_rand_split_no_answers"):
        _head(data / f"commonsense_qa/{name}.jsonl", root / f"{name}.jsonl", 90)


def _tags(data: Path, root: Path) -> None:
    for language in ("en", "ja", "fa"):
        sentences = _real(data, "panx", "dev", language)
        for split, some in (
            ("train", sentences[:90]),
            ("dev", sentences[50:ROWS]),
            ("test", sentences[100:150]),
        ):
            lines = []
            for sentence in some:
                for word, tag in zip(sentence.words, sentence.tags, strict=True):
                    lines.append(f"{language}:{word}\t{tag}")
                lines.append("")
            _lines(root / f"panx_dataset/{language}/{split}", lines)
    banks = "udpos/ud-treebanks-v2.5"
    shutil.copytree(data / banks, root / "ud-treebanks-v2.5")
    for bank, name, whole in (
        ("UD_German-PUD", "de_pud", "test"),
        ("UD_Tamil-TTB", "ta_ttb", "test"),
        ("UD_English-EWT", "en_ewt", "dev"),
    ):
        folder = root / "ud-treebanks-v2.5" / bank
        for split in {"train", "dev", "test"} - {whole}:
            shutil.copy(folder / f"{name}-ud-{whole}.conllu", folder / f"{name}-ud-{split}.conllu")


def _retrieval(data: Path, root: Path) -> None:
    for pair in ("swh", "jpn"):
        for side in ("eng", pair):
            target = root / f"tatoeba/tatoeba.{pair}-eng.{side}"
            target.parent.mkdir(exist_ok=True)
            shutil.copy(data / "tatoeba" / target.name, target)
    for name in ("sample", "training"):
        for side in ("zh", "en", "gold"):
            target = root / f"{name}/bucc2018/zh-en/zh-en.{name}.{side}"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(data / f"bucc2018/zh-en.dev.{side}", target)
