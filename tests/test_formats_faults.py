"""Tests that every fault in a file is reported as one error with its file and line."""

from __future__ import annotations

import json
import re

import pytest
from readers import (
    anli,
    bucc,
    ccg,
    commonsense,
    cosmos,
    german_xnli,
    hellaswag,
    mnli,
    ner,
    nli_jsonl,
    nli_text,
    one_file,
    panx,
    parallel,
    paws,
    pawsx,
    qqp,
    snli,
    squad,
    squad_v2,
    texts,
    translated,
    translated_squad,
    tydiqa,
    xnli,
    xnli_mt,
)

from xt_jax.data import formats, treebanks
from xt_jax.errors import DataError

treebank = one_file(treebanks.read_conllu, ("NOUN", "VERB"))


MNLI_HEADER = "pairID\tgenre\tsentence1\tsentence2\tgold_label\n"
PAWS_HEADER = "id\tsentence1\tsentence2\tlabel\n"
SNLI_HEADER = "pairID\tsentence1\tsentence2\tlabel1\tgold_label\n"
TEXT_HEADER = "gold_label\tsentence1\tsentence2\tpairID\tlabel1\tlabel2\n"
XNLI_HEADER = "language\tgold_label\tsentence1\tsentence2\tpairID\n"
QQP_HEADER = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
COSMOS_HEADER = "id,context,question,answer0,answer1,answer2,answer3,label\n"
COSMOS = "i,c,q,a,b,c,d,0\n"
LEAF = "(<L NP X X w NP>)"
ID = "ID=a.1 PARSER=GOLD NUMPARSE=1\n"


def word(number, form="a", tag="NOUN", head="0", deps="_"):
    return f"{number}\t{form}\t_\t{tag}\t_\t_\t{head}\troot\t{deps}\t_\n"


def squad_json(*questions, context="one two"):
    paragraph = {"context": context, "qas": list(questions)}
    return json.dumps({"data": [{"title": "t", "paragraphs": [paragraph]}]}, indent=0)


def question(id_="q1", answers=(("two", 4),), **more):
    listed = [{"text": text, "answer_start": start} for text, start in answers]
    return {"id": id_, "question": "which?", "answers": listed} | more


def lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records)


PAIR = {"pairID": "1", "sentence1": "a", "sentence2": "b", "gold_label": "neutral"}
ANLI = {"uid": "1", "context": "a", "hypothesis": "b", "label": "n"}
SWAG = {"ctx_a": "a", "ctx_b": "b", "endings": ["c", "d", "e", "f"], "label": 3}


def letters(key="A", choices="ABCDE", **more):
    options = [{"label": letter, "text": letter} for letter in choices]
    return {"id": "1", "answerKey": key, "question": {"stem": "s", "choices": options} | more}


