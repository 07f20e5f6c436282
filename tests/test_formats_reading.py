"""Tests how the readers treat the oddities of the official files."""

from __future__ import annotations

import json

import pytest
from readers import (
    ccg,
    cosmos,
    german_xnli,
    mnli,
    ner,
    nli_jsonl,
    nli_text,
    one_file,
    panx,
    parallel,
    pawsx,
    qqp,
    snli,
    squad,
    squad_v2,
    texts,
    translated,
    translated_squad,
    tydiqa_train,
    xnli,
    xnli_mt,
)

from xt_jax.data import formats
from xt_jax.data.examples import (
    ChoiceExample,
    PairExample,
    SentenceExample,
    TagExample,
    TextExample,
)
from xt_jax.errors import DataError
from xt_jax.tasks.table import NLI

QQP_HEADER = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"


def squad_json(*questions, context="one two"):
    paragraph = {"context": context, "qas": list(questions)}
    return json.dumps({"data": [{"title": "t", "paragraphs": [paragraph]}]}, indent=0)


def question(id_="q1", answers=(("two", 4),), **more):
    listed = [{"text": text, "answer_start": start} for text, start in answers]
    return {"id": id_, "question": "which?", "answers": listed} | more


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ('"say ""no"" now"', 'say "no" now'),
        ('"""all"""', '"all"'),
        ('""""', '"'),
        ('"', '"'),
        ('5" disk', '5" disk'),
        ('"so" he said "', '"so" he said "'),
        ('"open', '"open'),
        ('"even """', 'even "'),
        ('"odd ""', '"odd ""'),
        ("u\u2028v\x85w\x0b", "u\u2028v\x85w\x0b"),
        (" a ", " a "),
    ],
)
def test_a_quote_never_merges_lines_or_changes_other_text(field, text, tmp_path):
    path = tmp_path / "dev-de.tsv"
    path.write_bytes(f"{field}\tb\t0\r\nc\t{field}\t1\n".encode())
    assert pawsx(path) == [PairExample("0", text, "b", "0"), PairExample("1", "c", text, "1")]


def test_pairs_rename_contradictory_and_keep_placeholders(tmp_path):
    path = tmp_path / "train-en.tsv"
    path.write_bytes(b"a\tb\tcontradictory\r\n")
    assert xnli(path) == [PairExample("0", "a", "b", "contradiction")]
    path.write_bytes(b"NS\tNS\t0\r\n")
    assert pawsx(path) == [PairExample("0", "NS", "NS", "0")]


def test_mnli_finds_columns_by_name_and_drops_rows_without_consensus(tmp_path):
    path = tmp_path / "dev.tsv"
    path.write_text(
        "\ufeffgold_label\tsentence2\tpairID\tsentence1\n-\tb\t1n\ta\nneutral\t\"b\t2n\ta'\n"
    )
    assert mnli(path) == [PairExample("2n", "a'", '"b', "neutral")]


def test_squad_keeps_all_answers_and_reads_blanks_as_unlabelled(tmp_path):
    path = tmp_path / "dev.json"
    content = squad_json(
        question("a", [("two", 4), ("one", 0), ("two", 4)], is_impossible=False),
        question("b", [("", 0)]),
        question("c", []),
    )
    path.write_bytes(b"\xef\xbb\xbf" + content.encode())
    answers = [(example.id, example.answers) for example in squad(path)]
    assert answers == [("a", (("two", 4), ("one", 0), ("two", 4))), ("b", None), ("c", None)]


def test_squad_renumbers_ids_that_xtreme_cut_short(tmp_path):
    path = tmp_path / "tydiqa.goldp.en.train.json"
    path.write_text(squad_json(question("0"), question("0"), question("12")))
    examples = tydiqa_train(path)
    assert [example.id for example in examples] == ["0", "1", "2"]


def test_tags_tolerate_blank_lines_and_keep_odd_words(tmp_path):
    path = tmp_path / "dev-fa.tsv"
    path.write_bytes("\n\na\u200cb\tO\r\n\tB-PER\n \n\n\u200f\tO\nc d\tO".encode())
    assert ner(path) == [
        TagExample("0", ("a\u200cb", ""), ("O", "B-PER")),
        TagExample("1", ("\u200f", "c d"), ("O", "O")),
    ]
    path.write_bytes("a\nb\n\u200f\n\nc\n\n".encode())
    assert ner(path) == [TagExample("0", ("a", "b", "\u200f"), None), TagExample("1", ("c",), None)]


def test_squad_v2_tells_no_answer_from_no_label(tmp_path):
    path = tmp_path / "dev-v2.0.json"
    plausible = {"plausible_answers": [{"text": "one", "answer_start": 0}]}
    path.write_text(
        squad_json(
            question("a", is_impossible=False),
            question("b", (), is_impossible=True) | plausible,
        )
    )
    answers = {example.id: example.answers for example in squad_v2(path)}
    assert answers == {"a": (("two", 4),), "b": ()}


