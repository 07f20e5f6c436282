"""Damaged tables of the hub and data sets that TFDS prepared; see test_fuzz_data.py."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import released
from data_pieces import check_examples
from mutations import ODD_VALUES, SEED, Outcomes, damaged, rounds

from xt_jax.data.sources import Source, has_labels
from xt_jax.data.sources.hub import HubSource
from xt_jax.data.sources.tfds import TfdsSource
from xt_jax.tasks.table import TASKS

TABLES = {
    ("mnli", "train", "en"): "nyu-mll/glue/mnli/train-00000-of-00001.parquet",
    ("xnli", "dev", "de"): "google/xtreme/XNLI/validation-00000-of-00001.parquet",
    ("panx", "dev", "de"): "google/xtreme/PAN-X.de/validation-00000-of-00001.parquet",
    ("xquad", "test", "de"): "google/xtreme/XQuAD.de/validation-00000-of-00001.parquet",
    ("tatoeba", "test", "de"): "google/xtreme/tatoeba.deu/validation-00000-of-00001.parquet",
    ("commonsense_qa", "dev", "en"): "tau/commonsense_qa/data/validation-00000-of-00001.parquet",
}
ROWS: dict[str, list[dict[str, Any]]] = {
    "mnli": [{"premise": "A cat sat.", "hypothesis": "It sat.", "label": n % 3} for n in range(9)],
    "xnli": [
        {"language": code, "sentence1": "Ja.", "sentence2": "Doch.", "gold_label": "neutral"}
        for code in ("de", "fr") * 3
    ],
    "panx": [{"tokens": ["Anna", "aß"], "ner_tags": [n % 7, 0]} for n in range(8)],
    "xquad": [
        {
            "id": str(n),
            "context": "Anna war in Köln, 2015.",
            "question": "Wo?",
            "answers": {"text": ["Köln"], "answer_start": [12]},
        }
        for n in range(6)
    ],
    "tatoeba": [{"source_sentence": "Ja.\n", "target_sentence": "Yes.\n"}] * 5,
    "commonsense_qa": [
        {
            "id": str(n),
            "question": "Why?",
            "choices": {"label": list("ABCDE"), "text": ["a", "b", "c", "d", "e"]},
            "answerKey": "ABCDE"[n],
        }
        for n in range(5)
    ],
}
CLASSES = {
    "mnli": {"label": {"names": ["entailment", "neutral", "contradiction"], "_type": "ClassLabel"}},
    "panx": {"ner_tags": {"feature": {"names": list("OabcdeF"), "_type": "ClassLabel"}}},
}


def table_of(rng: Random, task: str) -> pa.Table:
    """Returns rows of which a value, a string's bytes or the stated classes may be odd."""
    rows = json.loads(json.dumps(ROWS[task]))
    if rng.random() < 0.5:
        row = rng.choice(rows)
        name = rng.choice(list(row))
        row[name] = rng.choice(ODD_VALUES)
        if rng.random() < 0.5:
            for each in rows:
                each[name] = row[name]
    table = pa.Table.from_pylist(rows)
    if rng.random() < 0.3:
        stated = json.dumps({"info": {"features": CLASSES.get(task, {})}}).encode()
        table = table.replace_schema_metadata({"huggingface": damaged(rng, stated)})
    if rng.random() < 0.3:
        index = rng.randrange(table.num_columns)
        if pa.types.is_string(table.schema.field(index).type):
            values = [rng.choice((b"a", b"\xff", b"\xed\xa0\x80")) for _ in rows]
            binary = pa.array(values, pa.binary())
            column = pa.StringArray.from_buffers(len(rows), *binary.buffers()[1:])
            table = table.set_column(index, table.schema.field(index).name, column)
    return table


def read(open_source: Any, root: Path, task: str, split: str, language: str) -> list:
    """Returns the examples of a split."""
    source: Source = open_source(str(root))
    examples = []
    for found in source.find(task, split, language):
        examples = found.read(TASKS[task].labels)
        has_labels(found, examples)
    return examples


def test_damaged_tables(tmp_path):
    rng, outcomes = Random(f"tables {SEED}"), Outcomes()
    for place in TABLES.values():
        (tmp_path / place).parent.mkdir(parents=True)
    for turn in range(rounds(200)):
        split = rng.choice(list(TABLES))
        path = tmp_path / TABLES[split]
        try:
            pq.write_table(table_of(rng, split[0]), path)
        except (pa.ArrowException, OverflowError, UnicodeEncodeError):
            continue  # no such file can be written
        if rng.random() < 0.4:
            path.write_bytes(damaged(rng, path.read_bytes()))
        about = f"turn {turn} of seed {SEED}: {split}"
        examples = outcomes.attempt(split[0], about, partial(read, HubSource, tmp_path, *split))
        if examples is not None:
            check_examples(split[0], examples)
    outcomes.check()


@pytest.mark.slow
def test_damaged_data_sets_of_tfds(shared, tmp_path):
    rng, outcomes = Random(f"tfds {SEED}"), Outcomes()
    releases = released.compose(shared / "data", tmp_path / "releases")
    here = Path(released.__file__).parent
    command = [sys.executable, here / "prepare_tfds.py", releases, tmp_path / "whole", "xquad/en"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(here.parent), str(here)])}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    split = ("xquad", "test", "en")
    read(TfdsSource, tmp_path / "whole", *split)  # imports TFDS, which takes seconds
    for turn in range(rounds(40)):
        root = tmp_path / str(turn)
        shutil.copytree(tmp_path / "whole", root)
        path = rng.choice(sorted(p for p in root.rglob("*") if p.is_file()))
        path.write_bytes(damaged(rng, path.read_bytes()))
        about = f"turn {turn} of seed {SEED}: {path.name}"
        examples = outcomes.attempt(path.name, about, partial(read, TfdsSource, root, *split))
        if examples:
            check_examples("xquad", examples)
            assert len(examples) == 298, about
        shutil.rmtree(root)
    outcomes.check()
