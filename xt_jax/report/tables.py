"""The tables of one model: mean scores with their gaps, every language, every layer."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from statistics import mean

from xt_jax.report.document import Block, Folded, Heading, Table, Text
from xt_jax.report.evidence import Model
from xt_jax.report.statistics.compare import (
    CONFIDENCE,
    Columns,
    Numbers,
    at_layers,
    deviation,
    direct_first,
    gap,
    half_width,
    languages_of,
    other_examples,
    seed_means,
    values_of,
)
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


def model_tables(model: Model) -> list[Block]:
    """Means over languages with the gap to direct fine-tuning, then every language and layer.

    A number is the mean over languages for each seed, then over seeds. A gap takes the languages
    and seeds that both sides have, scored on the same examples.
    """
    title = (
        f"{model.name}: {model.encoder_params / 1e6:.2f} M encoder parameters, "
        f"{model.total_params / 1e6:.2f} M in all"
    )
    blocks: list[Block] = [Heading(2, title), *_summary(model.main)]
    if model.left_out:
        blocks.append(Text(_LEFT_OUT.format(rows=model.left_out)))
    details: list[Block] = []
    for (target, metric), columns in model.main.items():
        details += [Heading(3, f"{target}, {metric}"), _by_language(columns)]
        layers = at_layers(model.scores, target, metric)
        if layers:
            details.append(Heading(3, f"{target}, {metric} by layer, mean over languages"))
            details += _by_layer(layers, columns, metric)
    return [*blocks, Folded(f"{model.name}: every language and layer", tuple(details))]


def counted_layer(layers: dict[int, Columns], columns: Columns) -> int | None:
    """The layer whose values are the task's own; None where no layer is, or several are."""
    same = [k for k, at_layer in layers.items() if values_of(at_layer) == values_of(columns)]
    return same[0] if len(same) == 1 else None


def _summary(scores: dict[tuple[str, str], Columns]) -> list[Block]:
    names = direct_first({name for columns in scores.values() for name in columns})
    others = names[1:] if DIRECT in names else []
    header = ["target", "metric", "languages", *names, *(f"{name} - {DIRECT}" for name in others)]
    table = [header]
    unlike: dict[str, set[str]] = defaultdict(set)
    for (target, metric), columns in scores.items():
        languages = str(len(languages_of(columns)))
        table.append([target, metric, languages, *_cells(columns, names, others)])
        unlike[target] |= {lang for name in others for lang in other_examples(columns, name)}
    first_gap = len(header) - len(others)
    notes = [
        (_SCORE, any("±" in cell for row in table for cell in row[:first_gap])),
        (_GAP, any("±" in cell for row in table for cell in row[first_gap:])),
        (_BRACKETS, any("(" in cell for row in table[1:] for cell in row[3:])),
    ]
    shown = [note for note, needed in notes if needed]
    counts = [f"{target} {len(languages)}" for target, languages in unlike.items() if languages]
    if counts:
        shown.append(_OTHER_EXAMPLES.format(languages=f"languages of {', '.join(counts)}"))
    return [Table(table), *map(Text, shown)]


def _by_language(columns: Columns) -> Table:
    """A row per language; with a single intermediate task beside direct also the gap."""
    names = direct_first(columns)
    others = names[1:] if DIRECT in names and len(names) == 2 else []
    table = [["language", *names, *(f"{name} - {DIRECT}" for name in others)]]
    for language in languages_of(columns):
        mine = {
            name: {s: {language: by[language]} for s, by in seeds.items() if language in by}
            for name, seeds in columns.items()
        }
        table.append([language, *_cells(mine, names, others)])
    return Table(table)


def _by_layer(layers: dict[int, Columns], columns: Columns, metric: str) -> list[Block]:
    """A row per layer; a star at the one that counts."""
    names, star = direct_first(columns), counted_layer(layers, columns)
    table = [["layer", *names]]
    for k in sorted(layers):
        table.append([f"{k} *" if k == star else str(k), *_cells(layers[k], names, [])])
    return [Table(table), *([] if star is None else [Text(_STAR.format(metric=metric))])]


def _cells(columns: Columns, names: list[str], others: list[str]) -> list[str]:
    """A cell for each of `names`, then the gap of each of `others`."""
    languages = len(languages_of(columns))
    seeds = {seed for by_seed in columns.values() for seed, by in by_seed.items() if by}
    values = values_of(columns)
    scores = [_cell(values.get(name, {}), languages, seeds, deviation) for name in names]
    gaps = [_cell(gap(columns, name), languages, seeds, half_width, "+") for name in others]
    return scores + gaps


def _cell(
    numbers: Numbers,
    languages: int,
    seeds: set[int],
    uncertainty: Callable[[list[float]], float],
    sign: str = "",
) -> str:
    """Mean over languages, then mean ± `uncertainty` over seeds.

    In brackets what it lacks of the row: `(14)` languages, `(13-14)` where seeds differ in them,
    `(seed 0)`.
    """
    if not numbers:
        return ""
    means = seed_means(numbers)
    plus_minus = uncertainty(means)
    text = f"{mean(means):{sign}z.1f}"
    if not math.isnan(plus_minus):
        text += f" ± {plus_minus:.1f}"
    counts = {len(by_language) for by_language in numbers.values()}
    lacks = []
    if counts != {languages}:
        lacks.append("-".join(str(n) for n in sorted({min(counts), max(counts)})))
    if numbers.keys() != seeds:
        lacks.append(f"seed {' '.join(str(seed) for seed in sorted(numbers))}")
    return f"{text} ({', '.join(lacks)})" if lacks else text
