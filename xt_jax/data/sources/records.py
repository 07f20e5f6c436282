"""Converts rows of published tables, of TFDS or of the Hugging Face hub, to examples.

A row is a dict of str, int, lists and dicts. Class labels are names, or None where the table marks
the row as unlabelled (see `named`). Texts are kept as they are unless a docstring says otherwise; a
text may be empty. Ids are the table's, or row numbers from 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from xt_jax.data.conllu import ZERO_WIDTH_NON_JOINER
from xt_jax.data.examples import (
    ChoiceExample,
    Example,
    MiningExample,
    PairExample,
    SentenceExample,
    SpanExample,
    TagExample,
)
from xt_jax.errors import DataError
from xt_jax.languages import TYDIQA_NAMES

Row = Mapping[str, Any]
Rows = Iterable[tuple[str, Row]]  # a place for messages, and the row there
Convert = Callable[[Rows, str, Sequence[str]], list[Example]]  # rows, language, allowed labels

_FARTHEST = 64  # the most characters by which an offset is moved back
_SENTENCE_END = re.compile(r"[.!?][\"']?( +)")


def named(value: Any, names: Sequence[str], where: str) -> Any:
    """Returns the class name of an index, or of each in a list; None for -1 or less (no label)."""
    if isinstance(value, (list, tuple)):
        return [named(item, names, where) for item in value]
    if not isinstance(value, int) or isinstance(value, bool):
        raise _fault(f"the label {value!r} is not an integer", where)
    if value >= len(names):
        raise _fault(f"label {value} is out of range: there are {len(names)} classes", where)
    return names[value] if value >= 0 else None


def pairs(
    text_a: str,
    text_b: str,
    label: str = "label",
    *,
    id_: str = "",
    names: Mapping[str, str] | None = None,
    only_labelled: bool = False,
) -> Convert:
    """Returns a converter of rows with two texts and a label.

    Args:
        text_a: column of the first text; `text_b` of the second, `label` of the label.
        id_: column of the id, "" for row numbers.
        names: our label for each class name of the table that differs.
        only_labelled: drop rows without a label (no consensus) instead of keeping them unlabelled.
    """

    def convert(rows: Rows, language: str, labels: Sequence[str]) -> list[Example]:
        examples: list[Example] = []
        for where, row in rows:
            value = _label(row, label, names or {}, labels, where)
            if value is None and only_labelled:
                continue
            name = str(_field(row, id_, (str, int), where)) if id_ else str(len(examples))
            examples.append(
                PairExample(name, _text(row, text_a, where), _text(row, text_b, where), value)
            )
        return examples

    return convert


def of_language(convert: Convert, column: str) -> Convert:
    """Restricts a converter to the rows whose `column` holds the language's code."""

    def convert_chosen(rows: Rows, language: str, labels: Sequence[str]) -> list[Example]:
        chosen = ((where, row) for where, row in rows if _text(row, column, where) == language)
        return convert(chosen, language, labels)

    return convert_chosen


def parallel_pairs(rows: Rows, language: str, labels: Sequence[str]) -> list[Example]:
    """Converts TFDS's XNLI tables, whose rows hold one pair in all languages.

    `premise` is {language: text}, `hypothesis` has the parallel lists `language`, `translation`.
    """

    def as_pairs() -> Iterator[tuple[str, Row]]:
        for where, row in rows:
            hypothesis = _field(row, "hypothesis", dict, where)
            languages = _field(hypothesis, "language", list, where)
            if language not in languages:
                raise _fault(f"the hypothesis has no translation {language!r}", where)
            texts = _field(hypothesis, "translation", list, where)
            premise = _text(_field(row, "premise", dict, where), language, where)
            text = texts[languages.index(language)]
            yield where, {"premise": premise, "hypothesis": text, "label": row.get("label")}

    return pairs("premise", "hypothesis")(as_pairs(), language, labels)


