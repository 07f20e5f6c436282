"""The report's table of learning rates, from the records of sweeps."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from etils import epath
from synthetic import phase_logs

from xt_jax.errors import DataError
from xt_jax.report.document import Folded, Table, Text
from xt_jax.report.sweeps import read_sweeps, sweep_frame, sweep_tables

DIVERGED = None


def sweeps_of(tmp_path, malformed=None, **scores: dict[float, float | None]):
    """Reads the sweeps of MNLI for the named models, each with its best rate chosen."""
    (log, *_) = phase_logs(("mini-24",), 1)
    logs = []
    for i, (model, of_model) in enumerate(scores.items()):
        known = {rate: score for rate, score in of_model.items() if score is not None}
        record = {
            "phase": "mnli",
            "seed": 0,
            "chosen": max(known, key=known.__getitem__),
            "by": "accuracy on English dev",
            "candidates": [{"learning_rate": r, "score": s} for r, s in of_model.items()],
        }
        logs.append(replace(log, folder=f"mnli-s0-{i}", model=model, phase="mnli", after=""))
        (tmp_path / logs[-1].folder).mkdir()
        (tmp_path / logs[-1].folder / "rates.json").write_text(json.dumps(record))
    fixed = replace(log, folder="squad-s0-9", phase="squad")  # at one rate, without a record
    return read_sweeps(epath.Path(tmp_path), [*logs, fixed], malformed)


def test_all_candidates_are_in_a_table_and_in_a_spreadsheet(tmp_path):
    sweeps = sweeps_of(
        tmp_path, a={1e-3: 50.04, 1e-4: 48.0, 1e-2: DIVERGED}, b={3e-4: 60.0, 1e-4: 61.0}
    )
    text, folded = sweep_tables(sweeps)
    assert isinstance(folded, Folded)
    (table,) = folded.blocks
    assert isinstance(table, Table)
    by = "accuracy on English dev"
    rates = ("at 0.0001", "at 0.0003", "at 0.001", "at 0.01")
    assert table.rows == [
        ["model", "trained on", "after", *rates, "chosen", "by"],
        ["a", "mnli", "", "48.0", "", "50.0", "diverges", "0.001", by],
        ["b", "mnli", "", "61.0", "60.0", "", "", "0.0001", by],
    ]
    frame = sweep_frame(sweeps)
    assert frame["learning_rate"].tolist() == [1e-4, 1e-3, 1e-2, 1e-4, 3e-4]
    assert frame["is_chosen"].tolist() == [False, True, False, True, False]
    assert frame["score"].isna().tolist() == [False, False, True, False, False]
    assert isinstance(text, Text)
    assert "In 1 of 2 sweeps the best learning rate is the lowest or the highest" in text.text
    assert text.text.endswith("so a better one may lie outside: mnli (b).")
    assert sweep_tables(()) == []


def test_candidates_that_reach_far_enough_are_not_warned_of(tmp_path):
    inside = sweeps_of(tmp_path, a={1e-4: 1.0, 1e-3: 2.0, 1e-2: 1.0}, b={1e-3: 7.0})
    (text, _) = sweep_tables(inside)
    assert text == Text("The best learning rate of each phase lies within the candidates.")


@pytest.mark.parametrize(
    "record",
    [
        *("", "[]", "{}", '{"by": "f1", "chosen": 1, "candidates": 7}'),
        '{"by": "f1", "chosen": [], "candidates": [{"learning_rate": 1, "score": 7}]}',
        '{"by": "f1", "chosen": 2, "candidates": [{"learning_rate": 1, "score": 7}]}',
        '{"by": "f1", "chosen": 1, "candidates": [{"learning_rate": 1, "score": null}]}',
        '{"by": "f1", "chosen": 1, "candidates": [{"learning_rate": 1, "score": "7"}]}',
        '{"by": 1, "chosen": 1, "candidates": [{"learning_rate": 1, "score": 7}]}',
    ],
)
def test_a_damaged_record_is_named_or_left_out(record, tmp_path):
    sweeps_of(tmp_path, a={1e-3: 7.0})
    path = tmp_path / "mnli-s0-0" / "rates.json"
    path.write_text(record)
    (log, *_) = phase_logs(("mini-24",), 1)
    logs = [replace(log, folder="mnli-s0-0")]
    with pytest.raises(DataError) as caught:
        read_sweeps(epath.Path(tmp_path), logs)
    assert caught.value.where.startswith(str(path))
    faults: list[DataError] = []
    assert read_sweeps(epath.Path(tmp_path), logs, faults.append) == ()
    assert len(faults) == 1
