"""Reads sentence pairs: PAWS-X, Quora Question Pairs, XTREME's copies and its translations."""

from __future__ import annotations

from collections.abc import Sequence

from absl import logging
from etils import epath

from xt_jax.data.examples import PairExample
from xt_jax.data.formats.tables import (
    check_label,
    check_text,
    is_quoted,
    read_header,
    read_table,
    unquoted,
    wrong_width,
)
from xt_jax.errors import DataError
from xt_jax.files import read_lines

PAWS_HEADER = "id sentence1 sentence2 label"
QQP_HEADER = "id qid1 qid2 question1 question2 is_duplicate"

# The share of machine-translated pairs that may be unusable.
MAX_UNUSABLE = 0.01

_RENAMED = {"contradictory": "contradiction"}


def pair(
    labels: Sequence[str],
    path: epath.PathLike,
    number: int,
    id_: str,
    text_a: str,
    text_b: str,
    label: str | None,
) -> PairExample:
    """Returns one checked pair of line `number`; `contradictory` (MultiNLI) is renamed."""
    check_text(text_a, "sentence 1", path, number)
    check_text(text_b, "sentence 2", path, number)
    if label is not None:
        label = _RENAMED.get(label, label)
        check_label(label, labels, path, number)
    return PairExample(id_, text_a, text_b, label)


def read_paws(path: epath.PathLike, labels: Sequence[str]) -> list[PairExample]:
    """Reads a PAWS-X `x-final` or PAWS-Wiki file: `id sentence1 sentence2 label` with a header.

    A double quote is text; so is the `b'...'` that some older releases put around a sentence.
    """
    rows = read_table(path, PAWS_HEADER.split())
    return [pair(labels, path, number, *row) for number, row in rows]


def read_xtreme_pairs(path: epath.PathLike, labels: Sequence[str]) -> list[PairExample]:
    """Reads XNLI or PAWS-X as XTREME's scripts leave it: `sentence1 TAB sentence2 [TAB label]`.

    The scripts write with Python's csv module, which puts double quotes around a field that
    holds one and doubles those inside. That is undone field by field, so the text is the
    release's again; a quote that does not fit the scheme is text. Two columns mean an unlabelled
    split. `contradictory` (XNLI's copy of MultiNLI) is read as `contradiction`. Placeholder rows
    `NS NS 0` of PAWS-X are data and stay. `id` is the row number from 0.
    """
    lines = read_lines(path)
    width = lines[0].count("\t") + 1
    if width not in (2, 3):
        raise wrong_width(width, "2 (unlabelled) or 3", path, 1)
    examples = []
    for number, line in enumerate(lines, start=1):
        cells = line.split("\t")
        if '"' in line:
            cells = [unquoted(cell) for cell in cells]
        if len(cells) != width:
            raise wrong_width(len(cells), f"{width} as in line 1", path, number)
        label = cells[2] if width == 3 else None
        examples.append(pair(labels, path, number, str(number - 1), cells[0], cells[1], label))
    return examples


def read_translated_pairs(path: epath.PathLike, labels: Sequence[str]) -> list[PairExample]:
    """Reads XTREME's machine translation of XNLI's or PAWS-X's training data.

    The release has five columns without a header: the English pair, its translation and the
    label; XTREME's own reader wants the last three alone. Both are read. Quoting is undone if all
    of the file follows the csv scheme, else quotes are text. Some rows of the release are faulty:
    a row of another width, without both sentences or without a label is left out, with a warning.
    `id` is the row number from 0 in the whole file.

    Raises:
        DataError: more than `MAX_UNUSABLE` of all rows are faulty; names the first one's line.
    """
    rows = [line.split("\t") for line in read_lines(path)]
    width = len(rows[0])
    if width not in (3, 5):
        raise wrong_width(width, "3 or 5", path, 1)
    if all(is_quoted(cell) for row in rows for cell in row if '"' in cell):
        rows = [[unquoted(cell) for cell in row] for row in rows]
    examples, faults = [], []
    for number, cells in enumerate(rows, start=1):
        try:
            if len(cells) != width:
                raise wrong_width(len(cells), f"{width} as in line 1", path, number)
            examples.append(pair(labels, path, number, str(number - 1), *cells[-3:]))
        except DataError as fault:
            faults.append(fault)
    if len(faults) > MAX_UNUSABLE * len(rows):
        raise faults[0]
    if faults:
        logging.warning("%s: %d of %d rows are unusable", path, len(faults), len(rows))
    return examples


def read_qqp(path: epath.PathLike, labels: Sequence[str]) -> list[PairExample]:
    """Reads a GLUE file of Quora Question Pairs with its header of six columns.

    A double quote is text. Eleven questions of the release contain a line end, and GLUE treated
    each line as a record of its own: such halves, a first (four or five columns, the last one an
    open quotation) or a second (two or three, the first one closing a quotation, the last one a
    label), are left out. So are the three pairs with an empty question. That leaves the usual
    363,846 and 40,430 pairs. Any other row of another width is a fault.
    """
    names, lines = read_header(path, QQP_HEADER.split())
    wanted = [names.index(name) for name in ("id", "question1", "question2", "is_duplicate")]
    examples = []
    for number, line in enumerate(lines, start=2):
        cells = line.split("\t")
        if len(cells) != len(names):
            if _is_half_record(cells, labels):
                continue
            raise wrong_width(len(cells), f"{len(names)} as in the header", path, number)
        row = [cells[index] for index in wanted]
        if row[1].strip() and row[2].strip():
            examples.append(pair(labels, path, number, *row))
        else:
            check_label(row[3], labels, path, number)
    if not examples:
        raise DataError("the file holds no pair", where=path, remedy="fetch it again")
    return examples


def _is_half_record(cells: list[str], labels: Sequence[str]) -> bool:
    """Whether a QQP row is one half of a record that was split at a line end in a question."""
    if len(cells) in (4, 5):
        return all(map(str.isdecimal, cells[:3])) and cells[-1].startswith('"')
    return len(cells) in (2, 3) and cells[0].endswith('"') and cells[-1] in labels
