"""Examples in parquet files of data sets on the Hugging Face hub.

Where the published tables differ from the releases:

- `google/xtreme` lost the white space round contexts, questions and answers but kept the answers'
  offsets; they are set right here (`records.spans`). Its PAWS-X was read with CSV quoting, which
  lost rows (49,175 of 49,401 English training pairs are left), so PAWS-X comes from its own data
  set.
- Its UD-POS holds syntactic words where XTREME scores the fused token, and its BUCC the gold pairs
  without the corpora that they are mined from: both are substitutes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

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
    MLQA_CROSS,
    PANX,
    PAWSX,
    TYDIQA_NAMES,
    UD_NAMES,
    XNLI,
    XQUAD,
    pair,
)

# The commits that are read. All but the last are named, with files of them, in several public
# repositories; the last is a commit of the hub's own conversion (refs/convert/parquet), since the
# data set itself is a script.
REVISIONS = {
    "google/xtreme": "ec5f1f46e9af79639a90684a7a70a956c4998f04",
    "google-research-datasets/paws-x": "4cd8187c404bda33cb1f62b49b001115862acf37",
    "nyu-mll/glue": "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c",
    "stanfordnlp/snli": "cdb5c3d5eed6ead6e5a341c8e56e669bb666725b",
    "facebook/anli": "8e4813d81f46d313dac7892e1c28076917cfcdf9",
    "rajpurkar/squad": "7b6d24c440a36b6815f21b70d25016731768db1f",
    "rajpurkar/squad_v2": "3ffb306f725f7d2ce8394bc1873b24868140c412",
    "Rowan/hellaswag": "218ec52e09a7e7462a5400043bb9a69a41d06b76",
    "tau/commonsense_qa": "94630fe30dad47192a8546eb75f094926d47e155",
    "allenai/cosmos_qa": "ed50fe83db62b355759053b1cd5eef344ee371e0",
}

_ROWS = 1000  # read together


class Table(NamedTuple):
    """One split of a data set: the files `path` of a repository.

    Attributes:
        path: pattern with `{lang}` (ISO 639-1), `{iso3}`, `{name}` (English) and `*`.
        classes: class names by column, in the order of their indices, for files that do not
            state them.
        substitute: see `Found`.
    """

    repository: str
    path: str
    convert: Convert
    languages: Sequence[str] = ("en",)
    classes: Mapping[str, Sequence[str]] = {}
    substitute: bool = False


class HubSource:
    """Parquet files of the hub; see `Source`.

    Args:
        directory: a folder with the repositories' files as `<owner>/<name>/<path>`; "" fetches
            what is asked for, once, into the cache of huggingface_hub.

    Raises:
        ConfigError: the folder is not there.
    """

    def __init__(self, directory: str):
        if directory and not epath.Path(directory).is_dir():
            raise ConfigError(
                f"The data folder `{directory}` does not exist.",
                where="--config.data.dir",
                remedy="name a folder with google/xtreme/..., or leave it empty to fetch the data",
            )
        self._root = epath.Path(directory) if directory else None

    def find(
        self, task: str, split: str, language: str, *, substitutes: bool = False
    ) -> list[Found]:
        found = []
        for table in _LAYOUT.get((task, split), ()):
            if language not in table.languages or (table.substitute and not substitutes):
                continue
            table = _filled(table, language)
            if self._root is None:
                found.append(_fetched(table, language))
            elif any((self._root / table.repository).glob(table.path)):
                found.append(_local(self._root / table.repository, table, language))
        return found

    def expected(self, task: str, split: str, language: str) -> str:
        for table in _LAYOUT.get((task, split), ()):
            if language in table.languages:
                table = _filled(table, language)
                start = f"{self._root}/" if self._root else ""
                return f"{start}{table.repository}/{table.path}"
        return ""

    def languages(self, task: str, split: str) -> list[str]:
        known = dict.fromkeys(
            code for table in _LAYOUT.get((task, split), ()) for code in table.languages
        )
        return sorted(language for language in known if self.find(task, split, language))


def _local(folder: epath.Path, table: Table, language: str) -> Found:
    return Found(
        f"{folder}/{table.path}",
        language,
        lambda labels: _read(_shards(folder, table), table, language, labels),
        lambda: _digest(_shards(folder, table), language),
        table.substitute,
    )


def _fetched(table: Table, language: str) -> Found:
    revision = REVISIONS[table.repository]
    where = f"{table.repository}@{revision[:12]}/{table.path}"
    return Found(
        where,
        language,
        lambda labels: _read(_shards(_fetch(table, revision), table), table, language, labels),
        lambda: hashlib.sha256(f"{revision} {where} {language}".encode()).hexdigest(),
        table.substitute,
    )


def _fetch(table: Table, revision: str) -> epath.Path:
    """The folder of the repository's files in the cache, with those of the table."""
    import huggingface_hub

    try:
        folder = huggingface_hub.snapshot_download(
            table.repository, repo_type="dataset", revision=revision, allow_patterns=[table.path]
        )
    except Exception as error:  # the library, requests and the file system each have their own
        raise DataError(
            f"the table cannot be fetched ({type(error).__name__}: {str(error).splitlines()[0]})",
            where=f"{table.repository}@{revision}/{table.path}",
            remedy="fetch it where the network is, or copy the repository's files to a folder and "
            "give it as --config.data.dir",
        ) from error
    return epath.Path(folder)


