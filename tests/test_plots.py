"""The pictures: what is drawn is what the rows say."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import matplotlib
import pytest
from conftest import ROOT
from etils import epath
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rows import keys, rows_of
from synthetic import evidence

from xt_jax.records.results import Row
from xt_jax.report import plots
from xt_jax.report.evidence import models_of
from xt_jax.report.figures.looks import looks_of

T = 12.706205  # Student's t at 1 degree of freedom, 97.5 %


def two_seeds() -> list[Row]:
    return [
        *rows_of("direct", {"de": 60.0, "sw": 50.0}, seed=0),  # 55
        *rows_of("direct", {"de": 62.0, "sw": 54.0}, seed=1),  # 58
        *rows_of("mnli", {"de": 61.0, "sw": 55.0}, seed=0),  # 58, gap 3 (1 and 5)
        *rows_of("mnli", {"de": 62.0, "sw": 56.0}, seed=1),  # 59, gap 1 (0 and 2)
        *rows_of("direct", {"de": 30.0, "th": 20.0}, seed=0, target="panx", metric="f1"),
        *rows_of("mnli", {"de": 26.0, "th": 20.0}, seed=0, target="panx", metric="f1"),
    ]


def ladder(sizes: dict[str, int], targets: tuple[str, ...] = ("xnli",), seeds: int = 2):
    """Scores 10, 11 (seeds 0, 1) of direct at the first size, 10 more at each following one."""
    return [
        row
        for i, (model, params) in enumerate(sizes.items())
        for seed in range(seeds)
        for target in targets
        for name, more in (("direct", 0.0), ("mnli", 5.0))
        for row in rows_of(
            name,
            {"de": 10.0 * (i + 1) + seed + more},
            seed=seed,
            target=target,
            model=model,
            encoder_params=params,
        )
    ]


MINI = {"mini-48": 56_000, "mini-64": 150_000, "mini-128": 790_000}


def draw(rows: list[Row], only=()) -> dict[str, Figure]:
    """The pictures of scores."""
    drawn = [each for each in plots.drawings(evidence(rows, only)) if each.part == "scores"]
    return {each.name: plots.draw(each) for each in drawn}


def write_pictures(folder: Path, rows: list[Row]) -> None:
    for drawing in plots.drawings(evidence(rows)):
        plots.write_drawing(epath.Path(folder), drawing)


def dots(axes: Axes, name: str) -> list[tuple[float, float]]:
    """(x, y) of the large dots of a branch."""
    found = [c for c in axes.containers if c.get_label() == name]
    return [tuple(xy) for c in found for xy in c.lines[0].get_xydata().tolist()]


def bars(axes: Axes, name: str, axis: int = 0) -> list[tuple[float, float] | None]:
    """From where to where each bar of a branch goes; None where there is none."""
    (container,) = [c for c in axes.containers if c.get_label() == name]
    (lines,) = container.lines[2]
    ends = [tuple(path.vertices[:, axis].tolist()) for path in lines.get_paths()]
    return [None if any(map(math.isnan, pair)) else pair for pair in ends]


def languages(axes: Axes, name: str) -> list[tuple[float, float]]:
    (line,) = [line for line in axes.lines if line.get_label() == f"_{name}"]
    return [tuple(xy) for xy in line.get_xydata().tolist()]


def names(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_the_left_panel_has_means_with_deviations():
    left, _ = draw(two_seeds())["report"].axes
    assert [label.get_text() for label in left.get_yticklabels()] == [
        "xnli (accuracy)",
        "panx (f1)",
    ]
    assert [x for x, _ in dots(left, "direct")] == [56.5, 25.0]
    assert [x for x, _ in dots(left, "mnli")] == [58.5, 23.0]
    half = 3 / math.sqrt(2)
    assert bars(left, "direct") == [pytest.approx((56.5 - half, 56.5 + half)), None]
    half = 1 / math.sqrt(2)
    assert bars(left, "mnli") == [pytest.approx((58.5 - half, 58.5 + half)), None]
    assert left.get_xlabel() == (
        "mean score over languages (%)\nbars: standard deviation over seeds"
    )
    assert left.get_title("left") == "base: 85 M encoder parameters, 1-2 seeds"


def test_the_right_panel_has_gaps_with_t_intervals_zero_and_a_dot_per_language():
    _, right = draw(two_seeds())["report"].axes
    assert [x for x, _ in dots(right, "mnli")] == [2.0, -2.0]
    assert bars(right, "mnli") == [pytest.approx((2.0 - T, 2.0 + T)), None]
    assert dots(right, "direct") == []
    assert [x for x, _ in languages(right, "mnli")] == [0.5, 3.5, -4.0, 0.0]  # de sw, de th
    assert any(line.get_xdata() == [0, 0] for line in right.lines)
    assert not any(label.get_visible() for label in right.get_yticklabels())
    assert right.get_xlabel() == (
        "gap to direct (percentage points)\nbars: 95 % t-interval over seeds"
    )


def test_the_branches_of_a_target_lie_in_its_band_on_the_same_lines_left_and_right():
    rows = two_seeds() + rows_of("squad", {"de": 59.0, "sw": 50.0})
    left, right = draw(rows)["report"].axes
    xnli = [dots(left, name)[0][1] for name in ("direct", "mnli", "squad")]
    assert xnli == sorted(xnli)
    assert xnli[0] > -0.5
    assert xnli[2] < 0.5
    assert [y for _, y in dots(right, "mnli")] == [y for _, y in dots(left, "mnli")]
    assert all(0 < y - xnli[1] < xnli[2] - xnli[1] for _, y in languages(right, "mnli")[:2])
    assert left.get_ylim() == (1.5, -0.5)  # the first target on top


def test_only_the_first_metric_of_a_target_is_drawn_and_no_layer():
    rows = rows_of("direct", {"de": 40.0}, metric="f1", target="xquad")
    rows += rows_of("direct", {"de": 20.0}, metric="exact_match", target="xquad")
    rows += rows_of("direct", {"de": 31.0}, target="tatoeba", metric="accuracy@layer=1")
    rows += rows_of("direct", {"de": 30.0}, target="tatoeba")
    (left,) = draw(rows)["report"].axes
    assert [x for x, _ in dots(left, "direct")] == [40.0, 30.0]


def test_the_same_rows_count_as_in_the_table():
    mine = rows_of("mnli", {"de": 61.0}, run="mnli, 1e-5")
    rows = rows_of("direct", {"de": 60.0}) + mine + rows_of("mnli", {"de": 71.0}, run="3e-5")
    right = draw(rows, only=keys(mine))["report"].axes[1]
    assert [x for x, _ in dots(right, "mnli")] == [1.0]
    right = draw(rows)["report"].axes[1]
    assert [x for x, _ in dots(right, "mnli")] == [11.0]


def test_one_seed_and_one_language_are_dots_alone():
    rows = rows_of("direct", {"de": 60.0}) + rows_of("mnli", {"de": 61.0})
    figure = draw(rows)["report"]
    left, right = figure.axes
    assert bars(left, "mnli") == bars(right, "mnli") == [None]
    assert languages(right, "mnli") == []
    assert names(figure) == ["direct", "mnli"]
    assert "bars" not in left.get_xlabel() + right.get_xlabel()
    assert left.get_title("left").endswith("1 seed")


@pytest.mark.parametrize(
    "rows",
    [
        rows_of("mnli", {"de": 61.0}),
        rows_of("direct", {"de": 61.0}),
        rows_of("direct", {"de": 60.0}, seed=0) + rows_of("mnli", {"de": 61.0}, seed=1),
        rows_of("direct", {"de": 60.0}) + rows_of("mnli", {"de": 61.0}, examples="first 30"),
    ],
    ids=["without direct", "direct alone", "other seeds", "other examples"],
)
def test_without_a_gap_there_is_one_panel(rows):
    figure = draw(rows)["report"]
    (left,) = figure.axes
    assert sum(len(dots(left, name)) for name in ("direct", "mnli")) == len(rows)
    assert "gap of one language" not in names(figure)


def test_every_model_has_a_row_and_one_without_a_gap_says_so():
    rows = two_seeds() + rows_of("mnli", {"de": 70.0}, model="large")
    rows += rows_of("squad", {"de": 71.0}, model="large")
    figure = draw(rows)["report"]
    above_left, above_right, below_left, below_right = figure.axes
    assert names(figure) == ["direct", "mnli", "squad", "gap of one language"]
    assert below_left.get_title("left").startswith("large: ")
    assert [x for x, _ in dots(below_left, "squad")] == [71.0]
    (text,) = below_right.texts
    assert text.get_text().startswith("no gap")
    assert not below_right.axison
    assert above_right.get_xlabel().startswith("gap to direct")  # the last of its column
    assert above_left.get_xlim() == below_left.get_xlim()


def test_no_rows_have_no_pictures(tmp_path):
    assert plots.drawings(evidence([])) == []


def test_branches_differ_in_colour_or_shape_and_keep_theirs_in_all_models():
    looks = looks_of({"direct", *(f"task{i}" for i in range(42))})
    assert next(iter(looks)) == "direct"
    assert len(set(looks.values())) == 43
    rows = rows_of("squad", {"de": 1.0}) + rows_of("mnli", {"de": 1.0}, model="large")
    rows += rows_of("squad", {"de": 1.0}, model="large")
    above, below = draw(rows)["report"].axes
    shown = [
        {c.get_label(): c.lines[0].get_color() for c in axes.containers} for axes in (above, below)
    ]
    assert shown[0]["squad"] == shown[1]["squad"] != shown[1]["mnli"]


def test_sizes_are_a_panel_per_target_with_scores_over_parameters():
    figure = draw(ladder(MINI, targets=("xnli", "panx")))["sizes"]
    xnli, panx = figure.axes
    assert [axes.get_title() for axes in (xnli, panx)] == ["xnli, accuracy", "panx, accuracy"]
    assert xnli.get_xscale() == "log"
    assert [y for _, y in dots(xnli, "direct")] == [10.5, 20.5, 30.5]
    assert [y for _, y in dots(panx, "mnli")] == [15.5, 25.5, 35.5]
    # beside one another, by less than the eye reads off a logarithmic axis
    assert [x for x, _ in dots(xnli, "mnli")] == pytest.approx(list(MINI.values()), rel=0.03)
    half = 1 / math.sqrt(2)
    assert bars(xnli, "direct", axis=1)[0] == pytest.approx((10.5 - half, 10.5 + half))
    assert [label.get_text() for label in xnli.get_xticklabels()] == ["56 k", "0.15 M", "0.79 M"]
    assert "bars: standard deviation" in figure.get_supxlabel()
    assert "bars" not in draw(ladder(MINI, seeds=1))["sizes"].get_supxlabel()


def test_sizes_need_three_sizes_of_a_family():
    two = dict(list(MINI.items())[:2])
    assert "sizes" not in draw(ladder(two))
    assert "sizes" not in draw(ladder({**two, "xlm-roberta-base": 85_000_000}))
    assert "sizes" not in draw(ladder({**two, "mini-64-random": 150_000}))
    assert "sizes" not in draw(ladder({**two, "mini-65": 150_000}))  # as large as another


def test_a_ladder_goes_from_small_to_large_and_lacks_what_it_lacks():
    rows = ladder(dict(reversed(MINI.items())))
    assert [model.name for model in models_of(rows)] == list(MINI)
    rows = [r for r in rows if (r["model"], r["intermediate"]) != ("mini-64", "mnli")]
    (axes,) = draw(rows)["sizes"].axes
    assert [y for _, y in dots(axes, "mnli")] == [35.5, 15.5]
    assert [y for _, y in dots(axes, "direct")] == [30.5, 20.5, 10.5]


def test_families_are_apart():
    published = {f"xlm-roberta-{s}": 10**n for s, n in (("base", 7), ("large", 8), ("xl", 9))}
    figure = draw(ladder(MINI | published))["sizes"]
    titles = ["xnli, accuracy (mini)", "xnli, accuracy (xlm-roberta)"]
    assert [axes.get_title() for axes in figure.axes] == titles
    assert [y for _, y in dots(figure.axes[1], "direct")] == [40.5, 50.5, 60.5]


def test_names_are_drawn_as_they_are_and_long_ones_in_lines(tmp_path):
    model = r"runs/a$\b_{$/" + "x" * 120
    name = "+".join(["commonsense_qa", "hellaswag", "squad_v2", "anli_plus"])
    rows = [row | {"model": model} for row in two_seeds()]
    rows += rows_of(name, {"de": 1.0}, model=model)
    figure = draw(rows)["report"]
    assert model in figure.axes[0].get_title("left").replace("\n", "")
    (legend,) = (text for text in names(figure) if "squad_v2" in text)
    assert legend.split("\n") == ["commonsense_qa+hellaswag+squad_v2+", "anli_plus"]
    write_pictures(tmp_path, rows)
    assert (tmp_path / "report.png").stat().st_size > 10_000


def texts_of(figure: Figure) -> list:
    """The legend, and every title and label that is seen."""
    found = [figure.legends[0], *figure.texts]
    for axes in figure.axes:
        found += [axes.title, axes._left_title, axes.xaxis.label]
        for i, labels, limits in (
            (0, axes.get_xticklabels(), axes.get_xlim()),
            (1, axes.get_yticklabels(), axes.get_ylim()),
        ):
            low, high = sorted(limits)
            found += [label for label in labels if low <= label.get_position()[i] <= high]
    shown = [text for text in found if text.get_visible()]
    return [text for text in shown if text.get_window_extent().width > 1]


@pytest.mark.parametrize(
    "rows",
    [
        two_seeds(),
        ladder({f"mini-{i}": 1000 * 3**i for i in range(5)}, ("xnli", "pawsx", "panx")),
        ladder({"mini-0": 56_000, "mini-1": 60_000, "mini-2": 790_000}),
    ],
    ids=["one model", "five", "close ones"],
)
def test_no_text_is_cut_off_or_over_another(rows):
    for figure in draw(rows).values():
        figure.draw_without_rendering()
        boxes = [text.get_window_extent() for text in texts_of(figure)]
        assert len(boxes) > 5
        assert all(figure.bbox.x0 <= b.x0 and b.x1 <= figure.bbox.x1 for b in boxes)
        assert all(figure.bbox.y0 <= b.y0 and b.y1 <= figure.bbox.y1 for b in boxes)
        assert not [(a, b) for a, b in combinations(boxes, 2) if a.overlaps(b)]


def size(path: Path) -> tuple[int, int]:
    """(width, height) of a PNG."""
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


def test_very_many_targets_are_not_too_tall_to_draw(tmp_path):
    rows = [row for i in range(480) for row in rows_of("direct", {"de": 60.0}, target=f"t{i}")]
    write_pictures(tmp_path, rows)
    width, height = size(tmp_path / "report.png")
    assert height <= 20_000
    assert width < 1500


def test_pictures_are_as_wide_as_a_page(tmp_path):
    write_pictures(tmp_path, two_seeds())
    assert size(tmp_path / "report.png")[0] == 1500
    assert 'width="720pt"' in (tmp_path / "report.svg").read_text()  # 960 CSS pixels


PROGRAM = """
import json, pathlib, sys
from test_plots import write_pictures
folder = pathlib.Path(sys.argv[1])
write_pictures(folder, json.loads((folder / "rows.json").read_text()))
assert "matplotlib.pyplot" not in sys.modules
"""


def test_the_same_rows_are_the_same_bytes_whatever_the_user_has_set(tmp_path):
    """In another process, with settings of its own, at another time."""
    rows = ladder(MINI)
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    write_pictures(here, rows)
    (there / "rows.json").write_text(json.dumps(rows))
    (there / "matplotlibrc").write_text(
        "font.size: 20\nfont.family: monospace\nsvg.hashsalt: other\n"
    )
    environment = os.environ | {
        "MATPLOTLIBRC": str(there),
        "MPLBACKEND": "module://nowhere",
        "SOURCE_DATE_EPOCH": "86400",
        "PYTHONHASHSEED": "7",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
    }
    subprocess.run(
        [sys.executable, "-c", PROGRAM, str(there)], cwd=ROOT, env=environment, check=True
    )
    pictured = sorted(path.name for path in here.iterdir())
    assert {"report.png", "sizes.svg", "gap_by_size.svg", "heat_map.png"} < set(pictured)
    for name in pictured:
        assert (here / name).read_bytes() == (there / name).read_bytes(), name
    assert "dc:date" not in (here / "report.svg").read_text()


def test_the_users_settings_are_left_as_they_were(tmp_path):
    def settings() -> dict:
        names = set(matplotlib.rcParams) - {"backend"}  # to read it would choose one
        return {name: matplotlib.rcParams[name] for name in names}

    before = settings()
    write_pictures(tmp_path, two_seeds())
    assert settings() == before
