"""Where official files lie below a data folder: a table of file-name patterns and their readers.

A row lists what may hold one split of one task, best form first: for training and dev sets the form
that google-research/xtreme's scripts leave (`download/` is a data folder), then the release as it
unpacks; for test sets the release first, for XTREME's copies have lost their labels. A release may
lie in its task's folder or at the top. Substitutes, which hold other examples, come last.

The patterns are those of `candidates`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

from etils import epath

from xt_jax.data import formats
from xt_jax.data.conllu import read_conllu
from xt_jax.data.examples import Example
from xt_jax.data.sources.candidates import ENGLISH, Candidate, ReadFiles, serves
from xt_jax.languages import TYDIQA_NAMES, XNLI


def _one(read: Callable[..., Sequence[Any]], **options: Any) -> ReadFiles:
    """One file, whose reader wants the labels."""
    return lambda paths, language, labels: list(read(paths[0], labels, **options))


def _plain(read: Callable[..., Sequence[Any]], **options: Any) -> ReadFiles:
    """Files whose reader wants no labels."""
    return lambda paths, language, labels: list(read(*paths, **options))


def _read_xnli(paths: Sequence[epath.Path], language: str, labels: Sequence[str]) -> list[Example]:
    return list(formats.read_xnli(paths[0], language, labels))


def _read_tydiqa(
    paths: Sequence[epath.Path], language: str, labels: Sequence[str]
) -> list[Example]:
    return list(formats.read_squad(paths[0], id_start=f"{TYDIQA_NAMES[language]}-"))


def _read_conllu(
    paths: Sequence[epath.Path], language: str, labels: Sequence[str]
) -> list[Example]:
    sentences = (s for path in paths for s in read_conllu(path, language, labels))
    return [sentence._replace(id=str(i)) for i, sentence in enumerate(sentences)]


def _read_ccg(paths: Sequence[epath.Path], language: str, labels: Sequence[str]) -> list[Example]:
    return [sentence for path in paths for sentence in formats.read_ccg(path, labels)]


_MNLI, _SNLI = _one(formats.read_mnli), _one(formats.read_snli)
_NLI_TEXT, _NLI_JSONL = _one(formats.read_nli_text), _one(formats.read_nli_jsonl)
_ANLI, _QQP, _XNLI_MT = _one(formats.read_anli), _one(formats.read_qqp), _one(formats.read_xnli_mt)
_PAWS, _PAIRS = _one(formats.read_paws), _one(formats.read_xtreme_pairs)
_TRANSLATED_PAIRS = _one(formats.read_translated_pairs)
_SQUAD, _SQUAD_V2 = _plain(formats.read_squad), _plain(formats.read_squad_v2)
_RENUMBERED = _plain(formats.read_squad, renumber=True)
_TRANSLATED_SQUAD = _plain(formats.read_squad, translated=True)
_TRANSLATED_SQUAD_V2 = _plain(formats.read_squad_v2, translated=True)
_HELLASWAG, _COSMOS = _one(formats.read_hellaswag), _one(formats.read_cosmos_qa)
_COMMONSENSE = _one(formats.read_commonsense_qa)
_TAGS, _PANX = _one(formats.read_tags), _one(formats.read_panx)
_ALIGNED, _SORTED = _plain(formats.read_parallel), _plain(formats.read_parallel, aligned=False)
_BUCC, _TEXTS = _plain(formats.read_bucc), _plain(formats.read_texts)

Rows = list[Candidate]

# Folders, `.` the top one, and the names of XTREME's translated pairs.
_IN_MULTINLI = "mnli multinli_1.0 mnli/multinli_1.0"
_IN_SNLI = "snli snli_1.0 snli/snli_1.0"
_IN_ANLI = "anli/anli_v1.0 anli_v1.0 anli"
_IN_XNLI = "xnli/XNLI-1.0 XNLI-1.0"
_IN_XNLI_MT = "xnli/XNLI-MT-1.0/multinli XNLI-MT-1.0/multinli"
_IN_PAWSX = "paws_x pawsx"
_IN_XFINAL = "paws_x/x-final pawsx/x-final x-final"
_IN_SQUAD = "squad_v1 squad ."
_IN_SQUAD_V2 = "squad_v2 squad ."
_IN_HELLASWAG = "hellaswag hellaswag/data ."
_IN_COSMOS = "cosmos_qa cosmos_qa/data cosmosqa cosmosqa/data"
_IN_COMMONSENSE = "commonsense_qa commonsenseqa ."
_IN_CCGBANK = "ccg/data/AUTO ccg/*/data/AUTO ccgbank*/data/AUTO data/AUTO"
_IN_TREEBANKS = "udpos/ud-treebanks-v2.5 ud-treebanks-v2.5"
_IN_PANX = "panx panx_dataset panx/panx_dataset"
_IN_MLQA = "mlqa/MLQA_V1 MLQA_V1"
_IN_TYDIQA = "tydiqa ."
_IN_TATOEBA = "tatoeba tatoeba/v1 data/tatoeba/v1"
_IN_BUCC = "bucc2018 bucc2018/{lang}-en {lang}-en"
_NAME = "en-{lang}-translated.tsv"
_TRANSLATED = f"translate-train/{_NAME}"
_IN_TRANSLATIONS = "xtreme_translations ."  # the bucket gs://xtreme_translations


def _at(folders: str, names: str, read: ReadFiles, **more: Any) -> Rows:
    """One candidate per name and folder, names first."""
    return [
        Candidate((name if folder == "." else f"{folder}/{name}",), read, **more)
        for name in names.split()
        for folder in folders.split()
    ]


def _mnli(split: str) -> Rows:
    name = {"train": "train", "dev": "dev_matched"}[split]
    return [
        *_at("mnli MNLI", f"{name}.tsv", _MNLI),
        *_at(_IN_MULTINLI, f"multinli_1.0_{name}.jsonl", _NLI_JSONL),
        *_at(_IN_MULTINLI, f"multinli_1.0_{name}.txt", _NLI_TEXT),
        *(_translated_mnli() if split == "train" else []),
    ]


def _translated_mnli() -> Rows:
    """Machine translations of MNLI by XTREME, then those by the authors of XNLI."""
    return [
        *_at(_IN_TRANSLATIONS, f"XNLI/{_TRANSLATED}", _TRANSLATED_PAIRS, translated=True),
        *_at("xnli XNLI", f"XNLI-Translated/{_NAME}", _TRANSLATED_PAIRS, translated=True),
        *_at(_IN_XNLI_MT, "multinli.train.{lang}.tsv", _XNLI_MT, translated=True),
    ]


def _snli(split: str) -> Rows:
    return [
        *_at(_IN_SNLI, f"snli_1.0_{split}.jsonl", _NLI_JSONL),
        *_at(_IN_SNLI, f"snli_1.0_{split}.txt", _NLI_TEXT),
        *_at("snli SNLI", f"{split}.tsv", _SNLI),
    ]


def _anli(number: int, split: str) -> Rows:
    rows = _at(_IN_ANLI, f"R{number}/{split}.jsonl", _ANLI)
    if split == "train":
        rows += _at(_IN_ANLI, f"R{number}/dev.jsonl", _ANLI, substitute=True)
    return rows


def _qqp(split: str) -> Rows:
    return _at("qqp QQP", f"{split}.tsv", _QQP)


def _squad(split: str) -> Rows:
    rows = _at(_IN_SQUAD, f"{split}-v1.1.json", _SQUAD)
    if split == "train":
        name = "translate-train/squad.translate.train.en-{lang}.json"
        rows += _at(_IN_TRANSLATIONS, f"SQuAD/{name}", _TRANSLATED_SQUAD, translated=True)
        rows += _at("squad", name, _TRANSLATED_SQUAD, translated=True)
        rows += _at("squad_v1", "derived/train-v1.1-from-v2.0.json", _SQUAD, substitute=True)
    return rows


def _squad_v2(split: str) -> Rows:
    return _at(_IN_SQUAD_V2, f"{split}-v2.0.json", _SQUAD_V2)


def _hellaswag(split: str) -> Rows:
    name = "val" if split == "dev" else split
    return _at(_IN_HELLASWAG, f"hellaswag_{name}.jsonl", _HELLASWAG)


def _cosmos_qa(split: str) -> Rows:
    name = {"train": "train.csv", "dev": "valid.csv", "test": "test.jsonl"}[split]
    rows = _at(_IN_COSMOS, name, _COSMOS)
    if split == "train":
        rows += _at(_IN_COSMOS, "valid.csv", _COSMOS, substitute=True)
    return rows


def _commonsense_qa(split: str) -> Rows:
    name = "test_rand_split_no_answers" if split == "test" else f"{split}_rand_split"
    return _at(_IN_COMMONSENSE, f"{name}.jsonl", _COMMONSENSE)


def _ccg(split: str) -> Rows:
    """CCGbank's sections: 02 to 21 are for training, 00 is dev and 23 test."""
    sections = {"train": ("0[2-9]", "1[0-9]", "2[01]"), "dev": ("00",), "test": ("23",)}[split]
    return [
        *(
            Candidate(tuple(f"{folder}/{s}/wsj_{s}*.auto" for s in sections), _read_ccg)
            for folder in _IN_CCGBANK.split()
        ),
        *_at("ccg", f"UD_English-EWT/en_ewt-ud-{split}.auto", _read_ccg, substitute=True),
    ]


