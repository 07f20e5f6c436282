"""The gaps of sizes at equal scores on the intermediate task's own dev."""

from __future__ import annotations

import io

import pandas as pd
import pytest
from rows import rows_of
from synthetic import THREE, analysed

from xt_jax.report.csv_files import csv_files
from xt_jax.report.equal_scores import equal_scores
from xt_jax.report.statistics.matching import Learnt, at_equal_score

ADVANTAGE = {"mini-48": 0.0, "mini-64": 1.0, "mini-128": -2.0}  # of a size, at equal dev score
SLOPE = 0.2  # points of gap per point of dev score


def rows_at(model: str, steps: int, rate: float, score: float) -> list:
    """Returns direct rows and rows after MNLI of a checkpoint, with English far off the line."""
    about = {
        "model": model if steps == 200 else f"{model}-{steps}",
        "encoder_params": THREE[model],
        "pretraining": model,
        "pretraining_steps": steps,
        "family": "mini",
        "target": "xquad",
        "metric": "f1",
    }
    gap = ADVANTAGE[model] + SLOPE * score
    direct = rows_of("direct", {"de": 40.0, "th": 30.0, "en": 90.0}, **about)
    after = {"de": 40.0 + gap - 3, "th": 30.0 + gap + 3, "en": 10.0}
    rated = about | {"intermediate_score": score, "intermediate_rate": rate, "run": f"at {rate}"}
    return [*direct, *rows_of("mnli", after, **rated)]


def study(*scores: float):
    """Returns a study whose sizes have these dev scores: the second at another rate."""
    rows = []
    for i, model in enumerate(THREE):
        for rate, score in zip((1e-4, 3e-4), scores, strict=False):
            rows += rows_at(model, 200, rate, score + 5 * i)
    return analysed(rows)


def test_points_are_means_over_other_languages_at_every_rate():
    found = sorted(study(40.0, 60.0).learnt, key=lambda point: (point.encoder_params, point.rate))
    assert [(p.size, p.rate, p.score) for p in found] == [
        (model, rate, score + 5 * i)
        for i, model in enumerate(THREE)
        for rate, score in ((1e-4, 40.0), (3e-4, 60.0))
    ]
    for point in found:
        assert (point.contrast, point.intermediate) == ("trained targets", "mnli")
        assert point.gap == pytest.approx(ADVANTAGE[point.size] + SLOPE * point.score, abs=1e-9)


def test_sizes_are_compared_at_equal_score():
    shown = study(40.0, 60.0)
    common, gaps = at_equal_score(shown.learnt)
    assert common == pytest.approx((50 + 60) / 2)
    assert gaps == pytest.approx({m: ADVANTAGE[m] + SLOPE * common for m in THREE}, abs=1e-9)
    text, folded = equal_scores(shown)
    table, _ = folded.blocks
    assert text.text.startswith("Every size reaches a common score")
    assert [row[2:] for row in table.rows[1:]] == [
        ["mini-48", "2", "40.0 to 60.0", "+8.0 to +12.0", "+11.0 at 55.0"],
        ["mini-64", "2", "45.0 to 65.0", "+10.0 to +14.0", "+12.0 at 55.0"],
        ["mini-128", "2", "50.0 to 70.0", "+8.0 to +12.0", "+9.0 at 55.0"],
    ]
    sheet = pd.read_csv(io.StringIO(csv_files(shown)["learnt.csv"]))
    assert sheet["gap"].tolist() == pytest.approx([point.gap for point in shown.learnt])


def test_checkpoints_along_pretraining_are_points_too():
    rows = [
        row
        for model in THREE
        for steps, score in ((100, 40.0), (200, 60.0))
        for row in rows_at(model, steps, 1e-4, score)
    ]
    common, gaps = at_equal_score(analysed(rows).learnt)
    assert common == 50
    assert gaps == pytest.approx({m: ADVANTAGE[m] + SLOPE * 50 for m in THREE}, abs=1e-9)


def test_one_point_a_size_is_shown_with_what_it_cannot_tell():
    text, folded = equal_scores(study(40.0))
    assert text.text.startswith("No score on an intermediate task's own dev is reached by every")
    table, _ = folded.blocks
    assert [row[3:] for row in table.rows[1:]] == [
        ["1", "40.0", "+8.0", ""],
        ["1", "45.0", "+10.0", ""],
        ["1", "50.0", "+8.0", ""],
    ]


def test_rows_without_dev_scores_have_no_points():
    rows = [row for row in rows_at("mini-48", 200, 1e-4, 40.0) if row["intermediate"] == "direct"]
    assert equal_scores(analysed(rows)) == []
    assert equal_scores(analysed([])) == []


def test_equal_scores_of_one_size_are_averaged():
    def point(size: str, score: float, gap: float) -> Learnt:
        return Learnt("retrieval", "mnli", size, 1, size, 0, 1e-3, score, gap)

    points = [
        point("a", 1.0, 3.0),
        point("a", 1.0, 5.0),
        point("b", 0.0, 0.0),
        point("b", 2.0, 2.0),
    ]
    assert at_equal_score(points) == (1.0, {"a": 4.0, "b": 1.0})
