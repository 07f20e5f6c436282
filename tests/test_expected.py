"""The expected intervals of a study that has not run: `run.py --dry_run --like=DIR`."""

from __future__ import annotations

import pytest
from etils import epath
from synthetic import THREE, study_rows

from xt_jax.config import Config
from xt_jax.errors import DataError
from xt_jax.mini.weights import weights_folder
from xt_jax.records.results import append_rows
from xt_jax.report.packed import pack
from xt_jax.report.statistics.design import expected_half_width
from xt_jax.report.study_results import read_study
from xt_jax.study.expected import expected_slopes
from xt_jax.study.forecast import forecast


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A packed study of three sizes with two pretraining runs each."""
    work, packed = (epath.Path(tmp_path_factory.mktemp(name)) for name in ("work", "packed"))
    for run in ("", "-s1"):
        rows = study_rows(THREE, ("direct", "mnli"), ("xnli", "tatoeba"), 2, noise=1.0 + len(run))
        named = [row | {"model": f"{row['model']}{run}", "family": "mini"} for row in rows]
        append_rows(work / "results.jsonl", [r | {"pretraining": r["model"]} for r in named])
    pack(work, packed)
    return packed, read_study(work).scalings("mini")


def test_each_family_has_the_interval_of_its_sizes_runs_and_seeds(finished):
    like, fits = finished
    config = Config(models=("mini-24", "mini-48", "mini-96", "base", "large"), seeds=3)
    note, rows = expected_slopes(config, str(like))
    assert f"as in {like}" in note
    assert rows[0] == ["family", "sizes", "runs of each", *(fit.contrast for fit in fits)]
    params = (14_448, 56_544, 335_808)
    halves = [expected_half_width(params, 1, 3, fit.deviations) for fit in fits]
    assert rows[1] == ["mini", "3", "1", *(f"{half:.1f}" for half in halves)]
    assert rows[2] == ["xlm-roberta", "2", "1", *["none"] * len(fits)]
    text = forecast(Config(targets=("tatoeba",)), str(like / "run"), 0.4, str(like))
    assert text.index("Disk: ") < text.index("Half of the expected 95 % interval of a slope")


def test_folders_of_one_size_are_its_runs(finished, tmp_path):
    like, fits = finished
    folders = []
    for size in ("mini-24", "mini-48", "mini-96"):
        folder = tmp_path / f"{size}-s1"
        folder.mkdir()
        for path in weights_folder(size).iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        record = f'{{"name": "{size}-s1", "family": "mini", "run": "{size}-s1", "steps": 9}}'
        (folder / "pretraining.json").write_text(record)
        folders.append(str(folder))
    names = ("mini-24", "mini-48", "mini-96", *folders)
    _, (_, *rows) = expected_slopes(Config(models=names, seeds=3), str(like))
    params = (14_448, 56_544, 335_808)
    halves = [expected_half_width(params, 2, 3, fit.deviations) for fit in fits]
    assert rows == [["mini", "3", "2", *(f"{half:.1f}" for half in halves)]]


def test_a_study_without_a_slope_tells_nothing(tmp_path):
    append_rows(tmp_path / "results.jsonl", study_rows({"mini-48": 56_544}, targets=("xnli",)))
    with pytest.raises(DataError, match="no study with a slope") as error:
        expected_slopes(Config(), str(tmp_path))
    assert error.value.where == str(tmp_path)
