"""The status that a study reports while it runs, and the command that shows it."""

from __future__ import annotations

import json
import threading
import time
from types import SimpleNamespace

import pytest
from etils import epath

from xt_jax import status
from xt_jax.errors import DataError, UserError
from xt_jax.records import progress as progress_module
from xt_jax.records.progress import Progress, clock, status_file, time_left
from xt_jax.records.results import Results
from xt_jax.study.jobs import Job
from xt_jax.study.runner import run_jobs

MNLI = Job("a", "mnli", (0,))
JOBS = [
    Job("a", "direct", (0,), ("xnli",)),
    MNLI,
    Job("a", "mnli", (0,), ("xnli",), needs=(MNLI,)),
    Job("a", "squad", (0,)),
]
NAMES = [job.name for job in JOBS]


@pytest.fixture
def clocked(monkeypatch):
    """A clock that the test sets."""
    now = [1000.0]
    monkeypatch.setattr(progress_module.time, "time", lambda: now[0])
    return now


def content(path) -> dict:
    return json.loads(path.read_text())


def states(path) -> list[str]:
    return [job["state"] for job in content(path)["jobs"]]


def test_the_file_follows_every_change_and_the_time_left_the_pace(clocked, tmp_path):
    path = epath.Path(tmp_path / "status.json")
    with Progress(path, NAMES, [1.0, 4.0, 2.0, 3.0], interval=0) as progress:
        assert states(path) == ["waiting"] * 4
        assert time_left(content(path)) == (1.0, None)
        progress.begin(JOBS[0].name)
        assert states(path) == ["running", *["waiting"] * 3]
        clocked[0] += 10
        progress.finish(JOBS[0].name)
        assert time_left(content(path)) == (0.9, pytest.approx(90))
        progress.begin(JOBS[1].name)
        clocked[0] += 1  # loaded, not trained: does not count for the pace
        progress.finish(JOBS[1].name)
        assert time_left(content(path)) == (pytest.approx(0.5), pytest.approx(50))
        progress.begin(JOBS[2].name)
        progress.fail(
            JOBS[2].name, UserError("The loss is nan.", where="step 3", remedy="smaller steps")
        )
        progress.block(JOBS[3].name)
        assert states(path) == ["done", "done", "failed", "blocked"]
        assert time_left(content(path)).share == 0


def test_two_at_once_are_twice_the_pace(clocked, tmp_path):
    path = epath.Path(tmp_path / "status.json")
    with Progress(path, NAMES, [1.0] * 4, interval=0) as progress:
        for job in JOBS[:2]:
            progress.begin(job.name, where="node")
        clocked[0] += 10
        for job in JOBS[:2]:
            progress.finish(job.name)
        assert time_left(content(path)) == (0.5, pytest.approx(10))


def test_what_the_command_says(clocked, tmp_path, capsys):
    for shard in ("", "2/3"):
        with Progress(
            epath.Path(tmp_path / status_file(shard)), NAMES, [1.0] * 4, interval=0
        ) as progress:
            progress.begin(JOBS[0].name)
            clocked[0] += 7200
            progress.finish(JOBS[0].name)
            progress.begin(JOBS[1].name, where="node-7")
            clocked[0] += 60
            progress.fail(JOBS[3].name, UserError("The loss is nan.", remedy="smaller steps"))
    status.main([f"--workdir={tmp_path}"])
    out = capsys.readouterr().out
    assert "status.json\n  1 done, 1 running, 1 waiting, 1 failed; 50 % of the work, 4 h" in out
    assert "status-2-of-3.json\n" in out
    assert "running  a: mnli, seed 0, for 60 s on node-7\n" in out
    assert "failed   a: squad, seed 0\n           The loss is nan.\n" in out
    assert "xnli after direct" not in out
    status.main([f"--workdir={tmp_path}", "--all"])
    assert "done     a: xnli after direct, seed 0, in 2 h 00 min\n" in capsys.readouterr().out


