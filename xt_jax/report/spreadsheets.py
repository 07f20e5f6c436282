"""The numbers of a report as CSV files: gaps, slopes, results, languages, the cost of phases."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

from xt_jax.records.results import Row
from xt_jax.report.evidence import Evidence
from xt_jax.report.gap_tables import language_lines
from xt_jax.report.phase_logs import PhaseLog
from xt_jax.report.statistics.findings import Estimate, Gap, Slope

_ESTIMATES = ("estimate", "without_collapsed")
_NOT_COLUMNS = ("dev", "loss")


def spreadsheets(evidence: Evidence) -> dict[str, str]:
    """The text of each file by its name; only those that have a line."""
    tables: dict[str, tuple[Sequence[str], Sequence[Sequence[Any]]]] = {
        "results.csv": _results(evidence),
        "gaps.csv": _found(Gap, evidence.findings.gaps),
        "slopes.csv": _found(Slope, evidence.findings.slopes),
        "languages.csv": language_lines(evidence),
        "cost.csv": _cost(evidence.phases),
    }
    return {name: _csv(head, lines) for name, (head, lines) in tables.items() if lines}


def _results(evidence: Evidence) -> tuple[Sequence[str], list[list[Any]]]:
    """The rows that count."""
    names = tuple(Row.__annotations__)
    rows: list[dict] = [dict(row) for model in evidence.models for row in model.rows]
    return names, [[row[name] for name in names] for row in rows]


def _found(kind: type, found: Iterable[Gap | Slope]) -> tuple[Sequence[str], list[list[Any]]]:
    """A column per field; those of estimates are cut into theirs."""
    parts = [field.name for field in fields(Estimate)]
    head: list[str] = []
    for field in fields(kind):
        if field.name not in _ESTIMATES:
            head.append(field.name)
        else:
            prefix = "" if field.name == "estimate" else f"{field.name}_"
            head += [f"{prefix}{part}" for part in parts]
    return head, [_cells(each, parts) for each in found]


def _cells(found: Gap | Slope, parts: Sequence[str]) -> list[Any]:
    cells: list[Any] = []
    for field in fields(found):
        value = getattr(found, field.name)
        if field.name in _ESTIMATES:
            cells += [_plain(getattr(value, part, None)) for part in parts]
        else:
            cells.append(_plain(value))
    return cells


def _cost(phases: Sequence[PhaseLog]) -> tuple[Sequence[str], list[list[Any]]]:
    names = [field.name for field in fields(PhaseLog) if field.name not in _NOT_COLUMNS]
    return names, [[getattr(phase, name) for name in names] for phase in phases]


def _plain(value: Any) -> Any:
    """Empty for NaN and None; seeds with spaces between them."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return " ".join(map(str, value)) if isinstance(value, tuple) else value


def _csv(head: Sequence[str], lines: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([head, *lines])
    return text.getvalue()
