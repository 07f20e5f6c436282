"""Chooses and writes the pictures of a report.

Figures are drawn without pyplot and in a fixed style, so that neither a user's settings nor the
display matter, and the same results give the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import matplotlib.style
from etils import epath
from matplotlib.figure import Figure

from xt_jax.files import atomic_write_bytes
from xt_jax.report.figures.curves import curve_figure, measure_of, start_of
from xt_jax.report.figures.families import family_figure
from xt_jax.report.figures.gaps import are_apart, gap_figure
from xt_jax.report.figures.heat_map import heat_map
from xt_jax.report.figures.languages import language_figure
from xt_jax.report.figures.layers import layer_figure, sweeps
from xt_jax.report.figures.matching import matching_figure
from xt_jax.report.figures.scaling import scaling_figure
from xt_jax.report.figures.scores import score_figure
from xt_jax.report.figures.style import Style, in_parts, styles_of
from xt_jax.report.study_results import MEAN, Model, StudyResults, sizes_of

_MIN_GAP_SIZES = 2
_MIN_POINTS = 3  # checkpoints whose gaps are drawn against their direct scores
_MAX_MAPS = 8  # models in one picture

_STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "text.parse_math": False,  # a name may have a dollar sign
    "svg.hashsalt": "xt_jax",
}
_DPI = 150
_MAX_PIXELS = 20_000  # of height: Agg's limit is 2^16, but memory runs out before that
_METADATA = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}

Styles = dict[str, Style]


class Drawing(NamedTuple):
    """A picture to be drawn; `part` is the title of the report's part that shows it.

    A picture of part "" belongs to the answer.
    """

    name: str
    title: str
    part: str
    draw: Callable[[], Figure]


def drawings(study: StudyResults) -> list[Drawing]:
    """Returns every picture that a study has, not drawn yet."""
    if not study.models:
        return []
    every = styles_of({*study.intermediates, *map(start_of, study.phases)})
    styles = {name: every[name] for name in study.intermediates}
    scores = partial(score_figure, study.families, styles)
    return [
        *_scalings(study),
        *_across(study),
        *_matching(study),
        *_gaps(study, styles),
        *_maps(study),
        *_languages(study, styles),
        Drawing("scores", "Scores against encoder parameters", "Scores", scores),
        *_layers(study, styles),
        *_curves(study, every),
    ]


def draw(drawing: Drawing) -> Figure:
    """Draws the figure of a picture in the report's style."""
    with matplotlib.style.context(_STYLE, after_reset=True):
        return drawing.draw()


def write_drawing(folder: epath.Path, drawing: Drawing) -> str:
    """Writes `<name>.svg` and `<name>.png`; returns the SVG."""
    figure = draw(drawing)
    dpi = min(_DPI, _MAX_PIXELS / figure.get_size_inches()[1])
    files = {}
    for suffix, metadata in _METADATA.items():
        buffer = io.BytesIO()
        with matplotlib.style.context(_STYLE, after_reset=True):
            figure.savefig(buffer, format=suffix, dpi=dpi, metadata=metadata)
        files[suffix] = buffer.getvalue()
        atomic_write_bytes(folder / f"{drawing.name}.{suffix}", files[suffix])
    return files["svg"].decode()


def _scalings(study: StudyResults) -> Iterator[Drawing]:
    families = {family: study.scalings(family) for family in study.families}
    known = {family: fits for family, fits in families.items() if fits}
    for i, (family, fits) in enumerate(known.items(), start=1):
        of_family = f" ({family})" if len(study.families) > 1 else ""
        name = "contrasts" if i == 1 else f"contrasts-family-{i}"
        title = f"The answer: contrasts against model size{of_family}"
        yield Drawing(name, title, "", partial(scaling_figure, study, fits))


def _across(study: StudyResults) -> Iterator[Drawing]:
    across = study.findings.across
    if across:
        title = "Across families: these models differ in more than size, and no line is fitted"
        yield Drawing("across_families", title, "Slopes", partial(family_figure, across))


