"""Examples in data sets that TensorFlow Datasets has prepared, read without TensorFlow.

They are read as random-access sources, which needs the file format `array_record`. TFDS shuffles
what it prepares unless told otherwise; `prepare_tfds` keeps the release's order. In a shuffled set
the order is restored where it follows from the rows. That leaves the question answering sets,
Cosmos QA, HellaSwag, ANLI and PAWS-X in another order than the release's, with the same examples.

Where TFDS differs from the releases (builders of 4.9.10):

- `paws_x_wiki`, `xtreme_pawsx` and `bucc` take a double quote for CSV quoting: marks round a field
  are lost, and rows after a mark that does not close are swallowed.
- `xtreme_pos` holds syntactic words where XTREME scores the fused token, and `bucc` the gold pairs
  without the corpora that they are mined from: both are substitutes.
- `xtreme_pos` calls Tagalog `ta` and Tamil `tl`.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from etils import epath

from xt_jax.data.examples import Example
from xt_jax.data.sources import records
from xt_jax.data.sources.records import Convert, Row
from xt_jax.data.sources.source import Found
from xt_jax.errors import ConfigError, DataError
from xt_jax.languages import (
    BUCC,
    ISO3,
    MLQA,
    PANX,
    PAWSX,
    TYDIQA_NAMES,
    UD_NAMES,
    XNLI,
    XQUAD,
)

_INFO = "dataset_info.json"
_AT_ONCE = 1024  # rows decoded together
_DEFAULT = "~/tensorflow_datasets"


class Table(NamedTuple):
    """One split of a TFDS data set; `{lang}` in `config` and `split` is the language.

    Attributes:
        order: what the release's order follows from in a shuffled set: a column, or the number
            with which TFDS's keys begin; None where it does not.
        substitute: see `Found`.
    """

    name: str
    config: str
    split: str
    convert: Convert
    languages: Sequence[str] = ("en",)
    order: str | int | None = None
    substitute: bool = False


class TfdsSource:
    """The data sets that TFDS has prepared in a folder; see `Source`.

    Args:
        directory: TFDS's `data_dir`; "" for its default.

    Raises:
        ConfigError: the folder is not there.
    """

    def __init__(self, directory: str):
        directory = directory or os.environ.get("TFDS_DATA_DIR", os.path.expanduser(_DEFAULT))
        self._root = epath.Path(directory)
        if not self._root.is_dir():
            raise ConfigError(
                f"The folder of TFDS data sets `{directory}` does not exist.",
                where="--config.data.dir",
                remedy="name the folder that the data sets were prepared in (TFDS's data_dir)",
            )

    def find(
        self, task: str, split: str, language: str, *, substitutes: bool = False
    ) -> list[Found]:
        found = []
        for table in _LAYOUT.get((task, split), ()):
            if language not in table.languages or (table.substitute and not substitutes):
                continue
            name = _filled(table, language)
            if version := _latest(self._root / table.name / name.config, name.split):
                found.append(_found(version, name, language))
        return found

    def expected(self, task: str, split: str, language: str) -> str:
        for table in _LAYOUT.get((task, split), ()):
            if language in table.languages:
                name = _filled(table, language)
                return f"{_title(name)}, split {name.split} ({_command(name, self._root)})"
        return ""

    def languages(self, task: str, split: str) -> list[str]:
        known = dict.fromkeys(
            code for table in _LAYOUT.get((task, split), ()) for code in table.languages
        )
        return sorted(language for language in known if self.find(task, split, language))


def _found(folder: epath.Path, table: Table, language: str) -> Found:
    return Found(
        f"{folder}, split {table.split}",
        language,
        lambda labels: _read(folder, table, language, labels),
        lambda: _digest(folder, table, language),
        table.substitute,
    )


def _read(folder: epath.Path, table: Table, language: str, labels: Sequence[str]) -> list[Example]:
    _shards(folder, table)
    where = f"{folder}, split {table.split}"
    examples = table.convert(_rows(folder, table, where), language, labels)
    if not examples:
        raise DataError("the split holds no example", where=where, remedy="prepare it again")
    return examples


def _digest(folder: epath.Path, table: Table, language: str) -> str:
    """Hex SHA-256 of the files' names and contents, and of what is read of them."""
    content = hashlib.sha256(language.encode())
    for path in (folder / _INFO, folder / "features.json", *_shards(folder, table)):
        content.update(path.name.encode() + b"\0" + path.read_bytes())
    return content.hexdigest()


