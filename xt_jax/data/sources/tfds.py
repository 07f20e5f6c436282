"""Reads data sets that TensorFlow Datasets (TFDS) has prepared, without TensorFlow.

They are read as random-access sources, which needs the file format `array_record`. TFDS shuffles
what it prepares unless told otherwise; `prepare_tfds` keeps the release's order. In a shuffled set
the order is restored where it follows from the rows. That leaves the question answering sets,
Cosmos QA, HellaSwag, ANLI and PAWS-X in another order than the release's, with the same examples.

Where TFDS differs from the releases (builders of 4.9.10):

- `paws_x_wiki`, `xtreme_pawsx` and `bucc` take a double quote for CSV quoting: quotes around a
  field are lost, and so are the rows after a quote that is not closed.
- `xtreme_pos` holds syntactic words where XTREME scores the fused token, and `bucc` the gold pairs
  without the corpora that they are mined from: both are substitutes.
- `xtreme_pos` calls Tagalog `ta` and Tamil `tl`.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from xt_jax.data import converters
from xt_jax.data.examples import Example
from xt_jax.data.rows import Row, nonempty
from xt_jax.data.sources.source import Found, check_complete, content_digest
from xt_jax.data.sources.tables import (
    HELD_OUT,
    MNLI_SPLITS,
    OUR_NAMES,
    SPLITS,
    TRAIN_AND_DEV,
    Table,
    TableSource,
)
from xt_jax.data.treebanks import treebank_word
from xt_jax.errors import ConfigError, DataError
from xt_jax.files import find, parse_json, read_text
from xt_jax.languages import BUCC, MLQA, PANX, PAWSX, TATOEBA, TYDIQA, UDPOS, XNLI, XQUAD
from xt_jax.places import as_path

_INFO = "dataset_info.json"
_AT_ONCE = 1024  # rows decoded together
_DEFAULT = "~/tensorflow_datasets"
_AGAIN = "copy the folder again, or prepare the data set again"


class TfdsSource(TableSource):
    """Data sets that TFDS has prepared in a folder; see `Source`.

    Args:
        directory: TFDS's `data_dir`; "" for its default.

    Raises:
        ConfigError: the folder does not exist.
    """

    def __init__(self, directory: str):
        directory = directory or os.environ.get("TFDS_DATA_DIR", os.path.expanduser(_DEFAULT))
        super().__init__(LAYOUT)
        self._root = as_path(directory)
        if not self._root.is_dir():
            raise ConfigError(
                f"The folder of TFDS data sets `{directory}` does not exist.",
                where="--config.data.dir",
                remedy="name the folder that the data sets were prepared in (TFDS's data_dir)",
            )

    def _locate(self, table: Table, split: str, language: str) -> Found | None:
        title, name = (table.filled(t, split, language) for t in (table.place, table.splits[split]))
        folder = _latest(self._root / title, name)
        if folder is None:
            return None
        where = f"{folder}, split {name}"

        def read(labels: Sequence[str]) -> list[Example]:
            _shards(folder, title, name)
            rows = _rows(folder, name, table.order, where)
            return nonempty(table.convert(rows, language, labels), language, where)

        def digest() -> str:
            described = [folder / _INFO, folder / "features.json"]
            return content_digest([*described, *_shards(folder, title, name)], language)

        return Found(where, language, table.substitute, read, digest)

    def _describe(self, table: Table, split: str, language: str) -> str:
        title, name = (table.filled(t, split, language) for t in (table.place, table.splits[split]))
        return f"{title}, split {name} ({_command(title, self._root)})"


def _shards(folder: epath.Path, title: str, split: str) -> list[epath.Path]:
    """Returns all files of a split, which must be complete."""
    stem = f"{title.partition('/')[0]}-{split}"
    paths = find(folder, f"{stem}.array_record-*")
    where = f"{folder}, split {split}"
    if not paths and find(folder, f"{stem}.*"):
        raise DataError(
            "the data set is prepared in a file format that cannot be read without TensorFlow",
            where=where,
            remedy=f"prepare it in another folder: {_command(title, epath.Path('DIR'))}",
        )
    check_complete(paths, len(_splits(folder)[split]), where, _AGAIN)
    return paths


def _rows(
    folder: epath.Path, split: str, column: str | int | None, where: str
) -> Iterator[tuple[str, Row]]:
    """Yields (place for messages, row), in the release's order where `column` tells it."""
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder_from_directory(str(folder), file_format="array_record")
        stored, info = builder.as_data_source(split), builder.info
        is_shuffled = not (info.nondeterministic_order or info.disable_shuffling)
        order: Sequence[int] = range(len(stored))
        if is_shuffled and isinstance(column, int):
            order = _unshuffled(len(stored), split, column)
        rows = _decoded(stored, order, info.features, where)
        if is_shuffled and isinstance(column, str):
            rows = iter(sorted(rows, key=lambda placed: placed[1][column]))
        yield from rows
    except DataError:
        raise
    except Exception as error:  # array_record, protobuf and TFDS share no error class
        problem = f"the files cannot be read ({type(error).__name__}: {error})"
        raise DataError(problem, where=where, remedy=_AGAIN) from error


def _latest(folder: epath.Path, split: str) -> epath.Path | None:
    """Returns the folder of the newest version that has the split, or None."""
    if not folder.is_dir():
        return None
    versions = [p for p in folder.iterdir() if re.fullmatch(r"\d+\.\d+\.\d+", p.name)]
    for path in sorted(versions, key=lambda p: tuple(map(int, p.name.split("."))), reverse=True):
        if (path / _INFO).exists() and split in _splits(path):
            return path
    return None


