"""Reads sentences with a tag per word: PAN-X, UD-POS and CCGbank's supertags.

CoNLL-U treebanks have their own module, `xt_jax.data.conllu`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from etils import epath

from xt_jax.data.examples import TagExample
from xt_jax.data.formats.tables import check_label, wrong_width
from xt_jax.errors import DataError
from xt_jax.files import read_lines

_LEAF = re.compile(r"\(<L ([^ ]+) ([^ ]+) ([^ ]+) ([^ ]+) ([^ ]+)>\)(?= |$)")


def read_tags(path: epath.PathLike, labels: Sequence[str]) -> list[TagExample]:
    """Reads PAN-X or UD-POS in XTREME's form: `word TAB tag` lines, blank lines between sentences.

    A file of words alone is an unlabelled split (`tags` is None). More than one blank line, also
    at either end, is tolerated. Words are kept to the character: zero-width ones (U+200C, U+200D,
    U+200F, U+00AD, U+FEFF occur in PAN-X) are part of a word, as is a space; an empty word with a
    tag is a word, since its prediction is scored. XTREME's own second step splits a line at any
    white space and would misread the tag of such words. A line of white space alone ends the
    sentence in both programs. `id` is the sentence number from 0.
    """
    sentences: list[list[list[str]]] = [[]]
    width = None
    for number, line in enumerate(read_lines(path), start=1):
        if "\t" not in line and not line.strip():
            sentences.append([])
            continue
        cells = line.split("\t")
        if len(cells) > 2:
            raise wrong_width(len(cells), "1 (unlabelled) or 2", path, number)
        if len(cells) != (width := width or len(cells)):
            raise wrong_width(len(cells), f"{width} as in the lines above", path, number)
        if width == 2:
            check_label(cells[1], labels, path, number)
        sentences[-1].append(cells)
    if width is None:
        raise DataError("the file holds no sentence", where=path, remedy="fetch it again")
    return [
        TagExample(
            id=str(index),
            words=tuple(cells[0] for cells in sentence),
            tags=tuple(cells[1] for cells in sentence) if width == 2 else None,
        )
        for index, sentence in enumerate(filter(None, sentences))
    ]


def read_panx(path: epath.PathLike, labels: Sequence[str]) -> list[TagExample]:
    """Reads PAN-X as released: `en:word TAB tag` lines, blank lines between sentences.

    A word is what follows the first colon, without white space around it, as in XTREME's
    preparation. A line without a colon is a fault (XTREME skips it). `id` is the sentence number
    from 0.
    """
    sentences: list[list[tuple[str, str]]] = [[]]
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            sentences.append([])
            continue
        cells = line.split("\t")
        if len(cells) != 2:
            raise wrong_width(len(cells), "2", path, number)
        _, colon, word = cells[0].partition(":")
        if not colon:
            raise DataError(
                f"{cells[0]!r} does not begin with a language and a colon",
                where=f"{path}:{number}",
                remedy="the lines of the release read `en:word TAB tag`",
            )
        check_label(cells[1], labels, path, number)
        sentences[-1].append((word.strip(), cells[1]))
    kept = [sentence for sentence in sentences if sentence]
    if not kept:
        raise DataError("the file holds no sentence", where=path, remedy="fetch it again")
    return [
        TagExample(str(index), *zip(*sentence, strict=True)) for index, sentence in enumerate(kept)
    ]


def read_ccg(path: epath.PathLike, labels: Sequence[str]) -> list[TagExample]:
    """Reads CCGbank's machine-readable derivations (`.auto`) as words and their supertags.

    An `ID=wsj_0001.1 ...` line precedes every derivation, a line whose leaves are
    `(<L category pos pos word category>)`. Words keep their escapes (`-LRB-`). An `ID=` line
    without a derivation (a sentence that was not parsed) is skipped.
    """
    examples = []
    id_ = ""
    for number, line in enumerate(read_lines(path), start=1):
        if line.startswith("ID="):
            id_ = line.split(" ")[0].removeprefix("ID=")
            continue
        if not line:
            continue
        if not id_:
            raise _ccg_fault("no ID= line stands before the derivation", path, number)
        leaves = _LEAF.findall(line)
        inner = _LEAF.sub("", line).split(" ")
        if not leaves or "(<L" in inner or inner.count("(<T") != inner.count(")"):
            raise _ccg_fault("the brackets of the derivation do not match", path, number)
        tags = tuple(leaf[0] for leaf in leaves)
        for tag in tags:
            check_label(tag, labels, path, number)
        examples.append(TagExample(id_, tuple(leaf[3] for leaf in leaves), tags))
        id_ = ""
    if not examples:
        raise DataError("the file holds no derivation", where=path, remedy="fetch it again")
    return examples


def _ccg_fault(problem: str, path: epath.PathLike, number: int) -> DataError:
    return DataError(
        problem,
        where=f"{path}:{number}",
        remedy="the line is cut off or was edited; fetch the file again",
    )