def _latest(folder: epath.Path, split: str) -> epath.Path | None:
    """The newest version below that has the split."""
    if not folder.is_dir():
        return None
    versions = [p for p in folder.iterdir() if re.fullmatch(r"\d+\.\d+\.\d+", p.name)]
    for path in sorted(versions, key=lambda p: tuple(map(int, p.name.split("."))), reverse=True):
        if (path / _INFO).exists() and split in _splits(path):
            return path
    return None


def _splits(folder: epath.Path) -> dict[str, list[int]]:
    """{split: rows of each of its files}."""
    try:
        info = json.loads((folder / _INFO).read_text())
        return {s["name"]: [int(n) for n in s["shardLengths"]] for s in info["splits"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            "the description of the data set is unreadable",
            where=folder / _INFO,
            remedy="prepare the data set again",
        ) from error


def _shards(folder: epath.Path, table: Table) -> list[epath.Path]:
    """The files of the split, all of them."""
    stem = f"{table.name}-{table.split}"
    count = len(_splits(folder)[table.split])
    paths = sorted(folder.glob(f"{stem}.array_record-*"), key=lambda path: path.name)
    where = f"{folder}, split {table.split}"
    if not paths and any(folder.glob(f"{stem}.*")):
        raise DataError(
            "the data set is prepared in a file format that cannot be read without TensorFlow",
            where=where,
            remedy=f"prepare it in another folder: {_command(table, epath.Path('DIR'))}",
        )
    if len(paths) != count:
        raise DataError(
            f"{len(paths)} of the {count} files are there",
            where=where,
            remedy="copy the folder again, or prepare the data set again",
        )
    return paths


def _rows(folder: epath.Path, table: Table, where: str) -> Iterator[tuple[str, Row]]:
    """(place, row), in the release's order where it is known."""
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder_from_directory(str(folder), file_format="array_record")
        stored = builder.as_data_source(table.split)
        info = builder.info
        shuffled = not (info.nondeterministic_order or info.disable_shuffling)
        rows = _decoded(stored, _order(len(stored), table, shuffled), info.features, where)
        if shuffled and isinstance(table.order, str):
            column = table.order
            rows = iter(sorted(rows, key=lambda placed: placed[1][column]))
        yield from rows
    except (DataError, ImportError):
        raise
    except Exception as error:  # array_record, protobuf and TFDS have no error class in common
        raise DataError(
            f"the files cannot be read ({type(error).__name__}: {error})",
            where=where,
            remedy="copy the folder again, or prepare the data set again",
        ) from error


def _order(count: int, table: Table, shuffled: bool) -> list[int]:
    """Positions of the stored rows, in the release's order where TFDS numbered its keys.

    A shuffled set stands in the order of the MD5 of split and key (core/hashing.py of TFDS).
    """
    if not shuffled or not isinstance(table.order, int):
        return list(range(count))
    keys = [f"{table.split}{table.order + row}".encode() for row in range(count)]
    hashed = sorted(range(count), key=lambda row: hashlib.md5(keys[row]).digest())
    return np.argsort(hashed).tolist()


def _decoded(
    stored: Any, order: Sequence[int], features: Any, where: str
) -> Iterator[tuple[str, Row]]:
    for first in range(0, len(order), _AT_ONCE):
        some = order[first : first + _AT_ONCE]
        for number, row in zip(some, stored.__getitems__(some), strict=True):
            place = f"{where}, row {number}"
            yield place, {name: _plain(row[name], features[name], place) for name in row}


def _plain(value: Any, feature: Any, where: str) -> Any:
    """Text for bytes, lists for arrays, class names for their indices."""
    feature = getattr(feature, "feature", feature)  # of a Sequence
    if isinstance(value, Mapping):
        return {name: _plain(item, feature[name], where) for name, item in value.items()}
    if names := getattr(feature, "names", None):
        return records.named(np.asarray(value).tolist(), names, where)
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(item, feature, where) for item in value]
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"a text is not UTF-8 ({error.reason})", where=where, remedy="prepare it again"
            ) from error
    return value.item() if isinstance(value, np.generic) else value


def _filled(table: Table, language: str) -> Table:
    code = _TFDS_UDPOS.get(language, language) if table.name == "xtreme_pos" else language
    return table._replace(
        config=table.config.format(lang=code), split=table.split.format(lang=language)
    )


def _title(table: Table) -> str:
    return f"{table.name}/{table.config}" if table.config else table.name


def _command(table: Table, root: epath.Path) -> str:
    return f"python -m xt_jax.prepare_tfds --data_dir={root} {_title(table)}"


_TFDS_UDPOS = {"ta": "tl", "tl": "ta"}  # TFDS has swapped them
_SPLITS = {"train": "train", "dev": "validation", "test": "test"}
_TRANSLATED = tuple(language for language in XNLI if language != "en")

