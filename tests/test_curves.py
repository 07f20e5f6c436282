"""Tests that the learning curves of a report show the logs of training."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from synthetic import MINI, THREE, analysed, draw, phase_logs, study_rows


def lines(axes, label: str) -> list[tuple[float, float]]:
    (line,) = [line for line in axes.lines if line.get_label() == label]
    return [(x, round(y, 9)) for x, y in line.get_xydata().tolist()]


def test_a_task_that_is_both_has_a_panel_for_each_role():
    phases = [one for one in phase_logs(("mini-48",), 2) if one.phase == "xnli"]
    first = [replace(one, role="intermediate") for one in phases if not one.after]
    rows = study_rows(dict(list(MINI.items())[:1]), seeds=2)
    study = analysed(rows, phases=(*phases, *first))
    figure = draw(study, "learning_curves")
    panels = {axes.get_title(): axes for axes in figure.axes}
    assert list(panels) == ["xnli", "xnli, intermediate"]
    assert [line.get_label() for line in panels["xnli, intermediate"].lines] == ["xnli", "chance"]
    assert len(panels["xnli"].lines) == 4


def test_learning_curves_are_means_over_seeds_by_what_went_before():
    logs = phase_logs(("mini-48", "mini-64"))
    study = analysed(study_rows(THREE, ("direct", "mnli", "squad"), ("xnli",), 2), phases=logs)
    figure = draw(study, "learning_curves")
    assert len(figure.axes) == 4 * 2
    mine = [p.dev for p in logs if (p.model, p.phase, p.after) == ("mini-48", "xnli", "mnli")]
    means = [(mine[0][i][0], round(sum(c[i][1] for c in mine) / 3, 9)) for i in range(10)]
    assert lines(figure.axes[0], "mnli") == means
    assert figure.get_supylabel() == "score on English dev (%)"
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["direct", "mnli", "squad", "chance"]
    for axes, level in zip(figure.axes[::2], (100 / 3, 55.0, 5.0, 15.0), strict=True):
        assert height(axes, "chance") == pytest.approx(level, abs=0.01)


def height(axes: Axes, label: str) -> float:
    """Returns that of a level line, which is within the panel."""
    (line,) = [line for line in axes.lines if line.get_label() == label]
    (level,) = set(line.get_ydata())
    low, high = axes.get_ylim()
    assert low < level < high
    return level


def test_phases_that_were_evaluated_once_show_their_loss():
    logs = [
        replace(log, dev=log.dev[-1:], loss=((100, 1.2), (200, 0.7)))
        for log in phase_logs(("mini-48",))
    ]
    study = analysed(study_rows(THREE, ("direct", "mnli"), ("xnli",), 2), phases=logs)
    figure = draw(study, "learning_curves")
    assert figure.get_supylabel() == "loss of the step"
    assert [axes.get_title() for axes in figure.axes] == ["xnli", "pawsx", "panx", "tydiqa"]
    assert lines(figure.axes[0], "direct") == [(100, 1.2), (200, 0.7)]
    assert [height(axes, "chance") for axes in figure.axes[:2]] == [math.log(3), math.log(2)]
    assert "chance" not in {line.get_label() for axes in figure.axes[2:] for line in axes.lines}


def test_few_points_have_markers_and_noise_does_not_fill_the_panel():
    def curve(count: int) -> Figure:
        dev = tuple((step, 50 + 0.1 * step) for step in range(count))
        log = replace(phase_logs(("mini-48",), 1)[0], dev=dev)
        rows = study_rows(THREE, ("direct",), ("xnli",), 1)
        return draw(analysed(rows, phases=[log]), "learning_curves")

    few, many = curve(3), curve(30)
    assert few.axes[0].lines[0].get_markersize() > 3
    assert "markers: where it was measured" in few.get_supxlabel()
    assert many.axes[0].lines[0].get_markersize() == 0
    assert "marker" not in many.get_supxlabel()
    log = replace(phase_logs(("mini-48",), 1)[3], dev=(), loss=((100, 1.09), (200, 1.1)))
    study = analysed(study_rows(THREE, ("direct",), ("xnli",), 1), phases=[log])
    low, high = draw(study, "learning_curves").axes[0].get_ylim()
    assert high - low == pytest.approx(0.1)


def test_a_model_without_a_log_of_a_phase_has_no_axis_for_it():
    logs = [log for log in phase_logs(("mini-48", "mini-64"), 1) if log.phase == "xnli"]
    logs += [log for log in phase_logs(("mini-48",), 1) if log.phase == "panx"]
    study = analysed(study_rows(THREE, ("direct",), ("xnli",), 1), phases=logs)
    *_, empty = draw(study, "learning_curves").axes
    assert [text.get_text() for text in empty.texts] == ["no log"]
    assert not len(empty.get_xticks())
