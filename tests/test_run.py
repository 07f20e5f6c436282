"""The command: a whole study, the same command again, another setting, an error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import SMALL, Run, finish

from configs import quickstart
from xt_jax.config import Config

STUDY = (
    *SMALL,
    *("--config.intermediates=direct", "--config.intermediates=mnli+squad"),
    *("--config.targets=xnli", "--config.targets=panx"),
    *("--config.targets=xquad", "--config.targets=tatoeba"),
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[Path, str]:
    workdir = tmp_path_factory.mktemp("whole")
    return workdir, finish(*STUDY, f"--workdir={workdir}")


@pytest.mark.slow
def test_a_study_has_a_row_for_every_language_and_a_table_with_the_gap(whole):
    workdir, output = whole
    rows = [json.loads(line) for line in (workdir / "results.jsonl").read_text().splitlines()]
    scored = {(r["intermediate"], r["target"], r["language"], r["metric"]) for r in rows}
    for intermediate in ("direct", "mnli+squad"):
        for language in ("en", "de"):
            assert (intermediate, "xnli", language, "accuracy") in scored
            assert (intermediate, "panx", language, "f1") in scored
            assert (intermediate, "xquad", language, "exact_match") in scored
        assert (intermediate, "tatoeba", "de", "accuracy") in scored
        assert (intermediate, "tatoeba", "de", "accuracy@layer=2") in scored
    assert len(scored) == len(rows)
    assert all(0 <= r["value"] <= 100 for r in rows)
    assert all(r["n"] == 30 for r in rows)
    assert "mnli+squad - direct" in output
    answer = (workdir / "report.md").read_text().split("\n## ")[0]
    assert answer.strip() in output
    assert len(list(workdir.glob("phases/*/predictions/*/*.jsonl"))) == 2 * (3 * 2 + 1)
    assert not list(workdir.glob("phases/*/checkpoints"))  # finished phases keep only the best


@pytest.mark.slow
def test_the_same_command_again_trains_nothing_and_changes_nothing(whole):
    workdir, first = whole
    before = (workdir / "results.jsonl").read_bytes()
    output = finish(*STUDY, f"--workdir={workdir}")
    assert (workdir / "results.jsonl").read_bytes() == before
    logged, report = output.split("`python run.py", 1)  # the first line of the report
    assert "step" not in logged
    assert report == first.split("`python run.py", 1)[1]


@pytest.mark.slow
def test_another_setting_is_another_phase_with_other_rows(whole):
    tasks = ("--config.intermediates=direct", "--config.targets=xnli")
    finish(*SMALL, *tasks, "--config.target.epochs=1", f"--workdir={whole[0]}")
    rows = [json.loads(line) for line in (whole[0] / "results.jsonl").read_text().splitlines()]
    runs = {r["run"] for r in rows if (r["intermediate"], r["target"]) == ("direct", "xnli")}
    assert len(runs) == 2


@pytest.mark.slow
def test_a_user_error_is_one_message_without_a_traceback():
    status, output = Run(*SMALL, "--config.target.learnin_rate=1", "--workdir=w").end()
    assert status == 1
    assert "Traceback" not in output
    assert "--config.target.learnin_rate" in output
    assert "target.learning_rate" in output


def test_the_quickstart_is_small_unless_all_of_it_is_asked_for():
    small, full = quickstart.get_config(), quickstart.get_config("full=True")
    assert (small.targets, small.seeds) == (("xnli", "panx", "tatoeba"), 1)
    assert (full.targets, full.seeds) == (Config().targets, 3)  # all of them
    assert quickstart.get_config("full=True,seeds=2").seeds == 2
    assert quickstart.get_config("seeds=2").targets == small.targets
