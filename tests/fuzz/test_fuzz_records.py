"""Damaged records of a study: rows, logs, status, example scores, locks; see test_fuzz_data.py."""

from __future__ import annotations

import io
import json
import math
import shutil
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from etils import epath
from mutations import ODD_VALUES, SEED, Outcomes, damaged, rounds
from synthetic import study_rows

from xt_jax import status
from xt_jax.errors import DataError
from xt_jax.records.lock import owner_of
from xt_jax.records.progress import Progress, read_status
from xt_jax.records.results import Results, append_rows
from xt_jax.report import plots
from xt_jax.report.csv_files import csv_files
from xt_jax.report.document import to_html, to_markdown
from xt_jax.report.study_results import StudyResults, read_study
from xt_jax.report.write import report
from xt_jax.study.forecast import _measured

PHASE = "phases/xnli-after-mnli-s0-0123456789ab"
N = 12  # examples of a data set


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[str, bytes]:
    """The records of a small study, by their paths."""
    folder = epath.Path(tmp_path_factory.mktemp("whole"))
    sizes, seeds = {"mini-48": 56_544, "mini-64": 149_952}, 2
    rows = study_rows(sizes, ("direct", "mnli"), ("xnli", "tatoeba"), seeds, ("de",), layers=True)
    for i, row in enumerate(rows):  # each run and data set has a name of its own
        row |= {"n": N, "run": f"{i:012x}", "data": f"{row['target']}-{row['language']}"}
        row["value"] = 100 * round(row["value"] * N / 100) / N
    append_rows(folder / "results.jsonl", rows[: len(rows) // 2])
    append_rows(folder / "results-1-of-2.jsonl", rows[len(rows) // 2 :])
    files = {name: (folder / name).read_bytes() for name in ("results.jsonl",)}
    files["results-1-of-2.jsonl"] = (folder / "results-1-of-2.jsonl").read_bytes()
    for row in rows[:6]:
        right = round(row["value"] * N / 100)
        array = np.stack([np.arange(N) < right, np.ones(N, bool)], axis=1).astype(np.uint8)
        buffer = io.BytesIO()
        np.save(buffer, array)
        files[f"example_scores/{row['run']}-{row['data']}.npy"] = buffer.getvalue()
    with Progress(folder / "status.json", ["a", "b", "c"], [1.0, 2.0, 3.0], interval=0) as jobs:
        jobs.begin("a")
        jobs.finish("a")
        jobs.begin("b")
        jobs.advance("b", 0.5)
        jobs.advance("b", 0.5)
        files["status.json"] = (folder / "status.json").read_bytes()
    lines = [
        {"step": s, "loss": 1.5, "dev": 50.0, "tflops": 0.1, "seconds": s} for s in (100, 200, 300)
    ]
    files[f"{PHASE}/log.jsonl"] = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    record = {"model": "mini-48", "phase": "xnli", "seed": "0", "steps": 300, "tokens": 9000}
    record |= {"role": "target", "command": "python run.py", "machine": "2 CPU cores"}
    files[f"{PHASE}/phase.json"] = json.dumps(record).encode()
    tried = [{"learning_rate": 0.1, "score": 40.0}, {"learning_rate": 0.3, "score": None}]
    sweep = {"phase": "xnli", "seed": 0, "chosen": 0.1, "by": "accuracy", "candidates": tried}
    files[f"{PHASE}/rates.json"] = json.dumps(sweep).encode()
    return files


def write(folder: Path, files: dict[str, bytes]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def odd_field(rng: Random, data: bytes) -> bytes:
    """Gives a field of one line of JSON an odd value."""
    lines = data.split(b"\n")
    i = rng.randrange(max(1, len(lines) - 1))
    try:
        row = json.loads(lines[i])
        row[rng.choice([*row, "set_of"])] = rng.choice(ODD_VALUES)
        lines[i] = json.dumps(row).encode()
    except (ValueError, TypeError):
        return damaged(rng, data)
    return b"\n".join(lines)


def damage_one(rng: Random, whole: dict[str, bytes]) -> tuple[str, dict[str, bytes]]:
    """Damages one or two of the files; returns (the name of the last, all files)."""
    files, name = dict(whole), ""
    names = [
        *whole,
        *["results.jsonl", "status.json", f"{PHASE}/log.jsonl", f"{PHASE}/rates.json"] * 3,
    ]
    for _ in range(rng.choice((1, 1, 2))):
        name = rng.choice(names)
        damage = rng.choice((damaged, odd_field))
        files[name] = damage(rng, files[name])
    return name, files


def shown(study: StudyResults, rng: Random) -> None:
    """Makes all that a report writes, and now and then a picture."""
    drawings = plots.drawings(study)
    if drawings and rng.random() < 0.05:
        plots.draw(rng.choice(drawings))
    blocks = report(study, drawings)
    to_markdown(blocks).encode()
    to_html(blocks, {drawing.name: "<svg/>" for drawing in drawings}).encode()
    for text in csv_files(study).values():
        text.encode()


def assert_sensible(study: StudyResults, about: str) -> None:
    values = study.rows["value"]
    assert ((values >= -1e-5) & (values <= 100.001)).all(), about
    assert (study.rows["n"] > 0).all(), about
    for gap in study.findings.gaps:
        assert math.isfinite(gap.estimate.value), about


def test_damaged_records(whole, tmp_path):
    rng, outcomes = Random(f"records {SEED}"), Outcomes()
    folder = epath.Path(tmp_path / "study")
    for turn in range(rounds(12)):
        name, files = damage_one(rng, whole)
        about = f"turn {turn} of seed {SEED}: {name}"
        write(Path(folder), files)
        study = outcomes.attempt("report", about, partial(read_study, folder))
        left_out: list[DataError] = []
        skipping = partial(read_study, folder, malformed=left_out.append)
        skipped = outcomes.attempt("skipping", about, skipping)
        assert skipped is not None, about
        assert bool(left_out) == (study is None), f"{about}: {left_out}"
        assert all(error.where and error.problem for error in left_out), about
        assert_sensible(skipped, about)
        outcomes.attempt("shown", about, partial(shown, skipped, rng))
        outcomes.attempt("opened", about, partial(opened, folder))
        outcomes.attempt("forecast", about, partial(_measured, folder))
        outcomes.attempt("status", about, partial(listed, folder / "status.json"))
    outcomes.check()


def listed(path: epath.Path) -> list[str]:
    return status.lines(read_status(path), True)


def opened(folder: epath.Path) -> None:
    """Opens the results as a run does, and appends to them."""
    results = Results.open(folder)
    results.append(study_rows({"mini-48": 56_544}, ("direct",), ("xnli",), 1, ("de",)))
    results.close()
    Results.open(folder).close()


def test_damaged_status_files(whole, tmp_path):
    rng, outcomes = Random(f"status {SEED}"), Outcomes()
    path = tmp_path / "status.json"
    for turn in range(rounds(300)):
        path.write_bytes(rng.choice((damaged, odd_field))(rng, whole["status.json"]))
        about = f"turn {turn} of seed {SEED}"
        content = outcomes.attempt("status", about, partial(read_status, epath.Path(path)))
        if content is not None:
            outcomes.attempt("lines", about, partial(status.lines, content, True))
    outcomes.check()


def test_damaged_locks(tmp_path):
    """A lock that cannot be read has no owner."""
    rng = Random(f"locks {SEED}")
    fields: dict[str, Any] = {"host": "h", "machine": "m", "process": 12, "started": "9"}
    fields |= {"since": 1.0, "alive": 2.0, "command": "python run.py", "token": "t"}
    path = tmp_path / "results.lock"
    owned = 0
    for turn in range(rounds(300)):
        data = json.dumps(fields, indent=rng.choice((None, 1))).encode()
        path.write_bytes(rng.choice((damaged, odd_field))(rng, data))
        owner = owner_of(path)
        owned += owner is not None
        assert owner is None or isinstance(owner.is_gone(), bool), turn
    assert 0 < owned < rounds(300)