_paraphrases = functools.partial(records.pairs, names={"different_meaning": "0", "paraphrase": "1"})
_nli = records.pairs("premise", "hypothesis")
_snli = records.pairs("premise", "hypothesis", only_labelled=True)
_anli = records.pairs(
    "context",
    "hypothesis",
    id_="uid",
    names={"e": "entailment", "n": "neutral", "c": "contradiction"},
)
_qqp = records.pairs(
    "question1", "question2", id_="idx", names={"not_duplicate": "0", "duplicate": "1"}
)
_pawsx = _paraphrases("sentence1", "sentence2")
_squad = records.spans()
_panx = records.tags("tokens", "tags")
_udpos = records.tags("tokens", "upos", records.treebank_word)
_bucc = records.gold_pairs("source_id", "target_id")

_MNLI = Table("glue", "mnli", "train", _nli, order="idx")
_MT_XNLI = Table("xtreme_xnli", "", "train", records.parallel_pairs, _TRANSLATED, 0)

_LAYOUT: dict[tuple[str, str], tuple[Table, ...]] = {
    ("mnli", "train"): (_MNLI, _MT_XNLI),
    ("mnli", "dev"): (_MNLI._replace(split="validation_matched"),),
    # XNLI's English training text is MNLI's.
    ("xnli", "train"): (_MNLI, _MT_XNLI),
    ("xnli", "dev"): (Table("xnli", "", "validation", records.parallel_pairs, XNLI, 1),),
    ("xnli", "test"): (Table("xnli", "", "test", records.parallel_pairs, XNLI, 1),),
    ("pawsx", "train"): (
        Table("paws_x_wiki", "en", "train", _pawsx),
        Table("xtreme_pawsx", "{lang}", "train", _pawsx, ("de", "es", "fr", "ja", "ko", "zh"), 1),
    ),
    ("pawsx", "dev"): (Table("paws_x_wiki", "{lang}", "validation", _pawsx, PAWSX),),
    ("pawsx", "test"): (Table("paws_x_wiki", "{lang}", "test", _pawsx, PAWSX),),
    ("squad", "train"): (Table("squad", "v1.1", "train", _squad),),
    ("squad", "dev"): (Table("squad", "v1.1", "validation", _squad),),
    ("squad_v2", "train"): (Table("squad", "v2.0", "train", records.spans(unanswerable=True)),),
    ("squad_v2", "dev"): (Table("squad", "v2.0", "validation", records.spans(unanswerable=True)),),
    ("xquad", "test"): (Table("xquad", "{lang}", "test", _squad, XQUAD),),
    ("mlqa", "dev"): (Table("mlqa", "{lang}", "validation", _squad, MLQA),),
    ("mlqa", "test"): (Table("mlqa", "{lang}", "test", _squad, MLQA),),
    ("tydiqa", "train"): (
        Table("tydi_qa", "goldp", "train", records.spans(all_languages=True), (*TYDIQA_NAMES,)),
    ),
    **{
        ("tydiqa", split): (Table("tydi_qa", "goldp", "validation-{lang}", _squad, languages),)
        for split, languages in (("dev", ("en",)), ("test", (*TYDIQA_NAMES,)))
    },
    ("bucc", "dev"): (Table("bucc", "bucc_{lang}", "validation", _bucc, BUCC, 0, substitute=True),),
    ("bucc", "test"): (Table("bucc", "bucc_{lang}", "test", _bucc, BUCC, 0, substitute=True),),
    ("tatoeba", "test"): (
        Table("tatoeba", "tatoeba_{lang}", "train", records.sentences, (*ISO3,), 0),
    ),
}
for _split, _name in _SPLITS.items():
    _LAYOUT |= {
        ("snli", _split): (Table("snli", "", _name, _snli, order=0),),
        ("qqp", _split): (Table("glue", "qqp", _name, _qqp, order="idx"),),
        ("hellaswag", _split): (Table("hellaswag", "", _name, records.hellaswag),),
        ("cosmos_qa", _split): (Table("cosmos_qa", "", _name, records.cosmos_qa),),
        ("panx", _split): (Table("wikiann", "{lang}", _name, _panx, PANX, 1),),
        ("udpos", _split): (
            Table(
                "xtreme_pos",
                "xtreme_pos_{lang}",
                _split,
                _udpos,
                (*UD_NAMES,),
                0,
                substitute=True,
            ),
        ),
        **{(f"anli_r{r}", _split): (Table("anli", f"r{r}", _name, _anli),) for r in (1, 2, 3)},
    }
