"""Gold answers of real files, through tokenising and decoding: the same text comes back."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter

import numpy as np
import pytest

from xt_jax.data.examples import SpanExample
from xt_jax.data.sources import open_source
from xt_jax.data.tokenize import subwords
from xt_jax.tasks import spans
from xt_jax.tasks.metrics.squad import each_answer
from xt_jax.tasks.table import TASKS

LIMITS = {"max_length": 384, "doc_stride": 128}
FORMS = ("NFC", "NFD")

# Labelled questions of ../shared/data in NFC, and those whose context differs in NFD. The answers
# to `whole` of them come back; `cut` ones begin or end within a piece of XLM-R's vocabulary, so
# that no span of pieces is equal to them; `long` ones have more pieces than any prediction.
QUESTIONS = {
    "squad": (
        {"whole": 3119, "cut": 241, "long": 1},
        {"whole": 1224, "cut": 96},
    ),
    "squad_v2": (
        {"whole": 4790, "cut": 282, "long": 4},
        {"whole": 1290, "cut": 99},
    ),
    "xquad": ({"whole": 3180, "cut": 98}, {"whole": 2173, "cut": 75}),
    "mlqa": ({"whole": 818, "cut": 25, "long": 8}, {"whole": 487, "cut": 19, "long": 9}),
    "mlqa_cross": ({"whole": 115, "cut": 5}, {"whole": 68, "cut": 3}),
    "tydiqa": ({"whole": 2357, "cut": 208, "long": 85}, {"whole": 776, "cut": 70, "long": 34}),
}
SLOW = ("squad", "squad_v2")


def in_form(form: str, example: SpanExample) -> SpanExample:
    """Returns the example with its texts in a Unicode normal form, answers at their new places."""

    def to(text: str) -> str:
        return unicodedata.normalize(form, text)

    context = to(example.context)
    answers = tuple((to(text), len(to(example.context[:at]))) for text, at in example.answers)
    assert all(context.startswith(*answer) for answer in answers), example.id
    return example._replace(context=context, answers=answers)


def answered(examples: list[SpanExample], tokenizer) -> list[str]:
    """Returns what is decoded of outputs that favour the labelled tokens of every window."""
    features = spans.tokenize(examples, tokenizer, (), **LIMITS)
    outputs = {name: np.zeros(int(features.splits[-1]), np.float32) for name in ("start", "end")}
    holds_answer = features.fields["end"] > 0
    for name, logits in outputs.items():
        logits[(features.splits[:-1] + features.fields[name])[holds_answer]] = 1
    return spans.decode(outputs, features, examples, ())


@pytest.mark.parametrize(
    "task", [pytest.param(t, marks=[pytest.mark.slow] * (t in SLOW)) for t in QUESTIONS]
)
def test_the_gold_answers_of_real_files_come_back(task, shared, xlmr_tokenizer):
    source, row = open_source("files", str(shared / "data")), TASKS[task]
    files = {
        found.where: (language, found)
        for split in ("train", "dev", "test")
        for language in source.languages(task, split)
        for found in source.find(task, split, language, substitutes=True)
    }
    seen: Counter[tuple[str, str]] = Counter()
    for language, found in files.values():
        labelled = [example for example in found.read(row.labels) if example.answers]
        for form in FORMS:
            examples = [
                in_form(form, example)
                for example in labelled
                if form == "NFC" or not unicodedata.is_normalized("NFD", example.context)
            ]
            if not examples:
                continue
            contexts = list(dict.fromkeys(e.context for e in examples))
            _, offsets = subwords(xlmr_tokenizer, contexts, offsets=True)
            pieces_of = dict(zip(contexts, offsets, strict=True))
            whole = []
            for example, text in zip(examples, answered(examples, xlmr_tokenizer), strict=True):
                pieces = pieces_of[example.context]
                answer, first = example.answers[0]
                last = first + len(answer)
                if any(b < first < e or b < last < e for b, e in pieces):
                    kind = "cut"
                elif sum(b < last and e > first for b, e in pieces) > spans.MAX_ANSWER:
                    kind = "long"
                else:
                    kind = "whole"
                    assert text == answer, (found.where, example.id, form)
                    whole.append(([answer], text))
                seen[kind, form] += 1
            golds, texts = zip(*whole, strict=True)
            scores = each_answer(list(golds), list(texts), row.normaliser(language))
            assert {score for pair in scores for score in pair} == {100.0}
    for form, expected in zip(FORMS, QUESTIONS[task], strict=True):
        assert {kind: count for (kind, of), count in seen.items() if of == form} == expected


def test_marks_and_joiners_that_no_token_covers(shared, xlmr_tokenizer):
    """The issue's cases, and one in which the mark comes first."""
    cases = json.loads((shared / "faults" / "combining_marks.json").read_text())
    cases.append({"context": "nearly \u200b29 men", "answer": "\u200b29", "answer_start": 7})
    examples = [
        SpanExample(str(i), "?", c["context"], ((c["answer"], c["answer_start"]),))
        for i, c in enumerate(cases)
    ]
    assert answered(examples, xlmr_tokenizer) == [c["answer"] for c in cases]


@pytest.mark.parametrize(
    ("text", "offsets", "expected"),
    [
        ("Jose\u0301, a", [(0, 4), (5, 6), (7, 8)], [(0, 5), (5, 6), (7, 8)]),
        # A mark that a token covers stays with it.
        ("a\u0301b", [(0, 1), (1, 3)], [(0, 1), (1, 3)]),
        # After a space it belongs to the next token, between two to the first.
        ("a \u200bb\u200bc", [(0, 1), (3, 4), (5, 6)], [(0, 1), (2, 5), (5, 6)]),
        ("\u200e\u200fa\u20dd", [(2, 3)], [(0, 4)]),
        # Two tokens of one character: the last of them reaches on.
        ("½\u0301", [(0, 1), (0, 1)], [(0, 1), (0, 2)]),
        ("é", [], []),
    ],
)
def test_characters_of_tokens_with_their_marks(text, offsets, expected):
    assert spans._with_marks(text, offsets) == expected
