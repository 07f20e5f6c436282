"""Reads CoNLL-U treebanks as the tagged sentences of XTREME's UD-POS files.

Source of the rules: google-research/xtreme at 838c13b69daa, `conllu_to_conll.py
--replace_subtokens_with_fused_forms` followed by `utils_preprocess.py --task udpos`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from etils import epath

from xt_jax.data.examples import TagExample
from xt_jax.errors import DataError
from xt_jax.files import read_lines

COLUMNS = 10
ZERO_WIDTH_NON_JOINER = "\u200c"

# Which part gives a fused token its tag when several are equally near the root, first wins.
PRECEDENCE = {
    "default": "VERB NOUN PROPN PRON ADJ NUM ADV INTJ AUX ADP DET PART CCONJ SCONJ X PUNCT",
    "es": "VERB AUX PRON ADP DET",
    "fr": "VERB AUX PRON NOUN ADJ ADV ADP DET PART SCONJ CONJ",
    "it": "VERB AUX ADV PRON ADP DET INTJ",
}

_WORD_ID = re.compile(r"[1-9]\d*")
_RANGE_ID = re.compile(r"([1-9]\d*)-([1-9]\d*)")
_EMPTY_NODE_ID = re.compile(r"\d+\.\d+")


class _Word(NamedTuple):
    form: str
    tag: str
    heads: tuple[int, ...]


class _Range(NamedTuple):
    first: int
    last: int
    form: str
    line: int


def read_conllu(path: epath.PathLike, language: str, labels: Sequence[str]) -> list[TagExample]:
    """Reads one treebank file as XTREME prepares it; `id` counts the kept sentences from 0.

    A multiword token (`3-4`) becomes one word under its fused form. Its tag is that of the part
    nearest the root; among equally near parts `PRECEDENCE` for `language` decides, and a tag
    missing there ranks last (the original program stops at such a token). Empty nodes (`8.1`)
    are skipped, spaces and U+200C inside a word removed, and a sentence is dropped when all its
    words, or all but one, are `_` (text withheld for its licence). Should removal leave a word
    empty, it stays, empty, with its tag. The list is empty if all sentences were dropped.

    Args:
        path: a `.conllu` file.
        language: the two-letter code that chooses the precedence list.
        labels: the allowed tags (the UPOS column).

    Raises:
        DataError: with the file and line.
    """
    precedence = PRECEDENCE.get(language, PRECEDENCE["default"]).split()
    examples: list[TagExample] = []
    sentences = list(_sentences(path, labels))
    if not sentences:
        raise DataError("the file holds no sentence", where=path, remedy="fetch it again")
    for words, ranges in sentences:
        tokens = _fuse(words, ranges, precedence)
        forms = [form.strip() for form, _ in tokens]
        withheld = forms.count("_")
        if withheld and withheld >= len(forms) - 1:
            continue
        kept = tuple(form.replace(ZERO_WIDTH_NON_JOINER, "").replace(" ", "") for form in forms)
        examples.append(TagExample(str(len(examples)), kept, tuple(tag for _, tag in tokens)))
    return examples


def _sentences(
    path: epath.PathLike, labels: Sequence[str]
) -> Iterator[tuple[list[_Word], list[_Range]]]:
    """Yields the words (in order, ids 1, 2, ...) and multiword ranges of every sentence."""
    words: list[_Word] = []
    ranges: list[_Range] = []
    for number, line in enumerate([*read_lines(path), ""], start=1):
        where = f"{path}:{number}"
        if line.startswith("#"):
            continue
        if not line:
            if ranges and ranges[-1].last > len(words):
                raise _id_error(
                    f"the range ends at {ranges[-1].last}, the sentence at {len(words)}",
                    f"{path}:{ranges[-1].line}",
                )
            if words:
                yield words, ranges
            words, ranges = [], []
            continue
        cells = line.split("\t")
        if len(cells) != COLUMNS:
            raise DataError(
                f"{len(cells)} tab-separated columns found, {COLUMNS} expected",
                where=where,
                remedy="the line is cut off or was edited; fetch the treebank again",
            )
        if multiword := _RANGE_ID.fullmatch(cells[0]):
            first, last = int(multiword[1]), int(multiword[2])
            if first != len(words) + 1 or last < first or (ranges and first <= ranges[-1].last):
                raise _id_error(f"range {cells[0]} after word {len(words)}", where)
            ranges.append(_Range(first, last, cells[1], number))
        elif _WORD_ID.fullmatch(cells[0]):
            if int(cells[0]) != len(words) + 1:
                raise _id_error(f"word {cells[0]} after word {len(words)}", where)
            words.append(_word(cells, labels, where))
        elif not _EMPTY_NODE_ID.fullmatch(cells[0]):
            raise _id_error(f"{cells[0]!r} is no word id, range or empty node", where)


def _word(cells: list[str], labels: Sequence[str], where: str) -> _Word:
    if not cells[1]:
        raise DataError("the word is empty", where=where, remedy="fetch the treebank again")
    if cells[3] not in labels:
        raise DataError(
            f"unknown tag {cells[3]!r}",
            where=where,
            remedy=f"column 4 must hold one of {', '.join(labels)}",
        )
    heads = [cells[6]]
    if cells[8] != "_":
        heads += [dependency.split(":")[0] for dependency in cells[8].split("|")]
    return _Word(cells[1], cells[3], tuple(int(head) for head in heads if head.isdecimal()))


def _fuse(
    words: list[_Word], ranges: list[_Range], precedence: Sequence[str]
) -> list[tuple[str, str]]:
    """Returns (form, tag) per token; the words of a multiword range become one fused token."""
    tokens = []
    fused = {span.first: span for span in ranges}
    number = 1
    while number <= len(words):
        span = fused.get(number)
        if span is None:
            tokens.append((words[number - 1].form, words[number - 1].tag))
            number += 1
        else:
            tokens.append((span.form, _fused_tag(words, span, precedence)))
            number = span.last + 1
    return tokens


def _fused_tag(words: list[_Word], span: _Range, precedence: Sequence[str]) -> str:
    parts = range(span.first, span.last + 1)
    depths = [_ancestors(words, part) for part in parts]
    highest = [
        words[part - 1].tag
        for part, depth in zip(parts, depths, strict=True)
        if depth == min(depths)
    ]
    ranked = [tag for tag in highest if tag in precedence]
    return min(ranked, key=precedence.index) if ranked else highest[0]


def _ancestors(words: list[_Word], number: int) -> int:
    """Counts the nodes that govern a word, at any distance, by basic and enhanced relations."""
    seen: set[int] = set()
    pending = list(words[number - 1].heads)
    while pending:
        head = pending.pop()
        if head not in seen:
            seen.add(head)
            if 0 < head <= len(words):
                pending += words[head - 1].heads
    return len(seen - {number})


def _id_error(problem: str, where: str) -> DataError:
    return DataError(f"broken numbering: {problem}", where=where, remedy="fetch the treebank again")
