"""`python -m xt_jax.report`, the files it writes, and the CSV files."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import subprocess
import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from conftest import ROOT
from synthetic import THREE, analysed, phase_logs, study_rows

from xt_jax.errors import ConfigError, DataError
from xt_jax.records.results import append_rows
from xt_jax.report import __main__ as command
from xt_jax.report.csv_files import csv_files
from xt_jax.report.statistics.combined import RETRIEVAL, TRAINED

ROWS = study_rows(THREE, ("direct", "mnli"), ("xnli",), 2)


def run(folder, output, *more: str) -> None:
    command.main([f"--results={folder}", f"--output={output}", *more])


def test_the_files_of_a_report_lie_in_the_output_folder(tmp_path, capsys):
    half = len(ROWS) // 2
    append_rows(tmp_path / "study" / "results-1-of-2.jsonl", ROWS[:half])
    append_rows(tmp_path / "study" / "results-2-of-2.jsonl", ROWS[half:])
    run(tmp_path / "study", tmp_path / "out")
    names = ("gap_by_size", "heat_map", "languages_by_script", "languages_by_family", "scores")
    names += ("contrasts", "matching")
    pictures = {f"{name}.{suffix}" for name in names for suffix in ("svg", "png")}
    texts = {"report.md", "report.html", "gaps.csv", "slopes.csv", "results.csv", "languages.csv"}
    texts |= {"contrasts.csv", "matching.csv"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == pictures | texts
    assert len(list((tmp_path / "study").iterdir())) == 2
    shown = capsys.readouterr().out
    assert "From 3 sizes" in shown
    assert "| trained targets" in shown  # but neither pictures nor what a page folds
    assert not {"## Scores", "### xquad, f1"} & set(shown.splitlines())
    assert "![" not in shown
    assert str(tmp_path / "out" / "report.html") in shown


PROGRAM = """
import sys
from xt_jax.report import __main__ as command
command.main(sys.argv[1:])
assert "matplotlib.pyplot" not in sys.modules
"""


def test_the_same_rows_are_the_same_bytes_whatever_the_user_has_set(tmp_path):
    """Writes the report again in a new process that has other matplotlib settings."""
    study, here, there = (tmp_path / name for name in ("study", "here", "there"))
    append_rows(study / "results.jsonl", ROWS)
    settings = {name: matplotlib.rcParams[name] for name in {*matplotlib.rcParams} - {"backend"}}
    run(study, here)
    assert settings == {name: matplotlib.rcParams[name] for name in settings}
    (tmp_path / "matplotlibrc").write_text(
        "font.size: 20\nfont.family: monospace\nsvg.hashsalt: other\n"
    )
    environment = os.environ | {
        "MATPLOTLIBRC": str(tmp_path),
        "MPLBACKEND": "module://nowhere",
        "SOURCE_DATE_EPOCH": "86400",
        "PYTHONHASHSEED": "7",
    }
    command_line = [sys.executable, "-c", PROGRAM, f"--results={study}", f"--output={there}"]
    subprocess.run(command_line, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    for path in here.iterdir():
        assert path.read_bytes() == (there / path.name).read_bytes(), path.name
    assert "dc:date" not in (here / "scores.svg").read_text()


def test_a_folder_without_results_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"no results\.jsonl") as caught:
        run(tmp_path, tmp_path / "out")
    assert caught.value.where == str(tmp_path)
    assert not (tmp_path / "out").exists()


def test_a_malformed_row_stops_unless_it_may_be_skipped_and_is_named(tmp_path, capsys):
    path = tmp_path / "results.jsonl"
    append_rows(path, ROWS)
    path.write_text(path.read_text() + '{"model"\n' + json.dumps(ROWS[0] | {"value": None}) + "\n")
    with pytest.raises(DataError, match="--skip_malformed") as caught:
        run(tmp_path, tmp_path / "out")
    assert caught.value.where == f"{path}:{len(ROWS) + 1}"
    assert not any((tmp_path / "out").iterdir())
    run(tmp_path, tmp_path / "out", "--skip_malformed")
    errors = capsys.readouterr().err
    assert f"left out: {path}:{len(ROWS) + 1}: The line cannot be read: " in errors
    assert f"left out: {path}:{len(ROWS) + 2}: value is None" in errors
    with open(tmp_path / "out" / "results.csv") as file:
        assert len(list(csv.DictReader(file))) == len(ROWS)


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def test_spreadsheets_have_every_number():
    study = analysed(ROWS, phases=phase_logs(("mini-48",), 1))
    sheets = csv_files(study)
    assert list(sheets) == [
        *(
            "results.csv",
            "gaps.csv",
            "slopes.csv",
            "contrasts.csv",
            "matching.csv",
            "languages.csv",
            "cost.csv",
        )
    ]
    results = read(sheets["results.csv"])
    assert {tuple(line[name] for name in ROWS[0]) for line in results} == {
        tuple(map(str, row.values())) for row in ROWS
    }
    gaps = read(sheets["gaps.csv"])
    assert len(gaps) == len(study.findings.gaps)
    for line, gap in zip(gaps, study.findings.gaps, strict=True):
        for name in ("size", "target", "language"):
            assert line[name] == getattr(gap, name)
        assert float(line["value"]) == gap.estimate.value
        assert float(line["low"]) == gap.estimate.low
    slopes = read(sheets["slopes.csv"])
    assert [float(line["value"]) for line in slopes] == [
        slope.estimate.value for slope in study.findings.slopes
    ]
    assert {line["script"] for line in read(sheets["languages.csv"])} >= {"Arabic", "Han", "Latin"}
    assert [line["tokens"] for line in read(sheets["cost.csv"])] == ["400000"] * 12


def test_numbers_that_are_not_there_are_empty():
    one = analysed(study_rows({"mini-48": 56_544}, ("direct", "mnli"), ("xnli",), 1))
    (line, *_) = read(csv_files(one)["gaps.csv"])
    assert line["low"] == line["positive"] == ""
    assert math.isnan(one.findings.gaps[0].estimate.low)
    assert "slopes.csv" not in csv_files(one)


def test_the_contrasts_can_be_computed_again_from_the_spreadsheets():
    """Contrasts that pandas and statsmodels compute from results.csv equal the report's."""
    study = analysed(study_rows(THREE, ("direct", "mnli", "squad"), seeds=2))
    sheets = {name: pd.read_csv(io.StringIO(text)) for name, text in csv_files(study).items()}
    scores = sheets["results.csv"].query("language != 'en'")
    on = ["encoder_params", "target", "language", "seed"]
    direct = scores[scores["intermediate"] == "direct"]
    both = scores[scores["intermediate"] != "direct"].merge(direct, on=on, suffixes=("", "_direct"))
    both["gap"] = both["value"] - both["value_direct"]
    is_trained = ~both["target"].isin(["tatoeba", "bucc"])
    for contrast, rows in ((TRAINED, both[is_trained]), (RETRIEVAL, both[~is_trained])):
        of_seeds = rows.groupby(["encoder_params", "intermediate", "target", "seed"])["gap"].mean()
        means = of_seeds.groupby("encoder_params").mean()
        line = sm.OLS(means.to_numpy(), sm.add_constant(np.log10(means.index))).fit()
        (found,) = [fit for fit in study.scalings("mini") if fit.contrast == contrast]
        assert found.slope.value == pytest.approx(line.params[1], abs=1e-6)
        assert (found.slope.low, found.slope.high) == pytest.approx(line.conf_int()[1], abs=1e-6)
        points = sheets["contrasts.csv"].query("contrast == @contrast")
        again = points.groupby("encoder_params")["gap"].mean()
        np.testing.assert_allclose(again, means, rtol=0, atol=1e-6)


