"""The command itself: a whole study, killed with SIGKILL at three kinds of moments, ends alike."""

from __future__ import annotations

import collections
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT

LANGUAGES = {"xnli": 3, "panx": 3, "xquad": 3, "tatoeba": 2}
TASKS = (
    "--config.intermediates=direct",
    "--config.intermediates=mnli+squad",
    "--config.targets=xnli",
    "--config.targets=panx",
    "--config.targets=xquad",
    "--config.targets=tatoeba",
)
ARGUMENTS = (
    "--config=configs/quickstart.py:size=mini-48,seeds=1,random=True",
    *("--config.languages=en", "--config.languages=de", "--config.languages=tr"),
    "--config.data.max_train_examples=160",
    "--config.data.max_eval_examples=30",
    "--config.intermediate.epochs=2",
    "--config.target.epochs=2",
    "--config.intermediate.eval_every=4",
    "--config.target.eval_every=4",
    "--config.train.save_every_steps=3",
    "--config.train.log_every=2",
)


def start(workdir: Path, *more: str, tasks: tuple[str, ...] = TASKS) -> subprocess.Popen:
    environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    return subprocess.Popen(
        [
            sys.executable,
            "run.py",
            *ARGUMENTS,
            *tasks,
            f"--workdir={workdir}",
            "--compilation_cache=",
            *more,
        ],
        cwd=ROOT,
        env={**environment, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(workdir: Path, *more: str, tasks: tuple[str, ...] = TASKS) -> str:
    process = start(workdir, *more, tasks=tasks)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output[-3000:]
    return output


def kill_when(workdir: Path, moment: Callable[[Path], bool]) -> str:
    """SIGKILL at the first sight of `moment`, which must come before the end; what was printed."""
    process = start(workdir)
    try:
        while not moment(workdir):
            assert process.poll() is None, process.communicate()[0][-3000:]
            time.sleep(0.0005)
    finally:
        process.send_signal(signal.SIGKILL)
        output, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL
    return output


def committed(workdir: Path, phase: str) -> list[Path]:
    """Complete saved states of a phase."""
    return [p for p in workdir.glob(f"phases/{phase}-*/checkpoints/*") if p.name.isdigit()]


def carried_on(phase: str, output: str) -> bool:
    return re.search(rf"{re.escape(phase)}-\S+: carrying on after step \d", output) is not None


def in_training(workdir: Path) -> bool:
    return bool(committed(workdir, "mnli+squad"))


def in_a_save(workdir: Path) -> bool:
    """The first half-written state beside a complete one."""
    states = workdir.glob("phases/panx-*/checkpoints/*")
    return any("tmp" in p.name for p in states) and bool(committed(workdir, "panx"))


def in_evaluation(workdir: Path) -> bool:
    """Some languages of a task have rows and some do not, after the part that was there before."""
    results = workdir / "results.jsonl"
    rows = map(json.loads, results.read_text().splitlines() if results.exists() else [])
    scored = collections.defaultdict(set)
    for row in rows:
        scored[row["intermediate"], row["target"]].add(row["language"])
    return any(len(found) < LANGUAGES[target] for (_, target), found in scored.items())


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[Path, str]:
    workdir = tmp_path_factory.mktemp("whole")
    return workdir, finish(workdir)


def test_a_study_has_a_row_for_every_language_and_a_table_with_the_gap(whole):
    workdir, output = whole
    rows = [json.loads(line) for line in (workdir / "results.jsonl").read_text().splitlines()]
    scored = {(r["intermediate"], r["target"], r["language"], r["metric"]) for r in rows}
    for intermediate in ("direct", "mnli+squad"):
        for language in ("en", "de", "tr"):
            assert (intermediate, "xnli", language, "accuracy") in scored
            assert (intermediate, "panx", language, "f1") in scored
            assert (intermediate, "xquad", language, "exact_match") in scored
        for language in ("de", "tr"):
            assert (intermediate, "tatoeba", language, "accuracy") in scored
            assert (intermediate, "tatoeba", language, "accuracy@layer=2") in scored
    assert len(scored) == len(rows)
    assert all(0 <= r["value"] <= 100 for r in rows)
    assert all(r["n"] == 30 for r in rows)
    assert "mnli+squad - direct" in output
    answer = (workdir / "report.md").read_text().split("\n## ")[0]
    assert answer.strip() in output
    assert len(list(workdir.glob("phases/*/predictions/*/*.jsonl"))) == 2 * (3 * 3 + 2)
    assert not list(workdir.glob("phases/*/checkpoints"))  # finished phases keep only the best


def test_the_same_command_again_trains_nothing_and_changes_nothing(whole):
    workdir, first = whole
    before = (workdir / "results.jsonl").read_bytes()
    output = finish(workdir)
    assert (workdir / "results.jsonl").read_bytes() == before
    logged, report = output.split("`python run.py", 1)  # the first line of the report
    assert "step" not in logged
    assert report == first.split("`python run.py", 1)[1]


def test_killed_in_training_in_a_save_and_in_evaluation_it_ends_with_the_same_bytes(
    whole, tmp_path
):
    kill_when(tmp_path, in_training)
    assert carried_on("mnli+squad", kill_when(tmp_path, in_a_save))
    assert carried_on("panx", kill_when(tmp_path, in_evaluation))
    assert "scoring 1 languages" in (output := finish(tmp_path)) or "scoring 2" in output
    assert (tmp_path / "results.jsonl").read_bytes() == (whole[0] / "results.jsonl").read_bytes()


def test_another_setting_is_another_phase_with_other_rows(whole, tmp_path):
    tasks = ("--config.intermediates=direct", "--config.targets=xnli")
    finish(whole[0], "--config.target.epochs=1", tasks=tasks)
    rows = [json.loads(line) for line in (whole[0] / "results.jsonl").read_text().splitlines()]
    runs = {r["run"] for r in rows if (r["intermediate"], r["target"]) == ("direct", "xnli")}
    assert len(runs) == 2


def test_a_user_error_is_one_message_without_a_traceback(tmp_path):
    process = start(tmp_path, "--config.target.learnin_rate=1")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in output
    assert "--config.target.learnin_rate" in output
    assert "target.learning_rate" in output
