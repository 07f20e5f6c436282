"""Reads examples from parquet files of data sets on the Hugging Face hub.

Where the published tables differ from the releases:

- `google/xtreme` lost the white space around contexts, questions and answers but kept the answers'
  offsets; `converters.spans` corrects them. Its PAWS-X was read with CSV quoting, which lost rows
  (49,175 of 49,401 English training pairs are left), so PAWS-X comes from its own data set.
- Its UD-POS holds syntactic words where XTREME scores the fused token, and its BUCC the gold pairs
  without the corpora that they are mined from: both are substitutes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from etils import epath

from xt_jax.data import converters
from xt_jax.data.converters import Convert
from xt_jax.data.examples import Example
from xt_jax.data.rows import Row, nonempty, texts
from xt_jax.data.sources.source import Found, check_complete, content_digest
from xt_jax.data.sources.tables import (
    ENGLISH,
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
from xt_jax.files import decode, find, is_folder, parse_json
from xt_jax.languages import (
    BUCC,
    MLQA,
    MLQA_CROSS,
    PANX,
    PAWSX,
    TATOEBA,
    TYDIQA,
    UDPOS,
    XNLI,
    XQUAD,
)

# The pinned commits. All but the last are named, with files of them, in several public
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


class HubSource(TableSource):
    """Parquet files of the Hugging Face hub; see `Source`.

    Args:
        directory: a folder with the repositories' files as `<owner>/<name>/<path>`; "" downloads
            the files that are needed, once, into the cache of huggingface_hub.

    Raises:
        ConfigError: the folder does not exist.
    """

    def __init__(self, directory: str):
        if directory and not is_folder(directory):
            raise ConfigError(
                f"The data folder `{directory}` does not exist.",
                where="--config.data.dir",
                remedy="name a folder with google/xtreme/..., or leave it empty to fetch the data",
            )
        super().__init__(LAYOUT)
        self._root = epath.Path(directory) if directory else None

    def _locate(self, table: Table, split: str, language: str) -> Found | None:
        owner, name, pattern = table.filled(table.place, split, language).split("/", 2)
        repository = f"{owner}/{name}"
        revision = REVISIONS[repository]
        if self._root is None:
            where = f"{repository}@{revision[:12]}/{pattern}"
        elif find(self._root / repository, pattern):
            where = f"{self._root / repository}/{pattern}"
        else:
            return None

        def paths() -> list[epath.Path]:
            folder = self._root / repository if self._root else _fetch(repository, pattern)
            return _all_files(folder, pattern)

        def read(labels: Sequence[str]) -> list[Example]:
            found = paths()
            rows = (row for path in found for row in _rows(path, table.classes))
            return nonempty(table.convert(rows, language, labels), language, found[0])

        def digest() -> str:
            if self._root is not None:
                return content_digest(paths(), language)
            return hashlib.sha256(f"{revision} {where} {language}".encode()).hexdigest()

        return Found(where, language, table.substitute, read, digest)

    def _describe(self, table: Table, split: str, language: str) -> str:
        start = f"{self._root}/" if self._root else ""
        return start + table.filled(table.place, split, language)


def _all_files(folder: epath.Path, pattern: str) -> list[epath.Path]:
    """Returns all files of a split, whose names may state how many there are."""
    paths = find(folder, pattern)
    stated = [re.search(r"-of-(\d+)\.parquet$", path.name) for path in paths]
    count = max((int(match[1]) for match in stated if match), default=len(paths) or 1)
    check_complete(paths, count, folder / pattern, "fetch or copy the missing ones")
    return paths


def _fetch(repository: str, pattern: str) -> epath.Path:
    """Downloads the files that match the pattern; returns the repository's folder in the cache."""
    import huggingface_hub

    revision = REVISIONS[repository]
    try:
        folder = huggingface_hub.snapshot_download(
            repository, repo_type="dataset", revision=revision, allow_patterns=[pattern]
        )
    except Exception as error:  # huggingface_hub, requests and the file system raise different ones
        raise DataError(
            f"the table cannot be fetched ({type(error).__name__}: {str(error).splitlines()[0]})",
            where=f"{repository}@{revision}/{pattern}",
            remedy="fetch it on a machine with network access, or copy the repository's files to a "
            "folder and give it as --config.data.dir",
        ) from error
    return epath.Path(folder)


def _rows(path: epath.Path, classes: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, Row]]:
    """Yields (place for messages, row) of a parquet file, with class names in place of indices."""
    from pyarrow import ArrowException, parquet

    number = 0
    try:
        with path.open("rb") as file, parquet.ParquetFile(file) as table:
            stated = _stated_classes(table.schema_arrow.metadata or {}, path)
            for batch in table.iter_batches(_ROWS):
                for row in batch.to_pylist():
                    where = f"{path}, row {number}"
                    for column, names in {**classes, **stated}.items():
                        if row.get(column) is not None:
                            row[column] = converters.named(row[column], names, where)
                    yield where, row
                    number += 1
    except (ArrowException, OSError, ValueError, OverflowError) as error:
        raise DataError(
            f"the parquet file cannot be read ({str(error).splitlines()[0]})",
            where=f"{path}, row {number}" if number else path,
            remedy="it is cut off, damaged or not parquet; fetch it again",
        ) from error


