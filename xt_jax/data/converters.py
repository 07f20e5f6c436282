"""Converts rows to examples: rows of official files, of TFDS and of the Hugging Face hub.

A row is a dict of str, int, lists and dicts. Class labels are names, or None where the table marks
the row as unlabelled (see `named`). Texts are kept as they are unless a docstring says otherwise.
Ids are the table's, or row numbers from 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from absl import logging

from xt_jax.data.examples import (
    ChoiceExample,
    Example,
    MiningExample,
    PairExample,
    SentenceExample,
    SpanExample,
    TagExample,
)
from xt_jax.data.rows import Row, Rows, check_label, check_text, fault, field, texts
from xt_jax.errors import DataError
from xt_jax.languages import TYDIQA_NAMES

Convert = Callable[[Rows, str, Sequence[str]], list[Example]]  # rows, language, allowed labels

LETTERS = "ABCDE"
MAX_MISPLACED = 0.5  # share of machine-translated questions whose answers may be misplaced
_FARTHEST = 64  # the most characters by which an offset is moved back
_SENTENCE_END = re.compile(r"[.!?][\"']?( +)")


def named(value: Any, names: Sequence[str], place: str) -> Any:
    """Returns the class name of an index, or of each in a list; None for -1 or less (no label)."""
    if isinstance(value, (list, tuple)):
        return [named(item, names, place) for item in value]
    if not isinstance(value, int) or isinstance(value, bool):
        raise fault(f"the label {value!r} is not an integer", place)
    if value >= len(names):
        raise fault(f"label {value} is out of range: there are {len(names)} classes", place)
    return names[value] if value >= 0 else None


def tolerate(faults: Sequence[DataError], kept: int, share: float) -> None:
    """Raises the first fault if more than `share` of all rows are faulty, else logs their count."""
    total = kept + len(faults)
    if len(faults) > share * total:
        raise faults[0]
    if faults:
        logging.warning("%s: %d of %d rows left out", faults[0].where, len(faults), total)


def pairs(
    text_a: str,
    text_b: str,
    label: str = "label",
    *,
    id_: str = "",
    names: Mapping[str, str | None] | None = None,
    only_labelled: bool = False,
    blank: bool = True,
) -> Convert:
    """Returns a converter of rows with two texts and a label.

    Args:
        text_a: column of the first text; `text_b` of the second, `label` of the label.
        id_: column of the id, "" for row numbers.
        names: our label for each class name of the table that differs; None: no label.
        only_labelled: drop rows without a label (no consensus) instead of keeping them unlabelled.
        blank: whether a text may be empty.
    """
    renamed = names or {}

    def convert(rows: Rows, language: str, labels: Sequence[str]) -> list[Example]:
        examples: list[Example] = []
        allowed = labels and [*renamed, *labels]
        for place, row in rows:
            name = str(field(row, id_, (str, int), place)) if id_ else str(len(examples))
            first, second = field(row, text_a, str, place), field(row, text_b, str, place)
            value = field(row, label, (str, type(None)), place)
            value = renamed.get(value, value)
            if value is not None:
                check_label(value, allowed, place)
            elif only_labelled:
                continue
            if not blank:
                check_text(first, "sentence 1", place)
                check_text(second, "sentence 2", place)
            examples.append(PairExample(name, first, second, value))
        return examples

    return convert


def of_language(convert: Convert, column: str) -> Convert:
    """Restricts a converter to the rows whose `column` holds the language's code."""

    def convert_chosen(rows: Rows, language: str, labels: Sequence[str]) -> list[Example]:
        chosen = ((place, row) for place, row in rows if field(row, column, str, place) == language)
        return convert(chosen, language, labels)

    return convert_chosen


def parallel_pairs(rows: Rows, language: str, labels: Sequence[str]) -> list[Example]:
    """Converts TFDS's XNLI tables, whose rows hold one pair in all languages.

    `premise` is {language: text}, `hypothesis` has the parallel lists `language`, `translation`.
    """

    def as_pairs() -> Iterator[tuple[str, Row]]:
        for place, row in rows:
            hypothesis = field(row, "hypothesis", dict, place)
            translated = dict(
                zip(
                    texts(hypothesis, "language", place),
                    texts(hypothesis, "translation", place),
                    strict=False,
                )
            )
            yield (
                place,
                {
                    "premise": field(field(row, "premise", dict, place), language, str, place),
                    "hypothesis": field(translated, language, str, place),
                    "label": row.get("label"),
                },
            )

    return pairs("premise", "hypothesis")(as_pairs(), language, labels)