def _splits(folder: epath.Path) -> dict[str, list[int]]:
    """Reads the number of rows of each file, by split."""
    try:
        info = parse_json(read_text(folder / _INFO), folder / _INFO, remedy=_AGAIN)
        return {s["name"]: [int(n) for n in s["shardLengths"]] for s in info["splits"]}
    except (ValueError, KeyError, TypeError) as error:
        problem = "the description of the data set does not list the splits and their shards"
        raise DataError(problem, where=folder / _INFO, remedy=_AGAIN) from error


def _unshuffled(count: int, split: str, first: int) -> list[int]:
    """Returns the positions of a shuffled set's rows in the order of their keys.

    The keys are the numbers from `first` on. TFDS shuffles by sorting on the MD5 of split and key
    (its core/hashing.py).
    """
    keys = [f"{split}{first + row}".encode() for row in range(count)]
    hashed = sorted(range(count), key=lambda row: hashlib.md5(keys[row]).digest())
    return np.argsort(hashed).tolist()


def _decoded(
    stored: Any, order: Sequence[int], features: Any, where: str
) -> Iterator[tuple[str, Row]]:
    for first in range(0, len(order), _AT_ONCE):
        batch = order[first : first + _AT_ONCE]
        for number, row in zip(batch, stored.__getitems__(batch), strict=True):
            place = f"{where}, row {number}"
            yield place, {name: _plain(row[name], features[name], place) for name in row}


def _plain(value: Any, feature: Any, where: str) -> Any:
    """Converts a TFDS value: bytes to text, arrays to lists, class indices to names."""
    feature = getattr(feature, "feature", feature)  # of a Sequence
    if isinstance(value, Mapping):
        return {name: _plain(item, feature[name], where) for name, item in value.items()}
    if names := getattr(feature, "names", None):
        return converters.named(np.asarray(value).tolist(), names, where)
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


def _command(title: str, root: epath.Path) -> str:
    return f"python -m xt_jax.prepare_tfds --data_dir={root} {title}"


_TRAIN = {"train": "train"}
_XNLI_TRANSLATED, _PAWSX_TRANSLATED = ([x for x in codes if x != "en"] for codes in (XNLI, PAWSX))

_anli = converters.pairs(
    "context",
    "hypothesis",
    id_="uid",
    names={"e": "entailment", "n": "neutral", "c": "contradiction"},
)
_pawsx = converters.pairs(
    "sentence1", "sentence2", names={"different_meaning": "0", "paraphrase": "1"}
)
_tydiqa = converters.spans(all_languages=True)
_udpos = converters.tags("tokens", "upos", treebank_word)
_bucc = converters.gold_pairs("source_id", "target_id")

_MNLI = Table("glue/mnli", converters.nli, MNLI_SPLITS, order="idx")
_MT_XNLI = Table("xtreme_xnli", converters.parallel_pairs, _TRAIN, _XNLI_TRANSLATED, order=0)
LAYOUT: dict[str, tuple[Table, ...]] = {
    "mnli": (_MNLI, _MT_XNLI),
    "snli": (Table("snli", converters.nli_with_consensus, order=0),),
    **{f"anli_r{r}": (Table(f"anli/r{r}", _anli),) for r in (1, 2, 3)},
    "qqp": (Table("glue/qqp", converters.qqp, order="idx"),),
    "squad": (Table("squad/v1.1", converters.squad, TRAIN_AND_DEV),),
    "squad_v2": (Table("squad/v2.0", converters.squad_v2, TRAIN_AND_DEV),),
    "hellaswag": (Table("hellaswag", converters.hellaswag),),
    "cosmos_qa": (Table("cosmos_qa", converters.cosmos_qa),),
    "xnli": (
        _MNLI._replace(splits=_TRAIN),  # XNLI's English training text is MNLI's
        _MT_XNLI,
        Table("xnli", converters.parallel_pairs, HELD_OUT, XNLI, order=1),
    ),
    "pawsx": (
        Table("paws_x_wiki/en", _pawsx, _TRAIN),
        Table("xtreme_pawsx/{lang}", _pawsx, _TRAIN, _PAWSX_TRANSLATED, order=1),
        Table("paws_x_wiki/{lang}", _pawsx, HELD_OUT, PAWSX),
    ),
    "udpos": (
        Table(
            "xtreme_pos/xtreme_pos_{swapped}", _udpos, OUR_NAMES, UDPOS, substitute=True, order=0
        ),
    ),
    "panx": (Table("wikiann/{lang}", converters.tags("tokens", "tags"), SPLITS, PANX, order=1),),
    "xquad": (Table("xquad/{lang}", converters.squad, {"test": "test"}, XQUAD),),
    "mlqa": (Table("mlqa/{lang}", converters.squad, HELD_OUT, MLQA),),
    "tydiqa": (
        Table("tydi_qa/goldp", _tydiqa, _TRAIN, TYDIQA),
        Table("tydi_qa/goldp", converters.squad, {"dev": "validation-{lang}"}),
        Table("tydi_qa/goldp", converters.squad, {"test": "validation-{lang}"}, TYDIQA),
    ),
    "bucc": (Table("bucc/bucc_{lang}", _bucc, HELD_OUT, BUCC, substitute=True, order=0),),
    "tatoeba": (
        Table("tatoeba/tatoeba_{lang}", converters.sentences, {"test": "train"}, TATOEBA, order=0),
    ),
}
