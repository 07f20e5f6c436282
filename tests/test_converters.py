"""Tests the conversion of table rows to examples, from any source."""

from __future__ import annotations

import pytest

from xt_jax.data.converters import commonsense_qa, hellaswag, named, pairs, spans, tags
from xt_jax.data.examples import SpanExample
from xt_jax.data.treebanks import treebank_word
from xt_jax.errors import DataError


def fault_of(call) -> DataError:
    with pytest.raises(DataError) as caught:
        call()
    return caught.value


PAIR = {"premise": "a", "hypothesis": "b", "label": "neutral"}
QUESTION = {
    "id": "1",
    "question": "Which?",
    "context": "one two",
    "answers": {"text": ["two"], "answer_start": [4]},
}
HELLASWAG = {
    "context": 'He ran. "Go!" she  ',
    "source_id": "activitynet~v_1",
    "endings": ["a", "b"],
    "label": 1,
}


@pytest.mark.parametrize(
    ("convert", "row", "problem"),
    [
        (pairs("premise", "hypothesis"), PAIR | {"label": "maybe"}, "label 'maybe'"),
        (
            pairs("premise", "hypothesis"),
            PAIR | {"hypothesis": None},
            "'hypothesis' holds",
        ),
        (pairs("premise", "other"), PAIR, "no column 'other'; there are premise"),
        (pairs("premise", "hypothesis", "gold"), PAIR, "no column 'gold'"),
        (spans(), QUESTION | {"question": ""}, "'1' or its context is empty"),
        (
            spans(),
            QUESTION | {"answers": {"text": ["two"], "answer_start": [5]}},
            "does not stand at character",
        ),
        (
            spans(stripped=True),
            QUESTION | {"answers": {"text": ["two", "one"], "answer_start": [6, 1]}},
            "does not stand at character",
        ),
        (
            spans(),
            QUESTION | {"answers": {"text": ["two"], "answer_start": []}},
            "1 answers at []",
        ),
        (tags("w", "t"), {"w": ["a", "b"], "t": ["X"]}, "2 words but 1 tags"),
        (tags("w", "t"), {"w": ["a"], "t": [None]}, "'t' holds [None]"),
        (tags("w", "t"), {"w": ["a"], "t": ["ZZ"]}, "unknown label 'ZZ'"),
        (hellaswag, HELLASWAG | {"label": 4}, "unknown label '4'"),
        (hellaswag, HELLASWAG | {"endings": ["a", ""]}, "choice 1 is empty"),
        (
            commonsense_qa,
            {
                "id": "1",
                "question": "q",
                "choices": {"label": ["A"], "text": ["a"]},
                "answerKey": "B",
            },
            "unknown label 'B'",
        ),
    ],
)
def test_faulty_rows(convert, row, problem):
    allowed = ("0", "1") if convert is hellaswag else ("neutral", "X")
    error = fault_of(lambda: convert([("table, row 0", row)], "en", allowed))
    assert problem in error.problem
    assert error.where == "table, row 0"


def test_a_question_that_occurs_twice():
    rows = [("row 0", QUESTION), ("row 1", QUESTION)]
    error = fault_of(lambda: spans()(rows, "en", ()))
    assert (error.problem, error.where) == ("question id '1' occurs twice", "row 1")


def test_class_names():
    assert named([0, -1, 1], ("a", "b"), "row 0") == ["a", None, "b"]
    error = fault_of(lambda: named(2, ("a", "b"), "row 0"))
    assert "label 2 is out of range" in error.problem
    assert "'1' is not an integer" in fault_of(lambda: named("1", ("a",), "")).problem


def test_unlabelled_rows():
    rows = [("row 0", PAIR | {"label": None}), ("row 1", PAIR)]
    kept = pairs("premise", "hypothesis")(rows, "en", ("neutral",))
    dropped = pairs("premise", "hypothesis", only_labelled=True)(rows, "en", ("neutral",))
    assert [pair.label for pair in kept] == [None, "neutral"]
    assert [pair.label for pair in dropped] == ["neutral"]
    none = QUESTION | {"answers": {"text": [], "answer_start": []}}
    blank = QUESTION | {"answers": {"text": [""], "answer_start": [0]}}
    for row in (none, blank):
        assert spans()([("", row)], "en", ())[0].answers is None
        assert spans(unanswerable=True)([("", row)], "en", ())[0].answers == ()


def test_offsets_of_stripped_contexts():
    answers = {"text": ["one", "two"], "answer_start": [3, 7]}
    actual = spans(stripped=True)([("", QUESTION | {"answers": answers})], "en", ())
    assert actual == [SpanExample("1", "Which?", "one two", (("one", 0), ("two", 4)))]
    far = {"text": ["two"], "answer_start": [4 + 65]}
    assert fault_of(lambda: spans(stripped=True)([("", QUESTION | {"answers": far})], "en", ()))


def test_hellaswag_context_is_parted():
    text, start = 'He ran. "Go!" she  '[:13], "she  "
    example = hellaswag([("", HELLASWAG)], "en", ())[0]
    assert (example.text, example.choices) == (text, (f"{start} a", f"{start} b"))
    complete = hellaswag([("", HELLASWAG | {"source_id": "wikihow~1"})], "en", ())[0]
    assert (complete.text, complete.choices) == (HELLASWAG["context"], ("a", "b"))


def test_words_are_cleaned():
    rows = [("", {"w": ["a\u00a0", "b c", "می\u200cشود", "\u200d"], "t": ["X"] * 4})]
    kept = tags("w", "t")(rows, "fa", ("X",))[0]
    assert kept.words == ("a", "b c", "می\u200cشود", "\u200d")
    treebank = tags("w", "t", treebank_word)(rows, "fa", ("X",))[0]
    assert treebank.words == ("a", "bc", "میشود", "\u200d")
    assert tags("w", "t")([("", {"w": [], "t": []}), *rows], "fa", ()) == [kept]