def _shards(folder: epath.Path, table: Table) -> list[epath.Path]:
    """The table's files, all of them."""
    paths = sorted(folder.glob(table.path), key=lambda path: path.name)
    counts = [re.search(r"-of-(\d+)\.parquet$", path.name) for path in paths]
    count = max((int(found[1]) for found in counts if found), default=len(paths) or 1)
    if len(paths) != count:
        raise DataError(
            f"{len(paths)} of the {count} files are there",
            where=folder / table.path,
            remedy="fetch or copy the missing ones",
        )
    return paths


def _digest(paths: Sequence[epath.Path], language: str) -> str:
    """Hex SHA-256 of the files' names and contents, and of what is read of them."""
    content = hashlib.sha256(language.encode())
    for path in paths:
        content.update(path.name.encode() + b"\0" + path.read_bytes())
    return content.hexdigest()


def _read(
    paths: Sequence[epath.Path], table: Table, language: str, labels: Sequence[str]
) -> list[Example]:
    rows = (row for path in paths for row in _rows(path, table.classes))
    examples = table.convert(rows, language, labels)
    if not examples:
        raise DataError(
            f"the table holds no example in {language!r}", where=paths[0], remedy="fetch it again"
        )
    return examples


def _rows(path: epath.Path, classes: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, Row]]:
    """(place, row) with class names for their indices."""
    from pyarrow import ArrowException, parquet

    number = 0
    try:
        with path.open("rb") as file, parquet.ParquetFile(file) as table:
            stated = _stated_classes(table.schema_arrow.metadata or {})
            for batch in table.iter_batches(_ROWS):
                for row in batch.to_pylist():
                    where = f"{path}, row {number}"
                    for column, names in {**classes, **stated}.items():
                        if row.get(column) is not None:
                            row[column] = records.named(row[column], names, where)
                    yield where, row
                    number += 1
    except (ArrowException, OSError) as error:
        raise DataError(
            f"the parquet file cannot be read ({str(error).splitlines()[0]})",
            where=f"{path}, row {number}" if number else path,
            remedy="it is cut off or not parquet; fetch it again",
        ) from error