def _matching(study: StudyResults) -> Iterator[Drawing]:
    family_of = {model.name: model.family for model in study.models}
    drawn = 0
    for family in study.families:
        points = [point for point in study.matched if family_of.get(point.size) == family]
        if len({(point.pretraining, point.steps) for point in points}) >= _MIN_POINTS:
            drawn += 1
            of_family = f" ({family})" if len(study.families) > 1 else ""
            name = "matching" if drawn == 1 else f"matching-family-{drawn}"
            title = f"Gap against the direct score, by size{of_family}"
            yield Drawing(name, title, "Slopes", partial(matching_figure, points))


def _gaps(study: StudyResults, styles: Styles) -> Iterator[Drawing]:
    with_gap = {
        family: [model for model in models if _has_gap(study, model)]
        for family, models in study.families.items()
    }
    ladders = {f: models for f, models in with_gap.items() if sizes_of(models) >= _MIN_GAP_SIZES}
    for i, (family, models) in enumerate(ladders.items(), start=1):
        names = [n for n in study.others if any(_has_gap(study, m, n) for m in models)]
        of_family = f" ({family})" if len(study.families) > 1 else ""
        title = f"Gap to direct fine-tuning against model size{of_family}"
        for part, name in _parts(names, "gap_by_size" if i == 1 else f"gap_by_size-family-{i}"):
            figure = partial(gap_figure, study, models, part, styles, apart=are_apart(names))
            yield Drawing(name, title, "The gap, by target and model size", figure)


def _maps(study: StudyResults) -> Iterator[Drawing]:
    models = [model for model in study.models if _has_gap(study, model)]
    title = "Gap of each intermediate task on each target task"
    for part, name in _parts(models, "heat_map", most=_MAX_MAPS):
        figure = partial(heat_map, study, part)
        yield Drawing(name, title, "The gap, by target and model size", figure)


def _languages(study: StudyResults, styles: Styles) -> Iterator[Drawing]:
    known = set(study.language_gains["model"])
    models = [model for model in study.models if model.name in known]
    for kind in ("script", "family"):
        for part, name in _parts(models, f"languages_by_{kind}"):
            figure = partial(language_figure, study, part, styles, kind)
            yield Drawing(name, f"Gap of each language, by {kind}", "Languages", figure)


def _layers(study: StudyResults, styles: Styles) -> Iterator[Drawing]:
    swept = sweeps(study)
    models = [model for model in study.models if any(model.name in by for by in swept.values())]
    title = "Retrieval with the hidden states of each layer"
    for part, name in _parts(models, "retrieval_by_layer"):
        yield Drawing(name, title, "Retrieval by layer", partial(layer_figure, swept, part, styles))


def _curves(study: StudyResults, styles: Styles) -> Iterator[Drawing]:
    measure = measure_of(study.phases)
    if not measure:
        return
    logged = dict.fromkeys(p.model for p in study.phases if len(getattr(p, measure)) > 1)
    models = [model.name for model in study.models if model.name in logged]
    models += [name for name in logged if name not in models]
    title = f"Learning curves: {'score on English dev' if measure == 'dev' else 'training loss'}"
    for part, name in _parts(models, "learning_curves"):
        figure = partial(curve_figure, study.phases, part, styles)
        yield Drawing(name, title, "Learning curves", figure)


def _parts(items: Sequence, name: str, **most: int) -> Iterator[tuple[Sequence, str]]:
    """Yields the items of each picture and the picture's name: `heat_map`, `heat_map-2`."""
    for i, part in enumerate(in_parts(items, **most), start=1):
        yield part, name if i == 1 else f"{name}-{i}"


def _has_gap(study: StudyResults, model: Model, name: str | None = None) -> bool:
    names = study.others if name is None else [name]
    targets = (MEAN, *study.targets)
    return any(study.gap(model.name, n, target) for n in names for target in targets)
