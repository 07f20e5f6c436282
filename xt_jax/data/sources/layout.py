"""Where official files lie below a data folder: a table of file-name patterns and their readers.

Each task lists the files that may hold its splits, preferred form first: for training and dev sets
the output of google-research/xtreme's scripts (`download/` is a data folder), then the unpacked
release; for test sets the release first, since XTREME's copies have lost their labels. A release
may lie in its task's folder or at the top. Substitutes, which hold other examples, come last.

The patterns are those of `candidates`, with one more field: `{split}` is the name that the row
gives the split.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from etils import epath

from xt_jax.data import formats
from xt_jax.data.conllu import read_conllu
from xt_jax.data.examples import Example
from xt_jax.data.sources.candidates import ENGLISH, Candidate, ReadFiles, serves
from xt_jax.languages import TYDIQA, TYDIQA_NAMES, XNLI


def _one(read: Callable[..., Sequence[Any]]) -> ReadFiles:
    """Adapts a reader that takes one file and the allowed labels."""
    return lambda paths, language, labels: list(read(paths[0], labels))


def _plain(read: Callable[..., Sequence[Any]], **options: Any) -> ReadFiles:
    """Adapts a reader that takes all files and no labels."""
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


_NLI_TEXT, _NLI_JSONL = _one(formats.read_nli_text), _one(formats.read_nli_jsonl)
_MNLI, _XNLI_MT = _one(formats.read_mnli), _one(formats.read_xnli_mt)
_PAWS, _PAIRS = _one(formats.read_paws), _one(formats.read_xtreme_pairs)
_TRANSLATED_PAIRS = _one(formats.read_translated_pairs)
_SQUAD, _SQUAD_V2 = _plain(formats.read_squad), _plain(formats.read_squad_v2)
_TRANSLATED_SQUAD = _plain(formats.read_squad, translated=True)
_TRANSLATED_SQUAD_V2 = _plain(formats.read_squad_v2, translated=True)
_COSMOS, _ANLI = _one(formats.read_cosmos_qa), _one(formats.read_anli)
_TAGS, _TEXTS = _one(formats.read_tags), _plain(formats.read_texts)

# Our splits, with their names in a row's patterns.
_TRAIN, _DEV, _TEST = {"train": "train"}, {"dev": "dev"}, {"test": "test"}
_ALL = _TRAIN | _DEV | _TEST
_TRAIN_AND_DEV, _HELD_OUT = _TRAIN | _DEV, _DEV | _TEST

# Folders, `.` the top one, and the names of XTREME's translated pairs.
_IN_MULTINLI = "mnli multinli_1.0 mnli/multinli_1.0"
_IN_SNLI = "snli snli_1.0 snli/snli_1.0"
_IN_ANLI = "anli/anli_v1.0 anli_v1.0 anli"
_IN_XNLI_MT = "xnli/XNLI-MT-1.0/multinli XNLI-MT-1.0/multinli"
_IN_PAWSX = "paws_x pawsx"
_IN_XFINAL = "paws_x/x-final pawsx/x-final x-final"
_IN_COSMOS = "cosmos_qa cosmos_qa/data cosmosqa cosmosqa/data"
_IN_TREEBANKS = "udpos/ud-treebanks-v2.5 ud-treebanks-v2.5"
_IN_PANX = "panx panx_dataset panx/panx_dataset"
_IN_TYDIQA = "tydiqa ."
_IN_MLQA = "mlqa/MLQA_V1 MLQA_V1"
_IN_TRANSLATIONS = "xtreme_translations ."  # the bucket gs://xtreme_translations
_NAME = "en-{lang}-translated.tsv"
_TRANSLATED = f"translate-train/{_NAME}"
_TRANSLATED_SQUAD_NAME = "translate-train/squad.translate.train.en-{lang}.json"

Row = tuple[Mapping[str, str], Candidate]


def _at(
    splits: Mapping[str, str], folders: str, names: str, read: ReadFiles, **more: Any
) -> list[Row]:
    """Returns one row per name and folder; all folders of the first name come first."""
    return [
        (splits, Candidate((name if folder == "." else f"{folder}/{name}",), read, **more))
        for name in names.split()
        for folder in folders.split()
    ]


_MNLI_SPLITS = {"train": "train", "dev": "dev_matched"}
_MNLI_FILES = [
    *_at(_MNLI_SPLITS, "mnli MNLI", "{split}.tsv", _MNLI),
    *_at(_MNLI_SPLITS, _IN_MULTINLI, "multinli_1.0_{split}.jsonl", _NLI_JSONL),
    *_at(_MNLI_SPLITS, _IN_MULTINLI, "multinli_1.0_{split}.txt", _NLI_TEXT),
    # Machine translations by XTREME, then by the authors of XNLI.
    *_at(_TRAIN, _IN_TRANSLATIONS, f"XNLI/{_TRANSLATED}", _TRANSLATED_PAIRS, translated=True),
    *_at(_TRAIN, "xnli XNLI", f"XNLI-Translated/{_NAME}", _TRANSLATED_PAIRS, translated=True),
    *_at(_TRAIN, _IN_XNLI_MT, "multinli.train.{lang}.tsv", _XNLI_MT, translated=True),
]
_CCG_SECTIONS = {"train": ("0[2-9]", "1[0-9]", "2[01]"), "dev": ("00",), "test": ("23",)}
_XFINAL_SPLITS = {"train": "train", "dev": "dev_2k", "test": "test_2k"}
_TYDIQA_TRAIN, _TYDIQA_DEV = "tydiqa-goldp-v1.1-train", "tydiqa-goldp-v1.1-dev"


def _tydiqa_dev(
    splits: Mapping[str, str], name: str, lang: str, mixed: tuple[str, ...]
) -> list[Row]:
    return [
        *_at(splits, _IN_TYDIQA, f"{_TYDIQA_DEV}/tydiqa-goldp-dev-{name}.json", _SQUAD),
        *_at(splits, _IN_TYDIQA, f"{_TYDIQA_DEV}.json", _read_tydiqa, mixed=mixed),
        *_at(splits, _IN_TYDIQA, f"{_TYDIQA_DEV}/tydiqa.goldp.{lang}.dev.json", _SQUAD),
    ]


LAYOUT: dict[str, list[Row]] = {
    "mnli": _MNLI_FILES,
    "snli": [
        *_at(_ALL, _IN_SNLI, "snli_1.0_{split}.jsonl", _NLI_JSONL),
        *_at(_ALL, _IN_SNLI, "snli_1.0_{split}.txt", _NLI_TEXT),
        *_at(_ALL, "snli SNLI", "{split}.tsv", _one(formats.read_snli)),
    ],
    **{
        f"anli_r{n}": [
            *_at(_ALL, _IN_ANLI, f"R{n}/{{split}}.jsonl", _ANLI),
            *_at(_TRAIN, _IN_ANLI, f"R{n}/dev.jsonl", _ANLI, substitute=True),
        ]
        for n in (1, 2, 3)
    },
    "qqp": _at(_TRAIN_AND_DEV, "qqp QQP", "{split}.tsv", _one(formats.read_qqp)),
    "squad": [
        *_at(_TRAIN_AND_DEV, "squad_v1 squad .", "{split}-v1.1.json", _SQUAD),
        *_at(
            _TRAIN,
            _IN_TRANSLATIONS,
            f"SQuAD/{_TRANSLATED_SQUAD_NAME}",
            _TRANSLATED_SQUAD,
            translated=True,
        ),
        *_at(_TRAIN, "squad", _TRANSLATED_SQUAD_NAME, _TRANSLATED_SQUAD, translated=True),
        *_at(_TRAIN, "squad_v1", "derived/train-v1.1-from-v2.0.json", _SQUAD, substitute=True),
    ],
    "squad_v2": _at(_TRAIN_AND_DEV, "squad_v2 squad .", "{split}-v2.0.json", _SQUAD_V2),
    "hellaswag": _at(
        _ALL | {"dev": "val"},
        "hellaswag hellaswag/data .",
        "hellaswag_{split}.jsonl",
        _one(formats.read_hellaswag),
    ),
    "cosmos_qa": [
        *_at(
            {"train": "train.csv", "dev": "valid.csv", "test": "test.jsonl"},
            _IN_COSMOS,
            "{split}",
            _COSMOS,
        ),
        *_at(_TRAIN, _IN_COSMOS, "valid.csv", _COSMOS, substitute=True),
    ],
    "commonsense_qa": _at(
        {
            "train": "train_rand_split",
            "dev": "dev_rand_split",
            "test": "test_rand_split_no_answers",
        },
        "commonsense_qa commonsenseqa .",
        "{split}.jsonl",
        _one(formats.read_commonsense_qa),
    ),
    "ccg": [  # CCGbank's sections 02 to 21 are for training, 00 is dev and 23 test
        *(
            (
                {split: split},
                Candidate(tuple(f"{folder}/{s}/wsj_{s}*.auto" for s in sections), _read_ccg),
            )
            for split, sections in _CCG_SECTIONS.items()
            for folder in "ccg/data/AUTO ccg/*/data/AUTO ccgbank*/data/AUTO data/AUTO".split()
        ),
        *_at(_ALL, "ccg", "UD_English-EWT/en_ewt-ud-{split}.auto", _read_ccg, substitute=True),
    ],
    "mlm": [
        *_at(_ALL, "mlm", "{split}-{lang}.txt", _TEXTS),
        *_at(_TRAIN, "mlm", "{lang}.txt", _TEXTS),
    ],
    "xnli": [
        *_at(_TRAIN_AND_DEV, "xnli", "{split}-{lang}.tsv", _PAIRS),
        # The English training text is MNLI's.
        *(({"train": splits["train"]}, row) for splits, row in _MNLI_FILES),
        *_at(_TRAIN, _IN_XNLI_MT, "multinli.train.en.tsv", _XNLI_MT),
        *_at(_HELD_OUT, "xnli/XNLI-1.0 XNLI-1.0", "xnli.{split}.tsv", _read_xnli, mixed=XNLI),
        *_at(_TEST, "xnli", "{split}-{lang}.tsv", _PAIRS),
    ],
    "pawsx": [
        *_at(_TRAIN_AND_DEV, _IN_PAWSX, "{split}-{lang}.tsv", _PAIRS),
        *_at(_XFINAL_SPLITS, _IN_XFINAL, "{lang}/{split}.tsv", _PAWS),
        *_at(_TEST, _IN_PAWSX, "{split}-{lang}.tsv", _PAIRS),
        *_at(_TRAIN, _IN_TRANSLATIONS, f"PAWSX/{_TRANSLATED}", _TRANSLATED_PAIRS, translated=True),
        *_at(_TRAIN, _IN_PAWSX, f"translated/{_NAME}", _TRANSLATED_PAIRS, translated=True),
        *_at(_TRAIN, _IN_XFINAL, "{lang}/translated_train.tsv", _PAWS, translated=True),
        *_at(_TRAIN, "paws_x", "paws_wiki/dev.tsv", _PAWS, substitute=True),
    ],
    "udpos": [
        *_at(_TRAIN_AND_DEV, "udpos", "{split}-{lang}.tsv", _TAGS),
        *_at(_ALL, _IN_TREEBANKS, "*/{lang}_*-ud-{split}.conllu", _read_conllu),
        *_at(_TEST, "udpos", "{split}-{lang}.tsv", _TAGS),
    ],
    "panx": [
        *_at(_TRAIN_AND_DEV, "panx", "{split}-{lang}.tsv", _TAGS),
        *_at(_ALL, _IN_PANX, "{lang}/{split} {lang}-{split}", _one(formats.read_panx)),
        *_at(_TEST, "panx", "{split}-{lang}.tsv", _TAGS),
    ],
    "xquad": _at(_TEST, "xquad .", "xquad.{lang}.json", _SQUAD),
    "mlqa": _at(
        _HELD_OUT,
        _IN_MLQA,
        "{split}/{split}-context-{lang}-question-{lang}.json",
        _SQUAD,
    ),
    "mlqa_cross": _at(
        _HELD_OUT,
        _IN_MLQA,
        "{split}/{split}-context-{context}-question-{question}.json",
        _SQUAD,
    ),
    "tydiqa": [  # XTREME scores the dev set, and selects by its English part
        *_at(
            _TRAIN,
            _IN_TYDIQA,
            f"{_TYDIQA_TRAIN}/tydiqa.goldp.{{lang}}.train.json",
            _plain(formats.read_squad, renumber=True),
        ),
        *_at(
            _TRAIN,
            _IN_TYDIQA,
            f"{_TYDIQA_TRAIN}.json {_TYDIQA_TRAIN}/{_TYDIQA_TRAIN}.json",
            _read_tydiqa,
            mixed=TYDIQA,
        ),
        *_tydiqa_dev(_DEV, "english", ENGLISH, (ENGLISH,)),
        *_tydiqa_dev(_TEST, "{name}", "{lang}", TYDIQA),
    ],
    "bucc": [  # XTREME's dev is upstream's sample, its test the training set without gold pairs
        (
            {split: name},
            Candidate(
                (f"{folder}/{{lang}}-en.{{split}}.en", f"{folder}/{{lang}}-en.{{split}}.{{lang}}"),
                _plain(formats.read_bucc),
                optional=f"{folder}/{{lang}}-en.{{split}}.gold",
            ),
        )
        for split, names in (("dev", "sample dev"), ("test", "training test"))
        for name in names.split()
        for folder in "bucc2018 bucc2018/{lang}-en {lang}-en".split()
    ],
    "tatoeba": [
        *(
            (
                _TEST,
                Candidate(
                    tuple(f"{folder}/tatoeba.{{iso3}}-eng.{side}" for side in ("eng", "{iso3}")),
                    _plain(formats.read_parallel),
                ),
            )
            for folder in "tatoeba tatoeba/v1 data/tatoeba/v1".split()
        ),
        (
            _TEST,
            Candidate(
                ("tatoeba/{lang}-en.en", "tatoeba/{lang}-en.{lang}"),
                _plain(formats.read_parallel, aligned=False),
            ),
        ),
    ],
}


@cache
def candidates(task: str, split: str) -> tuple[Candidate, ...]:
    """Returns the candidates for a split, official ones first; () if the task has no such split."""
    rows = [
        row._replace(
            patterns=tuple(p.replace("{split}", splits[split]) for p in row.patterns),
            optional=row.optional.replace("{split}", splits[split]),
        )
        for splits, row in LAYOUT.get(task, ())
        if split in splits
    ]
    if split == "train":
        rows = _translations(rows) + rows
    return (*(r for r in rows if not r.substitute), *(r for r in rows if r.substitute))


def _translations(rows: list[Candidate]) -> list[Candidate]:
    """Returns candidates for translations of the English files, in `translated/{lang}/`."""
    tolerant = {_SQUAD: _TRANSLATED_SQUAD, _SQUAD_V2: _TRANSLATED_SQUAD_V2}
    return [
        Candidate(
            tuple(f"translated/{{lang}}/{pattern}" for pattern in row.patterns),
            tolerant.get(row.read, row.read),
            translated=True,
        )
        for row in rows
        if serves(row, ENGLISH) and not (row.substitute or row.mixed or "{" in row.patterns[0])
    ]
