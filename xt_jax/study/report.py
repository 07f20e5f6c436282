"""The table of a study, from `results.jsonl` alone."""

from __future__ import annotations

from collections import defaultdict
from statistics import mean, stdev

from etils import epath

from xt_jax.files import atomic_write_text
from xt_jax.study.results import Row, read_rows
from xt_jax.tasks.table import DIRECT

# (model, target, metric) -> intermediate -> seed -> language -> value
Scores = dict[tuple[str, str, str], dict[str, dict[int, dict[str, float]]]]


def write_report(results: epath.Path) -> str:
    """Writes `report.md` beside `results` and returns its text."""
    text = report(read_rows(results))
    atomic_write_text(results.parent / "report.md", text)
    return text


def report(rows: list[Row]) -> str:
    """Markdown: means over languages with the gap to direct fine-tuning, then every language.

    A gap compares the languages and seeds that both sides have. Where the same number was
    computed more than once (with other settings in the same folder), the last one counts.
    """
    scores = _collect(rows)
    intermediates = sorted(
        {r["intermediate"] for r in rows}, key=lambda name: (name != DIRECT, name)
    )
    parts = ["# Zero-shot results\n"]
    for model in dict.fromkeys(row["model"] for row in rows):
        row = next(r for r in rows if r["model"] == model)
        parts.append(
            f"## {model}: {row['encoder_params'] / 1e6:.2f} M encoder parameters, "
            f"{row['total_params'] / 1e6:.2f} M in all\n"
        )
        mine = {key[1:]: value for key, value in scores.items() if key[0] == model}
        parts.append(_summary(mine, intermediates))
        parts += [_languages(key, value, intermediates) for key, value in mine.items()]
    return "\n".join(parts)


def _collect(rows: list[Row]) -> Scores:
    scores: Scores = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    for row in rows:
        if "@" not in row["metric"]:
            key = (row["model"], row["target"], row["metric"])
            scores[key][row["intermediate"]][row["seed"]][row["language"]] = row["value"]
    return scores


def _summary(scores: dict, intermediates: list[str]) -> str:
    others = [name for name in intermediates if name != DIRECT]
    gaps = [f"{name} - {DIRECT}" for name in others] if DIRECT in intermediates else []
    table = [["target", "metric", "languages", *intermediates, *gaps]]
    for (target, metric), by_intermediate in scores.items():
        seeds = [by_language for name in by_intermediate.values() for by_language in name.values()]
        languages = {language for by_language in seeds for language in by_language}
        cells = [_spread(_means(by_intermediate.get(name, {}))) for name in intermediates]
        direct = by_intermediate.get(DIRECT, {})
        differences = [_spread(_gap(by_intermediate.get(n, {}), direct), sign=True) for n in others]
        table.append([target, metric, str(len(languages)), *cells, *(differences if gaps else [])])
    return _markdown(table)


def _languages(key: tuple[str, str], by_intermediate: dict, intermediates: list[str]) -> str:
    """A row per language: the mean over seeds after each intermediate task."""
    seeds = [by_language for name in by_intermediate.values() for by_language in name.values()]
    table = [["language", *intermediates]]
    for language in sorted({language for by_language in seeds for language in by_language}):
        values = [
            [s[language] for s in by_intermediate.get(name, {}).values() if language in s]
            for name in intermediates
        ]
        table.append([language, *(f"{mean(v):.1f}" if v else "" for v in values)])
    return f"### {key[0]}, {key[1]}\n\n{_markdown(table)}"


def _means(seeds: dict[int, dict[str, float]]) -> list[float]:
    """The mean over languages, one per seed."""
    return [mean(by_language.values()) for by_language in seeds.values()]


def _gap(seeds: dict[int, dict[str, float]], direct: dict[int, dict[str, float]]) -> list[float]:
    """Mean difference over the common languages, one per common seed."""
    gaps = []
    for seed in seeds.keys() & direct.keys():
        common = seeds[seed].keys() & direct[seed].keys()
        if common:
            gaps.append(mean(seeds[seed][lang] - direct[seed][lang] for lang in sorted(common)))
    return gaps


def _spread(values: list[float], sign: bool = False) -> str:
    """Mean, and the standard deviation over seeds where there are several."""
    if not values:
        return ""
    text = f"{mean(values):+.1f}" if sign else f"{mean(values):.1f}"
    return f"{text} ± {stdev(values):.1f}" if len(values) > 1 else text


def _markdown(table: list[list[str]]) -> str:
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in table
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines) + "\n"
