"""The gap against the direct score of every checkpoint of every pretraining run."""

from __future__ import annotations

from statistics import fmean

import pytest
from small_study import MODELS, Study
from synthetic import draw

from xt_jax.report.statistics.matching import Point
from xt_jax.report.study_results import results_of


def along(*studies: Study):
    """Returns the results of a study whose later parts are later checkpoints of the same runs."""
    rows = []
    for i, study in enumerate(studies, start=1):
        for row in study.rows:
            run = f"{row['model']}-s0"
            name = run if i == len(studies) else f"{run}-{100 * i}"
            of_run = {"model": name, "pretraining": run, "pretraining_steps": 100 * i}
            rows.append({**row, **of_run, "family": "mini", "run": f"{i} {row['run']}"})
    return results_of(rows, lambda run, data: None)


def by_hand(study: Study, model: str, targets: tuple[str, ...]) -> tuple[float, float]:
    """Returns the mean direct score and the mean gap of a model."""
    have = {(r["intermediate"], r["target"], r["seed"], r["language"]): r["value"]
            for r in study.rows if r["model"] == model}  # fmt: skip
    both = [
        (have["direct", *key[1:]], value)
        for key, value in have.items()
        if key[0] != "direct" and key[1] in targets and key[3] != "en"
    ]
    return fmean(d for d, _ in both), fmean(value - d for d, value in both)


def test_every_checkpoint_has_a_point():
    studies = [Study(key) for key in (31, 32, 33)]
    found = along(*studies)
    assert len(found.matched) == 2 * 3 * len(MODELS)
    for point in found.matched:
        study = studies[point.steps // 100 - 1]
        targets = ("tatoeba",) if point.contrast == "retrieval" else ("xquad", "panx")
        expected = by_hand(study, point.size, targets)
        assert (point.direct, point.gap) == pytest.approx(expected, abs=1e-9)
        assert point.pretraining == f"{point.size}-s0"
        assert point.encoder_params == MODELS[point.size][0]


def test_what_one_checkpoint_lacks_is_in_no_mean():
    studies = [Study(key) for key in (34, 35)]
    lacking = "mini-48", "squad", "panx"
    studies[0].rows = [
        r for r in studies[0].rows if (r["model"], r["intermediate"], r["target"]) != lacking
    ]
    for study in studies:  # of an independent study without the pair
        study.rows = [
            r for r in study.rows if r["intermediate"] != "squad" or r["target"] != "panx"
        ]
    expected = along(*studies).matched
    again = [Study(key) for key in (34, 35)]
    again[0].rows = [
        r for r in again[0].rows if (r["model"], r["intermediate"], r["target"]) != lacking
    ]
    for found, right in zip(along(*again).matched, expected, strict=True):
        assert found[:5] == right[:5]
        assert found[5:] == pytest.approx(right[5:], abs=1e-9)


def test_the_figure_has_a_line_for_each_run_and_a_dot_for_each_checkpoint():
    found = along(*(Study(key) for key in (36, 37)))
    figure = draw(found, "matching")
    assert [axes.get_title() for axes in figure.axes] == ["trained targets", "retrieval"]
    for axes in figure.axes:
        lines = [line for line in axes.lines if line.get_marker() == "o"]
        assert [len(line.get_xdata()) for line in lines] == [2] * len(MODELS)
        drawn = {(x, y) for line in lines for x, y in zip(*line.get_data(), strict=True)}
        points = {p[5:] for p in found.matched if p.contrast == axes.get_title()}
        assert drawn == points
    assert Point._fields[-2:] == ("direct", "gap")
