"""Builds the tables of the findings: gaps, slopes, scores at chance, groups of languages."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from xt_jax.report.document import Table
from xt_jax.report.study_results import MEAN, StudyResults
from xt_jax.report.text import interval, points, size

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
    rows = [["family", "intermediate", "target", "sizes", "per tenfold encoder parameters"]]
    rows[0].append("per tenfold parameters in all")
    for family in study.families:
        for name in (MEAN, *study.others):
            for target in targets:
                both = [study.slope(family, name, target, kind) for kind in ("encoder", "total")]
                known = [slope for slope in both if slope]
                if known:
                    cells = [interval(slope.estimate) if slope else "" for slope in both]
                    sizes = str(max(slope.sizes for slope in known))
                    rows.append([family, name or "mean of all", target or _MEAN, sizes, *cells])
    return _table(rows)


def chance_table(study: StudyResults) -> list[Table]:
    """Returns the gaps with scores at chance on either side, without the English ones."""
    rows = [["model", "intermediate", "target", "direct at chance", "after it at chance", "gap"]]
    for gap in study.target_gaps:
        if max(gap.chance_direct, gap.chance_after) > 0:
            shares = [f"{100 * share:.0f} %" for share in (gap.chance_direct, gap.chance_after)]
            rows.append([gap.size, gap.intermediate, gap.target, *shares, interval(gap.estimate)])
    return _table(rows)


def scaling_table(study: StudyResults, family: str) -> list[Table]:
    """Returns a row per contrast: its mean at each size, its slope, and how well a line fits.

    A column in which nothing stands is left out, as the line's failure with one run of each size.
    """
    fits = study.scalings(family)
    if not fits:
        return []
    sizes = dict.fromkeys(size for fit in fits for size in fit.sizes)
    rows = [["points", *sizes, "per tenfold", "line fails (p)", "left out and predicted"]]
    for fit in fits:
        at = dict(zip(fit.sizes, fit.means, strict=True))
        inside = f"{sum(p.is_inside for p in fit.left_out)} of {len(fit.left_out)} inside"
        rows.append(
            [
                fit.contrast,
                *(interval(at.get(size)) for size in sizes),
                interval(fit.slope),
                "" if math.isnan(fit.lack_of_fit) else f"{fit.lack_of_fit:.2g}",
                inside if fit.left_out else "",
            ]
        )
    columns = [column for column in zip(*rows, strict=True) if any(column[1:])]
    return [Table([list(row) for row in zip(*columns, strict=True)])]


def form_table(study: StudyResults) -> list[Table]:
    """Returns the error of predicting one size from the others, by the form of the curve."""
    fits = [fit for family in study.families for fit in study.scalings(family) if fit.errors]
    rows = [["family", "contrast", *(fits[0].errors if fits else ())]]
    for fit in fits:
        rows.append([fit.family, fit.contrast, *(f"{error:.1f}" for error in fit.errors.values())])
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
