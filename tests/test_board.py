"""What a study says of itself while it runs, and the command that shows it."""

from __future__ import annotations

import json

import pytest
from etils import epath

from xt_jax import status
from xt_jax.errors import DataError, UserError
from xt_jax.study import board as boards
from xt_jax.study.board import Board, board_name, clock, time_left
from xt_jax.study.plan import Piece
from xt_jax.study.runner import run_pieces

PIECES = [
    Piece("a", "direct", (0,), ("xnli",)),
    Piece("a", "mnli", (0,)),
    Piece("a", "mnli", (0,), ("xnli",)),
    Piece("a", "squad", (0,)),
]


@pytest.fixture
def clocked(monkeypatch):
    """A clock that the test sets."""
    now = [1000.0]
    monkeypatch.setattr(boards.time, "time", lambda: now[0])
    return now


def content(path) -> dict:
    return json.loads(path.read_text())


def states(path) -> list[str]:
    return [piece["state"] for piece in content(path)["pieces"]]


def test_the_file_follows_every_change_and_the_time_left_the_pace(clocked, tmp_path):
    path = epath.Path(tmp_path / "status.json")
    with Board(path, PIECES, [1.0, 4.0, 2.0, 3.0]) as board:
        assert states(path) == ["waiting"] * 4
        assert time_left(content(path)) == (1.0, None)
        board.begin(PIECES[0])
        assert states(path) == ["running", *["waiting"] * 3]
        clocked[0] += 10
        board.finish(PIECES[0])
        assert time_left(content(path)) == (0.9, pytest.approx(90))
        board.begin(PIECES[1])
        clocked[0] += 1  # found, not made: says nothing of the pace
        board.finish(PIECES[1])
        assert time_left(content(path)) == (pytest.approx(0.5), pytest.approx(50))
        board.begin(PIECES[2])
        board.fail(PIECES[2], UserError("The loss is nan.", where="step 3", remedy="smaller steps"))
        board.block(PIECES[3])
        assert states(path) == ["done", "done", "failed", "blocked"]
        assert time_left(content(path)).share == 0


def test_two_at_once_are_twice_the_pace(clocked, tmp_path):
    path = epath.Path(tmp_path / "status.json")
    with Board(path, PIECES, [1.0] * 4) as board:
        for piece in PIECES[:2]:
            board.begin(piece, where="node")
        clocked[0] += 10
        for piece in PIECES[:2]:
            board.finish(piece)
        assert time_left(content(path)) == (0.5, pytest.approx(10))


def test_what_the_command_says(clocked, tmp_path, capsys):
    for shard in ("", "2/3"):
        with Board(epath.Path(tmp_path / board_name(shard)), PIECES, [1.0] * 4) as board:
            board.begin(PIECES[0])
            clocked[0] += 7200
            board.finish(PIECES[0])
            board.begin(PIECES[1], where="node-7")
            clocked[0] += 60
            board.fail(PIECES[3], UserError("The loss is nan.", remedy="smaller steps"))
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

    def perform(study, piece, keep):
        if piece == PIECES[1]:
            raise UserError("The loss is nan.")
        done.append(piece)
        return {("run", piece.name)}

    monkeypatch.setattr("xt_jax.study.runner.perform", perform)
    path = epath.Path(tmp_path / "status.json")
    with Board(path, PIECES, [1.0] * 4) as board:
        settings, failures = run_pieces({"a": None}, PIECES, board)
    assert done == [PIECES[0], PIECES[3]]
    assert settings == {("run", piece.name) for piece in done}
    assert list(failures) == PIECES[1:3]
    assert states(path) == ["done", "failed", "blocked", "done"]
    assert content(path)["pieces"][1]["reason"] == "The loss is nan."
    assert content(path)["command"].startswith("python ")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *[(0, "0 s"), (89, "89 s"), (90, "2 min"), (3599, "1 h 00 min"), (7500, "2 h 05 min")],
        *[(172_740, "47 h 59 min"), (172_800, "2 d 0 h"), (270_000, "3 d 3 h")],
    ],
)
def test_clock(seconds, text):
    assert clock(seconds) == text
