"""Builds the table of what training cost: phases, steps, tokens and time."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from xt_jax.report.document import Block, Table, Text
from xt_jax.report.phase_logs import PhaseLog
from xt_jax.report.text import listed

_NOTE = (
    "Tokens are without padding; time is of training with its evaluations on dev, on {machines}, "
    "and counts several times where seeds were trained together. Scoring is not in it."
)


def cost_tables(phases: Sequence[PhaseLog]) -> list[Block]:
    """Returns a row per model and phase, over all starts and seeds, and a row for the sum."""
    if not phases:
        return []
    frame = pd.DataFrame(phases)
    rows = [["model", "trained on", "phases", "steps", "million tokens", "time"]]
    for (model, phase), of_phase in frame.groupby(["model", "phase"], sort=False):
        rows.append([model, phase, *_sums(of_phase)])
    rows.append(["all", "", *_sums(frame)])
    machines = listed(sorted(set(frame["machine"]) - {""}))
    return [Table(rows), Text(_NOTE.format(machines=machines or "a machine that is not known"))]


def _sums(phases: pd.DataFrame) -> list[str]:
    steps, tokens, seconds = phases[["steps", "tokens", "seconds"]].sum()
    time = f"{seconds / 3600:,.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"
    return [str(len(phases)), f"{steps:,.0f}", f"{tokens / 1e6:,.1f}", time]
