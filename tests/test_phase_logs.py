"""Tests that a report reads the logs and records in the folders of phases."""

from __future__ import annotations

import json

import pytest

from xt_jax.errors import DataError
from xt_jax.report.cost import cost_tables
from xt_jax.report.document import Table
from xt_jax.report.phase_logs import read_phases


def phase(folder, name: str, log: str, **about) -> None:
    path = folder / name
    path.mkdir(parents=True)
    record = {
        "model": "mini-48",
        "seed": "1",
        "phase": name.split("-")[0],
        "command": "python run.py --config=page.py",
        "steps": 200,
        "tokens": 5000,
        "machine": "2 CPU cores",
        **about,
    }
    (path / "phase.json").write_text(json.dumps(record))
    (path / "log.jsonl").write_text(log)


def line(step: int, seconds: float, **values: float) -> str:
    return json.dumps({"step": step, **values, "seconds": seconds}) + "\n"


def test_names_curves_and_cost(tmp_path):
    log = line(100, 2.0, loss=1.5, fill=0.9) + line(100, 3.0, dev=50.0, best=50.0)
    log += line(200, 5.0, loss=1.1) + line(200, 6.5, dev=48.0, best=50.0)
    phase(tmp_path, "panx-after-mnli-s1-0ed05036be27", log)
    (one,) = read_phases(tmp_path)
    assert (one.model, one.phase, one.after, one.seed) == ("mini-48", "panx", "mnli", 1)
    assert (one.steps, one.tokens, one.seconds) == (200, 5000, 6.5)
    assert one.dev == ((100, 50.0), (200, 48.0))
    assert one.loss == ((100, 1.5), (200, 1.1))
    assert one.command == "python run.py --config=page.py"


def test_folders_by_name_with_and_without_a_phase_before(tmp_path):
    phase(tmp_path, "squad-s0-2b06622fc6aa", "")
    phase(tmp_path, "mnli+squad-s2-aaaaaaaaaaaa", "", phase="mnli+squad")
    phase(tmp_path, "xnli-after-mnli+squad-s0-bbbbbbbbbbbb", "")
    (tmp_path / "start-3ce22047c124").mkdir()  # no phase
    (tmp_path / "xnli-s0-cccccccccccc").mkdir()  # not finished: no record
    found = [(one.phase, one.after) for one in read_phases(tmp_path)]
    assert found == [("mnli+squad", ""), ("squad", ""), ("xnli", "mnli+squad")]


def test_no_folder_has_no_phases(tmp_path):
    assert read_phases(tmp_path / "phases") == ()


def test_a_step_that_was_made_twice_counts_once_and_its_time_twice(tmp_path):
    log = line(100, 4.0, loss=1.5) + line(200, 8.0, loss=1.4)
    log += line(200, 3.0, loss=1.3) + line(300, 6.0, loss=1.2)  # resumed after step 100
    phase(tmp_path, "panx-s1-0ed05036be27", log)
    (one,) = read_phases(tmp_path)
    assert one.loss == ((100, 1.5), (200, 1.3), (300, 1.2))
    assert one.seconds == 8.0 + 6.0


def test_the_loss_of_interleaved_tasks_is_their_mean(tmp_path):
    phase(tmp_path, "a+b-s0-0ed05036be27", line(1, 0.0, **{"loss/a": 1.0, "loss/b": 3.0}))
    (one,) = read_phases(tmp_path)
    assert one.loss == ((1, 2.0),)


def test_a_line_without_an_end_is_left_out(tmp_path):
    phase(tmp_path, "panx-s0-0ed05036be27", line(1, 1.0, loss=2.0) + '{"step": 2, "lo')
    (one,) = read_phases(tmp_path)
    assert (one.phase, one.loss) == ("panx", ((1, 2.0),))


DAMAGED_LINES = {
    "no JSON": "{",
    "no object": "[1]",
    "not UTF-8": "\udcff",
    "a loss of text": '{"step": 2, "loss": "2"}',
    "a loss that is not finite": '{"step": 2, "loss": NaN}',
    "half a step": '{"step": 2.5, "loss": 2}',
    "time of text": '{"step": 2, "seconds": "now"}',
}


@pytest.mark.parametrize("damaged", DAMAGED_LINES.values(), ids=DAMAGED_LINES)
def test_a_damaged_line_is_named_or_left_out(damaged, tmp_path):
    log = line(1, 1.0, loss=2.0) + damaged + "\n" + line(3, 2.0, loss=1.0)
    phase(tmp_path, "panx-s0-0ed05036be27", "")
    path = tmp_path / "panx-s0-0ed05036be27" / "log.jsonl"
    path.write_bytes(log.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError) as caught:
        read_phases(tmp_path)
    assert caught.value.where == f"{path}:2"
    faults: list[DataError] = []
    (one,) = read_phases(tmp_path, faults.append)
    assert (one.loss, one.seconds) == (((1, 2.0), (3, 1.0)), 2.0)
    assert [fault.where for fault in faults] == [f"{path}:2"]


DAMAGED_RECORDS = ["", "{", "[]", "null", '{"model": "a"}', "\0\0", "[" * 100_000]


@pytest.mark.parametrize("damaged", DAMAGED_RECORDS)
def test_a_damaged_record_is_named_or_left_out(damaged, tmp_path):
    phase(tmp_path, "panx-s0-0ed05036be27", line(1, 1.0, loss=2.0))
    phase(tmp_path, "pawsx-s0-0ed05036be27", "")
    path = tmp_path / "pawsx-s0-0ed05036be27" / "phase.json"
    path.write_text(damaged)
    with pytest.raises(DataError) as caught:
        read_phases(tmp_path)
    assert caught.value.where.startswith(str(path))
    (one,) = read_phases(tmp_path, lambda error: None)
    assert one.phase == "panx"


def test_the_cost_is_summed_by_model_and_phase(tmp_path):
    phase(tmp_path, "panx-s0-000000000000", line(200, 30.0), tokens=1_000_000)
    phase(tmp_path, "panx-after-mnli-s0-000000000001", line(200, 60.0), tokens=2_000_000)
    phase(tmp_path, "mnli-s0-000000000002", line(400, 7200.0), steps=400, tokens=40_000_000)
    table, note = cost_tables(read_phases(tmp_path))
    assert isinstance(table, Table)
    assert table.rows[1:] == [
        ["mini-48", "mnli", "1", "400", "40.0", "2.0 h"],
        ["mini-48", "panx", "2", "400", "3.0", "1.5 min"],
        ["all", "", "3", "800", "43.0", "2.0 h"],
    ]
    assert "on 2 CPU cores" in note.text
    assert cost_tables(()) == []
