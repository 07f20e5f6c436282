"""The lock of a workdir: who excludes whom, and when an owner counts as gone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from xt_jax.errors import UserError
from xt_jax.records import lock
from xt_jax.records.lock import locked, owner_of

HOLDER = "import sys, time; from xt_jax.records.lock import locked\n"
HOLDER += "with locked(sys.argv[1], sys.argv[2]): print('locked', flush=True); time.sleep(60)"


def holder(folder, shard: str = "") -> subprocess.Popen:
    """Another process that has the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), shard], stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"locked\n"
    return process


@pytest.mark.parametrize(
    ("first", "second", "excluded"),
    [
        ("", "", True),
        ("", "1/2", True),
        ("1/2", "", True),
        ("1/2", "1/2", True),
        ("1/2", "1/3", True),
        ("1/2", "2/2", False),
    ],
)
def test_who_excludes_whom(first, second, excluded, tmp_path):
    with locked(tmp_path, first):
        if not excluded:
            with locked(tmp_path, second):
                assert len(list(tmp_path.glob("results*.lock"))) == 2
            return
        with pytest.raises(UserError, match="Another run") as caught, locked(tmp_path, second):
            pytest.fail("two processes own one file")
        assert str(os.getpid()) in caught.value.problem
    assert not list(tmp_path.iterdir())
    with locked(tmp_path, second):
        pass


def test_another_process_is_named_and_its_death_frees_the_lock_at_once(tmp_path):
    process = holder(tmp_path, "1/2")
    try:
        path = tmp_path / "results-1-of-2.lock"
        with pytest.raises(UserError) as caught, locked(tmp_path, "1/2"):
            pass
        assert f"process {process.pid} on {os.uname().nodename}, since 2" in caught.value.problem
        assert f"-c {tmp_path} 1/2`" in caught.value.problem
        assert caught.value.where == str(path)
        assert "--config.shard" in caught.value.remedy
        process.send_signal(signal.SIGKILL)
        while not owner_of(path).is_gone():  # until the kernel has ended it
            time.sleep(0.01)
        assert path.exists()
        with locked(tmp_path, "1/2"):
            assert owner_of(path).process == os.getpid()
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("changes", "is_gone"),
    [
        ({}, False),
        ({"alive": 0.0}, False),  # the process table tells more than the clock
        ({"started": "7"}, True),  # a later process of that number
        ({"process": 2**22 + 1}, True),
        ({"machine": "other", "process": 2**22 + 1}, False),
        ({"machine": "other", "alive": 0.0}, True),
    ],
)
def test_when_an_owner_is_gone(changes, is_gone, tmp_path):
    with locked(tmp_path):
        path = tmp_path / "results.lock"
        owner = owner_of(path)._replace(**changes)
        assert owner.is_gone() == is_gone
        path.write_text(json.dumps(owner._asdict()))
        if is_gone:
            with locked(tmp_path):
                assert owner_of(path).process == os.getpid()


def test_an_owner_says_that_it_is_alive_and_does_not_delete_the_lock_of_another(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(lock, "BEAT", 0.01)
    path = tmp_path / "results.lock"
    with locked(tmp_path):
        first = owner_of(path)
        while owner_of(path).alive == first.alive:
            time.sleep(0.01)
        path.write_text(json.dumps(first._replace(token="other")._asdict()))
        time.sleep(0.1)
    assert owner_of(path).token == "other"


@pytest.mark.parametrize("content", ["", "{}", "[]", "no JSON"])
def test_a_damaged_lock_is_taken_over(content, tmp_path):
    (tmp_path / "results.lock").write_text(content)
    with locked(tmp_path):
        assert owner_of(tmp_path / "results.lock").process == os.getpid()


def move(folder):
    folder.rename(folder.with_name("moved"))


def remove(folder):
    shutil.rmtree(folder)


def replace(folder):
    owner = owner_of(folder / "results.lock")
    (folder / "results.lock").write_text(json.dumps(owner._replace(token="other")._asdict()))


@pytest.mark.parametrize(
    ("lose", "problem"),
    [(move, "moved, removed"), (remove, "moved, removed"), (replace, "took this folder over")],
)
def test_an_owner_notices_that_it_has_lost_the_folder(tmp_path, lose, problem):
    folder = tmp_path / "run"
    with locked(folder) as check_owned:
        check_owned()
        lose(folder)
        with pytest.raises(UserError, match=problem) as error:
            check_owned()
    assert error.value.where == str(folder / "results.lock")
