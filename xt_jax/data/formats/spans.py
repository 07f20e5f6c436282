"""Reads and writes extractive question answering: SQuAD 1.1 and 2.0, and data sets in their JSON.

Answers keep their order and repetitions. Offsets count code points, and every answer must occur at
its offset. Broken JSON is reported with file, line and column, other faults with the question's id
and, where the id can be found, its line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

from absl import logging
from etils import epath

from xt_jax.data.examples import SpanExample
from xt_jax.data.formats.tables import read_json
from xt_jax.errors import DataError
from xt_jax.files import atomic_write_text

# The share of machine-translated questions whose answers may be misplaced.
MAX_MISPLACED = 0.5

Answers = tuple[tuple[str, int], ...]


class _MisplacedError(DataError):
    """An answer does not occur in the context at its offset."""


def read_squad(
    path: epath.PathLike, *, renumber: bool = False, id_start: str = "", translated: bool = False
) -> list[SpanExample]:
    """Reads SQuAD v1.1 JSON, the format of SQuAD, XQuAD, MLQA and TyDiQA-GoldP.

    A question with no answers, or with XTREME's blank `{"answer_start": 0, "text": ""}` alone, is
    unlabelled.

    Args:
        path: a JSON file.
        renumber: replace ids by row numbers from 0. For XTREME's copy of the TyDiQA training
            data, which cuts ids to a number that many questions share.
        id_start: keep only questions whose id begins with it (`swahili-` in TyDiQA's release).
        translated: for machine translations: questions with an answer that does not occur at its
            offset are left out, with a warning, unless they are more than `MAX_MISPLACED` of all.
    """
    return _read(path, _span, renumber=renumber, id_start=id_start, translated=translated)


def read_squad_v2(path: epath.PathLike, *, translated: bool = False) -> list[SpanExample]:
    """Reads SQuAD v2.0 JSON: a question marked `is_impossible` has the answers ()."""
    return _read(path, _span_or_none, translated=translated)


def write_squad(
    path: epath.PathLike, examples: Sequence[SpanExample], version: str = "1.1"
) -> None:
    """Writes SQuAD JSON: one article, consecutive questions on one context in one paragraph.

    Args:
        version: "1.1", where every question has answers or is unlabelled, or "v2.0", where every
            question is labelled and may have none.
    """
    no_place = "the format cannot hold this; change the example"
    for example in examples:
        if version == "1.1" and example.answers == ():
            problem = f"question {example.id!r} has no answer: that is SQuAD v2.0"
            raise DataError(problem, where=path, remedy=no_place)
        if version == "v2.0" and example.answers is None:
            problem = f"question {example.id!r} is not labelled"
            raise DataError(problem, where=path, remedy=no_place)
    paragraphs = [
        {"context": context, "qas": [_question(example, version) for example in group]}
        for context, group in groupby(examples, key=lambda example: example.context)
    ]
    document = {"version": version, "data": [{"title": "", "paragraphs": paragraphs}]}
    atomic_write_text(path, json.dumps(document, ensure_ascii=False, indent=1) + "\n")


def _read(
    path: epath.PathLike,
    span: Callable[[str, Any, str], SpanExample],
    *,
    renumber: bool = False,
    id_start: str = "",
    translated: bool = False,
) -> list[SpanExample]:
    document, text = read_json(path)
    examples: dict[str, SpanExample] = {}
    misplaced: list[DataError] = []
    for place, question, context in _questions(document, path):
        id_ = _field(question, "id", str, place, path)
        if not id_.startswith(id_start):
            continue
        try:
            example = span(id_, question, context)
            if renumber:
                example = example._replace(id=str(len(examples)))
            if example.id in examples:
                raise DataError(f"question id {id_!r} occurs twice", remedy="make ids unique")
            examples[example.id] = example
        except DataError as error:
            where = f"{path}{_line_of_question(id_, text)}"
            fault = DataError(error.problem, where=where, remedy=error.remedy)
            if not (translated and isinstance(error, _MisplacedError)):
                raise fault from None
            misplaced.append(fault)
    if misplaced and len(misplaced) > MAX_MISPLACED * (len(examples) + len(misplaced)):
        raise misplaced[0]
    if misplaced:
        logging.warning("%s: %d questions left out: misplaced answers", path, len(misplaced))
    if not examples:
        wanted = f" whose id begins with {id_start!r}" if id_start else ""
        raise DataError(f"the file holds no question{wanted}", where=path, remedy="fetch it again")
    return list(examples.values())


def _questions(document: Any, path: epath.PathLike) -> Iterator[tuple[str, Any, str]]:
    """Yields (place in the document, question, context) for every question of a document."""
    for i, article in enumerate(_field(document, "data", list, "the document", path)):
        for j, paragraph in enumerate(_field(article, "paragraphs", list, f"data[{i}]", path)):
            place = f"data[{i}].paragraphs[{j}]"
            context = _field(paragraph, "context", str, place, path)
            for k, question in enumerate(_field(paragraph, "qas", list, place, path)):
                yield f"{place}.qas[{k}]", question, context


def _field(node: Any, name: str, kind: type, place: str, where: epath.PathLike = "") -> Any:
    value = node.get(name) if isinstance(node, dict) else None
    if not isinstance(value, kind):
        raise DataError(
            f"{place} has no field {name!r} of type {kind.__name__}",
            where=where,
            remedy="SQuAD JSON is data > paragraphs > context, qas > id, question, answers",
        )
    return value


def _line_of_question(id_: str, text: str) -> str:
    """Returns ":line" of the last question with that id, or "" if the JSON escapes it unusually."""
    matches = list(re.finditer(r'"id"\s*:\s*' + re.escape(json.dumps(id_)), text))
    return f":{text.count(chr(10), 0, matches[-1].start()) + 1}" if matches else ""


# The errors of the functions below leave `where` to the caller.


def _span(id_: str, question: Any, context: str) -> SpanExample:
    if question.get("is_impossible"):
        raise DataError(
            f"question {id_!r} is marked is_impossible",
            remedy="this is SQuAD v2.0; in v1.1 every question has an answer",
        )
    query, answers = _query(id_, question, context), _answers(id_, question)
    if not answers or answers == (("", 0),):
        return SpanExample(id_, query, context, None)
    _check_answers(id_, answers, context)
    return SpanExample(id_, query, context, answers)


def _span_or_none(id_: str, question: Any, context: str) -> SpanExample:
    impossible = _field(question, "is_impossible", bool, f"question {id_!r}")
    query, answers = _query(id_, question, context), _answers(id_, question)
    if impossible == bool(answers):
        raise DataError(
            f"question {id_!r} has {len(answers)} answers and is_impossible is {impossible}",
            remedy="in SQuAD v2.0 the impossible questions, and no others, have no answer",
        )
    _check_answers(id_, answers, context)
    return SpanExample(id_, query, context, answers)


def _query(id_: str, question: Any, context: str) -> str:
    query = _field(question, "question", str, f"question {id_!r}")
    if not query or not context:
        raise DataError(
            f"question {id_!r} or its context is empty", remedy="remove it or fill it in"
        )
    return query


def _answers(id_: str, question: Any) -> Answers:
    name = f"an answer of question {id_!r}"
    return tuple(
        (_field(answer, "text", str, name), _field(answer, "answer_start", int, name))
        for answer in _field(question, "answers", list, f"question {id_!r}")
    )


def _check_answers(id_: str, answers: Answers, context: str) -> None:
    for text, start in answers:
        actual = context[start : start + len(text)] if start >= 0 else ""
        if not text or actual != text:
            raise _MisplacedError(
                f"an answer of question {id_!r} does not stand at character {start} of its "
                f"context: expected {text!r}, found {actual!r}",
                remedy="offsets count code points from 0; fetch the file again",
            )


def _question(example: SpanExample, version: str) -> dict[str, Any]:
    answers = (("", 0),) if example.answers is None else example.answers
    written = {
        "id": example.id,
        "question": example.question,
        "answers": [{"answer_start": start, "text": text} for text, start in answers],
    }
    return written | ({"is_impossible": not answers} if version == "v2.0" else {})