def hellaswag(rows: Rows, language: str, labels: Sequence[str]) -> list[Example]:
    """Converts HellaSwag: the text is `ctx_a`, a choice is `ctx_b` and one of `endings`.

    The label is an index. TFDS has only `context`, which joins both parts: in the rows from
    ActivityNet `ctx_b` is what follows the last full stop.
    """
    examples: list[Example] = []
    for number, (where, row) in enumerate(rows):
        if "context" in row:
            text, start = _text(row, "context", where), ""
            ends = list(_SENTENCE_END.finditer(text))
            if ends and _text(row, "source_id", where).startswith("activitynet"):
                text, start = text[: ends[-1].start(1)], text[ends[-1].end() :]
        else:
            text, start = _text(row, "ctx_a", where), _text(row, "ctx_b", where)
        choices = tuple(
            f"{start} {ending}" if start else ending for ending in _texts(row, "endings", where)
        )
        label = _index(row.get("label"), labels, where)
        examples.append(ChoiceExample(str(number), text, choices, label))
    return examples


def cosmos_qa(rows: Rows, language: str, labels: Sequence[str]) -> list[Example]:
    """Converts Cosmos QA: a choice is the question and one of `answer0` ... `answer3`."""
    return [
        ChoiceExample(
            _text(row, "id", where),
            _text(row, "context", where),
            tuple(
                f"{_text(row, 'question', where)} {_text(row, f'answer{i}', where)}"
                for i in range(4)
            ),
            _index(row.get("label"), labels, where),
        )
        for where, row in rows
    ]


def commonsense_qa(rows: Rows, language: str, labels: Sequence[str]) -> list[Example]:
    """Converts CommonsenseQA: `answerKey` is the letter of the right choice, "" if unlabelled."""
    examples: list[Example] = []
    for where, row in rows:
        listed = _field(row, "choices", dict, where)
        letters = _texts(listed, "label", where)
        key = _text(row, "answerKey", where)
        if key and key not in letters:
            raise _fault(f"the answer {key!r} is not one of {', '.join(letters)}", where)
        examples.append(
            ChoiceExample(
                _text(row, "id", where),
                _text(row, "question", where),
                _texts(listed, "text", where),
                _index(str(letters.index(key)) if key else "", labels, where),
            )
        )
    return examples


def spans(*, unanswerable: bool = False, stripped: bool = False, all_languages: bool = False):
    """Returns a converter of SQuAD rows: `answers` holds the lists `text` and `answer_start`.

    Args:
        unanswerable: no answer means that the context holds none; else that it is unlabelled.
        stripped: the table lost the white space around its texts and kept the offsets of the
            release; each offset is moved back by the fewest characters at which all answers of its
            question match.
        all_languages: the table mixes languages, and ids begin with the language's English name
            (TyDiQA); only the language's own questions are kept.
    """

    def convert(rows: Rows, language: str, labels: Sequence[str]) -> list[Example]:
        examples: dict[str, Example] = {}
        prefix = f"{TYDIQA_NAMES.get(language, language)}-" if all_languages else ""
        for where, row in rows:
            id_ = _text(row, "id", where)
            if not id_.startswith(prefix):
                continue
            if id_ in examples:
                raise _fault(f"question id {id_!r} occurs twice", where)
            examples[id_] = _span(id_, row, where, unanswerable, stripped)
        return list(examples.values())

    return convert


def tags(words: str, tag_column: str, clean: Callable[[str], str] = str.strip) -> Convert:
    """Returns a converter of rows with a list of words and one of tags; drops empty sentences."""

    def convert(rows: Rows, language: str, labels: Sequence[str]) -> list[Example]:
        examples: list[Example] = []
        for where, row in rows:
            forms, named_tags = _texts(row, words, where), _texts(row, tag_column, where)
            if len(forms) != len(named_tags):
                raise _fault(f"{len(forms)} words but {len(named_tags)} tags", where)
            for tag in named_tags:
                _check_label(tag, labels, where)
            if forms:
                cleaned = tuple(clean(word) for word in forms)
                examples.append(TagExample(str(len(examples)), cleaned, named_tags))
        return examples

    return convert


def treebank_word(word: str) -> str:
    """Removes the spaces and U+200C that XTREME removes from words of Universal Dependencies."""
    return word.strip().replace(ZERO_WIDTH_NON_JOINER, "").replace(" ", "")