def hellaswag(rows: Rows, language: str, labels: Sequence[str]) -> list[Example]:
    """Converts HellaSwag: the text is `ctx_a`, a choice is `ctx_b` and one of `endings`.

    Ids are row numbers, since `ind` is not unique. As in nyu-mll/jiant, `ctx_b` and a space come
    before every ending; where it is empty (the rows from WikiHow) the ending stands alone. TFDS has
    only `context`, which joins both parts: in the rows from ActivityNet `ctx_b` is what follows the
    last full stop.
    """
    examples: list[Example] = []
    for number, (place, row) in enumerate(rows):
        if "context" in row:
            text, start = field(row, "context", str, place), ""
            ends = list(_SENTENCE_END.finditer(text))
            if ends and field(row, "source_id", str, place).startswith("activitynet"):
                text, start = text[: ends[-1].start(1)], text[ends[-1].end() :]
        else:
            text, start = (field(row, name, str, place) for name in ("ctx_a", "ctx_b"))
        endings = texts(row, "endings", place)
        examples.append(_choice(place, str(number), text, start, endings, row.get("label"), labels))
    return examples


def cosmos_qa(rows: Rows, language: str, labels: Sequence[str]) -> list[Example]:
    """Converts Cosmos QA: a choice is the question, a space and one of `answer0` ... `answer3`."""
    examples: list[Example] = []
    for place, row in rows:
        id_, text, question, *answers = (
            field(row, name, str, place)
            for name in ("id", "context", "question", *(f"answer{i}" for i in range(4)))
        )
        check_text(question, "the question", place)
        examples.append(_choice(place, id_, text, question, answers, row.get("label"), labels))
    return examples


def commonsense_qa(rows: Rows, language: str, labels: Sequence[str]) -> list[Example]:
    """Converts CommonsenseQA: `answerKey` is the letter of the right choice, "" if unlabelled."""
    examples: list[Example] = []
    for place, row in rows:
        listed = field(row, "choices", dict, place)
        letters = texts(listed, "label", place)
        if letters != tuple(LETTERS[: len(letters)]) or not letters:
            problem = f"the choices are called {', '.join(letters) or 'nothing'}"
            raise fault(f"{problem}, not {', '.join(LETTERS)} in this order", place)
        key = field(row, "answerKey", str, place)
        if key:
            check_label(key, letters, place)
        label = letters.index(key) if key else None
        id_, text = (field(row, name, str, place) for name in ("id", "question"))
        examples.append(_choice(place, id_, text, "", texts(listed, "text", place), label, labels))
    return examples


def _choice(
    place: str,
    id_: str,
    text: str,
    start: str,
    ends: Sequence[str],
    label: Any,
    labels: Sequence[str],
) -> ChoiceExample:
    """Returns one checked example; `start` comes before each choice, the label is an index."""
    check_text(text, "the text", place)
    for index, end in enumerate(ends):
        check_text(end, f"choice {index}", place)
    if len(ends) < 2 or (labels and len(ends) != len(labels)):
        raise fault(f"{len(ends)} choices found, {len(labels) or 'two or more'} expected", place)
    known = None if label in (None, "", -1) else str(label)
    if known is not None:
        check_label(known, labels or [str(i) for i in range(len(ends))], place)
    return ChoiceExample(id_, text, tuple(f"{start} {e}" if start else e for e in ends), known)


class _MisplacedError(DataError):
    """An answer does not occur in the context at its offset."""


def spans(
    *,
    unanswerable: bool = False,
    stripped: bool = False,
    all_languages: bool = False,
    renumber: bool = False,
    translated: bool = False,
) -> Convert:
    """Returns a converter of SQuAD rows: `answers` holds the lists `text` and `answer_start`.

    Answers keep their order and repetitions. Offsets count code points, and every answer must
    occur at its offset. No answer, or XTREME's blank one (an empty text at 0) alone, means that the
    question is unlabelled.

    Args:
        unanswerable: as in SQuAD v2.0, no answer means that the context holds none.
        stripped: the table lost the white space around its texts and kept the offsets of the
            release; each offset is moved back by the fewest characters at which all answers of its
            question match.
        all_languages: the table mixes languages, and ids begin with the language's English name
            (TyDiQA); only the language's own questions are kept.
        renumber: replace ids by row numbers. For XTREME's copy of the TyDiQA training data, which
            cuts ids to a number that many questions share.
        translated: for machine translations: questions with an answer that does not occur at its
            offset are left out, with a warning, unless they are more than `MAX_MISPLACED` of all.
    """

    def convert(rows: Rows, language: str, labels: Sequence[str]) -> list[Example]:
        examples: dict[str, Example] = {}
        misplaced: list[DataError] = []
        prefix = f"{TYDIQA_NAMES.get(language, language)}-" if all_languages else ""
        for place, row in rows:
            id_ = field(row, "id", str, place)
            if not id_.startswith(prefix):
                continue
            id_ = str(len(examples)) if renumber else id_
            if id_ in examples:
                raise fault(f"question id {id_!r} occurs twice", place)
            try:
                examples[id_] = _span(id_, row, place, unanswerable, stripped)
            except _MisplacedError as error:
                misplaced.append(error)
                if not translated:
                    raise
        tolerate(misplaced, len(examples), MAX_MISPLACED)
        return list(examples.values())

    return convert


