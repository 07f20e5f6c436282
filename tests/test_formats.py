"""Tests the readers on real files: counts, labels and texts."""

from __future__ import annotations

import csv
import json
from collections import Counter

import pytest
from readers import (
    anli,
    bucc,
    ccg,
    commonsense,
    cosmos,
    hellaswag,
    mnli,
    panx,
    paws,
    pawsx,
    qqp,
    snli,
    squad,
    tydiqa_train,
    xnli,
)

from xt_jax.data.examples import ChoiceExample, MiningExample, PairExample
from xt_jax.tasks.table import NLI


@pytest.fixture(name="data")
def data_folder(shared):
    return shared / "data"


# The counts of all files that a source finds are in test_source_files.py.
@pytest.mark.parametrize(
    ("read", "name", "labels"),
    [
        (mnli, "mnli/train.tsv", dict.fromkeys(NLI, 962)),
        (xnli, "xnli/dev-sw.tsv", dict.fromkeys(NLI, 200)),
        (xnli, "xnli/test-sw.tsv", {None: 150}),
        (pawsx, "paws_x/test-de.tsv", {None: 200}),
        (paws, "paws_x/x-final/de/test_2k.tsv", {"0": 338, "1": 262}),
        (paws, "paws_x/paws_wiki/dev.tsv", {"0": 1661, "1": 1339}),
        (snli, "snli/train.tsv", dict.fromkeys(NLI, 512)),
        (qqp, "qqp/train.tsv", {"0": 3458, "1": 3542}),
        (qqp, "qqp/dev.tsv", {"0": 377, "1": 223}),
        (anli, "anli/anli_v1.0/R3/dev.jsonl", dict(zip(NLI, (402, 402, 396), strict=True))),
        (commonsense, "commonsense_qa/test_rand_split_no_answers.jsonl", {None: 100}),
        (hellaswag, "hellaswag/hellaswag_val.jsonl", {"0": 195, "1": 163, "2": 174, "3": 168}),
    ],
)
def test_real_labels(read, name, labels, data):
    assert Counter(example.label for example in read(data / name)) == labels


def test_real_answers_stand_in_their_context(data):
    paths = [*data.glob("squad_v1/**/*.json"), *data.glob("xquad/*.json")]
    paths += [*data.glob("mlqa/**/*.json"), *data.glob("tydiqa/**/*.json")]
    assert len(paths) > 30
    for path in paths:
        renumber = "tydiqa.goldp" in path.name  # XTREME has cut these ids
        examples = (tydiqa_train if renumber else squad)(path)
        blanked = "MLQA_V1/test/" in str(path)
        assert all(bool(example.answers) != blanked for example in examples)
        for span in examples:
            assert all(span.context.startswith(text, at) for text, at in span.answers or ())


def test_quotes_of_pawsx_are_undone_as_the_csv_module_would(data):
    quoted = 0
    for path in data.glob("paws_x/*.tsv"):
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file, delimiter="\t"))
        examples = pawsx(path)
        assert [
            (e.text_a, e.text_b, *([] if e.label is None else [e.label])) for e in examples
        ] == [tuple(row) for row in rows]
        if "dev" in path.name:
            quoted += sum('"' in "".join(row) for row in rows)
    assert quoted == 143


def test_mnli_keeps_quotes_and_pair_ids(data):
    first, *rest = mnli(data / "mnli/train.tsv")
    assert first == PairExample("1185e", "That's all right.", "That's fine.", "entailment")
    raw = (data / "mnli/train.tsv").read_text(encoding="utf-8").split("\n")[1:-1]
    assert [line.split("\t")[8] for line in raw[1:]] == [example.text_a for example in rest]
    assert sum('"' in example.text_a + example.text_b for example in rest) > 50


def test_real_choices(data):
    first = hellaswag(data / "hellaswag/hellaswag_train.jsonl")[1]
    assert first == ChoiceExample(
        "1",
        "A female chef in white uniform shows a stack of baking pans in a large kitchen "
        "presenting them.",
        (
            "the pans contain egg yolks and baking soda.",
            "the pans are then sprinkled with brown sugar.",
            "the pans are placed in a strainer on the counter.",
            "the pans are filled with pastries and loaded into the oven.",
        ),
        "3",
    )
    with (data / "hellaswag/hellaswag_val.jsonl").open(encoding="utf-8") as file:
        starts = [json.loads(line)["ctx_b"] for line in file]
    read = hellaswag(data / "hellaswag/hellaswag_val.jsonl")
    assert starts.count("") == 61
    for start, one in zip(starts, read, strict=True):
        assert all(c.startswith(f"{start} " if start else "") and c[0] != " " for c in one.choices)
    with (data / "cosmos_qa/valid.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert cosmos(data / "cosmos_qa/valid.csv") == [
        ChoiceExample(
            row["id"],
            row["context"],
            tuple(f"{row['question']} {row[f'answer{i}']}" for i in range(4)),
            row["label"],
        )
        for row in rows
    ]
    question = commonsense(data / "commonsense_qa/train_rand_split.jsonl")[1]
    assert question.text == "Sammy wanted to go to where the people were.  Where might he go?"
    assert question.choices[int(question.label)] == "populated areas"


def test_real_supertags(data):
    sentences = ccg(data / "ccg/UD_English-EWT/en_ewt-ud-train.auto")
    assert sum(len(sentence.words) for sentence in sentences) == 34884
    assert len({tag for sentence in sentences for tag in sentence.tags}) == 275
    first = ccg(data / "ccg/UD_English-EWT/en_ewt-ud-dev.auto")[0]
    assert first.words == ("From", "the", "AP", "comes", "this", "story", ":")
    assert first.tags == ("((S/NP)/(S/NP))/NP", "NP/NP", "NP", "S/NP", "NP/NP", "NP", ":")


def test_raw_panx_is_what_xtreme_made_of_it(data):
    actual = panx(data / "panx/raw_sample/en/dev")[0]
    assert " ".join(actual.words) == "Sioux Falls Arena ( Sioux Falls , South Dakota )"
    assert actual.tags[:4] == ("B-ORG", "I-ORG", "I-ORG", "O")


def test_real_bucc_pairs(data):
    sides = data / "bucc2018/zh-en.dev.en", data / "bucc2018/zh-en.dev.zh"
    sentences = bucc(*sides, data / "bucc2018/zh-en.dev.gold")
    foreign, english = sentences[:8624], sentences[8624:]
    assert not any(sentence.english for sentence in foreign)
    assert all(sentence.english for sentence in english)
    assert sum(len(sentence.partners) for sentence in foreign) == 257
    assert {sentence.partners for sentence in english} == {None}
    assert foreign[56].partners == ("en-000008530",)
    assert english[0] == MiningExample(
        "en-000000001",
        "Coalition strategy relied on establishing a number of patrol bases called Combat "
        "Operation Posts throughout the city.",
        True,
        None,
    )
    unlabelled = bucc(*sides)
    assert unlabelled == [sentence._replace(partners=None) for sentence in sentences]
