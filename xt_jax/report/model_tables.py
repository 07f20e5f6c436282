"""Builds the tables of one model: mean scores with their gaps, every language and layer."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from statistics import mean

import numpy as np

from xt_jax.report.document import Block, Folded, Heading, Part, Table, Text
from xt_jax.report.statistics.scores import (
    CONFIDENCE,
    Grid,
    at_layers,
    deviation,
    direct_first,
    half_width,
    seed_means,
)
from xt_jax.report.study_results import Model
from xt_jax.tasks.table import DIRECT

_BRACKETS = "In brackets: the languages (how many) or seeds (which) of a number that lacks some."
_SCORE = "± of a score: sample standard deviation over seeds."
_GAP = (
    f"± of a gap: half the width of its {100 * CONFIDENCE:.0f} % t-interval, from the differences "
    "paired by seed (mean over languages first); about other seeds, not other test examples."
)
_STAR = "*: the layer that counts as the task's {metric}."
_OTHER_EXAMPLES = "Not in the gaps, since scored on other examples than after direct: {languages}."
_LEFT_OUT = (
    "Rows of other settings left out: {rows}. For each intermediate task, target and seed one "
    "training run counts, and in each language one set of examples: the current configuration's, "
    "else the last."
)

Spread = Callable[[np.ndarray], float]  # of values over seeds


def model_tables(model: Model, *, folded: bool = False) -> Part:
    """Returns means over languages with gaps to direct fine-tuning, then the details.

    A number is the mean over languages for each seed, then over seeds. A gap takes the languages
    and seeds that both sides have, scored on the same examples.

    Args:
        folded: whether the means are among the details, too.
    """
    title = (
        f"{model.name}: {model.encoder_params / 1e6:.2f} M encoder parameters, "
        f"{model.total_params / 1e6:.2f} M in all"
    )
    blocks = _summary(model.grids)
    if model.left_out:
        blocks.append(Text(_LEFT_OUT.format(rows=model.left_out)))
    details: list[Block] = []
    for (target, metric), grid in model.grids.items():
        details += [Heading(3, f"{target}, {metric}"), _by_language(grid)]
        layers = layer_grids(model, target, metric)
        if layers:
            details.append(Heading(3, f"{target}, {metric} by layer, mean over languages"))
            details += _by_layer(layers, grid, metric)
    if folded:
        blocks, details = [], [*blocks, *details]
    return Part(title, (*blocks, Folded(f"{model.name}: every language and layer", tuple(details))))


def layer_grids(model: Model, target: str, metric: str) -> dict[int, Grid]:
    """Returns the scores of a target computed from each single layer; {} if there are none."""
    rows = model.rows[model.rows["target"] == target]
    return {layer: Grid(of_layer) for layer, of_layer in at_layers(rows, metric).items()}


def counted_layer(layers: dict[int, Grid], grid: Grid) -> int | None:
    """Returns the only layer whose scores are the task's own; None unless there is one."""
    same = [
        layer
        for layer, at_layer in layers.items()
        if at_layer.scores.keys() == grid.scores.keys()
        and all(np.array_equal(at_layer.scores[n], grid.scores[n], True) for n in grid.scores)
    ]
    return same[0] if len(same) == 1 else None


def _summary(grids: dict[tuple[str, str], Grid]) -> list[Block]:
    """Returns a row per target and metric, and notes that explain the signs in its cells."""
    names = direct_first({name for grid in grids.values() for name in grid.scores})
    compared = names[1:] if DIRECT in names else []
    head = ["target", "metric", "languages", *names, *(f"{name} - {DIRECT}" for name in compared)]
    rows, first_gap = [], len(head) - len(compared)
    unlike: dict[str, set[str]] = defaultdict(set)
    for (target, metric), grid in grids.items():
        cells = _cells(grid, names, compared, slice(None))
        rows.append([target, metric, str(len(grid.languages)), *cells])
        unlike[target] |= grid.other_examples
    notes = {
        _SCORE: any("±" in cell for row in rows for cell in row[:first_gap]),
        _GAP: any("±" in cell for row in rows for cell in row[first_gap:]),
        _BRACKETS: any("(" in cell for row in rows for cell in row[3:]),
    }
    shown = [note for note, is_needed in notes.items() if is_needed]
    if counts := [f"{target} {len(codes)}" for target, codes in unlike.items() if codes]:
        shown.append(_OTHER_EXAMPLES.format(languages=f"languages of {', '.join(counts)}"))
    return [Table([head, *rows]), *map(Text, shown)]


def _by_language(grid: Grid) -> Table:
    """Returns a row per language, with the gap if only one task is compared with direct."""
    names, compared = list(grid.scores), list(grid.gaps) if len(grid.gaps) == 1 else []
    rows = [["language", *names, *(f"{name} - {DIRECT}" for name in compared)]]
    for i, language in enumerate(grid.languages):
        rows.append([language, *_cells(grid, names, compared, slice(i, i + 1))])
    return Table(rows)


def _by_layer(layers: dict[int, Grid], grid: Grid, metric: str) -> list[Block]:
    """Returns a row per layer, with a star at the layer that counts."""
    names, star = list(grid.scores), counted_layer(layers, grid)
    rows = [["layer", *names]]
    for layer, at_layer in layers.items():
        label = f"{layer} *" if layer == star else str(layer)
        rows.append([label, *_cells(at_layer, names, [], slice(None))])
    return [Table(rows), *([] if star is None else [Text(_STAR.format(metric=metric))])]


def _cells(grid: Grid, names: list[str], compared: list[str], languages: slice) -> list[str]:
    """Returns a cell for the score of each of `names`, then for the gap of each of `compared`."""
    scores = {name: values[:, languages] for name, values in grid.scores.items()}
    has_seed = np.any([~np.isnan(values).all(axis=1) for values in scores.values()], axis=0)
    seeds = set(grid.seeds[has_seed])

    def cell(arrays: dict[str, np.ndarray], name: str, spread: Spread, sign: str = "") -> str:
        values = arrays.get(name)
        return (
            "" if values is None else _cell(values[:, languages], grid.seeds, seeds, spread, sign)
        )

    return [
        *(cell(grid.scores, name, deviation) for name in names),
        *(cell(grid.gaps, name, half_width, "+") for name in compared),
    ]


def _cell(
    values: np.ndarray, seeds: np.ndarray, of_row: set[int], spread: Spread, sign: str
) -> str:
    """Formats an array [seeds, languages] as its mean ± the `spread` over seeds.

    Brackets say how many languages it has where the row has more: `(14)`, or `(13-14)` where seeds
    differ; and which seeds where the row has compared: `(seed 0)`.
    """
    counts = (~np.isnan(values)).sum(axis=1)
    scored = counts > 0
    if not scored.any():
        return ""
    means = seed_means(values)
    half = spread(means)
    text = f"{mean(means.tolist()):{sign}z.1f}"
    if not math.isnan(half):
        text += f" ± {half:.1f}"
    lacks = []
    fewest, most = counts[scored].min(), counts[scored].max()
    if fewest < values.shape[1]:
        lacks.append(str(fewest) if fewest == most else f"{fewest}-{most}")
    if set(seeds[scored]) != of_row:
        lacks.append(f"seed {' '.join(map(str, seeds[scored]))}")
    return f"{text} ({', '.join(lacks)})" if lacks else text