def _mlm(split: str) -> Rows:
    alone = _at("mlm", "{lang}.txt", _TEXTS) if split == "train" else []
    return _at("mlm", f"{split}-{{lang}}.txt", _TEXTS) + alone


def _xnli(split: str) -> Rows:
    ours = _at("xnli", f"{split}-{{lang}}.tsv", _PAIRS)
    if split == "train":  # the English text is MNLI's
        return [*ours, *_mnli("train"), *_at(_IN_XNLI_MT, "multinli.train.en.tsv", _XNLI_MT)]
    released = _at(_IN_XNLI, f"xnli.{split}.tsv", _read_xnli, mixed=XNLI)
    return ours + released if split == "dev" else released + ours


def _pawsx(split: str) -> Rows:
    ours = _at(_IN_PAWSX, f"{split}-{{lang}}.tsv", _PAIRS)
    name = {"train": "train", "dev": "dev_2k", "test": "test_2k"}[split]
    released = _at(_IN_XFINAL, f"{{lang}}/{name}.tsv", _PAWS)
    if split != "train":
        return ours + released if split == "dev" else released + ours
    return [
        *ours,
        *released,
        *_at(_IN_TRANSLATIONS, f"PAWSX/{_TRANSLATED}", _TRANSLATED_PAIRS, translated=True),
        *_at(_IN_PAWSX, f"translated/{_NAME}", _TRANSLATED_PAIRS, translated=True),
        *_at(_IN_XFINAL, "{lang}/translated_train.tsv", _PAWS, translated=True),
        *_at("paws_x", "paws_wiki/dev.tsv", _PAWS, substitute=True),
    ]


