"""Tests the pictures of the contrasts against model size, within a family and across families."""

from __future__ import annotations

import math

import pytest
from matplotlib.axes import Axes
from synthetic import PUBLISHED, THREE, analysed, draw, ladder, study_rows, titles

from xt_jax.report import plots
from xt_jax.report.statistics.combined import TRAINED

OLD = {"m-24": 14_448, "m-32": 25_536, "m-48": 56_448, "m-64": 149_952, "m-96": 335_808}
TWO = {**THREE, **PUBLISHED}
TASKS = ("direct", "mnli", "squad")


def means(axes: Axes) -> dict[float, tuple[float, bool]]:
    """Returns the mean of each size and whether its diamond is hollow."""
    diamonds = [line for line in axes.lines if line.get_marker() == "D"]
    return {
        float(line.get_xdata()[0]): (float(line.get_ydata()[0]), line.get_mfc() == "white")
        for line in diamonds
    }


def test_contrasts_have_the_mean_of_each_size_and_its_seeds():
    study = analysed(study_rows(OLD, TASKS, seeds=3))
    (axes, *_), fits = draw(study, "contrasts").axes, study.findings.scalings
    drawn = means(axes)
    assert list(drawn) == list(OLD.values())
    for params, mean, seeds in zip(OLD.values(), fits[0].means, fits[0].units, strict=True):
        assert drawn[params] == (mean.value, False)
        (dots,) = [
            line.get_ydata()
            for line in axes.lines
            if line.get_marker() == "o" and line.get_xdata()[0] == params
        ]
        assert list(dots) == list(seeds)


def test_sizes_whose_scores_are_at_chance_are_hollow():
    # XNLI: 10, 20, 30 and 40 of 100 are chance, 50 is not; likewise 5 points higher after MNLI.
    study = analysed(ladder(OLD))
    figure = draw(study, "contrasts")
    axes = figure.axes[0]
    assert axes.get_title() == TRAINED
    assert [hollow for _, hollow in means(axes).values()] == [True, True, True, True, False]
    assert any("chance" in text.get_text() for text in figure.legends[0].get_texts())
    figure = draw(analysed(study_rows(OLD, TASKS, seeds=2)), "contrasts")
    assert not any("chance" in text.get_text() for text in figure.legends[0].get_texts())


@pytest.mark.parametrize("tasks", [3, 5], ids=["in one panel", "a column each"])
def test_every_one_of_five_sizes_has_its_label(tasks):
    names = ("direct", *(f"task{i}" for i in range(tasks)))
    study = analysed(study_rows(OLD, names, ("xnli", "panx"), 2))
    for name in ("contrasts", "gap_by_size", "scores"):
        figure = draw(study, name)
        figure.draw_without_rendering()
        for axes in figure.axes:
            assert list(axes.get_xticks()) == list(OLD.values()), name
        last = figure.axes[-1]
        texts = [label.get_text() for label in last.get_xticklabels()]
        assert texts == ["14 k", "26 k", "56 k", "0.15 M", "0.34 M"]


def test_families_have_a_figure_together_without_a_line():
    study = analysed(study_rows(TWO, TASKS, seeds=3))
    assert "no line is fitted" in titles(study)["across_families"]
    assert "differ in more than size" in titles(study)["across_families"]
    figure = draw(study, "across_families")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["mini", "xlm-roberta"]
    for axes in figure.axes:
        points = {
            line.get_label(): line
            for line in axes.lines
            if len(line.get_xdata()) > 2 or line.get_label() in ("mini", "xlm-roberta")
        }
        assert list(points["mini"].get_xdata()) == list(THREE.values())
        assert list(points["xlm-roberta"].get_xdata()) == list(PUBLISHED.values())
        assert {line.get_linestyle() for line in points.values()} == {"None"}
        assert len({line.get_color() for line in points.values()}) == 2
    expected = [one.estimate.value for one in study.findings.across if one.family == "xlm-roberta"]
    drawn = [
        y
        for axes in figure.axes
        for line in axes.lines
        if line.get_label() == "xlm-roberta"
        for y in line.get_ydata()
    ]
    assert drawn == expected
    # Within the first family, over the same targets, it is the mean that its line is fitted to.
    of_mini = [o.estimate.value for o in study.findings.across if o.family == "mini"]
    assert of_mini == [m.value for fit in study.findings.scalings for m in fit.means]


def test_across_families_are_only_tasks_that_all_sizes_have():
    rows = study_rows(TWO, TASKS, ("xnli", "panx"), 2, noise=0.0)
    without = [r for r in rows if (r["model"], r["intermediate"]) != ("xlm-roberta-base", "squad")]
    study = analysed(without)
    alone = analysed([r for r in rows if r["intermediate"] != "squad"])
    values = [[o.estimate.value for o in s.findings.across] for s in (study, alone)]
    assert values[0] == values[1]
    assert not any(map(math.isnan, values[0]))


def test_one_family_has_no_figure_of_families():
    study = analysed(study_rows(THREE, TASKS, ("xnli",), 2))
    assert study.findings.across == ()
    assert "across_families" not in titles(study)


def test_checkpoints_of_unlike_families_are_not_in_one_picture():
    three = {f"xlm-roberta-{s}": 10**n for s, n in (("base", 7), ("large", 8), ("huge", 9))}
    study = analysed(study_rows(THREE | three, TASKS, ("xnli",), 2))
    assert titles(study)["matching"].endswith("(mini)")
    assert titles(study)["matching-family-2"].endswith("(xlm-roberta)")
    drawn = draw(study, "matching-family-2")
    assert [text.get_text() for text in drawn.legends[0].get_texts()] == ["10 M", "100 M", "1.0 B"]
    assert plots.drawings(study)[0].name == "contrasts"
