"""Tests that the pictures of a report show the results."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from rows import rows_of
from synthetic import (
    BRANCHES,
    PUBLISHED,
    THREE,
    analysed,
    draw,
    ladder,
    study_rows,
    titles,
)

from xt_jax.records.results import Row
from xt_jax.report.figures import heat_map
from xt_jax.report.figures.style import styles_of
from xt_jax.report.statistics.findings import Findings, multiplicity
from xt_jax.report.study_results import StudyResults
from xt_jax.report.text import points


def some(branches=("direct", "mnli", "squad"), targets=("xnli", "panx"), **options) -> StudyResults:
    return analysed(study_rows(THREE, branches, targets, 3, **options))


def lines(axes, label: str) -> list[tuple[float, float]]:
    (line,) = [line for line in axes.lines if line.get_label() == label]
    return [(x, round(y, 9)) for x, y in line.get_xydata().tolist()]


# --- scores -----------------------------------------------------------------------------------


def dots(axes: Axes, name: str) -> list[tuple[float, float]]:
    """Returns (x, y) of the points of an intermediate task."""
    found = [c for c in axes.containers if c.get_label() == name]
    return [tuple(xy) for c in found for xy in c.lines[0].get_xydata().tolist()]


def bars(axes: Axes, name: str) -> list[tuple[float, float] | None]:
    """Returns the ends of the bar of each point; None where there is none."""
    (container,) = [c for c in axes.containers if c.get_label() == name]
    (lines,) = container.lines[2]
    ends = [tuple(path.vertices[:, 1].tolist()) for path in lines.get_paths()]
    return [None if any(map(math.isnan, pair)) else pair for pair in ends]


def scores(rows: list[Row]) -> Figure:
    return draw(analysed(rows), "scores")


def test_scores_are_a_panel_per_target_over_encoder_parameters():
    figure = scores(ladder(THREE, targets=("xnli", "panx")))
    xnli, panx = figure.axes
    assert [axes.get_title() for axes in (xnli, panx)] == ["xnli, accuracy", "panx, accuracy"]
    assert xnli.get_xscale() == "log"
    assert [y for _, y in dots(xnli, "direct")] == [10.5, 20.5, 30.5]
    assert [y for _, y in dots(panx, "mnli")] == [15.5, 25.5, 35.5]
    # beside one another, by less than the eye reads off a logarithmic axis
    assert [x for x, _ in dots(xnli, "mnli")] == pytest.approx(list(THREE.values()), rel=0.05)
    half = 1 / math.sqrt(2)
    assert bars(xnli, "direct")[0] == pytest.approx((10.5 - half, 10.5 + half))
    assert [label.get_text() for label in xnli.get_xticklabels()] == ["57 k", "0.15 M", "0.79 M"]
    assert "bars: standard deviation" in figure.get_supxlabel()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["direct", "mnli"]


def test_scores_of_one_seed_have_no_bars_and_one_size_is_enough():
    figure = scores(ladder({"mini-48": 56_544}, seeds=1))
    assert "bars" not in figure.get_supxlabel()
    (axes,) = figure.axes
    assert bars(axes, "mnli") == [None]
    (direct,), (mnli,) = dots(axes, "direct"), dots(axes, "mnli")
    assert (direct[1], mnli[1]) == (10.0, 15.0)
    assert axes.transData.transform(mnli)[0] - axes.transData.transform(direct)[0] > 20  # pixels
    low, high = axes.get_xlim()
    assert low < direct[0] < mnli[0] < high


def test_scores_are_means_over_languages_but_english():
    rows = rows_of("direct", {"en": 90.0, "de": 60.0, "sw": 50.0})
    (axes,) = scores(rows).axes
    assert [y for _, y in dots(axes, "direct")] == [55.0]


def test_only_the_first_metric_of_a_target_is_drawn_and_no_layer():
    rows = rows_of("direct", {"de": 40.0}, metric="f1", target="xquad")
    rows += rows_of("direct", {"de": 20.0}, metric="exact_match", target="xquad")
    rows += rows_of("direct", {"de": 31.0}, target="tatoeba", metric="accuracy@layer=1")
    rows += rows_of("direct", {"de": 30.0}, target="tatoeba")
    drawn = [[y for _, y in dots(axes, "direct")] for axes in scores(rows).axes]
    assert drawn == [[40.0], [30.0]]


def test_models_go_from_small_to_large_and_lack_what_they_lack():
    rows = ladder(dict(reversed(THREE.items())))
    assert [model.name for model in analysed(rows).models] == list(THREE)
    rows = [r for r in rows if (r["model"], r["intermediate"]) != ("mini-64", "mnli")]
    (axes,) = scores(rows).axes
    assert [y for _, y in dots(axes, "mnli")] == [35.5, 15.5]
    assert [y for _, y in dots(axes, "direct")] == [30.5, 20.5, 10.5]


def test_families_have_panels_of_their_own():
    published = {f"xlm-roberta-{s}": 10**n for s, n in (("base", 7), ("large", 8), ("huge", 9))}
    figure = scores(ladder(THREE | published))
    expected = ["xnli, accuracy (mini)", "xnli, accuracy (xlm-roberta)"]
    assert [axes.get_title() for axes in figure.axes] == expected
    assert [y for _, y in dots(figure.axes[1], "direct")] == [40.5, 50.5, 60.5]


def test_intermediate_tasks_differ_in_colour_or_marker():
    styles = styles_of({"direct", *(f"task{i}" for i in range(42))})
    assert next(iter(styles)) == "direct"
    assert len(set(styles.values())) == 43


# --- gaps -------------------------------------------------------------------------------------


def test_gaps_against_size_have_lines_and_bands_in_a_panel_per_target():
    study = some()
    figure = draw(study, "gap_by_size")
    assert [axes.get_title() for axes in figure.axes] == ["mean of targets", "xnli", "panx"]
    for axes, target in zip(figure.axes, ("", "xnli", "panx"), strict=True):
        for k, name in enumerate(("mnli", "squad")):
            gaps = [study.gap(model, name, target).estimate for model in THREE]
            expected = [(n, round(g.value, 9)) for n, g in zip(THREE.values(), gaps, strict=True)]
            assert lines(axes, name) == expected
            band = axes.collections[2 * k].get_paths()[0].vertices
            for x, gap in zip(THREE.values(), gaps, strict=True):
                ends = band[band[:, 0] == x][:, 1]
                assert (ends.min(), ends.max()) == pytest.approx((gap.low, gap.high))
        assert axes.get_xscale() == "log"
    assert figure.get_supylabel() == "gap to direct (percentage points)"
    assert "bands: 95 % intervals" in figure.get_supxlabel()


def test_many_intermediate_tasks_have_a_column_each_with_the_others_in_grey():
    study = some(BRANCHES)
    figure = draw(study, "gap_by_size")
    assert len(figure.axes) == 3 * 5  # mean, xnli, panx by five tasks
    names = [axes.get_title().replace("\n", "") for axes in figure.axes[:5]]
    assert names == sorted(BRANCHES[1:])
    for axes, name in zip(figure.axes, names, strict=False):
        value = study.gap("mini-48", name, "").estimate.value
        assert lines(axes, name)[0] == (56_544, round(value, 9))
        grey = [line for line in axes.lines if line.get_color() == "#c4c4c4"]
        assert len(grey) == 4
    assert {axes.get_ylim() for axes in figure.axes[:5]} == {figure.axes[0].get_ylim()}


def test_more_than_five_intermediate_tasks_are_two_pictures():
    study = some(("direct", *(f"task{i}" for i in range(7))))
    assert [len(draw(study, f"gap_by_size{n}").axes) for n in ("", "-2")] == [12, 9]


def test_one_seed_has_lines_and_no_bands():
    study = analysed(study_rows(THREE, ("direct", "mnli"), ("xnli",), 1))
    figure = draw(study, "gap_by_size")
    assert all(not axes.collections for axes in figure.axes)
    assert "bands" not in figure.get_supxlabel()
    assert len(lines(figure.axes[0], "mnli")) == 3
    assert "*" not in "".join(text.get_text() for text in draw(study, "heat_map").axes[0].texts)


def test_a_size_without_a_gap_is_left_out_of_its_line():
    rows = study_rows(THREE, ("direct", "mnli"), ("xnli", "panx"), 3)
    rows = [r for r in rows if (r["model"], r["target"]) != ("mini-64", "panx")]
    _, xnli, panx = draw(analysed(rows), "gap_by_size").axes
    assert [x for x, _ in lines(xnli, "mnli")] == list(THREE.values())
    assert [x for x, _ in lines(panx, "mnli")] == [THREE["mini-48"], THREE["mini-128"]]


def test_an_endless_interval_does_not_flatten_the_lines():
    study = some()
    gaps = tuple(
        replace(gap, estimate=replace(gap.estimate, low=-1e4, high=1e4))
        for gap in study.findings.gaps
    )
    wide = StudyResults(study.models, Findings(gaps, ()))
    for axes in draw(wide, "gap_by_size").axes:
        low, high = axes.get_ylim()
        drawn = [y for name in ("mnli", "squad") for _, y in lines(axes, name)]
        assert low < min(drawn) <= max(drawn) < high
        assert high - low < 10 * max(map(abs, drawn)) + 2


def test_one_size_has_no_picture_of_sizes():
    names = titles(analysed(study_rows({"mini-48": 56_544}, ("direct", "mnli"), seeds=2)))
    assert "gap_by_size" not in names
    assert "heat_map" in names


def test_families_have_pictures_of_their_own():
    study = analysed(study_rows({**THREE, **PUBLISHED}, ("direct", "mnli"), ("xnli",), 2))
    assert titles(study)["gap_by_size"].endswith("(mini)")
    assert titles(study)["gap_by_size-family-2"].endswith("(xlm-roberta)")
    study = analysed(study_rows({"a-1": 9, **THREE}, ("direct", "mnli"), ("xnli",), 2))
    assert titles(study)["gap_by_size"].endswith("(mini)")  # a family of one size has none


def maps_of(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.texts]


def mesh_of(axes: Axes) -> QuadMesh:
    (mesh,) = [each for each in axes.collections if isinstance(each, QuadMesh)]
    return mesh


def test_the_heat_map_has_every_gap_in_its_cell_and_marks_the_sure_ones():
    study = some(noise=0.3)
    kept = multiplicity(study.findings).kept
    maps = maps_of(draw(study, "heat_map"))
    assert [axes.get_title("left").split(",")[0] for axes in maps] == list(THREE)
    for axes, model in zip(maps, THREE, strict=True):
        assert [t.get_text() for t in axes.get_xticklabels()] == ["mean", "xnli", "panx"]
        assert [t.get_text() for t in axes.get_yticklabels()] == ["mnli", "squad"]
        texts = {text.get_position(): text for text in axes.texts}
        framed = {
            (round(box.get_x() + box.get_width() / 2), round(box.get_y() + box.get_height() / 2))
            for box in axes.patches
        }
        mesh = mesh_of(axes)
        for i, name in enumerate(("mnli", "squad")):
            for j, target in enumerate(("", "xnli", "panx")):
                gap = study.gap(model, name, target)
                estimate, text = gap.estimate, texts[j, i]
                star = "*" if estimate.excludes_zero else ""
                assert text.get_text() == points(estimate.value) + star
                assert text.get_fontweight() == ("bold" if gap in kept else "normal")
                assert ((j, i) in framed) == (gap in kept)
                assert mesh.get_array()[i, j] == estimate.value
        assert mesh.norm.vmin == -mesh.norm.vmax  # 0 is the middle of the colours

    stars = [text.get_text()[-1] for axes in maps for text in axes.texts].count("*")
    assert 0 < sum(len(axes.patches) for axes in maps) < stars  # some are only by chance sure


@pytest.mark.parametrize(("largest", "ends"), [(3.2, 4), (14.5, 15), (57.1, 58)])
def test_the_colours_of_the_heat_map_end_at_the_largest_gap(largest, ends):
    rows = rows_of("direct", {"de": 60.0, "sw": 60.0}) + rows_of("mnli", {"de": 60.0 - largest})
    rows += rows_of("squad", {"de": 61.0, "sw": 62.0}) + rows_of("qqp", {"de": 57.0})
    figure = draw(analysed(rows), "heat_map")
    (axes,) = maps_of(figure)
    mesh = mesh_of(axes)
    assert (mesh.norm.vmin, mesh.norm.vmax) == (-ends, ends)
    (bar,) = [one for one in figure.axes if one.images]
    texts = [label.get_text() for label in bar.get_xticklabels()]
    assert (texts[0], texts[-1]) == (f"-{ends}", f"+{ends}")
    assert [float(mesh.norm(float(text))) for text in texts] == pytest.approx(bar.get_xticks())
    said = "logarithmic beyond" in "".join(text.get_text() for text in figure.texts)
    assert said == (largest > 50)
    assert float(mesh.norm(0)) == 0.5  # 0 is the middle of the colours
    for value in (*mesh.get_array().ravel(), -ends, -10, -5, 5, 10, ends):
        background = luminance(mesh.cmap(mesh.norm(value)))
        ink = luminance(to_rgb(heat_map._ink(float(mesh.norm(value)))))
        low, high = sorted((background, ink))
        assert (high + 0.05) / (low + 0.05) >= 4.5  # WCAG 2.2, AA


def luminance(colour: tuple[float, ...]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_heat_map_says_where_there_is_no_gap():
    rows = study_rows(THREE, ("direct", "mnli"), ("xnli", "panx"), 2)
    rows = [r for r in rows if (r["model"], r["target"]) != ("mini-64", "panx")]
    maps = [axes for axes in draw(analysed(rows), "heat_map").axes if axes.texts]
    assert [axes.texts[2].get_text() for axes in maps].count("–") == 1
    assert maps[1].texts[2].get_text() == "–"


# --- languages, layers ------------------------------------------------------------------------


def test_languages_are_in_groups_with_their_mean():
    values = {"en": 60.0, "de": 61.0, "es": 64.0, "ru": 52.0, "bg": 54.0, "zh": 49.0}
    rows = rows_of("direct", dict.fromkeys(values, 50.0)) + rows_of("mnli", values)
    study = analysed(rows)
    (axes,) = draw(study, "languages_by_script").axes
    labels = [text.get_text().strip() for text in axes.get_yticklabels()]
    of_groups = ["Cyrillic", "Bulgarian", "Russian", "Chinese (Han)", "Latin", "German", "Spanish"]
    assert labels == ["English", *of_groups]
    found = [c for c in axes.collections if isinstance(c, PathCollection)]
    small, large = ({round(y): x for x, y in c.get_offsets().tolist()} for c in found)
    assert small == {0: 10.0, 2: 4.0, 3: 2.0, 4: -1.0, 6: 11.0, 7: 14.0}
    assert large == {1: 3.0, 5: 12.5}  # without English
    (axes,) = draw(study, "languages_by_family").axes
    labels = [text.get_text().strip() for text in axes.get_yticklabels()]
    assert labels[:2] == ["English", "German (Germanic)"]
    assert "Slavic" in labels


def test_layers_are_drawn_over_relative_depth():
    rows = []
    for k, (tatoeba, bucc) in enumerate([(10.0, 5.0), (30.0, 8.0), (20.0, 6.0)]):
        for target, metric, value in (("tatoeba", "accuracy", tatoeba), ("bucc", "f1", bucc)):
            rows += rows_of("direct", {"de": value}, target=target, metric=f"{metric}@layer={k}")
    rows += rows_of("direct", {"de": 30.0}, target="tatoeba")
    rows += rows_of("direct", {"de": 6.0}, target="bucc", metric="f1")
    bucc, tatoeba = draw(analysed(rows), "retrieval_by_layer").axes
    assert lines(tatoeba, "direct") == [(0.0, 10.0), (0.5, 30.0), (1.0, 20.0)]
    assert lines(bucc, "direct") == [(0.0, 5.0), (0.5, 8.0), (1.0, 6.0)]
    rings = [
        axes.lines[-1].get_xydata().tolist()
        for axes in (bucc, tatoeba)
        if axes.lines[-1].get_markersize() == 9
    ]
    assert rings == [[[1.0, 6.0]], [[0.5, 30.0]]]  # the layers that count
    assert tatoeba.get_ylabel() == "tatoeba\naccuracy (%)"


def test_without_layers_or_logs_there_is_no_such_picture():
    assert not {"retrieval_by_layer", "learning_curves"} & set(titles(some()))
