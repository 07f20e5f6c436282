"""Writes the official file formats; `xt_jax.data.formats` reads back exactly what was written.

Ids that a format does not store are row numbers from 0. An example that a format cannot represent
(a tab in a tab-separated file, a pair without a label) is a DataError, and nothing is written.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from functools import partial
from typing import Any

from etils import epath

from xt_jax.data.examples import (
    ChoiceExample,
    MiningExample,
    PairExample,
    SentenceExample,
    TagExample,
    TextExample,
)
from xt_jax.data.squad import write_squad
from xt_jax.errors import DataError
from xt_jax.files import atomic_write_text

MNLI_HEADER = (
    "index promptID pairID genre sentence1_binary_parse sentence2_binary_parse sentence1_parse "
    "sentence2_parse sentence1 sentence2 label1 gold_label"
).split()
PAWS_HEADER = "id sentence1 sentence2 label".split()
QQP_HEADER = "id qid1 qid2 question1 question2 is_duplicate".split()
COSMOS_HEADER = "id context question answer0 answer1 answer2 answer3 label".split()
ANLI_LETTERS = {"entailment": "e", "neutral": "n", "contradiction": "c"}
CHOICE_LETTERS = "ABCDE"

write_squad_v2 = partial(write_squad, version="v2.0")


def write_mnli(path: epath.PathLike, examples: Sequence[PairExample]) -> None:
    """Writes labelled pairs in the 12 columns of GLUE's MNLI train file; parses stay empty."""
    rows = [
        [str(index), "", id_, *[""] * 5, text_a, text_b, label, label]
        for index, (id_, text_a, text_b, label) in enumerate(_labelled(examples, path))
    ]
    _write_rows(path, [MNLI_HEADER, *rows])


def write_nli_jsonl(path: epath.PathLike, examples: Sequence[PairExample]) -> None:
    """Writes labelled pairs as the JSON Lines of SNLI 1.0 and MultiNLI 1.0, without the parses."""
    names = ("pairID", "sentence1", "sentence2", "gold_label")
    rows = _labelled(examples, path)
    _write_json_lines(path, [dict(zip(names, row, strict=True)) for row in rows])


def write_anli(path: epath.PathLike, examples: Sequence[PairExample]) -> None:
    """Writes labelled pairs as ANLI's JSON Lines."""
    records = []
    for id_, text_a, text_b, label in _labelled(examples, path):
        if label not in ANLI_LETTERS:
            raise _unwritable(f"pair {id_!r} has the label {label!r}", path)
        texts = {"uid": id_, "context": text_a, "hypothesis": text_b}
        records.append(texts | {"label": ANLI_LETTERS[label]})
    _write_json_lines(path, records)


def write_paws(path: epath.PathLike, examples: Sequence[PairExample]) -> None:
    """Writes labelled pairs under PAWS's header, `id sentence1 sentence2 label`."""
    _write_rows(path, [PAWS_HEADER, *_labelled(examples, path)])


def write_qqp(path: epath.PathLike, examples: Sequence[PairExample]) -> None:
    """Writes labelled pairs in the six columns of GLUE's QQP; the questions' own ids stay empty."""
    rows = [[id_, "", "", *texts_and_label] for id_, *texts_and_label in _labelled(examples, path)]
    _write_rows(path, [QQP_HEADER, *rows])


def write_xtreme_pairs(path: epath.PathLike, examples: Sequence[PairExample]) -> None:
    """Writes pairs, all labelled or none, as XTREME does: no header, csv quoting, CR LF."""
    if all(example.label is None for example in examples):
        rows = [[example.text_a, example.text_b] for example in examples]
    else:
        rows = [list(row[1:]) for row in _labelled(examples, path)]
    _write_rows(path, [[_quoted(cell) for cell in row] for row in rows], end="\r\n")


def write_hellaswag(path: epath.PathLike, examples: Sequence[ChoiceExample]) -> None:
    """Writes HellaSwag's JSON Lines; each ending holds the whole choice and `ctx_b` is empty."""
    records = []
    for index, (_, text, choices, label) in enumerate(examples):
        record = {"ind": index, "ctx_a": text, "ctx_b": "", "endings": choices}
        records.append(record | ({} if label is None else {"label": int(label)}))
    _write_json_lines(path, records)


def write_cosmos_qa(path: epath.PathLike, examples: Sequence[ChoiceExample]) -> None:
    """Writes Cosmos QA's csv; the question is the beginning that all choices share."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COSMOS_HEADER)
    for id_, context, choices, label in examples:
        question = _shared_start(choices)
        if label is None or not question or len(choices) != 4:
            raise _unwritable(f"{id_!r} has no label, or no question and four answers", path)
        answers = [choice[len(question) + 1 :] for choice in choices]
        writer.writerow([id_, context, question, *answers, label])
    atomic_write_text(path, text.getvalue())


def write_commonsense_qa(path: epath.PathLike, examples: Sequence[ChoiceExample]) -> None:
    """Writes CommonsenseQA's JSON Lines; the concept of a question stays empty."""
    records = []
    for id_, stem, choices, label in examples:
        if len(choices) > len(CHOICE_LETTERS):
            raise _unwritable(f"{id_!r} has {len(choices)} choices", path)
        lettered = zip(CHOICE_LETTERS, choices, strict=False)
        options = [{"label": letter, "text": text} for letter, text in lettered]
        key = {} if label is None else {"answerKey": CHOICE_LETTERS[int(label)]}
        question = {"question_concept": "", "choices": options, "stem": stem}
        records.append(key | {"id": id_, "question": question})
    _write_json_lines(path, records)