FAULTS = {
    "columns-mnli": (mnli, MNLI_HEADER + "1\tg\ta\tb\tneutral\n2\tg\ta\tb", ":3", "4 .*5"),
    "header-mnli": (mnli, "pairID\tsentence1\n1\ta\n", ":1", "no column sentence2, gold_label"),
    "rows-mnli": (mnli, MNLI_HEADER, "", "header only"),
    "label-mnli": (mnli, MNLI_HEADER + "1\tg\ta\tb\tmaybe\n", ":2", "'maybe'.*entailment"),
    "text-mnli": (mnli, MNLI_HEADER + "1\tg\t\tb\tneutral\n", ":2", "sentence 1 is empty"),
    "utf8-mnli": (mnli, MNLI_HEADER.encode() + b"1\tg\ta\xff\tb\tneutral\n", ":2", "0xff"),
    "empty": (mnli, "", "", "is empty"),
    "columns-paws": (paws, PAWS_HEADER + "1\ta\tb\n", ":2", "3 .*4"),
    "label-paws": (paws, PAWS_HEADER + "1\ta\tb\t0\n1\ta\tb\t2\n", ":3", "'2'.*0, 1"),
    "text-paws": (paws, PAWS_HEADER + "1\ta\t \t0\n", ":2", "sentence 2 is empty"),
    "mixed-pairs": (pawsx, "a\tb\t0\r\na\tb\r\n", ":2", "2 .*3 as in line 1"),
    "mixed-pairs-2": (pawsx, "a\tb\na\tb\t1\n", ":2", "3 .*2 as in line 1"),
    "width-pairs": (pawsx, "a\tb\t0\t1\n", ":1", "4 .*2 .unlabelled. or 3"),
    "label-pairs": (xnli, "a\tb\tneutral\na\tb\tneut", ":2", "'neut'.*neutral"),
    "text-pairs": (pawsx, 'a\tb\t0\n""\tb\t0\n', ":2", "sentence 1 is empty"),
    "blank-pairs": (pawsx, "a\tb\t0\n\na\tb\t0\n", ":2", "1 .*3"),
    "utf8-pairs": (pawsx, b"a\tb\t0\na\tb\t0\na\xe4\tb\t0\n", ":3", "0xe4"),
    "json": (squad, '{"data":\n [1 2]}', ":2:5", "broken JSON"),
    "json-cut": (squad, squad_json(question())[:-9], ":20:1", "broken JSON"),
    "shape": (
        squad,
        '{"data": [{"paragraphs": {}}]}',
        ", data[0]",
        "'paragraphs' holds {}, no list",
    ),
    "no-question": (squad, squad_json(), "", "no example"),
    "offset": (
        squad,
        squad_json(question("q7", [("two", 3)])),
        ":10",
        "'q7'.*3.*'two'.* tw",
    ),
    "offset-2": (
        squad,
        squad_json(question(answers=[("tw", -3)])),
        ":10",
        "'q1'.*-3.*'tw'",
    ),
    "answer": (squad, squad_json(question(answers=[("", 3)])), ":10", "expected ''"),
    "ids": (squad, squad_json(question(), question()), ":20", "'q1' occurs twice"),
    "v2": (squad, squad_json(question(is_impossible=True)), ":10", "'q1'.*is_impossible"),
    "context": (squad, squad_json(question(answers=()), context=""), ":10", "'q1'.*empty"),
    "no-answers": (squad, squad_json({"id": "q", "question": "?"}), ":10", "'answers'"),
    "columns-tags": (ner, "a\tO\nb c\tO\tO\n", ":2", "3 .*1 .unlabelled. or 2"),
    "mixed-tags": (ner, "a\tO\n\nb\n", ":3", "1 .*2 as in the lines above"),
    "mixed-tags-2": (ner, "\na\nb\tO\n", ":3", "2 .*1 as in the lines above"),
    "label-tags": (ner, "a\tO\nb\tI-PE", ":2", "'I-PE'.*I-PER"),
    "no-tag": (ner, "a\tO\n\t\n", ":2", "''"),
    "utf8-tags": (ner, b"a\tO\n\n\xc3\tO\n", ":3", "0xc3"),
    "blank-tags": (ner, "\n\n", "", "no example"),
    "columns-conllu": (treebank, word(1) + word(2)[:-3], ":2", "9 .*10"),
    "blank-conllu": (treebank, "# text\n\n", "", "no example"),
    "label-conllu": (treebank, "# text\n" + word(1, tag="N"), ":2", "'N'.*NOUN"),
    "order-conllu": (treebank, word(1) + word(3), ":2", "word 3 after word 1"),
    "id-conllu": (treebank, word(1) + word("x"), ":2", "'x'"),
    "form-conllu": (treebank, word(1, form=""), ":1", "word is empty"),
    "range-conllu": (treebank, word(1) + word("1-2") + word(2), ":2", "range 1-2 after word 1"),
    "range-end": (treebank, word("1-3") + word(1) + word(2), ":1", "ends at 3, the sentence at 2"),
    "range-twice": (treebank, word("1-2") + word("1-2") + word(1) + word(2), ":2", "range 1-2"),
    "utf8-conllu": (treebank, word(1).encode() + b"2\t\xff\n", ":2", "0xff"),
    "ids-start": (tydiqa, squad_json(question("swahili-1")), "", "no example in 'en'"),
    "translated-squad": (
        translated_squad,
        squad_json(question("a", [("two", 3)]), question("b", [("two", 3)]), question("c")),
        ":10",
        "'a'.* tw",
    ),
    "v2-flag": (squad_v2, squad_json(question()), ":10", "'is_impossible' holds None, no bool"),
    "v2-answered": (
        squad_v2,
        squad_json(question(is_impossible=True)),
        ":10",
        "1 answers and is_impossible is True",
    ),
    "v2-unanswered": (
        squad_v2,
        squad_json(question("z", (), is_impossible=False)),
        ":10",
        "'z' has 0 answers and is_impossible is False",
    ),
    "v2-offset": (
        squad_v2,
        squad_json(question(answers=[("two", 5)], is_impossible=False)),
        ":10",
        "'two'.*'wo'",
    ),
    "snli-short": (snli, SNLI_HEADER + "1\ta\tb\tneutral\n", ":2", "4 .*3 and two to six labels"),
    "snli-long": (snli, SNLI_HEADER + "1\ta\tb" + "\tneutral" * 7, ":2", "10 .*two to six"),
    "snli-label": (snli, SNLI_HEADER + "1\ta\tb\tneutral\tb\n", ":2", "'b'.*entailment"),
    "snli-header": (snli, "pairID\tsentence1\n1\ta\n", ":1", "sentence2, gold_label"),
    "text-short": (nli_text, TEXT_HEADER + "-\ta\tb\tp\nneutral\ta\tb\n", ":3", "3 .*6"),
    "text-long": (nli_text, TEXT_HEADER + "neutral\ta\tb\tp\tx\ty\tz\n", ":2", "7 .*6"),
    "text-label": (nli_text, TEXT_HEADER + "\ta\tb\tp\n", ":2", "''"),
    "jsonl-json": (nli_jsonl, lines(PAIR) + '{"a": 1,}\n', ":2:9", "broken JSON"),
    "jsonl-object": (nli_jsonl, lines(PAIR) + "[1]\n", ":2", "no JSON object"),
    "jsonl-field": (nli_jsonl, lines(PAIR, {"pairID": "2"}), ":2", "no column 'sentence1'"),
    "jsonl-label": (nli_jsonl, lines(PAIR, PAIR | {"gold_label": "n"}), ":2", "'n'"),
    "jsonl-text": (nli_jsonl, lines(PAIR | {"sentence2": " "}), ":1", "sentence 2 is empty"),
    "jsonl-blank": (nli_jsonl, lines(PAIR) + "\n\n" + lines(PAIR), ":2:1", "broken JSON"),
    "anli-label": (anli, lines(ANLI, ANLI | {"label": "x"}), ":2", "'x'.*e, n, c, entailment"),
    "anli-field": (anli, lines({"uid": "1"}), ":1", "'context'"),
    "anli-text": (anli, lines(ANLI | {"context": ""}), ":1", "sentence 1 is empty"),
    "xnli-columns": (german_xnli, XNLI_HEADER + "en\tneutral\ta\tb\n", ":2", "4 .*5"),
    "xnli-language": (german_xnli, XNLI_HEADER + "en\tneutral\ta\tb\t1\n", "", "in 'de'"),
    "xnli-label": (german_xnli, XNLI_HEADER + "de\tno\ta\tb\t1\n", ":2", "'no'"),
    "xnli-mt-header": (xnli_mt, "premise\tlabel\na\tneutral\n", ":1", "no column hypo"),
    "xnli-mt-columns": (xnli_mt, "premise\thypo\tlabel\na\tb\n", ":2", "2 .*3"),
    "xnli-mt-label": (xnli_mt, "premise\thypo\tlabel\na\tb\t-\n", ":2", "'-'"),
    "translated-width": (translated, "a\tb\tc\td\n", ":1", "4 .*3 or 5"),
    "translated-many": (
        translated,
        "a\tb\tc\td\t0\n" * 97 + "a\tb\tc\td\n" + "a\tb\tc\td\tz\n" * 2,
        ":98",
        "4 .*5 as in line 1",
    ),
    "qqp-cut": (qqp, QQP_HEADER + "1\t2\t3\ta\tb\t0\n1\t2\t3\ta\tb\n", ":3", "5 .*6"),
    "qqp-cut-2": (qqp, QQP_HEADER + "1\t2\t3\ta\n", ":2", "4 .*6"),
    "qqp-cut-3": (qqp, QQP_HEADER + 'x\t2\t3\t"a\n', ":2", "4 .*6"),
    "qqp-end": (qqp, QQP_HEADER + "1\t2\t0\n", ":2", "3 .*6"),
    "qqp-end-2": (qqp, QQP_HEADER + 'a"\tb\t2\n', ":2", "3 .*6"),
    "qqp-wide": (qqp, QQP_HEADER + "1\t2\t3\ta\tb\tc\t0\n", ":2", "7 .*6"),
    "qqp-label": (qqp, QQP_HEADER + "1\t2\t3\ta\tb\tyes\n", ":2", "'yes'"),
    "qqp-pieces": (qqp, QQP_HEADER + '1\t2\t3\t"a\n', "", "no example"),
    "swag-json": (hellaswag, lines(SWAG) + '{"ctx_a"\n', ":2:9", "broken JSON"),
    "swag-label": (hellaswag, lines(SWAG, SWAG | {"label": 4}), ":2", "'4'.*0, 1, 2, 3"),
    "swag-bool": (hellaswag, lines(SWAG | {"label": True}), ":1", "label 'True'"),
    "swag-endings": (hellaswag, lines(SWAG | {"endings": ["a"] * 3}), ":1", "3 choices.*4"),
    "swag-ending": (hellaswag, lines(SWAG | {"endings": list("ab d")}), ":1", "choice 2 is empty"),
    "swag-text": (hellaswag, lines(SWAG | {"ctx_a": ""}), ":1", "the text is empty"),
    "cosmos-header": (cosmos, "id,context\n1,2\n", ":1", "no column question, answer0"),
    "cosmos-rows": (cosmos, COSMOS_HEADER, "", "header only"),
    "cosmos-columns": (cosmos, COSMOS_HEADER + COSMOS + "i,c,q,a\n", ":3", "4 comma.*8"),
    "cosmos-label": (cosmos, COSMOS_HEADER + '"i\nj"' + COSMOS[1:-2] + "4", ":2", "'4'"),
    "cosmos-line": (
        cosmos,
        COSMOS_HEADER + '"i\r\nj"' + COSMOS[1:] + COSMOS.replace("q", ""),
        ":4",
        "question is empty",
    ),
    "cosmos-quote": (cosmos, COSMOS_HEADER + COSMOS + 'i,"c\n\n', ":3", "broken csv"),
    "cosmos-quote-2": (cosmos, COSMOS_HEADER + COSMOS + 'i,"c"d,q\n', ":3", "broken csv"),
    "cosmos-answer": (cosmos, COSMOS_HEADER + "i,c,q,a,b,,d,0\n", ":2", "choice 2 is empty"),
    "csqa-key": (commonsense, lines(letters(), letters("F")), ":2", "'F'.*A, B, C, D, E"),
    "csqa-four": (commonsense, lines(letters(choices="ABCD")), ":1", "4 choices found, 5"),
    "csqa-order": (commonsense, lines(letters(choices="ABDCE")), ":1", "A, B, D, C, E"),
    "csqa-stem": (commonsense, lines(letters(stem="")), ":1", "text is empty"),
    "csqa-shape": (
        commonsense,
        lines({"id": "1", "question": []}),
        ":1",
        "holds .., no dict",
    ),
    "csqa-option": (commonsense, lines(letters(choices=[])), ":1", "choices are called nothing"),
    "panx-width": (panx, "en:a\tO\nen:b\n", ":2", "1 .*2"),
    "panx-prefix": (panx, "en:a\tO\nb\tO\n", ":2", "'b' does not begin"),
    "panx-label": (panx, "en:a\tO\n\nen:b\tX\n", ":3", "'X'"),
    "panx-blank": (panx, "\n \n", "", "no example"),
    "any-label": (one_file(formats.panx), "en:a\t\n", ":1", "label ''"),
    "ccg-id": (ccg, ID + LEAF + "\n" + LEAF + "\n", ":3", "no ID="),
    "ccg-cut": (ccg, ID + f"(<T S 0 2> {LEAF} (<L NP X X", ":2", "brackets"),
    "ccg-close": (ccg, ID + f"(<T S 0 2> {LEAF} {LEAF}\n", ":2", "brackets"),
    "ccg-leaf-2": (ccg, ID + f"(<T S 0 2> {LEAF} (<L NP X w NP>) )\n", ":2", "brackets"),
    "ccg-leaf": (ccg, ID + "(<L NP X w NP>)\n", ":2", "brackets"),
    "ccg-label": (
        one_file(treebanks.read_ccg, ("N",)),
        ID + LEAF + "\n",
        ":2",
        "'NP'.*labels are N",
    ),
    "ccg-empty": (ccg, ID, "", "no example"),
    "texts-blank": (texts, "\n \n", "", "no example"),
    "texts-utf8": (texts, b"a\n\xff\n", ":2", "0xff"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_reported_with_its_place(name, tmp_path):
    read, content, place, message = FAULTS[name]
    path = tmp_path / "xx.file"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError) as caught:
        read(path)
    assert caught.value.where == f"{path}{place}"
    assert re.search(message, str(caught.value), re.DOTALL)
    assert caught.value.remedy


def test_a_missing_file_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match="cannot be opened") as caught:
        ner(tmp_path / "none.tsv")
    assert caught.value.where == str(tmp_path / "none.tsv")


