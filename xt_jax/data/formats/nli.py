"""Reads natural language inference: MultiNLI, SNLI, ANLI and XNLI as released and GLUE's copies."""

from __future__ import annotations

from collections.abc import Sequence

from etils import epath

from xt_jax.data.examples import PairExample
from xt_jax.data.formats.pairs import pair
from xt_jax.data.formats.tables import (
    field,
    read_header,
    read_json_lines,
    read_table,
    wrong_width,
)
from xt_jax.errors import DataError

NO_CONSENSUS = "-"
ANNOTATORS = tuple(f"label{number}" for number in range(1, 6))
ANLI_LABELS = {"e": "entailment", "n": "neutral", "c": "contradiction"}

_COLUMNS = ("pairID", "sentence1", "sentence2", "gold_label")


def read_mnli(path: epath.PathLike, labels: Sequence[str]) -> list[PairExample]:
    """Reads a GLUE MNLI file; `id` is its pairID, rows without a consensus label are dropped.

    Columns are found by their names in the header (train has 12, the dev sets 16). A double
    quote is text.
    """
    return [
        pair(labels, path, number, *row)
        for number, row in read_table(path, _COLUMNS)
        if row[3] != NO_CONSENSUS
    ]


def read_snli(path: epath.PathLike, labels: Sequence[str]) -> list[PairExample]:
    """Reads a GLUE SNLI file; `id` is its pairID, rows without a consensus label are dropped.

    The header ends with `label1 gold_label`, but a row has one to five annotators' labels before
    the gold one, which is always last. A double quote is text.
    """
    names, lines = read_header(path, _COLUMNS)
    before = names.index("label1") if "label1" in names else len(names) - 1
    id_at, text_a, text_b = (names.index(name) for name in _COLUMNS[:3])
    examples = []
    for number, line in enumerate(lines, start=2):
        cells = line.split("\t")
        if not before + 2 <= len(cells) <= before + 1 + len(ANNOTATORS):
            expected = f"{before} and two to six labels"
            raise wrong_width(len(cells), expected, path, number)
        if cells[-1] != NO_CONSENSUS:
            row = (cells[id_at], cells[text_a], cells[text_b], cells[-1])
            examples.append(pair(labels, path, number, *row))
    return examples


def read_nli_text(path: epath.PathLike, labels: Sequence[str]) -> list[PairExample]:
    """Reads the `.txt` files of MultiNLI 1.0 and SNLI 1.0: the official columns with a header.

    `id` is the pairID, rows without a consensus label are dropped. The annotators' labels, which
    come last, may be missing from a row. A double quote is text.
    """
    names, lines = read_header(path, _COLUMNS)
    wanted = [names.index(name) for name in _COLUMNS]
    least = len(names) - sum(name in ANNOTATORS for name in names)
    if max(wanted) >= least:
        least = len(names)
    examples = []
    for number, line in enumerate(lines, start=2):
        cells = line.split("\t")
        if not least <= len(cells) <= len(names):
            raise wrong_width(len(cells), f"{len(names)} as in the header", path, number)
        row = [cells[index] for index in wanted]
        if row[3] != NO_CONSENSUS:
            examples.append(pair(labels, path, number, *row))
    return examples


def read_nli_jsonl(path: epath.PathLike, labels: Sequence[str]) -> list[PairExample]:
    """Reads the `.jsonl` files of MultiNLI 1.0 and SNLI 1.0.

    `id` is the pairID, records without a consensus label are dropped.
    """
    examples = []
    for number, record in read_json_lines(path):
        row = [field(record, name, str, path, number) for name in _COLUMNS]
        if row[3] != NO_CONSENSUS:
            examples.append(pair(labels, path, number, *row))
    return examples


def read_anli(path: epath.PathLike, labels: Sequence[str]) -> list[PairExample]:
    """Reads ANLI 1.0; `id` is the uid, and the labels e, n and c become their full names."""
    examples = []
    for number, record in read_json_lines(path):
        names = ("uid", "context", "hypothesis", "label")
        id_, text_a, text_b, label = (field(record, name, str, path, number) for name in names)
        if label not in ANLI_LABELS:
            raise DataError(
                f"unknown label {label!r}",
                where=f"{path}:{number}",
                remedy=f"the labels of ANLI are {', '.join(ANLI_LABELS)}",
            )
        examples.append(pair(labels, path, number, id_, text_a, text_b, ANLI_LABELS[label]))
    return examples


def read_xnli(path: epath.PathLike, language: str, labels: Sequence[str]) -> list[PairExample]:
    """Reads one language of an XNLI 1.0 `.tsv`, which holds all of them; `id` is the pairID.

    A double quote is text.

    Raises:
        DataError: also where the file has no row in that language.
    """
    examples = [
        pair(labels, path, number, *row)
        for number, (row_language, *row) in read_table(path, ("language", *_COLUMNS))
        if row_language == language
    ]
    if not examples:
        raise DataError(
            f"the file holds no row in language {language!r}",
            where=path,
            remedy="its first column must hold the ISO 639-1 code; fetch the file again",
        )
    return examples


def read_xnli_mt(path: epath.PathLike, labels: Sequence[str]) -> list[PairExample]:
    """Reads MultiNLI's training pairs, English or translated, as XNLI-MT 1.0 ships them.

    The header is `premise hypo label`; `contradictory` is read as `contradiction`, a double quote
    is text, `id` is the row number from 0.
    """
    rows = read_table(path, ("premise", "hypo", "label"))
    return [pair(labels, path, number, str(number - 2), *row) for number, row in rows]
