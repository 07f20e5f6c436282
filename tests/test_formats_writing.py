"""Tests that written files read back unchanged, and that unwritable examples are refused."""

from __future__ import annotations

import csv
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from readers import (
    BINARY,
    bucc,
    ccg,
    cosmos,
    mnli,
    ner,
    parallel,
    paws,
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
round_trip = settings(max_examples=80, deadline=None)


def numbered(record, *fields):
    """Draws lists of records whose ids are row numbers."""
    rows = st.lists(st.tuples(*fields), min_size=1, max_size=4)
    return rows.map(lambda rows: [record(str(i), *row) for i, row in enumerate(rows)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("round_trip")


@round_trip
@given(examples=st.lists(st.builds(PairExample, phrase, phrase, phrase, st.sampled_from(NLI))))
def test_mnli_round_trip(folder, examples):
    examples = [*examples, PairExample("x", "a", "b", "neutral")]
    mini_formats.write_mnli(folder / "mnli.tsv", examples)
    assert mnli(folder / "mnli.tsv") == examples


@round_trip
@given(examples=st.lists(st.builds(PairExample, phrase, phrase, phrase, st.sampled_from(BINARY))))
def test_paws_round_trip(folder, examples):
    examples = [*examples, PairExample("x", "a", "b", "0")]
    mini_formats.write_paws(folder / "paws.tsv", examples)
    assert paws(folder / "paws.tsv") == examples


@round_trip
@given(
    examples=numbered(PairExample, phrase, phrase, st.sampled_from(NLI))
    | numbered(PairExample, phrase, phrase, st.none())
)
def test_xtreme_pairs_round_trip(folder, examples):
    path = folder / "pairs.tsv"
    mini_formats.write_xtreme_pairs(path, examples)
    assert xnli(path) == examples
    assert path.read_bytes().count(b"\r\n") == len(examples)
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t"))
    assert [tuple(row[:2]) for row in rows] == [(e.text_a, e.text_b) for e in examples]


@round_trip
@given(
    contexts=st.lists(st.text(letters | st.sampled_from('\t\n\r"\\'), min_size=1), min_size=1),
    data=st.data(),
)
def test_squad_round_trip(folder, contexts, data):
    examples = []
    for i, context in enumerate(contexts):
        starts = data.draw(st.lists(st.integers(0, len(context) - 1), max_size=3))
        ends = [data.draw(st.integers(start + 1, len(context))) for start in starts]
        answers = tuple((context[a:b], a) for a, b in zip(starts, ends, strict=True))
        examples.append(SpanExample(f'{i}"ü', "which\n?", context, answers or None))
    mini_formats.write_squad(folder / "squad.json", examples)
    assert squad(folder / "squad.json") == examples


def tagged(id_, rows):
    return TagExample(id_, *zip(*rows, strict=True))


tagged_words = st.lists(
    st.tuples(st.text(letters | awkward), st.sampled_from(ENTITIES)), min_size=1
)
bare_words = st.lists(phrase, min_size=1).map(tuple)


@round_trip
@given(examples=numbered(tagged, tagged_words) | numbered(TagExample, bare_words, st.none()))
def test_tags_round_trip(folder, examples):
    mini_formats.write_tags(folder / "tags.tsv", examples)
    assert ner(folder / "tags.tsv") == examples


def aligned(id_, english, translation):
    return SentenceExample(id_, english, translation, int(id_))


@round_trip
@given(examples=numbered(aligned, phrase, phrase))
@example(examples=[SentenceExample("0", "\ufeffa", "\ufeff", 0)])
def test_parallel_round_trip(folder, examples):
    paths = folder / "x.eng", folder / "x.deu"
    mini_formats.write_parallel(*paths, examples)
    assert parallel(*paths) == examples


@pytest.mark.parametrize("name", ["nli_jsonl", "anli", "qqp"])
@round_trip
@given(data=st.data())
def test_pairs_round_trip(folder, name, data):
    labels = BINARY if name == "qqp" else NLI
    one = st.builds(PairExample, phrase, phrase, phrase, st.sampled_from(labels))
    examples = data.draw(st.lists(one, min_size=1))
    getattr(mini_formats, f"write_{name}")(folder / name, examples)
    assert getattr(formats, name)([folder / name], "en", labels) == examples


@round_trip
@given(context=st.text(letters, min_size=2), data=st.data())
def test_squad_v2_round_trip(folder, context, data):
    end = data.draw(st.integers(1, len(context)))
    answers = data.draw(st.sampled_from([(), ((context[:end], 0),), ((context[1:], 1),) * 2]))
    examples = [SpanExample("1", "q", context, answers), SpanExample("2", "q", context, ())]
    mini_formats.write_squad_v2(folder / "squad2.json", examples)
    assert squad_v2(folder / "squad2.json") == examples


@round_trip
@given(examples=numbered(ChoiceExample, phrase, st.tuples(phrase, phrase), st.sampled_from(BINARY)))
def test_hellaswag_round_trip(folder, examples):
    examples += [ChoiceExample(str(len(examples)), "a", ("b", "c"), None)]
    mini_formats.write_hellaswag(folder / "hellaswag.jsonl", examples)
    assert formats.hellaswag([folder / "hellaswag.jsonl"], "en", BINARY) == examples


@round_trip
@given(
    examples=numbered(
        ChoiceExample, phrase, st.tuples(phrase, phrase, phrase), st.sampled_from("012")
    )
)
def test_commonsense_qa_round_trip(folder, examples):
    examples += [ChoiceExample("x", "a", ("b", "c", "d"), None)]
    mini_formats.write_commonsense_qa(folder / "csqa.jsonl", examples)
    assert formats.commonsense_qa([folder / "csqa.jsonl"], "en", ()) == examples


def asked(id_, context, question, answers, label):
    return ChoiceExample(id_, context, tuple(f"{question} {answer}" for answer in answers), label)


lines = st.text(letters | st.sampled_from('\t\n\r", '), min_size=1).filter(str.strip)


@round_trip
@given(
    examples=numbered(
        asked, lines, lines, st.tuples(lines, lines, lines, lines), st.sampled_from("0123")
    )
)
@example(examples=[asked("0", "c", "why ?", ("he", "he ran", "he ran off", "no"), "3")])
@example(examples=[asked("0", "c", "why ?", ("he ran",) * 4, "3")])
@example(examples=[asked("0", "c", "why ?", ("he ", "he ran", "he saw", "he won"), "3")])
def test_cosmos_qa_round_trip(folder, examples):
    mini_formats.write_cosmos_qa(folder / "cosmos.csv", examples)
    assert cosmos(folder / "cosmos.csv") == examples


leaf_texts = st.text(letters, min_size=1).map(lambda text: re.sub(r" |\(<", "_", text))


@round_trip
@given(examples=numbered(tagged, st.lists(st.tuples(leaf_texts, leaf_texts), min_size=1)))
@example(examples=[TagExample("0", (")", "(", ">)"), (":", "(S\\NP)/NP", ">)"))])
def test_ccg_round_trip(folder, examples):
    mini_formats.write_ccg(folder / "x.auto", examples)
    assert ccg(folder / "x.auto") == examples


@round_trip
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


@round_trip
@given(examples=numbered(TextExample, phrase))
def test_texts_round_trip(folder, examples):
    mini_formats.write_texts(folder / "de.txt", examples)
    assert texts(folder / "de.txt") == examples


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
