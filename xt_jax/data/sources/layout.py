"""Where official files lie below a data folder: a table of file-name patterns and their readers.

Each task lists the files that may hold its splits, preferred form first: for training and dev sets
the output of google-research/xtreme's scripts (`download/` is a data folder), then the unpacked
release; for test sets the release first, since XTREME's copies have lost their labels. A release
may lie in its task's folder or at the top. Substitutes, which hold other examples, come last.

The patterns are those of `candidates`, with one more field: `{split}` is the name that the row
gives the split.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from xt_jax.data import formats
from xt_jax.data.formats import Read
from xt_jax.data.sources.candidates import ENGLISH, Candidate, serves
from xt_jax.data.treebanks import read_ccg, read_conllu
from xt_jax.languages import TYDIQA, XNLI

# Our splits, with their names in a row's patterns.
_TRAIN, _DEV, _TEST = {"train": "train"}, {"dev": "dev"}, {"test": "test"}
_ALL = _TRAIN | _DEV | _TEST
_TRAIN_AND_DEV, _HELD_OUT = _TRAIN | _DEV, _DEV | _TEST
_MNLI_SPLITS = {"train": "train", "dev": "dev_matched"}
_COSMOS_SPLITS = {"train": "train.csv", "dev": "valid.csv", "test": "test.jsonl"}
_COMMONSENSE_SPLITS = {
    "train": "train_rand_split",
    "dev": "dev_rand_split",
    "test": "test_rand_split_no_answers",
}
_XFINAL_SPLITS = {"train": "train", "dev": "dev_2k", "test": "test_2k"}
_CCG_SECTIONS = {"train": ("0[2-9]", "1[0-9]", "2[01]"), "dev": ("00",), "test": ("23",)}

# Folders, `.` the top one, and names of files.
_IN_MULTINLI = "mnli multinli_1.0 mnli/multinli_1.0"
_IN_SNLI = "snli snli_1.0 snli/snli_1.0"
_IN_ANLI = "anli/anli_v1.0 anli_v1.0 anli"
_IN_XNLI_MT = "xnli/XNLI-MT-1.0/multinli XNLI-MT-1.0/multinli"
_IN_PAWSX = "paws_x pawsx"
_IN_XFINAL = "paws_x/x-final pawsx/x-final x-final"
_IN_COSMOS = "cosmos_qa cosmos_qa/data cosmosqa cosmosqa/data"
_IN_CCG = "ccg/data/AUTO ccg/*/data/AUTO ccgbank*/data/AUTO data/AUTO"
_IN_TREEBANKS = "udpos/ud-treebanks-v2.5 ud-treebanks-v2.5"
_IN_PANX = "panx panx_dataset panx/panx_dataset"
_IN_TYDIQA = "tydiqa ."
_IN_MLQA = "mlqa/MLQA_V1 MLQA_V1"
_IN_BUCC = "bucc2018 bucc2018/{lang}-en {lang}-en"
_IN_TRANSLATIONS = "xtreme_translations ."  # the bucket gs://xtreme_translations
_XTREME_NAME = "{split}-{lang}.tsv"
_NAME = "en-{lang}-translated.tsv"
_SQUAD_NAME = "translate-train/squad.translate.train.en-{lang}.json"
_TYDIQA_TRAIN, _TYDIQA_DEV = "tydiqa-goldp-v1.1-train", "tydiqa-goldp-v1.1-dev"

Row = tuple[Mapping[str, str], Candidate]


def _at(
    splits: Mapping[str, str],
    folders: str,
    names: str,
    read: Read,
    *,
    optional: str = "",
    **more: Any,
) -> list[Row]:
    """Returns one row per folder, in which the files `names` together hold a split."""
    return [
        (splits, Candidate(patterns, read, optional="".join(more_patterns), **more))
        for folder in folders.split()
        for patterns, more_patterns in [(_within(folder, names), _within(folder, optional))]
    ]


def _within(folder: str, names: str) -> tuple[str, ...]:
    return tuple(name if folder == "." else f"{folder}/{name}" for name in names.split())


def _translated(folders: str, name: str, read: Read) -> list[Row]:
    """Returns rows for machine translations of the English training data."""
    return _at(_TRAIN, folders, name, read, translated=True)


def _tydiqa_dev(
    splits: Mapping[str, str], name: str, lang: str, mixed: tuple[str, ...]
) -> list[Row]:
    return [
        *_at(splits, _IN_TYDIQA, f"{_TYDIQA_DEV}/tydiqa-goldp-dev-{name}.json", formats.squad),
        *_at(splits, _IN_TYDIQA, f"{_TYDIQA_DEV}.json", formats.tydiqa, mixed=mixed),
        *_at(splits, _IN_TYDIQA, f"{_TYDIQA_DEV}/tydiqa.goldp.{lang}.dev.json", formats.squad),
    ]


_MNLI = [
    *_at(_MNLI_SPLITS, "mnli MNLI", "{split}.tsv", formats.mnli),
    *_at(_MNLI_SPLITS, _IN_MULTINLI, "multinli_1.0_{split}.jsonl", formats.nli_jsonl),
    *_at(_MNLI_SPLITS, _IN_MULTINLI, "multinli_1.0_{split}.txt", formats.nli_text),
    # Machine translations by XTREME, then by the authors of XNLI.
    *_translated(_IN_TRANSLATIONS, f"XNLI/translate-train/{_NAME}", formats.translated_pairs),
    *_translated("xnli XNLI", f"XNLI-Translated/{_NAME}", formats.translated_pairs),
    *_translated(_IN_XNLI_MT, "multinli.train.{lang}.tsv", formats.xnli_mt),
]
LAYOUT: dict[str, list[Row]] = {
    "mnli": _MNLI,
    "snli": [
        *_at(_ALL, _IN_SNLI, "snli_1.0_{split}.jsonl", formats.nli_jsonl),
        *_at(_ALL, _IN_SNLI, "snli_1.0_{split}.txt", formats.nli_text),
        *_at(_ALL, "snli SNLI", "{split}.tsv", formats.snli),
    ],
    **{
        f"anli_r{n}": [
            *_at(_ALL, _IN_ANLI, f"R{n}/{{split}}.jsonl", formats.anli),
            *_at(_TRAIN, _IN_ANLI, f"R{n}/dev.jsonl", formats.anli, substitute=True),
        ]
        for n in (1, 2, 3)
    },
    "qqp": _at(_TRAIN_AND_DEV, "qqp QQP", "{split}.tsv", formats.qqp),
    "squad": [
        *_at(_TRAIN_AND_DEV, "squad_v1 squad .", "{split}-v1.1.json", formats.squad),
        *_translated(_IN_TRANSLATIONS, f"SQuAD/{_SQUAD_NAME}", formats.translated_squad),
        *_translated("squad", _SQUAD_NAME, formats.translated_squad),
        *_at(
            _TRAIN, "squad_v1/derived", "train-v1.1-from-v2.0.json", formats.squad, substitute=True
        ),
    ],
    "squad_v2": _at(_TRAIN_AND_DEV, "squad_v2 squad .", "{split}-v2.0.json", formats.squad_v2),
    "hellaswag": _at(
        _ALL | {"dev": "val"},
        "hellaswag hellaswag/data .",
        "hellaswag_{split}.jsonl",
        formats.hellaswag,
    ),
    "cosmos_qa": [
        *_at(_COSMOS_SPLITS, _IN_COSMOS, "{split}", formats.cosmos_qa),
        *_at(_TRAIN, _IN_COSMOS, "valid.csv", formats.cosmos_qa, substitute=True),
    ],
    "commonsense_qa": _at(
        _COMMONSENSE_SPLITS,
        "commonsense_qa commonsenseqa .",
        "{split}.jsonl",
        formats.commonsense_qa,
    ),
    "ccg": [  # CCGbank's sections 02 to 21 are for training, 00 is dev and 23 test
        *(
            row
            for split, sections in _CCG_SECTIONS.items()
            for names in [" ".join(f"{section}/wsj_{section}*.auto" for section in sections)]
            for row in _at({split: split}, _IN_CCG, names, read_ccg)
        ),
        *_at(_ALL, "ccg", "UD_English-EWT/en_ewt-ud-{split}.auto", read_ccg, substitute=True),
    ],
    "mlm": [
        *_at(_ALL, "mlm", "{split}-{lang}.txt", formats.texts),
        *_at(_TRAIN, "mlm", "{lang}.txt", formats.texts),
    ],
    "xnli": [
        *_at(_TRAIN_AND_DEV, "xnli", _XTREME_NAME, formats.xtreme_pairs),
        # The English training text is MNLI's.
        *(({"train": splits["train"]}, row) for splits, row in _MNLI),
        *_at(_TRAIN, _IN_XNLI_MT, "multinli.train.en.tsv", formats.xnli_mt),
        *_at(_HELD_OUT, "xnli/XNLI-1.0 XNLI-1.0", "xnli.{split}.tsv", formats.xnli, mixed=XNLI),
        *_at(_TEST, "xnli", _XTREME_NAME, formats.xtreme_pairs),
    ],
    "pawsx": [
        *_at(_TRAIN_AND_DEV, _IN_PAWSX, _XTREME_NAME, formats.xtreme_pairs),
        *_at(_XFINAL_SPLITS, _IN_XFINAL, "{lang}/{split}.tsv", formats.paws),
        *_at(_TEST, _IN_PAWSX, _XTREME_NAME, formats.xtreme_pairs),
        *_translated(_IN_TRANSLATIONS, f"PAWSX/translate-train/{_NAME}", formats.translated_pairs),
        *_translated(_IN_PAWSX, f"translated/{_NAME}", formats.translated_pairs),
        *_translated(_IN_XFINAL, "{lang}/translated_train.tsv", formats.paws),
        *_at(_TRAIN, "paws_x", "paws_wiki/dev.tsv", formats.paws, substitute=True),
    ],
    "udpos": [
        *_at(_TRAIN_AND_DEV, "udpos", _XTREME_NAME, formats.tags),
        *_at(_ALL, _IN_TREEBANKS, "*/{lang}_*-ud-{split}.conllu", read_conllu),
        *_at(_TEST, "udpos", _XTREME_NAME, formats.tags),
    ],
    "panx": [
        *_at(_TRAIN_AND_DEV, "panx", _XTREME_NAME, formats.tags),
        *_at(_ALL, _IN_PANX, "{lang}/{split}", formats.panx),
        *_at(_ALL, _IN_PANX, "{lang}-{split}", formats.panx),
        *_at(_TEST, "panx", _XTREME_NAME, formats.tags),
    ],
    "xquad": _at(_TEST, "xquad .", "xquad.{lang}.json", formats.squad),
    **{
        task: _at(
            _HELD_OUT,
            _IN_MLQA,
            f"{{split}}/{{split}}-context-{context}-question-{question}.json",
            formats.squad,
        )
        for task, context, question in [
            ("mlqa", "{lang}", "{lang}"),
            ("mlqa_cross", "{context}", "{question}"),
        ]
    },
    "tydiqa": [  # XTREME scores the dev set, and selects by its English part
        *_at(
            _TRAIN,
            _IN_TYDIQA,
            f"{_TYDIQA_TRAIN}/tydiqa.goldp.{{lang}}.train.json",
            formats.tydiqa_train,
        ),
        *_at(_TRAIN, _IN_TYDIQA, f"{_TYDIQA_TRAIN}.json", formats.tydiqa, mixed=TYDIQA),
        *_at(
            _TRAIN,
            f"tydiqa/{_TYDIQA_TRAIN} {_TYDIQA_TRAIN}",
            f"{_TYDIQA_TRAIN}.json",
            formats.tydiqa,
            mixed=TYDIQA,
        ),
        *_tydiqa_dev(_DEV, "english", ENGLISH, (ENGLISH,)),
        *_tydiqa_dev(_TEST, "{tydiqa}", "{lang}", TYDIQA),
    ],
    "bucc": [  # XTREME's dev is upstream's sample, its test the training set without gold pairs
        row
        for split, name in [
            ("dev", "sample"),
            ("dev", "dev"),
            ("test", "training"),
            ("test", "test"),
        ]
        for row in _at(
            {split: name},
            _IN_BUCC,
            "{lang}-en.{split}.en {lang}-en.{split}.{lang}",
            formats.bucc,
            optional="{lang}-en.{split}.gold",
        )
    ],
    "tatoeba": [
        *_at(
            _TEST,
            "tatoeba tatoeba/v1 data/tatoeba/v1",
            "tatoeba.{iso3}-eng.eng tatoeba.{iso3}-eng.{iso3}",
            formats.parallel,
        ),
        *_at(_TEST, "tatoeba", "{lang}-en.en {lang}-en.{lang}", formats.sorted_parallel),
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
    tolerant = {
        formats.squad: formats.translated_squad,
        formats.squad_v2: formats.translated_squad_v2,
    }
    return [
        Candidate(
            tuple(f"translated/{{lang}}/{pattern}" for pattern in row.patterns),
            tolerant.get(row.read, row.read),
            translated=True,
        )
        for row in rows
        if serves(row, ENGLISH) and not (row.substitute or row.mixed or "{" in row.patterns[0])
    ]
