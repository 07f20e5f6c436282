"""Tests that written files read back unchanged, and that unwritable examples are refused."""

from __future__ import annotations

import csv
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from readers import (
    BINARY,
    anli,
    bucc,
    ccg,
    cosmos,
    mnli,
    ner,
    nli_jsonl,
    one_file,
    parallel,
    paws,
    qqp,
    squad,
    squad_v2,
    texts,
    xnli,
)

from xt_jax.data import formats
from xt_jax.data.examples import (
    ChoiceExample,
    MiningExample,
    PairExample,
    SentenceExample,
    SpanExample,
    TagExample,
    TextExample,
)
from xt_jax.errors import DataError
from xt_jax.files import atomic_write_text
from xt_jax.mini import formats as mini_formats
from xt_jax.tasks.table import ENTITIES, NLI

letters = st.characters(exclude_categories=["Cs"], exclude_characters="\t\n\r")
awkward = st.sampled_from('"" \u2028\x85\u200c\ufeff\xa0aβ')
phrase = st.text(letters | awkward, min_size=1).filter(lambda text: not text.isspace())


def numbered(record, *fields):
    """Draws lists of records whose ids are row numbers."""
    rows = st.lists(st.tuples(*fields), min_size=1, max_size=4)
    return rows.map(lambda rows: [record(str(i), *row) for i, row in enumerate(rows)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("round_trip")


def labelled_pairs(labels):
    return st.lists(
        st.builds(PairExample, phrase, phrase, phrase, st.sampled_from(labels)), min_size=1
    )


def tagged(id_, rows):
    return TagExample(id_, *zip(*rows, strict=True))


def asked(id_, context, question, answers, label):
    return ChoiceExample(id_, context, tuple(f"{question} {answer}" for answer in answers), label)


def aligned(id_, english, translation):
    return SentenceExample(id_, english, translation, int(id_))


@st.composite
def questions(draw, impossible: bool):
    examples = []
    for i, context in enumerate(draw(st.lists(st.text(json_letters, min_size=1), min_size=1))):
        starts = draw(st.lists(st.integers(0, len(context) - 1), max_size=3))
        ends = [draw(st.integers(start + 1, len(context))) for start in starts]
        answers = tuple((context[a:b], a) for a, b in zip(starts, ends, strict=True))
        answers = answers if answers or impossible else None
        examples.append(SpanExample(f'{i}"ü', "which\n?", context, answers))
    return examples


json_letters = letters | st.sampled_from('\t\n\r"\\')
lines = st.text(letters | st.sampled_from('\t\n\r", '), min_size=1).filter(str.strip)
leaf_texts = st.text(letters, min_size=1).map(lambda text: re.sub(r" |\(<", "_", text))
tagged_words = st.lists(
    st.tuples(st.text(letters | awkward), st.sampled_from(ENTITIES)), min_size=1
)
bare_words = st.lists(phrase, min_size=1).map(tuple)

ROUND_TRIPS = {
    "mnli": (mini_formats.write_mnli, mnli, labelled_pairs(NLI)),
    "paws": (mini_formats.write_paws, paws, labelled_pairs(BINARY)),
    "nli_jsonl": (mini_formats.write_nli_jsonl, nli_jsonl, labelled_pairs(NLI)),
    "anli": (mini_formats.write_anli, anli, labelled_pairs(NLI)),
    "qqp": (mini_formats.write_qqp, qqp, labelled_pairs(BINARY)),
    "xtreme_pairs": (
        mini_formats.write_xtreme_pairs,
        xnli,
        numbered(PairExample, phrase, phrase, st.sampled_from(NLI))
        | numbered(PairExample, phrase, phrase, st.none()),
    ),
    "squad": (mini_formats.write_squad, squad, questions(False)),
    "squad_v2": (mini_formats.write_squad_v2, squad_v2, questions(True)),
    "tags": (
        mini_formats.write_tags,
        ner,
        numbered(tagged, tagged_words) | numbered(TagExample, bare_words, st.none()),
    ),
    "ccg": (
        mini_formats.write_ccg,
        ccg,
        numbered(tagged, st.lists(st.tuples(leaf_texts, leaf_texts), min_size=1))
        | st.just([TagExample("0", (")", "(", ">)"), (":", "(S\\NP)/NP", ">)"))]),
    ),
    "hellaswag": (
        mini_formats.write_hellaswag,
        one_file(formats.hellaswag, BINARY),
        numbered(ChoiceExample, phrase, st.tuples(phrase, phrase), st.sampled_from(["1", None])),
    ),
    "commonsense_qa": (
        mini_formats.write_commonsense_qa,
        one_file(formats.commonsense_qa),
        numbered(
            ChoiceExample,
            phrase,
            st.tuples(phrase, phrase, phrase),
            st.sampled_from([*"012", None]),
        ),
    ),
    "cosmos_qa": (
        mini_formats.write_cosmos_qa,
        cosmos,
        numbered(
            asked, lines, lines, st.tuples(lines, lines, lines, lines), st.sampled_from("0123")
        )
        | st.sampled_from(
            [
                [asked("0", "c", "why ?", answers, "3")]
                for answers in (
                    ("he", "he ran", "he ran off", "no"),
                    ("he ran",) * 4,
                    ("he ", "he ran", "he saw", "he won"),
                )
            ]
        ),
    ),
    "texts": (mini_formats.write_texts, texts, numbered(TextExample, phrase)),
}


@pytest.mark.parametrize("name", ROUND_TRIPS)
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_what_is_written_reads_back_unchanged(folder, name, data):
    write, read, strategy = ROUND_TRIPS[name]
    examples = data.draw(strategy)
    path = folder / ("cosmos.csv" if name == "cosmos_qa" else name)
    write(path, examples)
    assert read(path) == examples
    if name == "xtreme_pairs":
        assert path.read_bytes().count(b"\r\n") == len(examples)
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file, delimiter="\t"))
        assert [tuple(row[:2]) for row in rows] == [(e.text_a, e.text_b) for e in examples]