def test_parallel_files_must_have_equally_many_nonempty_lines(tmp_path):
    english, foreign = tmp_path / "x.eng", tmp_path / "x.deu"
    english.write_text("a\nb\nc\n")
    foreign.write_text("A\nB\n")
    with pytest.raises(DataError, match="3 English lines against 2") as caught:
        parallel(english, foreign)
    assert caught.value.where == f"{english}, {foreign}"
    foreign.write_text("A\n\nC\n")
    with pytest.raises(DataError, match="empty") as caught:
        parallel(english, foreign)
    assert caught.value.where == f"{foreign}:2"


BUCC = {"en": "e1\ta\ne2\tb\n", "de": "d1\tA\nd2\tB\n", "gold": "d1\te2\n"}


@pytest.mark.parametrize(
    ("file", "content", "line", "message"),
    [
        ("gold", "d1\te1\nd2\te9\n", 2, "'e9' is not in .*x.en"),
        ("gold", "d1\te1\ne2\td2\n", 2, "'e2' is not in .*x.de"),
        ("gold", "d1 e1\n", 1, "1 .*2"),
        ("de", "d1\tA\nd1\tB\n", 2, "'d1' occurs twice"),
        ("de", "d1\tA\nd2\n", 2, "1 .*2"),
        ("en", "e1\ta\ne2\t \n", 2, "sentence is empty"),
        ("en", "\ta\n", 1, "id is empty"),
    ],
)
def test_faults_of_three_files_of_a_corpus(file, content, line, message, tmp_path):
    paths = {name: tmp_path / f"x.{name}" for name in BUCC}
    for name, path in paths.items():
        path.write_text(BUCC[name])
    assert len(bucc(*paths.values())) == 4
    paths[file].write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        bucc(*paths.values())
    assert caught.value.where == f"{paths[file]}:{line}"
