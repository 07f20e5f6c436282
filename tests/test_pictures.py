"""Tests that the text of all pictures is legible, and their sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from etils import epath
from matplotlib.figure import Figure
from matplotlib.text import Text
from rows import rows_of
from synthetic import MINI, PUBLISHED, analysed, draw, ladder, phase_logs, study_rows

from xt_jax.records.results import Row
from xt_jax.report import plots

TWELVE = {f"organisation/multilingual-encoder-v{i}-uncased": int(2e6 * 1.7**i) for i in range(12)}
LONG = ("direct", "mnli", "squad", "commonsense_qa+cosmos_qa+hellaswag+mnli+squad")


def texts_of(figure: Figure) -> list:
    """Returns the legend, and every visible title, label and number."""
    found = [*figure.legends, *figure.texts]
    for axes in figure.axes:
        found += [axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
        for i, labels, limits in (
            (0, axes.get_xticklabels(), axes.get_xlim()),
            (1, axes.get_yticklabels(), axes.get_ylim()),
        ):
            low, high = sorted(limits)
            found += [label for label in labels if low <= label.get_position()[i] <= high]
    shown = [text for text in found if text.get_visible()]
    return [text for text in shown if text.get_window_extent().width > 1]


def ticks_of(figure: Figure) -> list[Text]:
    """Returns the labels of all ticks that are drawn."""
    axles = [axle for axes in figure.axes for axle in (axes.xaxis, axes.yaxis)]
    ticks = [tick for axle in axles for tick in axle._update_ticks()]
    sides = [
        pair
        for tick in ticks
        for pair in ((tick.tick1line, tick.label1), (tick.tick2line, tick.label2))
    ]
    drawn = [label for line, label in sides if line.get_visible() and line.get_markersize() > 0]
    return [label if label.get_visible() else Text() for label in drawn]


@pytest.mark.parametrize(
    "rows",
    [
        study_rows(layers=True),
        study_rows(PUBLISHED, ("direct", "mnli"), seeds=2, languages=None, layers=True),
        study_rows({"mini-48": 56_544}, ("direct", "mnli", "squad"), seeds=1, layers=True),
        study_rows({f"mini-{n}": 1000 * 2**n for n in range(7)}, seeds=2, layers=True),
        ladder({"mini-0": 56_000, "mini-1": 60_000, "mini-2": 790_000}),
        study_rows(TWELVE, LONG, ("xnli", "panx", "tatoeba"), seeds=2, layers=True),
        study_rows({**MINI, **PUBLISHED, "other-xl": 10**10}, LONG, ("xnli", "tatoeba"), seeds=2),
    ],
    ids=["mini", "published", "one size", "seven sizes", "close sizes", "long names", "families"],
)
def test_no_text_is_cut_off_or_small_or_over_another(rows):
    for drawing in plots.drawings(analysed(rows, phases=phase_logs(seeds=1))):
        name, figure = drawing.name, plots.draw(drawing)
        figure.draw_without_rendering()
        assert all(label.get_text() for label in ticks_of(figure)), name
        texts = texts_of(figure)
        boxes = np.array([text.get_window_extent().extents for text in texts])
        assert len(boxes) > 5
        assert figure.get_figwidth() == 10  # inches, 960 CSS pixels
        assert min(t.get_fontsize() for t in texts if hasattr(t, "get_fontsize")) >= 8.5
        low, high = boxes[:, :2], boxes[:, 2:]
        assert (low >= figure.bbox.min).all(), name
        assert (high <= figure.bbox.max).all(), name
        overlap = (low[:, None] < high).all(axis=2) & (high[:, None] > low).all(axis=2)
        pairs = np.argwhere(np.triu(overlap, 1))
        assert not len(pairs), (name, [(texts[a], texts[b]) for a, b in pairs])


def write_pictures(folder: Path, rows: list[Row]) -> None:
    for drawing in plots.drawings(analysed(rows)):
        plots.write_drawing(epath.Path(folder), drawing)


def png_size(path: Path) -> tuple[int, int]:
    """(width, height)"""
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


def test_without_rows_there_are_no_pictures():
    assert plots.drawings(analysed([])) == []


def test_names_are_drawn_as_they_are_and_long_ones_in_lines(tmp_path):
    model = r"runs/a$\b_{$/" + "x" * 120
    name = "+".join(["commonsense_qa", "hellaswag", "squad_v2", "anli_plus", "qqp"])
    rows = rows_of("direct", {"de": 2.0}, model=model) + rows_of(name, {"de": 1.0}, model=model)
    study = analysed(rows)
    assert model in draw(study, "heat_map").axes[0].get_title("left").replace("\n", "")
    assert model in draw(study, "languages_by_script").axes[0].get_title().replace("\n", "")
    legend = [text.get_text() for text in draw(study, "scores").legends[0].get_texts()]
    assert legend == ["direct", "commonsense_qa+hellaswag+squad_v2+anli_plus+\nqqp"]
    write_pictures(tmp_path, rows)
    assert (tmp_path / "heat_map.png").stat().st_size > 5_000


def test_pictures_are_as_wide_as_a_page_and_not_too_tall_to_draw(tmp_path, monkeypatch):
    rows = [row for i in range(20) for row in rows_of("direct", {"de": 60.0}, target=f"t{i}")]
    write_pictures(tmp_path, rows[:1])
    assert png_size(tmp_path / "scores.png")[0] == 1500
    assert 'width="720pt"' in (tmp_path / "scores.svg").read_text()  # 960 CSS pixels
    assert plots._MAX_PIXELS < 2**16  # Agg's limit
    monkeypatch.setattr(plots, "_MAX_PIXELS", 1000)
    write_pictures(tmp_path, rows)
    width, height = png_size(tmp_path / "scores.png")
    assert height <= 1000
    assert width < 1500