@settings(max_examples=80, deadline=None)
@given(examples=numbered(aligned, phrase, phrase))
@example(examples=[SentenceExample("0", "\ufeffa", "\ufeff", 0)])
def test_parallel_round_trip(folder, examples):
    paths = folder / "x.eng", folder / "x.deu"
    mini_formats.write_parallel(*paths, examples)
    assert parallel(*paths) == examples


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_bucc_round_trip(folder, data):
    paths = [folder / f"de-en.dev.{name}" for name in ("en", "de", "gold")]
    german = data.draw(st.lists(phrase, min_size=1, max_size=4))
    partners = [data.draw(st.sampled_from([(), ("e0",), ("e1", "e0")])) for _ in german[1:]]
    examples = [
        *(
            MiningExample(f"d{i}", text, False, known)
            for i, (text, known) in enumerate(zip(german, [("e1",), *partners], strict=True))
        ),
        *(MiningExample(f"e{i}", data.draw(phrase), True, None) for i in range(2)),
    ]
    mini_formats.write_bucc(*paths, examples)
    assert bucc(*paths) == examples
    blank = [one._replace(partners=None) for one in examples]
    mini_formats.write_bucc(*paths[:2], None, blank)
    assert bucc(*paths[:2]) == blank


def write_bucc_without_gold(path, examples):
    mini_formats.write_bucc(path, path, None, examples)


PAIR = PairExample("0", "a", "b", "0")
SPAN = SpanExample("0", "q", "c", None)
CHOICE = ChoiceExample("0", "a", ("q b", "q c", "q d", "q e"), "0")


@pytest.mark.parametrize(
    ("write", "examples", "message"),
    [
        (mini_formats.write_paws, [PAIR._replace(label=None)], "no label"),
        (mini_formats.write_xtreme_pairs, [PAIR, PAIR._replace(label=None)], "no label"),
        (mini_formats.write_xtreme_pairs, [PAIR._replace(text_a="a\tb")], "tab or line end"),
        (mini_formats.write_mnli, [PAIR._replace(text_b="a\r")], "tab or line end"),
        (mini_formats.write_tags, [TagExample("0", ("a", "b"), ("O",))], "tag for each"),
        (mini_formats.write_tags, [TagExample("0", (), ())], "needs words"),
        (mini_formats.write_tags, [TagExample("0", ("a", " "), None)], "blank word"),
        (mini_formats.write_tags, [TagExample("0", ("a\nb",), ("O",))], "tab or line end"),
        (mini_formats.write_qqp, [PAIR._replace(id="\t")], "tab or line end"),
        (mini_formats.write_anli, [PAIR], "label '0'"),
        (mini_formats.write_squad, [SPAN._replace(answers=())], "SQuAD v2.0"),
        (mini_formats.write_squad_v2, [SPAN], "not labelled"),
        (mini_formats.write_cosmos_qa, [CHOICE._replace(label=None)], "no label"),
        (mini_formats.write_cosmos_qa, [CHOICE._replace(choices=("a b", "c d") * 2)], "question"),
        (mini_formats.write_cosmos_qa, [CHOICE._replace(choices=("q b", "q c"))], "four answers"),
        (mini_formats.write_commonsense_qa, [CHOICE._replace(choices=("a",) * 6)], "6 choices"),
        (mini_formats.write_ccg, [TagExample("0", ("a b",), ("N",))], "'a b'"),
        (mini_formats.write_ccg, [TagExample("0", ("a", "(<L"), ("N", "N"))], "'.<L'"),
        (mini_formats.write_ccg, [TagExample("0", ("a",), None)], "tag for each"),
        (mini_formats.write_ccg, [TagExample("", ("a",), ("N",))], "''"),
        (write_bucc_without_gold, [MiningExample("d", "a", False, ())], "no gold file"),
        (mini_formats.write_texts, [TextExample("0", "a\nb")], "tab or line end"),
    ],
)
def test_what_a_format_cannot_hold_is_not_written(write, examples, message, tmp_path):
    with pytest.raises(DataError, match=message):
        write(tmp_path / "out", examples)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "new" / "file.txt"
    atomic_write_text(path, "old\r\n")
    with pytest.raises(UnicodeEncodeError):
        atomic_write_text(path, "new \ud800")
    assert path.read_bytes() == b"old\r\n"
    atomic_write_text(path, "nëw")
    assert path.read_text(encoding="utf-8") == "nëw"
    (path.parent / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        atomic_write_text(path.parent / "taken", "text")
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["file.txt", "taken"]