def _udpos(split: str) -> Rows:
    ours = _at("udpos", f"{split}-{{lang}}.tsv", _TAGS)
    released = _at(_IN_TREEBANKS, f"*/{{lang}}_*-ud-{split}.conllu", _read_conllu)
    return released + ours if split == "test" else ours + released


def _panx(split: str) -> Rows:
    ours = _at("panx", f"{split}-{{lang}}.tsv", _TAGS)
    released = _at(_IN_PANX, f"{{lang}}/{split} {{lang}}-{split}", _PANX)
    return released + ours if split == "test" else ours + released


def _xquad(split: str) -> Rows:
    return _at("xquad .", "xquad.{lang}.json", _SQUAD)


def _mlqa(split: str) -> Rows:
    return _at(_IN_MLQA, f"{split}/{split}-context-{{lang}}-question-{{lang}}.json", _SQUAD)


def _mlqa_cross(split: str) -> Rows:
    return _at(_IN_MLQA, f"{split}/{split}-context-{{context}}-question-{{question}}.json", _SQUAD)


def _tydiqa(split: str) -> Rows:
    """There is a training and a dev set; XTREME scores dev, and selects by English dev."""
    folder = f"tydiqa-goldp-v1.1-{'train' if split == 'train' else 'dev'}"
    everyone = tuple(TYDIQA_NAMES)
    if split == "train":
        names = f"{folder}.json {folder}/{folder}.json"
        return [
            *_at(_IN_TYDIQA, f"{folder}/tydiqa.goldp.{{lang}}.train.json", _RENUMBERED),
            *_at(_IN_TYDIQA, names, _read_tydiqa, mixed=everyone),
        ]
    name, lang = ("english", ENGLISH) if split == "dev" else ("{name}", "{lang}")
    mixed = (ENGLISH,) if split == "dev" else everyone
    return [
        *_at(_IN_TYDIQA, f"{folder}/tydiqa-goldp-dev-{name}.json", _SQUAD),
        *_at(_IN_TYDIQA, f"{folder}.json", _read_tydiqa, mixed=mixed),
        *_at(_IN_TYDIQA, f"{folder}/tydiqa.goldp.{lang}.dev.json", _SQUAD),
    ]