def _stated_classes(metadata: Mapping[bytes, bytes]) -> dict[str, Sequence[str]]:
    """Class names by column as the `datasets` library notes them in a schema."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    found = {column: _names(feature) for column, feature in features.items()}
    return {column: names for column, names in found.items() if names}


def _names(feature: Any) -> Sequence[str]:
    """Of a ClassLabel or a sequence of them, () of anything else."""
    if isinstance(feature, list) and feature:
        return _names(feature[0])
    if not isinstance(feature, dict):
        return ()
    if feature.get("_type") == "ClassLabel":
        return tuple(feature.get("names", ()))
    return _names(feature.get("feature"))


def _filled(table: Table, language: str) -> Table:
    context, question = pair(language) or ("", "")
    return table._replace(
        path=table.path.format(
            lang=language,
            iso3=ISO3.get(language, language),
            name=UD_NAMES.get(language, language),
            context=context,
            question=question,
        )
    )


_XTREME = "google/xtreme"
_HELD_OUT = {"dev": "validation", "test": "test"}
_SPLITS = {"train": "train", **_HELD_OUT}
_NO_UD_TRAIN = ("th", "tl", "yo")
_NO_UD_DEV = ("kk", *_NO_UD_TRAIN)

_NLI = {"label": ("entailment", "neutral", "contradiction")}
_UPOS = "ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X".split()
_ENTITIES = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")

_nli = records.pairs("premise", "hypothesis")
_qqp = records.pairs(
    "question1", "question2", id_="idx", names={"not_duplicate": "0", "duplicate": "1"}
)
_snli = records.pairs("premise", "hypothesis", only_labelled=True)
_anli = records.pairs("premise", "hypothesis", id_="uid")
_xnli = records.of_language(records.pairs("sentence1", "sentence2", "gold_label"), "language")
_pawsx = records.pairs("sentence1", "sentence2", id_="id")
_squad = records.spans()
_squad_v2 = records.spans(unanswerable=True)
_stripped = records.spans(stripped=True)
_tydiqa = records.spans(stripped=True, all_languages=True)


def _mnli(split: str) -> Table:
    return Table("nyu-mll/glue", f"mnli/{split}-*.parquet", _nli, classes=_NLI)


def _xtreme(path: str, convert: Convert, languages: Sequence[str], **rest: Any) -> Table:
    return Table(_XTREME, f"{path}-*.parquet", convert, languages, **rest)


_LAYOUT: dict[tuple[str, str], tuple[Table, ...]] = {
    ("mnli", "train"): (_mnli("train"),),
    ("mnli", "dev"): (_mnli("validation_matched"),),
    ("xnli", "train"): (_mnli("train"),),  # XNLI's English training text is MNLI's
    ("xquad", "test"): (_xtreme("XQuAD.{lang}/validation", _stripped, XQUAD),),
    ("tydiqa", "train"): (_xtreme("tydiqa/train", _tydiqa, (*TYDIQA_NAMES,)),),
    ("tydiqa", "dev"): (_xtreme("tydiqa/validation", _tydiqa, ("en",)),),
    ("tydiqa", "test"): (_xtreme("tydiqa/validation", _tydiqa, (*TYDIQA_NAMES,)),),
    ("tatoeba", "test"): (_xtreme("tatoeba.{iso3}/validation", records.sentences, (*ISO3,)),),
}
for _split, _name in _SPLITS.items():
    _lacking = {"train": _NO_UD_TRAIN, "dev": _NO_UD_DEV}.get(_split, ())
    _LAYOUT |= {
        ("snli", _split): (
            Table("stanfordnlp/snli", f"plain_text/{_name}-*.parquet", _snli, classes=_NLI),
        ),
        ("qqp", _split): (
            Table(
                "nyu-mll/glue",
                f"qqp/{_name}-*.parquet",
                _qqp,
                classes={"label": ("not_duplicate", "duplicate")},
            ),
        ),
        **{
            (f"anli_r{r}", _split): (
                Table("facebook/anli", f"plain_text/{_split}_r{r}-*.parquet", _anli, classes=_NLI),
            )
            for r in (1, 2, 3)
        },
        ("hellaswag", _split): (
            Table("Rowan/hellaswag", f"data/{_name}-*.parquet", records.hellaswag),
        ),
        ("commonsense_qa", _split): (
            Table("tau/commonsense_qa", f"data/{_name}-*.parquet", records.commonsense_qa),
        ),
        ("cosmos_qa", _split): (
            Table("allenai/cosmos_qa", f"default/{_name}/*.parquet", records.cosmos_qa),
        ),
        ("pawsx", _split): (
            Table(
                "google-research-datasets/paws-x",
                f"{{lang}}/{_name}-*.parquet",
                _pawsx,
                PAWSX,
                {"label": ("0", "1")},
            ),
        ),
        ("panx", _split): (
            _xtreme(
                f"PAN-X.{{lang}}/{_name}",
                records.tags("tokens", "ner_tags"),
                PANX,
                classes={"ner_tags": _ENTITIES},
            ),
        ),
        ("udpos", _split): (
            _xtreme(
                f"udpos.{{name}}/{_name}",
                records.tags("tokens", "pos_tags", records.treebank_word),
                tuple(language for language in UD_NAMES if language not in _lacking),
                classes={"pos_tags": _UPOS},
                substitute=True,
            ),
        ),
    }
for _split, _name in _SPLITS.items():
    if _split != "test":
        _LAYOUT |= {
            ("squad", _split): (Table("rajpurkar/squad", f"plain_text/{_name}-*.parquet", _squad),),
            ("squad_v2", _split): (
                Table("rajpurkar/squad_v2", f"squad_v2/{_name}-*.parquet", _squad_v2),
            ),
        }
for _split, _name in _HELD_OUT.items():
    _bucc = records.gold_pairs("source_lang", "target_lang")
    _LAYOUT |= {
        ("xnli", _split): (_xtreme(f"XNLI/{_name}", _xnli, XNLI),),
        ("mlqa", _split): (_xtreme(f"MLQA.{{lang}}.{{lang}}/{_name}", _stripped, MLQA),),
        ("mlqa_cross", _split): (
            _xtreme(f"MLQA.{{context}}.{{question}}/{_name}", _stripped, MLQA_CROSS),
        ),
        ("bucc", _split): (_xtreme(f"bucc18.{{lang}}/{_name}", _bucc, BUCC, substitute=True),),
    }