def test_tydiqa_as_released_holds_all_languages(tmp_path):
    path = tmp_path / "tydiqa-goldp-v1.1-train.json"
    path.write_text(
        squad_json(question("english-1-2"), question("swahili-1-2"), question("swahili-3"))
    )
    actual = formats.tydiqa([path], "sw", ())
    assert [example.id for example in actual] == ["swahili-1-2", "swahili-3"]
    assert len(squad(path)) == 3


def test_misplaced_answers_of_a_translation_are_left_out(tmp_path):
    path = tmp_path / "squad.translate.train.en-de.json"
    path.write_text(
        squad_json(question("a", [("two", 3)]), question("b"), question("c", [("", 3)]))
    )
    with pytest.raises(DataError):
        translated_squad(path)
    path.write_text(squad_json(question("a", [("two", 3)]), question("b")))
    assert [example.id for example in translated_squad(path)] == ["b"]


def test_snli_takes_the_last_column_as_gold_and_drops_rows_without_consensus(tmp_path):
    path = tmp_path / "train.tsv"
    path.write_text(
        "index\tpairID\tsentence1\tsentence2\tlabel1\tgold_label\n"
        '1\tp\t"a\tb\tneutral\tneutral\n'
        "2\tq\ta\tb\tneutral\tcontradiction\tneutral\tneutral\tneutral\tentailment\r\n"
        "3\tr\ta\tb\tneutral\tcontradiction\t-\n"
    )
    assert snli(path) == [
        PairExample("p", '"a', "b", "neutral"),
        PairExample("q", "a", "b", "entailment"),
    ]


def test_the_text_files_of_multinli_may_lack_annotators(tmp_path):
    path = tmp_path / "multinli_1.0_train.txt"
    path.write_text(
        "gold_label\tsentence1\tsentence2\tpairID\tgenre\tlabel1\tlabel2\tlabel3\n"
        "neutral\ta\tb\t1n\tfiction\tneutral\n"
        "-\ta\tb\t2n\tfiction\tneutral\tentailment\t\n"
        "entailment\ta\t'b'\t3e\tfiction\n"
    )
    assert nli_text(path) == [
        PairExample("1n", "a", "b", "neutral"),
        PairExample("3e", "a", "'b'", "entailment"),
    ]


def test_json_lines_end_at_line_feeds_alone(tmp_path):
    path = tmp_path / "snli_1.0_dev.jsonl"
    record = {"pairID": "1", "sentence1": "a\u2028b", "sentence2": "c\x85", "gold_label": "neutral"}
    unsure = record | {"gold_label": "-"}
    text = "".join(json.dumps(r, ensure_ascii=False) + "\r\n" for r in (record, unsure))
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert nli_jsonl(path) == [PairExample("1", "a\u2028b", "c\x85", "neutral")]


def test_xnli_keeps_one_language_of_a_file(tmp_path):
    path = tmp_path / "xnli.test.tsv"
    path.write_text(
        "language\tgold_label\tsentence1\tsentence2\tpairID\n"
        "de\tneutral\tA\tB\t7\nen\tneutral\ta\tb\t7\nde\tcontradictory\tC\tD\t8\n"
    )
    assert german_xnli(path) == [
        PairExample("7", "A", "B", "neutral"),
        PairExample("8", "C", "D", "contradiction"),
    ]


def test_xnlis_copy_of_multinli_has_no_ids(tmp_path):
    path = tmp_path / "multinli.train.sw.tsv"
    path.write_text('premise\thypo\tlabel\n"A" .\tB\tcontradictory\nC\tD\tneutral\n')
    assert xnli_mt(path) == [
        PairExample("0", '"A" .', "B", "contradiction"),
        PairExample("1", "C", "D", "neutral"),
    ]


def test_qqp_leaves_out_the_lines_that_glue_tore_apart_and_empty_questions(tmp_path):
    path = tmp_path / "train.tsv"
    rows = [
        '"\tWas he real?\t0',
        '133273\t213221\t213222\tHow is "it"?\tWhy?\t0',
        '227767\t336684\t336685\t"Is the book the best ever?',
        'Is it?"\t0',
        '12330\t23766\t23767\tWhy did she cut it?\t"Is she doing her best?',
        "201841\t303951\t174364\tHow can I?\t\t0",
        "363362\t493340\t493341\t\tWhat name is best?\t0",
        "5\t6\t7\ta\tb\t1",
    ]
    path.write_text(QQP_HEADER + "\n".join(rows) + "\n")
    assert qqp(path) == [
        PairExample("133273", 'How is "it"?', "Why?", "0"),
        PairExample("5", "a", "b", "1"),
    ]