def test_the_share_of_scores_at_chance_is_in_a_cell():
    rows = study_rows({"mini-48": 56_544}, ("direct", "mnli"), ("xnli",), 3)
    rows = [
        r | {"value": 33.0 if (r["intermediate"], r["seed"]) == ("mnli", 1) else 80.0} for r in rows
    ]
    (line, *_) = read(csv_files(analysed(rows))["gaps.csv"])
    assert float(line["chance_after"]) == pytest.approx(1 / 3)
    assert float(line["chance_direct"]) == 0


def test_damage_beside_the_rows_stops_or_is_left_out_too(tmp_path, capsys):
    append_rows(tmp_path / "results.jsonl", ROWS)
    run_of, data = ROWS[0]["run"], ROWS[0]["data"]
    folder = tmp_path / "phases" / "panx-s0-0ed05036be27"
    for path in ("example_scores", folder):
        (tmp_path / path).mkdir(parents=True)
    paths = {
        tmp_path / "status.json": "null",
        tmp_path / "example_scores" / f"{run_of}-{data}.npy": "no array",
        folder / "phase.json": "[]",
    }
    for path, text in paths.items():
        path.write_text(text)
        with pytest.raises(DataError) as caught:
            run(tmp_path, tmp_path / "out")
        assert caught.value.where == str(path)
        run(tmp_path, tmp_path / "out", "--skip_malformed")
        assert f"left out: {path}: " in capsys.readouterr().err
        path.unlink()
    run(tmp_path, tmp_path / "out")
    assert capsys.readouterr().err == ""


