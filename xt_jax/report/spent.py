"""What training cost: phases, steps, tokens and time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from xt_jax.report.document import Block, Table, Text
from xt_jax.report.phase_logs import PhaseLog
from xt_jax.report.wording import listed

_NOTE = (
    "Tokens are without padding; time is of training with its evaluations on dev, on {machines}, "
    "and counts several times where seeds were trained together. Scoring is not in it."
)


def cost_tables(phases: Sequence[PhaseLog]) -> list[Block]:
    """A row per model and phase, all of what it starts from and all seeds; then the sum."""
    if not phases:
        return []
    groups: dict[tuple[str, str], list[PhaseLog]] = defaultdict(list)
    for phase in phases:
        groups[phase.model, phase.phase].append(phase)
    rows = [["model", "trained on", "phases", "steps", "million tokens", "time"]]
    rows += [[*key, *_sums(mine)] for key, mine in groups.items()]
    rows.append(["all", "", *_sums(phases)])
    machines = listed(sorted({phase.machine for phase in phases if phase.machine}))
    return [Table(rows), Text(_NOTE.format(machines=machines or "a machine that is not known"))]


def _sums(phases: Sequence[PhaseLog]) -> list[str]:
    tokens = sum(phase.tokens for phase in phases) / 1e6
    return [
        str(len(phases)),
        f"{sum(phase.steps for phase in phases):,}",
        f"{tokens:,.1f}",
        _time(sum(phase.seconds for phase in phases)),
    ]


def _time(seconds: float) -> str:
    return f"{seconds / 3600:,.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"
