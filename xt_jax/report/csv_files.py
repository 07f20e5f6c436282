"""Writes a report's numbers as CSV: results, gaps, slopes, contrasts, languages, rates, costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pandas as pd

from xt_jax.report.phase_logs import PhaseLog
from xt_jax.report.statistics.bootstrap import Estimate
from xt_jax.report.statistics.findings import Gap, Slope
from xt_jax.report.study_results import StudyResults
from xt_jax.report.sweeps import sweep_frame

_CURVES = ("dev", "loss")


def csv_files(study: StudyResults) -> dict[str, str]:
    """Returns the text of each CSV file by its name; files without rows are left out."""
    cost = [field.name for field in fields(PhaseLog) if field.name not in _CURVES]
    phases = [[getattr(phase, name) for name in cost] for phase in study.phases]
    frames = {
        "results.csv": study.rows,
        "gaps.csv": pd.DataFrame(map(_cells, study.findings.gaps), dtype=object),
        "slopes.csv": pd.DataFrame(map(_cells, study.findings.slopes), dtype=object),
        "contrasts.csv": pd.DataFrame(_points(study), dtype=object),
        "matching.csv": pd.DataFrame(study.matched),
        "learnt.csv": pd.DataFrame(study.learnt),
        "languages.csv": study.language_gains,
        "rates.csv": sweep_frame(study.sweeps),
        "cost.csv": pd.DataFrame(phases, columns=cost),
    }
    return {
        name: frame.map(_no_formula).to_csv(index=False)
        for name, frame in frames.items()
        if len(frame)
    }


def _points(study: StudyResults) -> Iterator[dict[str, Any]]:
    """Yields a row for each point of each contrast: one pretraining run, or one seed of it."""
    for fit in study.findings.scalings:
        about = {
            "family": fit.family,
            "contrast": fit.contrast,
            "intermediates": " ".join(fit.intermediates),
            "targets": " ".join(fit.targets),
        }
        for size, params, values in zip(fit.sizes, fit.encoder_params, fit.units, strict=True):
            for unit, value in enumerate(values):
                yield about | {"size": size, "encoder_params": params, "unit": unit, "gap": value}


def _no_formula(cell: Any) -> Any:
    """Returns a text with a mark before it if a spreadsheet would compute it."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@")) else cell


def _cells(finding: Gap | Slope) -> dict[str, Any]:
    """Returns a cell for each field, and for an estimate one for each of its own fields."""
    cells: dict[str, Any] = {}
    for field in fields(finding):
        value = getattr(finding, field.name)
        if isinstance(value, Estimate):
            cells |= {part.name: getattr(value, part.name) for part in fields(Estimate)}
        else:
            cells[field.name] = value
    return cells