def sentences(rows: Rows, language: str, labels: Sequence[str]) -> list[Example]:
    """Converts Tatoeba, where `target_sentence` is English; removes the line ends of both texts."""
    return [
        SentenceExample(
            str(number),
            _line(_text(row, "target_sentence", where)),
            _line(_text(row, "source_sentence", where)),
            number,
        )
        for number, (where, row) in enumerate(rows)
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
        for where, row in rows:
            texts = [_line(_text(row, f"{side}_sentence", where)) for side in ("source", "target")]
            if not all(texts):
                continue
            source = _bucc_id(row.get(foreign_id), texts[0], foreign, language)
            target = _bucc_id(row.get(english_id), texts[1], english, "en")
            for known, name, text in ((foreign, source, texts[0]), (english, target, texts[1])):
                if known.setdefault(name, text) != text:
                    raise _fault(f"{name!r} is the id of two sentences", where)
            partners.setdefault(source, []).append(target)
        return [
            *(
                MiningExample(name, foreign[name], False, tuple(partners[name]))
                for name in sorted(foreign)
            ),
            *(MiningExample(name, english[name], True, None) for name in sorted(english)),
        ]

    return convert


def _bucc_id(value: Any, text: str, known: Mapping[str, str], language: str) -> str:
    if isinstance(value, str) and value.startswith(f"{language}-"):
        return value
    same = (name for name, known_text in known.items() if known_text == text)
    return next(same, f"{language}-{len(known):09d}")


def _span(id_: str, row: Row, where: str, unanswerable: bool, stripped: bool) -> SpanExample:
    question, context = _text(row, "question", where), _text(row, "context", where)
    if not question or not context:
        raise _fault(f"question {id_!r} or its context is empty", where)
    answers = _field(row, "answers", dict, where)
    texts = _texts(answers, "text", where)
    starts = tuple(_field(answers, "answer_start", list, where))
    if len(texts) != len(starts) or not all(isinstance(start, int) for start in starts):
        raise _fault(f"question {id_!r} has {len(texts)} answers at {starts}", where)
    if not texts or (texts, starts) == (("",), (0,)):
        return SpanExample(id_, question, context, () if unanswerable else None)
    for back in range(1 + _FARTHEST * stripped):
        placed = tuple((text, start - back) for text, start in zip(texts, starts, strict=True))
        if all(_stands(context, *answer) for answer in placed):
            return SpanExample(id_, question, context, placed)
    raise _fault(
        f"an answer of question {id_!r} does not stand at its character: "
        f"{list(zip(texts, starts, strict=True))}",
        where,
    )


def _stands(context: str, text: str, start: int) -> bool:
    return bool(text) and start >= 0 and context.startswith(text, start)


def _field(row: Row, name: str, kind: type | tuple[type, ...], where: str) -> Any:
    if name not in row:
        raise _fault(f"there is no column {name!r}; there are {', '.join(map(str, row))}", where)
    if not isinstance(row[name], kind):
        raise _fault(f"column {name!r} holds {row[name]!r}", where)
    return row[name]


def _text(row: Row, name: str, where: str) -> str:
    return _field(row, name, str, where)


def _texts(row: Row, name: str, where: str) -> tuple[str, ...]:
    values = _field(row, name, list, where)
    if not all(isinstance(item, str) for item in values):
        raise _fault(f"column {name!r} holds {values!r}", where)
    return tuple(values)


def _label(
    row: Row, column: str, names: Mapping[str, str], labels: Sequence[str], where: str
) -> str | None:
    if column not in row:
        raise _fault(f"there is no column {column!r}; there are {', '.join(map(str, row))}", where)
    if row[column] is None:
        return None
    label = names.get(row[column], row[column])
    _check_label(label, labels, where)
    return label


def _index(value: Any, labels: Sequence[str], where: str) -> str | None:
    """Returns a choice's label, given as an index or as its text; None if there is none."""
    if value in (None, "", -1):
        return None
    _check_label(str(value), labels, where)
    return str(value)


def _check_label(label: Any, labels: Sequence[str], where: str) -> None:
    if labels and label not in labels:
        raise DataError(
            f"unknown label {label!r}",
            where=where,
            remedy=f"the allowed labels are {', '.join(labels)}",
        )


def _line(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")


def _fault(problem: str, where: str) -> DataError:
    return DataError(problem, where=where, remedy="the table is damaged; fetch or prepare it again")


# Converters for tables whose columns are the same on the hub and in TFDS.
nli = pairs("premise", "hypothesis")
nli_with_consensus = pairs("premise", "hypothesis", only_labelled=True)
qqp = pairs("question1", "question2", id_="idx", names={"not_duplicate": "0", "duplicate": "1"})
squad = spans()
squad_v2 = spans(unanswerable=True)
