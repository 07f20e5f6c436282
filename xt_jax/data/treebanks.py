"""Reads treebanks as tagged sentences: CoNLL-U as XTREME's UD-POS has it, and CCGbank.

Source of the rules for CoNLL-U: google-research/xtreme at 838c13b69daa, `conllu_to_conll.py
--replace_subtokens_with_fused_forms` followed by `utils_preprocess.py --task udpos`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from etils import epath

from xt_jax.data.examples import TagExample
from xt_jax.data.rows import FETCH_AGAIN, check_label, nonempty
from xt_jax.errors import DataError
from xt_jax.files import read_lines

COLUMNS = 10

# Which part gives a fused token its tag when several are equally near the root, first wins.
PRECEDENCE = {
    "default": "VERB NOUN PROPN PRON ADJ NUM ADV INTJ AUX ADP DET PART CCONJ SCONJ X PUNCT",
    "es": "VERB AUX PRON ADP DET",
    "fr": "VERB AUX PRON NOUN ADJ ADV ADP DET PART SCONJ CONJ",
    "it": "VERB AUX ADV PRON ADP DET INTJ",
}

_WORD_ID = re.compile(r"[1-9]\d{0,8}")
_RANGE_ID = re.compile(r"([1-9]\d{0,8})-([1-9]\d{0,8})")
_EMPTY_NODE_ID = re.compile(r"\d+\.\d+")
_LEAF = re.compile(r"\(<L ([^ ]+) ([^ ]+) ([^ ]+) ([^ ]+) ([^ ]+)>\)(?= |$)")


class _Word(NamedTuple):
    form: str
    tag: str
    heads: tuple[int, ...]


class _Range(NamedTuple):
    first: int
    last: int
    form: str
    line: int


def read_conllu(
    paths: Sequence[epath.PathLike], language: str, labels: Sequence[str]
) -> list[TagExample]:
    """Reads the treebanks of a language as XTREME prepares them; `id` counts sentences from 0.

    A multiword token (`3-4`) becomes one word under its fused form. Its tag is that of the part
    nearest the root; among equally near parts `PRECEDENCE` for `language` decides, and a tag
    missing there ranks last (the original program stops at such a token). Empty nodes (`8.1`)
    are skipped, spaces and U+200C inside a word removed, and a sentence is dropped when all its
    words, or all but one, are `_` (text withheld for its licence). Should removal leave a word
    empty, it stays, empty, with its tag.

    Args:
        paths: `.conllu` files.
        language: the two-letter code that chooses the precedence list.
        labels: the allowed tags (the UPOS column).

    Raises:
        DataError: with the file and line.
    """
    precedence = PRECEDENCE.get(language, PRECEDENCE["default"]).split()
    examples: list[TagExample] = []
    for words, ranges in (s for path in paths for s in read_sentences(path, labels)):
        tokens = _fuse(words, ranges, precedence)
        forms, tags = zip(*tokens, strict=True)
        withheld = sum(form.strip() == "_" for form in forms)
        if not withheld or withheld < len(forms) - 1:
            cleaned = tuple(map(treebank_word, forms))
            examples.append(TagExample(str(len(examples)), cleaned, tags))
    return nonempty(examples, language, paths[0])


def treebank_word(word: str) -> str:
    """Removes the spaces and U+200C that XTREME removes from words of Universal Dependencies."""
    return word.strip().replace("\u200c", "").replace(" ", "")


def read_sentences(
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
    numbers = tuple(int(head) for head in heads if head == "0" or _WORD_ID.fullmatch(head))
    return _Word(cells[1], cells[3], numbers)


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


def read_ccg(
    paths: Sequence[epath.PathLike], language: str, labels: Sequence[str]
) -> list[TagExample]:
    """Reads CCGbank's machine-readable derivations (`.auto`) as words and their supertags.

    An `ID=wsj_0001.1 ...` line precedes every derivation, a line whose leaves are
    `(<L category pos pos word category>)`. Words keep their escapes (`-LRB-`). An `ID=` line
    without a derivation (a sentence that was not parsed) is skipped.
    """
    examples = []
    for path in paths:
        id_ = ""
        for number, line in enumerate(read_lines(path), start=1):
            place = f"{path}:{number}"
            if line.startswith("ID="):
                id_ = line.split(" ")[0].removeprefix("ID=")
            elif line:
                examples.append(_derivation(id_, line, labels, place))
                id_ = ""
    return nonempty(examples, language, paths[0])


def _derivation(id_: str, line: str, labels: Sequence[str], place: str) -> TagExample:
    leaves = _LEAF.findall(line)
    inner = _LEAF.sub("", line).split(" ")
    problem = ""
    if not id_:
        problem = "no ID= line stands before the derivation"
    elif not leaves or "(<L" in inner or inner.count("(<T") != inner.count(")"):
        problem = "the brackets of the derivation do not match"
    if problem:
        raise DataError(problem, where=place, remedy=FETCH_AGAIN)
    for leaf in leaves:
        check_label(leaf[0], labels, place)
    return TagExample(id_, tuple(leaf[3] for leaf in leaves), tuple(leaf[0] for leaf in leaves))
