"""Reads and writes the JSON of SQuAD 1.1 and 2.0, which XQuAD, MLQA and TyDiQA-GoldP share."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from etils import epath

from xt_jax.data.examples import SpanExample
from xt_jax.data.rows import Row, field
from xt_jax.errors import DataError
from xt_jax.files import atomic_write_text, parse_json, read_text

_ID = re.compile(r'"id"\s*:\s*("(?:[^"\\]|\\.)*")|\n')


def read_squad_rows(path: epath.PathLike) -> Iterator[tuple[str, Row]]:
    """Yields (place, row) of every question; a row has the columns of the hub's SQuAD tables.

    These are `id`, `question`, `context` and `answers`, with the lists `text` and `answer_start`;
    `is_impossible` is None where the question does not have it.
    """
    text, file = read_text(path), str(path)
    document, lines = parse_json(text, path), _lines_of_ids(text)
    for i, article in enumerate(field(document, "data", list, file)):
        place = f"{file}, data[{i}]"
        for paragraph in field(article, "paragraphs", list, place):
            context = field(paragraph, "context", str, place)
            for question in field(paragraph, "qas", list, place):
                id_ = field(question, "id", str, place)
                where = f"{file}:{lines[id_]}" if id_ in lines else file
                answers = field(question, "answers", list, where)
                yield (
                    where,
                    {
                        "is_impossible": None,
                        **question,
                        "context": context,
                        "answers": {
                            "text": [field(a, "text", str, where) for a in answers],
                            "answer_start": [field(a, "answer_start", int, where) for a in answers],
                        },
                    },
                )


def write_squad(
    path: epath.PathLike, examples: Sequence[SpanExample], version: str = "1.1"
) -> None:
    """Writes SQuAD JSON: one article, consecutive questions on one context in one paragraph.

    Args:
        version: "1.1", where every question has answers or is unlabelled, or "v2.0", where every
            question is labelled and may have none.
    """
    problem = ""
    for example in examples:
        if version == "1.1" and example.answers == ():
            problem = f"question {example.id!r} has no answer: that is SQuAD v2.0"
        elif version == "v2.0" and example.answers is None:
            problem = f"question {example.id!r} is not labelled"
        if problem:
            remedy = "the format cannot hold this; change the example"
            raise DataError(problem, where=path, remedy=remedy)
    paragraphs = [
        {"context": context, "qas": [_question(example, version) for example in group]}
        for context, group in groupby(examples, key=lambda example: example.context)
    ]
    document = {"version": version, "data": [{"title": "", "paragraphs": paragraphs}]}
    atomic_write_text(path, json.dumps(document, ensure_ascii=False, indent=1) + "\n")


def _question(example: SpanExample, version: str) -> dict[str, Any]:
    answers = (("", 0),) if example.answers is None else example.answers
    written = {
        "id": example.id,
        "question": example.question,
        "answers": [{"answer_start": start, "text": text} for text, start in answers],
    }
    return written | ({"is_impossible": not answers} if version == "v2.0" else {})


def _lines_of_ids(text: str) -> dict[str, int]:
    """Returns the line of the last question with each id."""
    lines, line = {}, 1
    for match in _ID.finditer(text):
        if match[1]:
            lines[json.loads(match[1])] = line
        else:
            line += 1
    return lines
