"""A packed study: one small file from which the same report is made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from etils import epath
from small_study import TARGETS, Study

from xt_jax.errors import DataError
from xt_jax.records import example_scores
from xt_jax.records.results import append_rows
from xt_jax.report import __main__ as command
from xt_jax.report.packed import FILE, pack, unpacked


@pytest.fixture
def workdir(tmp_path):
    """A workdir in two shards with per-example scores, logs of phases and a status file."""
    study, folder = Study(targets=TARGETS[::2], seeds=2), tmp_path / "work"
    half = len(study.rows) // 2
    append_rows(folder / "results-1-of-2.jsonl", study.rows[:half])
    append_rows(folder / "results-2-of-2.jsonl", study.rows[half:])
    for (run, data), array in study.arrays.items():
        example_scores.write(epath.Path(folder), run, data, array)
    for after in ("", "-after-mnli"):
        phase = folder / "phases" / f"xquad{after}-s0-0ed05036be27"
        phase.mkdir(parents=True)
        about = {"model": "mini-48", "seed": "0", "phase": "xquad", "steps": 200, "tokens": 5000}
        (phase / "phase.json").write_text(json.dumps(about | {"machine": "2 CPU cores"}))
        lines = [
            {"step": step, "dev": step / 5, "loss": 1.0, "fill": 0.9, "seconds": step / 10}
            for step in (100, 200)
        ]
        (phase / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    candidates = [{"learning_rate": 0.1, "score": 40.0}, {"learning_rate": 0.3, "score": None}]
    rates = {"chosen": 0.1, "by": "f1 on English dev", "candidates": candidates}
    (phase / "rates.json").write_text(json.dumps(rates))
    jobs = [{"name": "a", "state": "waiting", "cost": 1.0}]
    status = {"command": "python run.py", "began": 1.0, "written": 2.0, "jobs": jobs}
    (folder / "status.json").write_text(json.dumps(status))
    return folder


def report(results, *more: str) -> None:
    command.main([f"--results={results}", *more])


def files(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_packed_study_makes_the_same_report(workdir, tmp_path):
    report(workdir, f"--output={tmp_path / 'first'}", "--pack")
    first = files(tmp_path / "first")
    page = first["report.html"].decode()
    assert "over seeds and test examples" in page  # as only per-example scores say
    assert "python run.py" in page
    assert {"learning_curves.svg", "cost.csv", "rates.csv"} <= first.keys()

    packed = tmp_path / "packed"
    packed.mkdir()
    (packed / FILE).write_bytes(first[FILE])
    report(packed, "--pack")  # beside the results
    assert files(packed) == first


def test_a_packed_study_has_no_more_than_a_report_shows(workdir, tmp_path):
    pack(epath.Path(workdir), epath.Path(tmp_path))
    with unpacked(epath.Path(tmp_path)) as study:
        names = {path.relative_to(study).as_posix() for path in Path(study).glob("**/*.*")}
        assert json.loads((study / "status.json").read_text())["jobs"] == []
        (log, _) = study.glob("phases/*/log.jsonl")
        assert "fill" not in log.read_text()
    arrays = {path.name for path in (workdir / "example_scores").iterdir()}
    assert {name for name in names if "/" not in name} == {"results.jsonl", "status.json"}
    assert {f"example_scores/{name}" for name in arrays} <= names
    assert not study.exists()


def test_rows_are_preferred_to_a_packed_study(workdir):
    (workdir / FILE).write_bytes(b"damaged")
    with unpacked(epath.Path(workdir)) as study:
        assert study == epath.Path(workdir)


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:-99], lambda data: b"<p>"])
def test_a_damaged_file_is_named(damage, workdir, tmp_path):
    path = pack(epath.Path(workdir), epath.Path(tmp_path))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match="packed study cannot be read") as error:
        report(tmp_path)
    assert error.value.where == str(path)