def _bucc(split: str) -> Rows:
    """XTREME's dev is upstream's sample and its test the training set, without the gold pairs."""
    upstream = {"dev": "sample", "test": "training"}[split]
    return [
        Candidate(
            (f"{folder}/{{lang}}-en.{name}.en", f"{folder}/{{lang}}-en.{name}.{{lang}}"),
            _BUCC,
            optional=f"{folder}/{{lang}}-en.{name}.gold",
        )
        for name in (upstream, split)
        for folder in _IN_BUCC.split()
    ]


def _tatoeba(split: str) -> Rows:
    released = "tatoeba.{iso3}-eng"
    return [
        *(
            Candidate((f"{folder}/{released}.eng", f"{folder}/{released}.{{iso3}}"), _ALIGNED)
            for folder in _IN_TATOEBA.split()
        ),
        Candidate(("tatoeba/{lang}-en.en", "tatoeba/{lang}-en.{lang}"), _SORTED),
    ]


def _translations(rows: Rows) -> Rows:
    """A task's own English files in `translated/{lang}/`."""
    return [
        Candidate(
            tuple(f"translated/{{lang}}/{pattern}" for pattern in row.patterns),
            {_SQUAD: _TRANSLATED_SQUAD, _SQUAD_V2: _TRANSLATED_SQUAD_V2}.get(row.read, row.read),
            translated=True,
        )
        for row in rows
        if serves(row, ENGLISH) and not (row.substitute or row.mixed or "{" in row.patterns[0])
    ]


_TASKS: dict[str, tuple[Callable[[str], Rows], str]] = {
    "mnli": (_mnli, "train dev"),
    "snli": (_snli, "train dev test"),
    **{f"anli_r{n}": (partial(_anli, n), "train dev test") for n in (1, 2, 3)},
    "qqp": (_qqp, "train dev"),
    "squad": (_squad, "train dev"),
    "squad_v2": (_squad_v2, "train dev"),
    "hellaswag": (_hellaswag, "train dev test"),
    "cosmos_qa": (_cosmos_qa, "train dev test"),
    "commonsense_qa": (_commonsense_qa, "train dev test"),
    "ccg": (_ccg, "train dev test"),
    "mlm": (_mlm, "train dev test"),
    "xnli": (_xnli, "train dev test"),
    "pawsx": (_pawsx, "train dev test"),
    "udpos": (_udpos, "train dev test"),
    "panx": (_panx, "train dev test"),
    "xquad": (_xquad, "test"),
    "mlqa": (_mlqa, "dev test"),
    "mlqa_cross": (_mlqa_cross, "dev test"),
    "tydiqa": (_tydiqa, "train dev test"),
    "bucc": (_bucc, "dev test"),
    "tatoeba": (_tatoeba, "test"),
}


@cache
def candidates(task: str, split: str) -> tuple[Candidate, ...]:
    """The rows of one split, official ones first; () for one that the task does not have."""
    rows_of, splits = _TASKS.get(task, (None, ""))
    if rows_of is None or split not in splits.split():
        return ()
    rows = rows_of(split)
    if split == "train":
        rows = _translations(rows) + rows
    return (*(r for r in rows if not r.substitute), *(r for r in rows if r.substitute))
