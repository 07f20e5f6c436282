"""Reads the sweeps that chose learning rates, and shows their candidates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd
from etils import epath

from xt_jax.errors import DataError
from xt_jax.records.json_files import Malformed, number_fault, read_object, text_fault
from xt_jax.report.document import Block, Folded, Table, Text
from xt_jax.report.phase_logs import PhaseLog
from xt_jax.report.text import count

RECORD = "rates.json"  # in the folder of the phase at the chosen rate
_MOST = 10  # as a learning rate
_FREE = "The best learning rate of each phase lies within the candidates."
_EDGE = (
    "In {edge} of {sweeps} the best learning rate is the lowest or the highest of the candidates, "
    "so a better one may lie outside: {where}."
)


class Sweep(NamedTuple):
    """The candidates for the learning rate of one phase, tried with one seed.

    Attributes:
        phase, after: as in `PhaseLog`.
        scores: on the phase's own dev by learning rate, ascending; None where the loss was not
            finite.
        chosen: the rate of all seeds.
        by: the metric that chose.
    """

    model: str
    phase: str
    after: str
    seed: int
    scores: dict[float, float | None]
    chosen: float
    by: str

    @property
    def is_at_edge(self) -> bool:
        """Whether the chosen learning rate is the lowest or the highest of several candidates."""
        return len(self.scores) > 1 and self.chosen in (min(self.scores), max(self.scores))


def read_sweeps(
    folder: epath.Path, phases: Sequence[PhaseLog], malformed: Malformed | None = None
) -> tuple[Sweep, ...]:
    """Reads the sweeps of the phases in `folder`, in their order.

    Raises:
        DataError: a damaged record, unless `malformed` takes it.
    """
    sweeps = []
    for phase in phases:
        path = folder / phase.folder / RECORD
        if not path.exists():
            continue
        try:
            found = _record(path)
        except DataError as error:
            if malformed is None:
                raise
            malformed(error)
            continue
        sweeps.append(Sweep(phase.model, phase.phase, phase.after, phase.seed, **found))
    return tuple(sweeps)


def sweep_tables(sweeps: Sequence[Sweep]) -> list[Block]:
    """Returns whether the candidates reach far enough, and a row per sweep; [] without sweeps."""
    if not sweeps:
        return []
    rates = sorted({rate for sweep in sweeps for rate in sweep.scores})
    rows = [["model", "trained on", "after", *(f"at {rate:g}" for rate in rates), "chosen", "by"]]
    for sweep in sweeps:
        cells = [_cell(sweep, rate) for rate in rates]
        about = sweep.model, sweep.phase, sweep.after
        rows.append([*about, *cells, f"{sweep.chosen:g}", sweep.by])
    return [Text(_reach(sweeps)), Folded("All candidates with their scores", (Table(rows),))]


def sweep_frame(sweeps: Sequence[Sweep]) -> pd.DataFrame:
    """Returns a row per candidate."""
    rows = [
        {
            **{name: getattr(sweep, name) for name in ("model", "phase", "after", "seed")},
            "learning_rate": rate,
            "score": score,
            "by": sweep.by,
            "is_chosen": rate == sweep.chosen,
        }
        for sweep in sweeps
        for rate, score in sweep.scores.items()
    ]
    return pd.DataFrame(rows)


def _reach(sweeps: Sequence[Sweep]) -> str:
    at_edge: dict[str, list[str]] = {}
    for sweep in sweeps:
        if sweep.is_at_edge:
            at_edge.setdefault(sweep.phase, []).append(sweep.model)
    if not at_edge:
        return _FREE
    where = [f"{phase} ({', '.join(dict.fromkeys(models))})" for phase, models in at_edge.items()]
    edge = sum(map(len, at_edge.values()))
    return _EDGE.format(edge=edge, sweeps=count(len(sweeps), "sweep"), where=", ".join(where))


def _cell(sweep: Sweep, rate: float) -> str:
    if rate not in sweep.scores:
        return ""
    score = sweep.scores[rate]
    return "diverges" if score is None else f"{score:.1f}"


def _record(path: epath.Path) -> dict[str, Any]:
    """Reads the part of a `rates.json` that a report shows."""
    found = read_object(path)
    candidates = found.get("candidates")
    scores = dict(_candidates(candidates if isinstance(candidates, list) else [], path))
    chosen: Any = found.get("chosen")
    fault = text_fault("by", found.get("by")) or number_fault("chosen", chosen, 0, _MOST)
    if not fault and scores.get(chosen) is None:
        fault = "The chosen rate is no candidate with a score."
    if fault:
        raise _damaged(fault, path)
    return {"scores": dict(sorted(scores.items())), "chosen": chosen, "by": found["by"]}


def _candidates(candidates: list, path: epath.Path) -> Iterator[tuple[float, float | None]]:
    for candidate in candidates:
        about: dict[str, Any] = candidate if isinstance(candidate, dict) else {}
        rate: Any = about.get("learning_rate")
        score = about.get("score")
        fault = number_fault("learning_rate", rate, 0, _MOST)
        if not fault and score is not None:
            fault = number_fault("score", score, -1e6, 100)
        if fault:
            raise _damaged(fault, path)
        yield rate, score


def _damaged(fault: str, path: epath.Path) -> DataError:
    return DataError(fault, where=path, remedy="delete the file: the report lacks the sweep")