def _stated_classes(metadata: Mapping[bytes, bytes], path: epath.Path) -> dict[str, Sequence[str]]:
    """Returns the class names by column that the `datasets` library stores in a schema."""
    stated = parse_json(decode(metadata.get(b"huggingface", b"{}"), path), path)
    for name in ("info", "features"):
        stated = stated.get(name) if isinstance(stated, dict) else None
    if not isinstance(stated, dict):
        return {}
    classes = {column: _names(feature, str(path)) for column, feature in stated.items()}
    return {column: names for column, names in classes.items() if names}


def _names(feature: Any, path: str) -> Sequence[str]:
    """Returns the class names of a ClassLabel or a sequence of them; () for any other feature."""
    while isinstance(feature, list | dict):
        if isinstance(feature, dict) and feature.get("_type") == "ClassLabel":
            return texts(feature, "names", path)
        inner = feature[:1] or [None] if isinstance(feature, list) else [feature.get("feature")]
        feature = inner[0]
    return ()


_NO_UD_TRAIN = ("th", "tl", "yo")
_NLI = {"label": ("entailment", "neutral", "contradiction")}
_DUPLICATE = {"label": ("not_duplicate", "duplicate")}
_ENTITIES = {"ner_tags": ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")}
_UPOS = {
    "pos_tags": (
        "ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X".split()
    )
}

_xnli = converters.of_language(converters.pairs("sentence1", "sentence2", "gold_label"), "language")
_pawsx = converters.pairs("sentence1", "sentence2", id_="id")
_anli = converters.pairs("premise", "hypothesis", id_="uid")
_stripped = converters.spans(stripped=True)
_tydiqa = converters.spans(stripped=True, all_languages=True)
_panx = converters.tags("tokens", "ner_tags")
_udpos = converters.tags("tokens", "pos_tags", treebank_word)
_bucc = converters.gold_pairs("source_lang", "target_lang")


def _table(place: str, convert: Convert, splits: Mapping[str, str] = SPLITS, **more: Any) -> Table:
    """Returns a table in the usual files, `<place>/<split>-00000-of-00001.parquet`."""
    return Table(f"{place}/{{split}}-*.parquet", convert, splits, **more)


def _xtreme(
    name: str, convert: Convert, splits: Mapping[str, str], languages: Sequence[str], **more: Any
) -> Table:
    return _table(f"google/xtreme/{name}", convert, splits, languages=languages, **more)


def _treebanks(split: str, without: Sequence[str] = ()) -> Table:
    languages = [language for language in UDPOS if language not in without]
    published = {split: SPLITS[split]}
    return _xtreme("udpos.{ud}", _udpos, published, languages, substitute=True, classes=_UPOS)


_MNLI = _table("nyu-mll/glue/mnli", converters.nli, MNLI_SPLITS, classes=_NLI)
LAYOUT: dict[str, tuple[Table, ...]] = {
    "mnli": (_MNLI,),
    "snli": (_table("stanfordnlp/snli/plain_text", converters.nli_with_consensus, classes=_NLI),),
    **{
        f"anli_r{r}": (
            Table(
                f"facebook/anli/plain_text/{{split}}_r{r}-*.parquet",
                _anli,
                OUR_NAMES,
                classes=_NLI,
            ),
        )
        for r in (1, 2, 3)
    },
    "qqp": (_table("nyu-mll/glue/qqp", converters.qqp, classes=_DUPLICATE),),
    "squad": (_table("rajpurkar/squad/plain_text", converters.squad, TRAIN_AND_DEV),),
    "squad_v2": (_table("rajpurkar/squad_v2/squad_v2", converters.squad_v2, TRAIN_AND_DEV),),
    "hellaswag": (_table("Rowan/hellaswag/data", converters.hellaswag),),
    "commonsense_qa": (_table("tau/commonsense_qa/data", converters.commonsense_qa),),
    "cosmos_qa": (Table("allenai/cosmos_qa/default/{split}/*.parquet", converters.cosmos_qa),),
    "xnli": (
        _MNLI._replace(splits={"train": "train"}),  # XNLI's English training text is MNLI's
        _xtreme("XNLI", _xnli, HELD_OUT, XNLI),
    ),
    "pawsx": (
        _table(
            "google-research-datasets/paws-x/{lang}",
            _pawsx,
            languages=PAWSX,
            classes={"label": ("0", "1")},
        ),
    ),
    "udpos": (
        _treebanks("train", _NO_UD_TRAIN),
        _treebanks("dev", ("kk", *_NO_UD_TRAIN)),
        _treebanks("test"),
    ),
    "panx": (_xtreme("PAN-X.{lang}", _panx, SPLITS, PANX, classes=_ENTITIES),),
    "xquad": (_xtreme("XQuAD.{lang}", _stripped, {"test": "validation"}, XQUAD),),
    "mlqa": (_xtreme("MLQA.{lang}.{lang}", _stripped, HELD_OUT, MLQA),),
    "mlqa_cross": (_xtreme("MLQA.{context}.{question}", _stripped, HELD_OUT, MLQA_CROSS),),
    "tydiqa": (
        _xtreme("tydiqa", _tydiqa, {"train": "train", "test": "validation"}, TYDIQA),
        _xtreme("tydiqa", _tydiqa, {"dev": "validation"}, ENGLISH),
    ),
    "bucc": (_xtreme("bucc18.{lang}", _bucc, HELD_OUT, BUCC, substitute=True),),
    "tatoeba": (_xtreme("tatoeba.{iso3}", converters.sentences, {"test": "validation"}, TATOEBA),),
}