def write_tags(path: epath.PathLike, examples: Sequence[TagExample]) -> None:
    """Writes `word TAB tag` lines (words alone if `tags` is None), with blank lines between."""
    rows: list[Sequence[str]] = []
    for example in examples:
        columns = [example.words] if example.tags is None else [example.words, example.tags]
        if not example.words or len({len(column) for column in columns}) > 1:
            raise _unwritable(f"sentence {example.id!r} needs words and a tag for each", path)
        if example.tags is None and not all(word.strip() for word in example.words):
            raise _unwritable(f"sentence {example.id!r} holds a blank word and no tags", path)
        rows += [*zip(*columns, strict=True), [""]]
    _write_rows(path, rows)


def write_ccg(path: epath.PathLike, examples: Sequence[TagExample]) -> None:
    """Writes `.auto` lines: the leaves of a right-branching tree whose inner nodes are all `S`."""
    lines = []
    for example in examples:
        tags = example.tags or ()
        if not example.words or len(tags) != len(example.words):
            raise _unwritable(f"sentence {example.id!r} needs words and a tag for each", path)
        for text in (example.id, *example.words, *tags):
            if not text or " " in text or "(<" in text:
                raise _unwritable(f"sentence {example.id!r} holds {text!r}", path)
        leaves = [
            f"(<L {tag} X X {word} {tag}>)" for word, tag in zip(example.words, tags, strict=True)
        ]
        tree = leaves.pop()
        for leaf in reversed(leaves):
            tree = f"(<T S 0 2> {leaf} {tree} )"
        lines += [[f"ID={example.id} PARSER=GOLD NUMPARSE=1"], [tree]]
    _write_rows(path, lines)


def write_parallel(
    english_path: epath.PathLike, foreign_path: epath.PathLike, examples: Sequence[SentenceExample]
) -> None:
    """Writes two files: line i holds the English and the foreign sentence of example i."""
    _write_rows(english_path, [[example.english] for example in examples])
    _write_rows(foreign_path, [[example.translation] for example in examples])


def write_bucc(
    english_path: epath.PathLike,
    foreign_path: epath.PathLike,
    gold_path: epath.PathLike | None,
    examples: Sequence[MiningExample],
) -> None:
    """Writes a pair of corpora, and the gold pairs unless `gold_path` is None."""
    sides: tuple[list[list[str]], list[list[str]]] = ([], [])
    for example in examples:
        sides[example.english].append([example.id, example.text])
    gold = [[example.id, partner] for example in examples for partner in example.partners or ()]
    if gold_path is None and any(example.partners is not None for example in examples):
        raise _unwritable("the examples have partners, and there is no gold file", foreign_path)
    _write_rows(foreign_path, sides[False])
    _write_rows(english_path, sides[True])
    if gold_path is not None:
        _write_rows(gold_path, gold)


def write_texts(path: epath.PathLike, examples: Sequence[TextExample]) -> None:
    """Writes plain text with one passage per line."""
    _write_rows(path, [[example.text] for example in examples])


def _labelled(
    examples: Sequence[PairExample], path: epath.PathLike
) -> list[tuple[str, str, str, str]]:
    """Returns the pairs as rows to write; each must have a label."""
    rows = []
    for id_, text_a, text_b, label in examples:
        if label is None:
            raise _unwritable(f"pair {id_!r} has no label", path)
        rows.append((id_, text_a, text_b, label))
    return rows


def _shared_start(choices: Sequence[str]) -> str:
    """Returns the longest common beginning before a space that leaves no choice empty."""
    first, last = min(choices), max(choices)
    same = 0
    while same < min(len(first), len(last)) and first[same] == last[same]:
        same += 1
    end = first.rfind(" ", 0, same)
    while end > 0 and not all(choice[end + 1 :].strip() for choice in choices):
        end = first.rfind(" ", 0, end)
    return first[:end] if end > 0 else ""


def _quoted(cell: str) -> str:
    """Quotes a cell as Python's csv module quotes a tab-separated field."""
    return '"' + cell.replace('"', '""') + '"' if '"' in cell else cell


def _write_rows(path: epath.PathLike, rows: Sequence[Sequence[str]], end: str = "\n") -> None:
    """Writes tab-separated lines; raises a DataError for a cell with a tab or line end."""
    for row in rows:
        for cell in row:
            if any(mark in cell for mark in "\t\n\r"):
                raise _unwritable(f"a tab or line end stands in {cell!r}", path)
    text = "".join("\t".join(row) + end for row in rows)
    # A byte-order mark at the very start would be read as the file's own, so it is doubled.
    byte_order_mark = "\ufeff" if text.startswith("\ufeff") else ""
    atomic_write_text(path, byte_order_mark + text)


def _write_json_lines(path: epath.PathLike, records: Sequence[dict[str, Any]]) -> None:
    lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    atomic_write_text(path, "".join(lines))


def _unwritable(problem: str, path: epath.PathLike) -> DataError:
    return DataError(problem, where=path, remedy="the format cannot hold this; change the example")