def test_a_cell_of_text_is_no_formula(tmp_path):
    """A spreadsheet computes what begins with =, +, - or @, and a name may."""
    names = ["=1+1", "+1", "-1", "@SUM(A1)"]
    append_rows(tmp_path / "results.jsonl", [row | {"model": n} for n in names for row in ROWS])
    run(tmp_path, tmp_path / "out")
    for path in (tmp_path / "out").glob("*.csv"):
        with path.open(newline="") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        for cell in cells:
            assert not cell.startswith(tuple("=+@")), path
            assert not cell.startswith("-") or float(cell) < 0 or cell == "-0.0"
    assert "'=1+1," in (tmp_path / "out" / "results.csv").read_text()


def test_a_size_that_is_not_scored_is_predicted_as_by_statsmodels(tmp_path, capsys):
    append_rows(tmp_path / "study" / "results.jsonl", ROWS)
    run(tmp_path / "study", tmp_path / "out", "--predict=2,000_000_000", "--predict=1000")
    found = pd.read_csv(tmp_path / "out" / "predictions.csv")
    points = pd.read_csv(tmp_path / "out" / "contrasts.csv")
    assert set(found["encoder_params"]) == {2_000_000_000, 1000}
    assert set(found["contrast"]) == set(points["contrast"])
    for row in found.itertuples():
        of_row = points[points["contrast"] == row.contrast]
        means = of_row.groupby("encoder_params")["gap"].mean()
        fit = sm.OLS(means.to_numpy(), sm.add_constant(np.log10(means.index))).fit()
        at = fit.get_prediction([[1, np.log10(row.encoder_params)]]).summary_frame(alpha=0.05)
        names = ["mean", "obs_ci_lower", "obs_ci_upper"]
        expected = at[names].to_numpy()[0]
        np.testing.assert_allclose((row.value, row.low, row.high), expected, atol=1e-6)
    assert "| trained targets" in capsys.readouterr().out.partition("predicted gap")[2]


def test_two_sizes_predict_nothing(tmp_path):
    two = [row for row in ROWS if row["model"] != min(THREE)]
    append_rows(tmp_path / "study" / "results.jsonl", two)
    with pytest.raises(ConfigError, match="no line to predict"):
        run(tmp_path / "study", tmp_path / "out", "--predict=1000")
    with pytest.raises(SystemExit):
        run(tmp_path / "study", tmp_path / "out", "--predict=0")
