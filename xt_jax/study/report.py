"""The table of a study and its pictures, from `results.jsonl` alone."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection
from statistics import mean

from etils import epath

from xt_jax.files import atomic_write_text
from xt_jax.study import plots
from xt_jax.study.compare import (
    CONFIDENCE,
    Columns,
    Numbers,
    at_layers,
    collect,
    deviation,
    direct_first,
    gap,
    half_width,
    languages_of,
    one_setting,
    other_examples,
    seed_means,
    values_of,
    without_layers,
)
from xt_jax.study.results import Row, read_rows
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


def write_report(results: epath.Path, *, only: Collection[tuple[str, str]] | None = None) -> str:
    """Writes `report.md` and its pictures beside `results` and returns the text; see `report`."""
    rows = read_rows(results)
    text = report(rows, only=only, pictures=plots.pictures(rows))
    atomic_write_text(results.parent / "report.md", text)
    plots.write_pictures(results.parent, rows, only=only)
    return text


def report(
    rows: list[Row],
    *,
    only: Collection[tuple[str, str]] | None = None,
    pictures: dict[str, str] | None = None,
) -> str:
    """Markdown: means over languages with the gap to direct fine-tuning, then every language.

    A number is the mean over languages for each seed, then over seeds. A gap takes the languages
    and seeds that both sides have, scored on the same examples.

    Args:
        rows: of one folder, in the order of the file; settings may differ.
        only: (run, data) of the rows that belong to the current configuration. They go before
            rows of other settings; elsewhere the last setting counts.
        pictures: name and title of those to link, which lie beside the report as `<name>.svg`.
    """
    parts = ["# Zero-shot results\n"]
    if not rows:
        parts.append("There are no results yet: no target task has been scored.\n")
    parts += [f"![{title}]({name}.svg)\n" for name, title in (pictures or {}).items()]
    for model in dict.fromkeys(row["model"] for row in rows):
        parts += _section(model, [row for row in rows if row["model"] == model], set(only or ()))
    return "\n".join(parts)


def _section(model: str, rows: list[Row], only: set[tuple[str, str]]) -> list[str]:
    """Everything about one model."""
    kept, left_out = one_setting(rows, only)
    scores = collect(kept)
    main = without_layers(scores)
    parts = [
        f"## {model}: {kept[-1]['encoder_params'] / 1e6:.2f} M encoder parameters, "
        f"{kept[-1]['total_params'] / 1e6:.2f} M in all\n",
        _summary(main),
    ]
    if left_out:
        parts.append(_LEFT_OUT.format(rows=left_out) + "\n")
    for (target, metric), columns in main.items():
        parts.append(f"### {target}, {metric}\n\n{_by_language(columns)}")
        layers = at_layers(scores, target, metric)
        if layers:
            title = f"### {target}, {metric} by layer, mean over languages"
            parts.append(f"{title}\n\n{_by_layer(layers, columns, metric)}")
    return parts


def _summary(scores: dict[tuple[str, str], Columns]) -> str:
    names = direct_first({name for columns in scores.values() for name in columns})
    others = names[1:] if DIRECT in names else []
    header = ["target", "metric", "languages", *names, *(f"{name} - {DIRECT}" for name in others)]
    table = [header]
    unlike: dict[str, set[str]] = defaultdict(set)
    for (target, metric), columns in scores.items():
        languages = str(len(languages_of(columns)))
        table.append([target, metric, languages, *_cells(columns, names, others)])
        unlike[target] |= {lang for name in others for lang in other_examples(columns, name)}
    text = _markdown(table)
    first_gap = len(header) - len(others)
    notes = [
        (_SCORE, any("±" in cell for row in table for cell in row[:first_gap])),
        (_GAP, any("±" in cell for row in table for cell in row[first_gap:])),
        (_BRACKETS, "(" in text),
    ]
    shown = [note for note, needed in notes if needed]
    counts = [f"{target} {len(languages)}" for target, languages in unlike.items() if languages]
    if counts:
        shown.append(_OTHER_EXAMPLES.format(languages=f"languages of {', '.join(counts)}"))
    return "\n".join([text, *(note + "\n" for note in shown)])


def _by_language(columns: Columns) -> str:
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
    return _markdown(table)


def _by_layer(layers: dict[int, Columns], columns: Columns, metric: str) -> str:
    """A row per layer; a star where every value is that of the task's own `metric`."""
    names = direct_first(columns)
    same = [k for k, at_layer in layers.items() if values_of(at_layer) == values_of(columns)]
    stars = same if len(same) == 1 else []
    table = [["layer", *names]]
    for k in sorted(layers):
        table.append([f"{k} *" if k in stars else str(k), *_cells(layers[k], names, [])])
    return _markdown(table) + (f"\n{_STAR.format(metric=metric)}\n" if stars else "")


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


def _markdown(table: list[list[str]]) -> str:
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in table
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines) + "\n"
