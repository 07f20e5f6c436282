"""Builds the tables of the findings: gaps, slopes, runs at chance, groups of languages."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from xt_jax.report.document import Table
from xt_jax.report.study_results import MEAN, StudyResults
from xt_jax.report.text import interval, percent, points, size

TRAINED_ON = "en"
_ENGLISH = "(English)"
_MEAN = "mean of targets"


def gap_table(study: StudyResults, targets: Sequence[str]) -> list[Table]:
    """Returns a row per target (`MEAN`: their mean) and intermediate task, a column per model."""
    models = study.models
    rows = [["target", "intermediate", *(f"{m.name} ({size(m.encoder_params)})" for m in models)]]
    for target in targets:
        for name in study.others:
            gaps = [study.gap(model.name, name, target) for model in models]
            if any(gaps):
                cells = [interval(gap.estimate) if gap else "" for gap in gaps]
                rows.append([target or _MEAN, name, *cells])
    return _table(rows)


def slope_table(study: StudyResults, targets: Sequence[str]) -> list[Table]:
    """Returns a row per family, intermediate task and target (`MEAN`: their mean)."""
    head = ["family", "intermediate", "target", "sizes", "per tenfold encoder parameters"]
    head += ["above 0", "per tenfold parameters in all", "above 0", "without collapsed runs"]
    rows = [head]
    for family in study.families:
        for name in (MEAN, *study.others):
            for target in targets:
                both = [study.slope(family, name, target, kind) for kind in ("encoder", "total")]
                if not any(both):
                    continue
                cells = [str(max(slope.sizes for slope in both if slope))]
                for slope in both:
                    cells.append(interval(slope.estimate) if slope else "")
                    cells.append(percent(slope.estimate.positive) if slope else "")
                cells.append(interval(both[0].without_collapsed) if both[0] else "")
                rows.append([family, name or "mean of all", target or _MEAN, *cells])
    if not any(row[-1] for row in rows[1:]):
        rows = [row[:-1] for row in rows]
    return _table(rows)


def collapsed_table(study: StudyResults) -> list[Table]:
    """Returns the gaps that include a run at chance, with and without that run."""
    rows = [["model", "intermediate", "target", "seeds at chance", "gap", "without them"]]
    for model in study.models:
        for name in study.others:
            for target in study.targets:
                gap = study.gap(model.name, name, target)
                if gap is not None and gap.collapsed:
                    seeds = " ".join(map(str, gap.collapsed))
                    both = (interval(gap.estimate), interval(gap.without_collapsed))
                    rows.append([model.name, name, target, seeds, *both])
    return _table(rows)


def with_groups(gains: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Adds a column `group` to languages: their `script` or `family`, apart from English.

    English is a group of its own because the models are trained on it.
    """
    return gains.assign(group=gains[kind].where(gains["language"] != TRAINED_ON, _ENGLISH))


def group_table(study: StudyResults, kind: str) -> list[Table]:
    """Returns means over each group of languages, for a family's smallest and largest model."""
    rows = [["model", kind, "languages", *study.others]]
    gains = with_groups(study.language_gains, kind)
    ends = [[models[0], *models[1:][-1:]] for models in study.families.values()]
    for model in (model for pair in ends for model in pair):
        for group, of_group in gains[gains["model"] == model.name].groupby("group"):
            means = of_group.groupby("intermediate", observed=True)["gap"].mean()
            codes = " ".join(sorted(of_group["language"].unique()))
            cells = [points(means[name]) if name in means else "" for name in study.others]
            rows.append([model.name, str(group), codes, *cells])
    return _table(rows)


def _table(rows: list[list[str]]) -> list[Table]:
    """Returns the table, or nothing where it has only a header."""
    return [Table(rows)] if len(rows) > 1 else []