def test_translated_pairs_have_three_or_five_columns_and_few_unusable_rows(tmp_path):
    path = tmp_path / "en-de-translated.tsv"
    path.write_text(
        "a\tb\tA\tB\tcontradictory\r\n" + "a\tb\tA\tB\tneutral\n" * 200 + "a\t\t\tB\tx\n"
    )
    examples = one_file(formats.translated_pairs, NLI)(path)
    assert len(examples) == 201
    assert examples[:2] == [
        PairExample("0", "A", "B", "contradiction"),
        PairExample("1", "A", "B", "neutral"),
    ]
    path.write_text('A\t"B"\t0\nA\tsay ""B\t1\n')
    assert translated(path) == [
        PairExample("0", "A", '"B"', "0"),
        PairExample("1", "A", 'say ""B', "1"),
    ]
    path.write_text('A\t"B"\t0\nA\t"say ""B"""\t1\n')
    assert translated(path) == [
        PairExample("0", "A", "B", "0"),
        PairExample("1", "A", 'say "B"', "1"),
    ]


def test_cosmos_qa_reads_quoted_fields_and_the_unlabelled_json(tmp_path):
    path = tmp_path / "train.csv"
    header = "id,context,question,answer0,answer1,answer2,answer3,label\n"
    path.write_bytes((header + 'i,"c, ""d""\n\u2028e",why ?,a,"b,",c,d,1\r\n').encode())
    expected = ChoiceExample(
        "i", 'c, "d"\n\u2028e', ("why ? a", "why ? b,", "why ? c", "why ? d"), "1"
    )
    assert cosmos(path) == [expected]
    path = tmp_path / "test.jsonl"
    record = {"id": "i", "context": expected.text, "question": "why ?"}
    path.write_text(
        json.dumps(
            record
            | dict(
                zip(
                    ("answer0", "answer1", "answer2", "answer3"), ("a", "b,", "c", "d"), strict=True
                )
            )
        )
    )
    assert cosmos(path) == [expected._replace(label=None)]


def test_hellaswag_joins_the_beginning_of_the_second_sentence_to_every_ending(tmp_path):
    path = tmp_path / "hellaswag_test.jsonl"
    rows = [{"ctx_a": "a.", "ctx_b": b, "endings": ["x", ", y"]} for b in ("the man", "")]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert one_file(formats.hellaswag)(path) == [
        ChoiceExample("0", "a.", ("the man x", "the man , y"), None),
        ChoiceExample("1", "a.", ("x", ", y"), None),
    ]


def test_ccg_leaves_give_words_and_categories(tmp_path):
    path = tmp_path / "wsj_0001.auto"
    path.write_text(
        "ID=wsj_0001.1 PARSER=GOLD NUMPARSE=1\n"
        "(<T S[dcl] 0 2> (<T NP 0 1> (<L N NNP NNP Vinken N>) ) "
        "(<L S[dcl]\\NP VBZ VBZ ) (S[dcl]\\NP_3)>) )\n"
        "ID=wsj_0001.2 PARSER=GOLD NUMPARSE=0\n"
        "ID=wsj_0001.3 PARSER=GOLD NUMPARSE=1\n(<L N NN NN -LRB- N>)\n"
    )
    assert ccg(path) == [
        TagExample("wsj_0001.1", ("Vinken", ")"), ("N", "S[dcl]\\NP")),
        TagExample("wsj_0001.3", ("-LRB-",), ("N",)),
    ]


def test_raw_panx_cuts_the_language_off_each_word(tmp_path):
    path = tmp_path / "train"
    path.write_text("\nen:a:b\tO\nen: \u200f\tB-PER\n\n\nen:\tO\n\n")
    assert panx(path) == [
        TagExample("0", ("a:b", "\u200f"), ("O", "B-PER")),
        TagExample("1", ("",), ("O",)),
    ]


def test_xtreme_sorts_the_english_side_of_tatoeba(tmp_path):
    english, foreign = tmp_path / "de-en.en", tmp_path / "de-en.de"
    english.write_text("a\nb\n")
    foreign.write_text("B\nA\n")
    actual = formats.sorted_parallel([english, foreign], "de", ())
    assert actual == [SentenceExample("0", "a", "B", None), SentenceExample("1", "b", "A", None)]
    assert [example.match for example in parallel(english, foreign)] == [0, 1]


def test_plain_text_skips_blank_lines(tmp_path):
    path = tmp_path / "de.txt"
    path.write_bytes("a\u2028b\r\n\n \n c\n".encode())
    assert texts(path) == [TextExample("0", "a\u2028b"), TextExample("1", " c")]