def _span(id_: str, row: Row, place: str, unanswerable: bool, stripped: bool) -> SpanExample:
    question, context = (field(row, name, str, place) for name in ("question", "context"))
    if not question or not context:
        raise fault(f"question {id_!r} or its context is empty", place)
    listed = field(row, "answers", dict, place)
    answers, starts = texts(listed, "text", place), field(listed, "answer_start", list, place)
    if len(answers) != len(starts) or not all(isinstance(start, int) for start in starts):
        raise fault(f"question {id_!r} has {len(answers)} answers at {starts!r:.80}", place)
    placed = tuple(zip(answers, starts, strict=True))
    if placed == (("", 0),):
        placed = ()
    if not unanswerable and row.get("is_impossible"):
        raise fault(f"question {id_!r} is marked is_impossible, as only SQuAD v2.0 can", place)
    if unanswerable and "is_impossible" in row:
        impossible = field(row, "is_impossible", bool, place)
        if impossible == bool(placed):
            problem = f"{len(placed)} answers and is_impossible is {impossible}"
            raise fault(f"question {id_!r} has {problem}", place)
    if not placed:
        return SpanExample(id_, question, context, () if unanswerable else None)
    for back in range(1 + _FARTHEST * stripped):
        moved = tuple((text, start - back) for text, start in placed)
        if all(_stands(context, *answer) for answer in moved):
            return SpanExample(id_, question, context, moved)
    text, at = next(answer for answer in placed if not _stands(context, *answer))
    raise _MisplacedError(
        f"an answer of question {id_!r} does not stand at character {at} of its context: expected "
        f"{text!r}, found {context[at : at + len(text)] if at >= 0 else ''!r}",
        where=place,
        remedy="offsets count code points from 0; fetch the file again",
    )


def _stands(context: str, text: str, start: int) -> bool:
    return bool(text) and start >= 0 and context.startswith(text, start)


def tags(words: str, tag_column: str, clean: Callable[[str], str] = str.strip) -> Convert:
    """Returns a converter of rows with a list of words and one of tags; drops empty sentences."""

    def convert(rows: Rows, language: str, labels: Sequence[str]) -> list[Example]:
        examples: list[Example] = []
        for place, row in rows:
            forms, named_tags = texts(row, words, place), texts(row, tag_column, place)
            if len(forms) != len(named_tags):
                raise fault(f"{len(forms)} words but {len(named_tags)} tags", place)
            for tag in named_tags:
                check_label(tag, labels, place)
            if forms:
                cleaned = tuple(map(clean, forms))
                examples.append(TagExample(str(len(examples)), cleaned, named_tags))
        return examples

    return convert


def sentences(rows: Rows, language: str, labels: Sequence[str]) -> list[Example]:
    """Converts Tatoeba, where `target_sentence` is English; removes the line ends of both texts."""
    return [
        SentenceExample(str(n), _line(row, "target", place), _line(row, "source", place), n)
        for n, (place, row) in enumerate(rows)
    ]


def gold_pairs(foreign_id: str, english_id: str) -> Convert:
    """Returns a converter of BUCC's gold pairs to two corpora of sentences that have a partner.

    The foreign side comes first, each in the order of its ids. Where a value is not an id of the
    release (`de-000000123`), the sentence's number in order of first occurrence is used. Pairs with
    an empty sentence, which the table has lost, are left out.
    """

    def convert(rows: Rows, language: str, labels: Sequence[str]) -> list[Example]:
        english: dict[str, str] = {}
        foreign: dict[str, str] = {}
        partners: dict[str, list[str]] = {}
        for place, row in rows:
            both = [_line(row, side, place) for side in ("source", "target")]
            if not all(both):
                continue
            source = _bucc_id(row.get(foreign_id), both[0], foreign, language)
            target = _bucc_id(row.get(english_id), both[1], english, "en")
            for known, name, text in ((foreign, source, both[0]), (english, target, both[1])):
                if known.setdefault(name, text) != text:
                    raise fault(f"{name!r} is the id of two sentences", place)
            partners.setdefault(source, []).append(target)
        return [
            *(
                MiningExample(id_, foreign[id_], False, tuple(partners[id_]))
                for id_ in sorted(foreign)
            ),
            *(MiningExample(id_, english[id_], True, None) for id_ in sorted(english)),
        ]

    return convert


def _bucc_id(value: Any, text: str, known: Mapping[str, str], language: str) -> str:
    if isinstance(value, str) and value.startswith(f"{language}-"):
        return value
    same = (name for name, known_text in known.items() if known_text == text)
    return next(same, f"{language}-{len(known):09d}")


def _line(row: Row, side: str, place: str) -> str:
    return field(row, f"{side}_sentence", str, place).removesuffix("\n").removesuffix("\r")


# Converters for tables whose columns are the same on the hub and in TFDS.
nli = pairs("premise", "hypothesis")
nli_with_consensus = pairs("premise", "hypothesis", only_labelled=True)
qqp = pairs("question1", "question2", id_="idx", names={"not_duplicate": "0", "duplicate": "1"})
squad = spans()
squad_v2 = spans(unanswerable=True)
