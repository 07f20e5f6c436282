"""The pictures of a report: which there are, what they show of the evidence, and their files.

Figures are drawn without pyplot and in a style of their own, so that neither a user's settings nor
the display matter, and the same evidence gives the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import NamedTuple

import matplotlib.style
from etils import epath
from matplotlib.figure import Figure

from xt_jax.files import atomic_write_bytes
from xt_jax.report.evidence import MEAN, Evidence, Model, sizes_of
from xt_jax.report.figures.curves import curve_figure, measure_of
from xt_jax.report.figures.gaps import TOGETHER, gap_figure
from xt_jax.report.figures.heat_map import heat_map
from xt_jax.report.figures.languages import language_figure
from xt_jax.report.figures.layers import layer_figure, sweeps
from xt_jax.report.figures.looks import Look, in_parts, looks_of
from xt_jax.report.figures.scores import Panel, report_figure, sizes_figure
from xt_jax.report.statistics.families import MIN_SIZES

_MIN_GAP_SIZES = 2
_MAX_MAPS = 8  # models of one picture

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
_MAX_PIXELS = 20_000  # of height; Agg draws fewer than 2^16, and memory is short before
_METADATA = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}

Looks = dict[str, Look]


class Drawing(NamedTuple):
    """One picture; `part` is where in the report it stands."""

    name: str
    title: str
    part: str
    draw: Callable[[], Figure]


def drawings(evidence: Evidence) -> list[Drawing]:
    """Every picture that this evidence has, not drawn yet."""
    if not evidence.models:
        return []
    looks = looks_of(evidence.intermediates)
    found = [
        *_gaps(evidence, looks),
        *_maps(evidence),
        *_languages(evidence, looks),
        *_scores(evidence, looks),
        *_layers(evidence, looks),
        *_curves(evidence),
    ]
    return list(found)


def draw(drawing: Drawing) -> Figure:
    with _style():
        return drawing.draw()


def write_drawing(folder: epath.Path, drawing: Drawing) -> str:
    """Writes `<name>.svg` and `<name>.png`; returns the SVG."""
    figure = draw(drawing)
    files = {suffix: _rendered(figure, suffix) for suffix in _METADATA}
    for suffix, data in files.items():
        atomic_write_bytes(folder / f"{drawing.name}.{suffix}", data)
    return files["svg"].decode()


def _gaps(evidence: Evidence, looks: Looks) -> Iterator[Drawing]:
    ladders = {
        family: [model for model in models if _has_gap(evidence, model)]
        for family, models in evidence.families.items()
    }
    ladders = {f: models for f, models in ladders.items() if sizes_of(models) >= _MIN_GAP_SIZES}
    for i, (family, models) in enumerate(ladders.items(), start=1):
        names = [n for n in evidence.others if any(_has_gap(evidence, m, n) for m in models)]
        of_family = f" ({family})" if len(evidence.families) > 1 else ""
        title = f"Gap to direct fine-tuning against model size{of_family}"
        for part, name in _parts(names, "gap_by_size" if i == 1 else f"gap_by_size-family-{i}"):
            apart = len(names) > TOGETHER
            drawn = partial(gap_figure, evidence, models, part, looks, apart=apart)
            yield Drawing(name, title, "gaps", drawn)


def _maps(evidence: Evidence) -> Iterator[Drawing]:
    models = [model for model in evidence.models if _has_gap(evidence, model)]
    title = "Gap of each intermediate task on each target task"
    for part, name in _parts(models, "heat_map", most=_MAX_MAPS):
        yield Drawing(name, title, "gaps", partial(heat_map, evidence, part))


def _languages(evidence: Evidence, looks: Looks) -> Iterator[Drawing]:
    models = [model for model in evidence.models if evidence.language_gaps(model.name)]
    for kind in ("script", "family"):
        for part, name in _parts(models, f"languages_by_{kind}"):
            drawn = partial(language_figure, evidence, part, looks, kind)
            yield Drawing(name, f"Gap of each language, by {kind}", "languages", drawn)


def _scores(evidence: Evidence, looks: Looks) -> Iterator[Drawing]:
    title = "Scores after each intermediate task, and their gap to direct fine-tuning"
    panels = {model.name: _panel(model) for model in evidence.models}
    yield Drawing("report", title, "scores", partial(report_figure, list(panels.values()), looks))
    families = {
        family: [panels[model.name] for model in models]
        for family, models in evidence.families.items()
        if sizes_of(models) >= MIN_SIZES
    }
    if families:
        drawn = partial(sizes_figure, families, looks)
        yield Drawing("sizes", "Scores against encoder parameters", "scores", drawn)


def _layers(evidence: Evidence, looks: Looks) -> Iterator[Drawing]:
    swept = {name for by_model in sweeps(evidence, evidence.models).values() for name in by_model}
    models = [model for model in evidence.models if model.name in swept]
    for part, name in _parts(models, "retrieval_by_layer"):
        drawn = partial(layer_figure, evidence, part, looks)
        yield Drawing(name, "Retrieval with the hidden states of each layer", "layers", drawn)


def _curves(evidence: Evidence) -> Iterator[Drawing]:
    phases = evidence.phases
    measure = measure_of(phases)
    if not measure:
        return
    known = [model.name for model in evidence.models]
    logged = dict.fromkeys(p.model for p in phases if len(getattr(p, measure)) > 1)
    models = [*(m for m in known if m in logged), *(m for m in logged if m not in known)]
    looks = looks_of({*evidence.intermediates, *(phase.after or "direct" for phase in phases)})
    what = "score on English dev" if measure == "dev" else "training loss"
    for part, name in _parts(models, "learning_curves"):
        drawn = partial(curve_figure, phases, part, looks)
        yield Drawing(name, f"Learning curves: {what}", "curves", drawn)


def _parts(things: Sequence, name: str, **most: int) -> Iterator[tuple[Sequence, str]]:
    """The things of each picture, and its name: `heat_map`, `heat_map-2`."""
    for i, part in enumerate(in_parts(things, **most), start=1):
        yield part, name if i == 1 else f"{name}-{i}"


def _has_gap(evidence: Evidence, model: Model, name: str | None = None) -> bool:
    names = evidence.others if name is None else [name]
    targets = (MEAN, *evidence.targets)
    return any(evidence.gap(model.name, n, target) for n in names for target in targets)


def _panel(model: Model) -> Panel:
    """The first metric of each target."""
    scores = {(target, metric): columns for target, (metric, columns) in model.first.items()}
    return Panel(model.name, model.encoder_params, scores)


def _style() -> AbstractContextManager[None]:
    return matplotlib.style.context(_STYLE, after_reset=True)


def _rendered(figure: Figure, suffix: str) -> bytes:
    buffer = io.BytesIO()
    dpi = min(_DPI, _MAX_PIXELS / figure.get_size_inches()[1])
    with _style():
        figure.savefig(buffer, format=suffix, dpi=dpi, metadata=_METADATA[suffix])
    return buffer.getvalue()
