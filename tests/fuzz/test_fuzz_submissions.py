"""Damaged submissions, and predictions of an earlier run; see test_fuzz_data.py."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest
import submissions
from etils import epath
from mutations import SEED, Outcomes, damaged, rounds

from xt_jax.study.job import TargetRecord
from xt_jax.tasks.benchmarks import BENCHMARKS
from xt_jax.tasks.submission.official import score_file
from xt_jax.tasks.table import TASKS


def test_damaged_submissions(tmp_path):
    rng, outcomes = Random(f"submissions {SEED}"), Outcomes()
    whole = {version: submissions.made_up(tmp_path / version, version) for version in BENCHMARKS}
    places = [
        (version, entry, language)
        for version, benchmark in BENCHMARKS.items()
        for entry in benchmark.entries
        for language in entry.languages
    ]
    for turn in range(rounds(300)):
        version, entry, language = rng.choice(places)
        sides = [entry.file(whole[version] / name, language) for name in ("predictions", "labels")]
        if rng.random() < 0.2:
            sides[0] = sides[1]  # all right, less the damage
        changed = rng.randrange(2)
        path = tmp_path / f"damaged{sides[changed].suffix}"
        path.write_bytes(data := damaged(rng, Path(sides[changed]).read_bytes()))
        sides[changed] = path
        about = f"turn {turn} of seed {SEED}: {version} {entry.folder} {language}, side {changed}"
        found = outcomes.attempt(entry.folder, about, partial(score_file, entry, language, *sides))
        if found is None:
            continue
        scores, notes = found
        data.decode()
        assert scores, about
        assert all(math.isfinite(v) and 0 <= v <= 100 for v in scores.values()), about
        assert set(entry.metrics) <= set(scores), about
        assert all(isinstance(note, str) and len(note) < 5000 for note in notes), about
    outcomes.check()


@pytest.mark.parametrize("task", ["xnli", "panx", "bucc"])
def test_damaged_predictions_of_an_earlier_run(task, tmp_path):
    rng, outcomes = Random(f"predictions {SEED} {task}"), Outcomes()
    path = epath.Path(tmp_path / "predictions.jsonl")
    values = {"xnli": "neutral", "panx": ["O", "B-PER"], "bucc": "en-1"}
    rows = [json.dumps({"id": f"é{n}", "prediction": values[task]}) for n in range(30)]
    whole = "".join(f"{row}\n" for row in rows).encode()
    dataset = SimpleNamespace(examples=[SimpleNamespace(id=f"é{n}") for n in range(30)])
    record = SimpleNamespace(_predictions=lambda _: path, data=SimpleNamespace(task=TASKS[task]))
    read = partial(TargetRecord._read_predictions, record, dataset)
    for turn in range(rounds(60)):
        path.write_bytes(damaged(rng, whole))
        about = f"turn {turn} of seed {SEED}: {task}"
        found = outcomes.attempt(task, about, read)
        assert found is None or task == "bucc" or len(found) == 30, about
    outcomes.check()
