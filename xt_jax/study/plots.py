"""The pictures of a report: which there are, what they show of the rows, and their files.

Figures are drawn without pyplot and in a style of their own, so that neither a user's settings nor
the display matter, and the same rows give the same bytes.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Collection
from contextlib import AbstractContextManager

import matplotlib.style
from etils import epath
from matplotlib.figure import Figure

from xt_jax.files import atomic_write_bytes
from xt_jax.study.compare import collect, one_setting, without_layers
from xt_jax.study.figures import Panel, looks_of, report_figure, sizes_figure
from xt_jax.study.results import Row

REPORT, SIZES = "report", "sizes"
MIN_SIZES = 3  # of one family, for a picture of score against size

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


def pictures(rows: list[Row]) -> dict[str, str]:
    """Name and title of the pictures that these rows have."""
    titles = {REPORT: "Scores after each intermediate task, and their gap to direct fine-tuning"}
    if ladders(rows):
        titles[SIZES] = "Scores against encoder parameters"
    return titles if rows else {}


def write_pictures(
    folder: epath.Path, rows: list[Row], *, only: Collection[tuple[str, str]] | None = None
) -> None:
    """Writes each of `pictures(rows)` as `<name>.svg` and `<name>.png`; `only` as in `report`."""
    for name, figure in draw(rows, only=only).items():
        for suffix in _METADATA:
            atomic_write_bytes(folder / f"{name}.{suffix}", _rendered(figure, suffix))


def draw(rows: list[Row], *, only: Collection[tuple[str, str]] | None = None) -> dict[str, Figure]:
    """The figures of `pictures(rows)`, by name."""
    panels = _panels(rows, set(only or ()))
    looks = looks_of({name for p in panels.values() for c in p.scores.values() for name in c})
    figures = {}
    with _style():
        if panels:
            figures[REPORT] = report_figure(list(panels.values()), looks)
        families = {
            family: [panels[model] for model in models] for family, models in ladders(rows).items()
        }
        if families:
            figures[SIZES] = sizes_figure(families, looks)
    return figures


def ladders(rows: list[Row]) -> dict[str, list[str]]:
    """Families of at least `MIN_SIZES` sizes: their models from small to large."""
    sizes = {row["model"]: row["encoder_params"] for row in rows}
    families: dict[str, list[str]] = defaultdict(list)
    for model in sorted(sizes, key=lambda model: (sizes[model], model)):
        families[family_of(model)].append(model)
    return {
        family: models
        for family, models in families.items()
        if len({sizes[model] for model in models}) >= MIN_SIZES
    }


def family_of(model: str) -> str:
    """The name without its owner and its size: `facebook/xlm-roberta-xl` is an `xlm-roberta`.

    Random weights are a family apart.
    """
    name = model.rstrip("/").rsplit("/", 1)[-1]
    plain = name.removesuffix("-random")
    return plain.rsplit("-", 1)[0] + name[len(plain) :]


def _panels(rows: list[Row], only: set[tuple[str, str]]) -> dict[str, Panel]:
    """What counts of each model: the first metric of each target."""
    panels = {}
    for model in dict.fromkeys(row["model"] for row in rows):
        kept, _ = one_setting([row for row in rows if row["model"] == model], only)
        scores = without_layers(collect(kept))
        first: dict[str, tuple[str, str]] = {}
        for target, metric in scores:
            first.setdefault(target, (target, metric))
        mine = {key: scores[key] for key in first.values()}
        panels[model] = Panel(model, kept[-1]["encoder_params"], mine)
    return panels


def _style() -> AbstractContextManager[None]:
    return matplotlib.style.context(_STYLE, after_reset=True)


def _rendered(figure: Figure, suffix: str) -> bytes:
    buffer = io.BytesIO()
    dpi = min(_DPI, _MAX_PIXELS / figure.get_size_inches()[1])
    with _style():
        figure.savefig(buffer, format=suffix, dpi=dpi, metadata=_METADATA[suffix])
    return buffer.getvalue()
