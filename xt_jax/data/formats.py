"""The official file formats: each is a function (paths, language, allowed labels) to examples.

Every fault is a `DataError` that names file and line (and column, of broken JSON); labels () allow
any. Most formats are a reader of rows (`rows`, `squad`) and a converter of rows (`converters`). The
layouts are those of the releases and of google-research/xtreme at 838c13b69daa
(`utils_preprocess.py`). The writers are in the embedded world (`xt_jax.mini.formats`), except
SQuAD's, which submissions need too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from etils import epath

from xt_jax.data import converters
from xt_jax.data.converters import Convert, pairs, spans, tolerate
from xt_jax.data.examples import MiningExample, SentenceExample, TagExample, TextExample
from xt_jax.data.rows import (
    Row,
    Rows,
    check_label,
    check_text,
    field,
    is_quoted,
    nonempty,
    read_csv,
    read_header,
    read_json_lines,
    read_tsv,
    unquoted,
    wrong_width,
)
from xt_jax.data.squad import read_squad_rows
from xt_jax.errors import DataError
from xt_jax.files import read_lines

MAX_UNUSABLE = 0.01  # share of machine-translated pairs that may be unusable

Paths = Sequence[epath.PathLike]
Labels = Sequence[str]
Read = Callable[[Paths, str, Labels], list[Any]]  # to the examples of one language


def _format(read_rows: Callable[[epath.PathLike], Rows], convert: Convert) -> Read:
    def read(paths: Paths, language: str, labels: Labels) -> list[Any]:
        rows = (row for path in paths for row in read_rows(path))
        return nonempty(convert(rows, language, labels), language, paths[0])

    return read


# --- natural language inference -------------------------------------------------------------

_NLI = ("pairID", "sentence1", "sentence2", "gold_label")
_ANNOTATORS = tuple(f"label{number}" for number in range(1, 6))
_PAIR = ("sentence1", "sentence2")
_CONTRADICTORY = {"contradictory": "contradiction"}

# Rows without a consensus label are dropped.
_nli = pairs(*_PAIR, "gold_label", id_="pairID", names={"-": None}, only_labelled=True, blank=False)


def _snli_rows(path: epath.PathLike) -> Iterator[tuple[str, Row]]:
    """Reads GLUE's SNLI, where one to five annotators' labels come before the gold one."""
    names, lines = read_header(path, _NLI)
    before = names.index("label1") if "label1" in names else len(names) - 1
    for place, cells in lines:
        if not before + 2 <= len(cells) <= before + 1 + len(_ANNOTATORS):
            raise wrong_width(len(cells), f"{before} and two to six labels", place)
        yield place, dict(zip(names[:before], cells, strict=False)) | {"gold_label": cells[-1]}


mnli = _format(partial(read_tsv, columns=_NLI), _nli)  # GLUE's
snli = _format(_snli_rows, _nli)  # GLUE's
# The `.txt` and `.jsonl` files of MultiNLI 1.0 and SNLI 1.0; annotators may be missing from a row.
nli_text = _format(partial(read_tsv, columns=_NLI, optional=_ANNOTATORS), _nli)
nli_jsonl = _format(read_json_lines, _nli)
anli = _format(
    read_json_lines,
    pairs(
        "context",
        "hypothesis",
        id_="uid",
        names={"e": "entailment", "n": "neutral", "c": "contradiction"},
        blank=False,
    ),
)
# XNLI 1.0, whose files hold all languages.
xnli = _format(
    partial(read_tsv, columns=("language", *_NLI)),
    converters.of_language(
        pairs(*_PAIR, "gold_label", id_="pairID", names=_CONTRADICTORY, blank=False), "language"
    ),
)
# MultiNLI's training pairs, English or translated, as XNLI-MT 1.0 ships them.
xnli_mt = _format(
    partial(read_tsv, columns=("premise", "hypo", "label")),
    pairs("premise", "hypo", names=_CONTRADICTORY, blank=False),
)

# --- other pairs ----------------------------------------------------------------------------

_QQP = ("id", "question1", "question2", "is_duplicate")
_headless = pairs(*_PAIR, names=_CONTRADICTORY, blank=False)


def _xtreme_pair_rows(path: epath.PathLike) -> Iterator[tuple[str, Row]]:
    """Reads `sentence1 TAB sentence2 [TAB label]` and undoes the quoting of Python's csv module.

    A quote that does not fit the scheme is text. Two columns mean an unlabelled split. Placeholder
    rows `NS NS 0` of PAWS-X are data and stay.
    """
    lines = read_lines(path)
    width = lines[0].count("\t") + 1
    if width not in (2, 3):
        raise wrong_width(width, "2 (unlabelled) or 3", f"{path}:1")
    for number, line in enumerate(lines, start=1):
        cells = [unquoted(cell) for cell in line.split("\t")]
        if len(cells) != width:
            raise wrong_width(len(cells), f"{width} as in line 1", f"{path}:{number}")
        named = zip((*_PAIR, "label"), cells, strict=False)
        yield f"{path}:{number}", {"label": None, **dict(named)}


def translated_pairs(paths: Paths, language: str, labels: Labels) -> list[Any]:
    """Reads XTREME's machine translation of XNLI's or PAWS-X's training data.

    The release has five columns without a header: the English pair, its translation and the
    label; XTREME's own reader wants the last three alone. Both are read. Quoting is undone if all
    of the file follows the csv scheme, else quotes are text. Faulty rows of the release are left
    out, with a warning, unless they are more than `MAX_UNUSABLE` of all. `id` is the row number
    from 0 in the whole file.
    """
    (path,) = map(str, paths)
    rows = [line.split("\t") for line in read_lines(path)]
    width = len(rows[0])
    if width not in (3, 5):
        raise wrong_width(width, "3 or 5", f"{path}:1")
    if all(is_quoted(cell) for row in rows for cell in row if '"' in cell):
        rows = [[unquoted(cell) for cell in row] for row in rows]
    examples: list[Any] = []
    faults: list[DataError] = []
    for number, cells in enumerate(rows):
        place = f"{path}:{number + 1}"
        try:
            if len(cells) != width:
                raise wrong_width(len(cells), f"{width} as in line 1", place)
            row = dict(zip((*_PAIR, "label"), cells[-3:], strict=True))
            (example,) = _headless([(place, row)], language, labels)
            examples.append(example._replace(id=str(number)))
        except DataError as error:
            faults.append(error)
    tolerate(faults, len(examples), MAX_UNUSABLE)
    return examples


def _qqp_rows(path: epath.PathLike) -> Iterator[tuple[str, Row]]:
    """Reads a GLUE file of Quora Question Pairs, without its broken records.

    Eleven questions of the release contain a line end, and GLUE made two records of each: both are
    left out, as are the three pairs with an empty question. The usual 363,846 and 40,430 remain.
    """
    for place, row in read_tsv(path, _QQP, skip=_is_half_of_qqp):
        if row["question1"].strip() and row["question2"].strip():
            yield place, row


def _is_half_of_qqp(cells: Sequence[str]) -> bool:
    """Returns whether a row is half of a QQP record, cut in two by a line end in a question."""
    if len(cells) in (4, 5):
        return all(map(str.isdecimal, cells[:3])) and cells[-1].startswith('"')
    return len(cells) in (2, 3) and cells[0].endswith('"') and cells[-1] in ("0", "1")


# PAWS-X `x-final` and PAWS-Wiki; the `b'...'` around sentences of some older releases is text.
paws = _format(
    partial(read_tsv, columns=("id", *_PAIR, "label")), pairs(*_PAIR, id_="id", blank=False)
)
# XNLI and PAWS-X as XTREME's scripts leave them.
xtreme_pairs = _format(_xtreme_pair_rows, _headless)
qqp = _format(_qqp_rows, pairs("question1", "question2", "is_duplicate", id_="id"))

# --- multiple choice ------------------------------------------------------------------------

_COSMOS = ("id", "context", "question", "answer0", "answer1", "answer2", "answer3")


def _cosmos_rows(path: epath.PathLike) -> Rows:
    """Reads the csv of train and dev, or the JSON Lines of the unlabelled test set."""
    return read_json_lines(path) if str(path).endswith(".jsonl") else read_csv(path, _COSMOS)


def _commonsense_rows(path: epath.PathLike) -> Iterator[tuple[str, Row]]:
    """Reads CommonsenseQA's JSON Lines as rows with the columns of the hub's table."""
    for place, row in read_json_lines(path):
        question = field(row, "question", dict, place)
        options = field(question, "choices", list, place)
        columns = {
            name: [field(o, name, str, place) for o in options] for name in ("label", "text")
        }
        stem = field(question, "stem", str, place)
        yield place, {"answerKey": "", **row, "question": stem, "choices": columns}


hellaswag = _format(read_json_lines, converters.hellaswag)
cosmos_qa = _format(_cosmos_rows, converters.cosmos_qa)
commonsense_qa = _format(_commonsense_rows, converters.commonsense_qa)

# --- question answering ---------------------------------------------------------------------

squad = _format(read_squad_rows, spans())
squad_v2 = _format(read_squad_rows, spans(unanswerable=True))
translated_squad = _format(read_squad_rows, spans(translated=True))
translated_squad_v2 = _format(read_squad_rows, spans(unanswerable=True, translated=True))
tydiqa = _format(read_squad_rows, spans(all_languages=True))  # the release
tydiqa_train = _format(read_squad_rows, spans(renumber=True))  # XTREME's copy

# --- tags -----------------------------------------------------------------------------------


def tags(
    paths: Paths,
    language: str,
    labels: Labels,
    *,
    prefixed: bool = False,
) -> list[Any]:
    """Reads `word TAB tag` lines with blank lines between sentences: PAN-X and UD-POS.

    A file of words alone is an unlabelled split (`tags` is None). Any number of blank lines may
    stand between sentences. Words are kept to the character: zero-width ones (in PAN-X) and spaces
    are part of a word, and an empty word with a tag is a word, since its prediction is scored.
    XTREME's second step splits a line at any white space and would misread the tags of such words.
    `id` is the sentence number from 0.

    Args:
        prefixed: PAN-X as released, with lines `en:word TAB tag`: a word is what follows the first
            colon, without white space around it, as in XTREME's preparation. A line without a
            colon is a fault (XTREME skips it).
    """
    (path,) = map(str, paths)
    sentences: list[list[list[str]]] = [[]]
    width = None
    for number, line in enumerate(read_lines(path), start=1):
        place = f"{path}:{number}"
        if "\t" not in line and not line.strip():
            sentences.append([])
            continue
        cells = line.split("\t")
        if len(cells) > 2:
            raise wrong_width(len(cells), "1 (unlabelled) or 2", place)
        if len(cells) != (width := width or len(cells)):
            raise wrong_width(len(cells), f"{width} as in the lines above", place)
        if prefixed:
            _, colon, word = cells[0].partition(":")
            if not colon:
                problem = f"{cells[0]!r} does not begin with a language and a colon"
                raise DataError(problem, where=place, remedy="lines read `en:word TAB tag`")
            cells[0] = word.strip()
        if width == 2:
            check_label(cells[1], labels, place)
        sentences[-1].append(cells)
    examples = [
        TagExample(
            id=str(index),
            words=tuple(cells[0] for cells in sentence),
            tags=tuple(cells[1] for cells in sentence) if width == 2 else None,
        )
        for index, sentence in enumerate(filter(None, sentences))
    ]
    return nonempty(examples, language, path)


panx = partial(tags, prefixed=True)


# --- sentences without labels of their own --------------------------------------------------


def parallel(
    paths: Paths,
    language: str,
    labels: Labels,
    *,
    aligned: bool = True,
) -> list[Any]:
    """Reads Tatoeba's English and foreign sentences, one a line; `id` is the line number from 0.

    Args:
        aligned: line i of one file translates line i of the other (LASER); False for XTREME's
            copy, whose English side is sorted: `match` is None.
    """
    english, foreign = sides = [read_lines(path) for path in paths]
    if len(english) != len(foreign):
        raise DataError(
            f"{len(english)} English lines against {len(foreign)} foreign ones",
            where=", ".join(map(str, paths)),
            remedy="line i must translate line i; fetch both files again",
        )
    for path, lines in zip(paths, sides, strict=True):
        for number, line in enumerate(lines, start=1):
            check_text(line, "the sentence", f"{path}:{number}")
    return [
        SentenceExample(str(i), *pair, i if aligned else None)
        for i, pair in enumerate(zip(english, foreign, strict=True))
    ]


sorted_parallel = partial(parallel, aligned=False)


def bucc(paths: Paths, language: str, labels: Labels) -> list[Any]:
    """Reads BUCC 2018's two corpora, English and foreign; returns the foreign sentences first.

    A line is `id TAB sentence`, in the gold file `foreign id TAB English id`. Without that file,
    the third one, the split is unlabelled.
    """
    gold = paths[2:]
    english, foreign = (dict(_id_and_text(path)) for path in paths[:2])
    partners: dict[str, list[str]] = {}
    for place, foreign_id, english_id in (row for path in gold for row in _two_columns(path)):
        for id_, known, path in ((foreign_id, foreign, paths[1]), (english_id, english, paths[0])):
            if id_ not in known:
                raise DataError(
                    f"id {id_!r} is not in {path}",
                    where=place,
                    remedy="the gold file belongs to other sentences; fetch all three again",
                )
        partners.setdefault(foreign_id, []).append(english_id)
    return [
        *(
            MiningExample(id_, text, False, tuple(partners.get(id_, ())) if gold else None)
            for id_, text in foreign.items()
        ),
        *(MiningExample(id_, text, True, None) for id_, text in english.items()),
    ]


def _id_and_text(path: epath.PathLike) -> Iterator[tuple[str, str]]:
    known = set()
    for place, id_, text in _two_columns(path):
        check_text(id_, "the id", place)
        check_text(text, "the sentence", place)
        if id_ in known:
            raise DataError(f"id {id_!r} occurs twice", where=place, remedy="make ids unique")
        known.add(id_)
        yield id_, text


def _two_columns(path: epath.PathLike) -> Iterator[tuple[str, str, str]]:
    """Yields the place and the two cells of each line; only the first tab divides them."""
    for number, line in enumerate(read_lines(path), start=1):
        first, tab, second = line.partition("\t")
        if not tab:
            raise wrong_width(1, "2", f"{path}:{number}")
        yield f"{path}:{number}", first, second


def texts(paths: Paths, language: str, labels: Labels) -> list[Any]:
    """Reads plain text, a passage a line; blank lines are skipped, `id` counts passages from 0."""
    (path,) = paths
    lines = filter(str.strip, read_lines(path))
    return nonempty([TextExample(str(i), line) for i, line in enumerate(lines)], language, path)