def test_where_no_study_was_begun(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(DataError, match="No study was begun"):
            status.main([f"--workdir={folder}"])


def test_a_failure_stops_only_what_needs_it(tmp_path, monkeypatch):
    done = []

    def run_job(study, job, append_rows):
        if job == JOBS[1]:
            raise UserError("The loss is nan.")
        done.append(job)
        return {("run", job.name)}

    monkeypatch.setattr("xt_jax.study.runner.run_job", run_job)
    study = SimpleNamespace(results=Results.open(tmp_path), observed=lambda _: study)
    path = epath.Path(tmp_path / "status.json")
    with Progress(path, NAMES, [1.0] * 4, interval=0) as progress:
        settings, failures = run_jobs({"a": study}, JOBS, progress, lambda: None)
    assert done == [JOBS[0], JOBS[3]]
    assert settings == {("run", job.name) for job in done}
    assert list(failures) == JOBS[1:3]
    assert states(path) == ["done", "failed", "blocked", "done"]
    assert content(path)["jobs"][1]["reason"] == "The loss is nan."
    assert content(path)["command"].startswith("python ")


@pytest.mark.parametrize("fails", [False, True])
def test_a_lost_workdir_ends_the_study(tmp_path, monkeypatch, fails):
    lost = []

    def run_job(study, job, append_rows):
        lost.append(job)
        if fails:
            raise UserError("There is no such file.")
        return set()

    def check_owned():
        if lost:
            raise UserError("The folder was moved.")

    monkeypatch.setattr("xt_jax.study.runner.run_job", run_job)
    study = SimpleNamespace(results=Results.open(tmp_path), observed=lambda _: study)
    path = epath.Path(tmp_path / "status.json")
    with (
        Progress(path, NAMES, [1.0] * 4, interval=0) as progress,
        pytest.raises(UserError, match="was moved"),
    ):
        run_jobs({"a": study}, JOBS, progress, check_owned)
    assert lost == JOBS[:1]


def test_quick_changes_are_written_together_and_the_last_state_always(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(
        progress_module, "atomic_write_text", lambda path, text: written.append(json.loads(text))
    )
    names = [f"job {i}" for i in range(1325)]
    with Progress(epath.Path(tmp_path / "status.json"), names, [1.0] * 1325) as progress:
        for name in names:
            progress.begin(name)
            progress.finish(name)
        progress.begin(names[0])
        while written[-1]["jobs"][0]["state"] != "running":  # an interval later
            time.sleep(0.1)
        progress.finish(names[0])
    assert {job["state"] for job in written[-1]["jobs"]} == {"done"}
    assert len(written) < 10


def test_a_full_disk_does_not_end_the_thread_that_writes(tmp_path, monkeypatch):
    errors, failed = [], threading.Event()

    def write(path, text):
        failed.set()
        raise OSError(28, "No space left on device")

    with Progress(epath.Path(tmp_path / "status.json"), NAMES, [1.0] * 4, interval=0.01) as study:
        with monkeypatch.context() as patch:
            patch.setattr(progress_module, "atomic_write_text", write)
            patch.setattr(threading, "excepthook", errors.append)
            study.begin(NAMES[0])
            assert failed.wait(10)
            time.sleep(0.1)
        assert not errors


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *[(0, "0 s"), (89, "89 s"), (90, "2 min"), (3599, "1 h 00 min"), (7500, "2 h 05 min")],
        *[(172_740, "47 h 59 min"), (172_800, "2 d 0 h"), (270_000, "3 d 3 h")],
    ],
)
def test_clock(seconds, text):
    assert clock(seconds) == text


def test_a_running_job_moves_the_share_and_the_time_left(clocked, tmp_path):
    path = epath.Path(tmp_path / "status.json")
    with Progress(path, NAMES, [6.0, 2.0, 1.0, 1.0], interval=0) as progress:
        progress.begin(JOBS[0].name)
        clocked[0] += 100  # compiling; the 2 were done by an earlier run
        progress.advance(JOBS[0].name, 2.0)
        assert time_left(content(path)) == (pytest.approx(0.8), None)
        clocked[0] += 10
        progress.advance(JOBS[0].name, 1.0)
        assert time_left(content(path)) == (pytest.approx(0.7), pytest.approx(70))
        assert "30 % of the work" in status.lines(content(path), False)[0]
        clocked[0] += 20
        progress.finish(JOBS[0].name)
        assert time_left(content(path)).share == pytest.approx(0.4)


def damaged(**changes) -> str:
    job = {"name": "a", "state": "running", "cost": 1.0, "began": 1.0, "where": "here", **changes}
    return json.dumps({"began": 1.0, "written": 2.0, "jobs": [job]})


DAMAGED = {
    "empty": "",
    "zeros": "\0\0\0",
    "cut off": damaged()[:40],
    "text": '"text"',
    "a list": "[]",
    "null": "null",
    "no jobs": "{}",
    "jobs of no list": '{"began": 1, "written": 2, "jobs": {}}',
    "a job of no object": '{"began": 1, "written": 2, "jobs": [3]}',
    "no time": '{"jobs": []}',
    "a job without a name": damaged(name=None),
    "a state of its own": damaged(state="asleep"),
    "a state of a list": damaged(state=[]),
    "a cost of text": damaged(cost="1"),
    "an infinite cost": damaged(cost=float("inf")),
    "a huge cost": damaged(cost=10**400),
    "no beginning": damaged(began=None),
    "no end": damaged(state="done"),
    "a reason of a number": damaged(state="failed", reason=3),
}


@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_status_file_is_named(text, tmp_path):
    (tmp_path / "status.json").write_text(text)
    with pytest.raises(DataError) as caught:
        status.main([f"--workdir={tmp_path}"])
    assert str(tmp_path / "status.json") in caught.value.where
    assert caught.value.remedy


def test_an_undamaged_status_file_is_shown(tmp_path, capsys):
    (tmp_path / "status.json").write_text(damaged())
    status.main([f"--workdir={tmp_path}"])
    assert "running  a" in capsys.readouterr().out
