"""Reads sentences without labels of their own: Tatoeba, BUCC 2018 and plain text."""

from __future__ import annotations

from etils import epath

from xt_jax.data.examples import MiningExample, SentenceExample, TextExample
from xt_jax.data.formats.tables import check_text, wrong_width
from xt_jax.errors import DataError
from xt_jax.files import read_lines


def read_parallel(
    english_path: epath.PathLike, foreign_path: epath.PathLike, *, aligned: bool = True
) -> list[SentenceExample]:
    """Reads a Tatoeba pair, in LASER's layout or XTREME's copy; `id` is the line number from 0.

    Args:
        english_path: one sentence per line.
        foreign_path: as many lines.
        aligned: line i of one file translates line i of the other (LASER); False for XTREME's
            copy, whose English side is sorted: `match` is None.
    """
    english, foreign = read_lines(english_path), read_lines(foreign_path)
    if len(english) != len(foreign):
        raise DataError(
            f"{len(english)} English lines against {len(foreign)} foreign ones",
            where=f"{english_path}, {foreign_path}",
            remedy="line i must translate line i; fetch both files again",
        )
    for path, lines in ((english_path, english), (foreign_path, foreign)):
        for number, line in enumerate(lines, start=1):
            check_text(line, "the sentence", path, number)
    return [
        SentenceExample(str(index), *pair, index if aligned else None)
        for index, pair in enumerate(zip(english, foreign, strict=True))
    ]


def read_bucc(
    english_path: epath.PathLike,
    foreign_path: epath.PathLike,
    gold_path: epath.PathLike | None = None,
) -> list[MiningExample]:
    """Reads a BUCC 2018 pair of corpora: the foreign sentences, then the English ones.

    A line is `id TAB sentence`, in the gold file `foreign id TAB English id`. Without a gold file
    the split is unlabelled.
    """
    foreign, english = _sentences(foreign_path), _sentences(english_path)
    partners: dict[str, list[str]] = {}
    if gold_path is not None:
        for number, line in enumerate(read_lines(gold_path), start=1):
            cells = line.split("\t")
            if len(cells) != 2:
                raise wrong_width(len(cells), "2", gold_path, number)
            for id_, known, path in zip(
                cells, (foreign, english), (foreign_path, english_path), strict=True
            ):
                if id_ not in known:
                    raise DataError(
                        f"id {id_!r} is not in {path}",
                        where=f"{gold_path}:{number}",
                        remedy="the gold file belongs to other sentences; fetch all three again",
                    )
            partners.setdefault(cells[0], []).append(cells[1])
    labelled = gold_path is not None
    return [
        *(
            MiningExample(id_, text, False, tuple(partners.get(id_, ())) if labelled else None)
            for id_, text in foreign.items()
        ),
        *(MiningExample(id_, text, True, None) for id_, text in english.items()),
    ]


def read_texts(path: epath.PathLike) -> list[TextExample]:
    """Reads plain text: a line is a passage, blank lines are skipped.

    `id` is the number of the passage from 0.
    """
    lines = [line for line in read_lines(path) if line and not line.isspace()]
    if not lines:
        raise DataError("the file holds blank lines only", where=path, remedy="fill it again")
    return [TextExample(str(index), line) for index, line in enumerate(lines)]


def _sentences(path: epath.PathLike) -> dict[str, str]:
    """Reads the sentences of one corpus by id."""
    sentences: dict[str, str] = {}
    for number, line in enumerate(read_lines(path), start=1):
        id_, tab, text = line.partition("\t")
        if not tab:
            raise wrong_width(1, "2", path, number)
        check_text(id_, "the id", path, number)
        check_text(text, "the sentence", path, number)
        if id_ in sentences:
            raise DataError(
                f"id {id_!r} occurs twice", where=f"{path}:{number}", remedy="make ids unique"
            )
        sentences[id_] = text
    return sentences
