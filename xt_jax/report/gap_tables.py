"""Tables of what was found: gaps, slopes, collapsed runs, gains of groups of languages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from statistics import fmean

from xt_jax.languages import Language, language
from xt_jax.report.document import Table
from xt_jax.report.evidence import MEAN, Evidence, Model
from xt_jax.report.wording import interval, percent, points, size

TRAINED_ON = "en"
_ENGLISH = "(English)"
_MEAN = "mean of targets"


def gap_table(evidence: Evidence, targets: Sequence[str]) -> Table | None:
    """A row per target (`MEAN`: the mean over them) and intermediate task, a column per model."""
    models = evidence.models
    rows = [["target", "intermediate", *(f"{m.name} ({size(m.encoder_params)})" for m in models)]]
    for target in targets:
        for name in evidence.others:
            gaps = [evidence.gap(model.name, name, target) for model in models]
            if any(gaps):
                cells = [interval(gap.estimate) if gap else "" for gap in gaps]
                rows.append([target or _MEAN, name, *cells])
    return _table(rows)


def slope_table(evidence: Evidence, targets: Sequence[str]) -> Table | None:
    """A row per family, intermediate task and target (`MEAN`: the mean over them), means first."""
    head = ["family", "intermediate", "target", "sizes", "per tenfold encoder parameters"]
    head += ["above 0", "per tenfold parameters in all", "above 0", "without collapsed runs"]
    rows = [head]
    for family in evidence.families:
        for name in (MEAN, *evidence.others):
            for target in targets:
                cells = _slope_cells(evidence, family, name, target)
                if cells:
                    rows.append([family, name or "mean of all", target or _MEAN, *cells])
    if not any(row[-1] for row in rows[1:]):
        rows = [row[:-1] for row in rows]
    return _table(rows)


def collapsed_table(evidence: Evidence) -> Table | None:
    """The gaps that have a run at chance, with and without it."""
    rows = [["model", "intermediate", "target", "seeds at chance", "gap", "without them"]]
    for model in evidence.models:
        for name in evidence.others:
            for target in evidence.targets:
                gap = evidence.gap(model.name, name, target)
                if gap is not None and gap.collapsed:
                    seeds = " ".join(map(str, gap.collapsed))
                    both = (interval(gap.estimate), interval(gap.without_collapsed))
                    rows.append([model.name, name, target, seeds, *both])
    return _table(rows)


def language_gains(evidence: Evidence, model: Model) -> dict[str, dict[str, float]]:
    """intermediate -> language -> its gap, mean over the targets that have it."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for gap in evidence.language_gaps(model.name):
        found[gap.intermediate][gap.language].append(gap.estimate.value)
    return {
        name: {lang: fmean(values) for lang, values in by_language.items()}
        for name, by_language in found.items()
    }


def language_lines(evidence: Evidence) -> tuple[list[str], list[list[str | float]]]:
    """Names of columns, and a line for each model, intermediate task and language."""
    lines: list[list[str | float]] = []
    for model in evidence.models:
        for name, by_language in language_gains(evidence, model).items():
            for code in sorted(by_language):
                about = language(code)
                lines.append([model.name, name, code, *about, by_language[code]])
    return ["model", "intermediate", "language", *Language._fields, "gap"], lines


def groups_of(languages: set[str], kind: str) -> dict[str, list[str]]:
    """Languages by `script` or `family`; the one that is trained on is a group of its own."""
    groups: dict[str, list[str]] = defaultdict(list)
    for code in sorted(languages):
        groups[_ENGLISH if code == TRAINED_ON else getattr(language(code), kind)].append(code)
    return dict(sorted(groups.items()))


def group_table(evidence: Evidence, kind: str) -> Table | None:
    """Means over the languages of each group, of the smallest and largest model of a family."""
    rows = [["model", kind, "languages", *evidence.others]]
    ends = [[models[0], *models[1:][-1:]] for models in evidence.families.values()]
    for model in (model for pair in ends for model in pair):
        gains = language_gains(evidence, model)
        languages = {code for by_language in gains.values() for code in by_language}
        for group, codes in groups_of(languages, kind).items():
            mean = _mean_over(codes)
            cells = [mean(gains.get(name, {})) for name in evidence.others]
            rows.append([model.name, group, " ".join(codes), *cells])
    return _table(rows)


def _mean_over(codes: list[str]) -> Callable[[dict[str, float]], str]:
    def mean(by_language: dict[str, float]) -> str:
        values = [by_language[code] for code in codes if code in by_language]
        return points(fmean(values)) if values else ""

    return mean


def _slope_cells(evidence: Evidence, family: str, name: str, target: str) -> list[str]:
    encoder = evidence.slope(family, name, target)
    total = evidence.slope(family, name, target, "total")
    if encoder is None and total is None:
        return []
    cells = [str(max(slope.sizes for slope in (encoder, total) if slope is not None))]
    for slope in (encoder, total):
        cells.append(interval(slope.estimate) if slope else "")
        cells.append(percent(slope.estimate.positive) if slope else "")
    cells.append(interval(encoder.without_collapsed) if encoder else "")
    return cells


def _table(rows: list[list[str]]) -> Table | None:
    return Table(rows) if len(rows) > 1 else None
