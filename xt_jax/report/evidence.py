"""What a report is made from: the rows that count, what was found of them, the logs of phases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

from xt_jax.records.results import Row
from xt_jax.report.phase_logs import PhaseLog
from xt_jax.report.statistics.compare import (
    Columns,
    collect,
    direct_first,
    first_metrics,
    one_setting,
    without_layers,
)
from xt_jax.report.statistics.families import family_of
from xt_jax.report.statistics.findings import Findings, Gap, Slope
from xt_jax.tasks.table import DIRECT, TASKS

NOTHING = Findings((), ())
MEAN = ""  # in place of a target or an intermediate task: the mean over all


@dataclass(frozen=True)
class Model:
    """One model and its rows that count.

    Attributes:
        scores: of each (target, metric), layers included, targets in the order of the tasks.
        left_out: how many rows of other settings there are.
    """

    name: str
    encoder_params: int
    total_params: int
    rows: list[Row]
    scores: dict[tuple[str, str], Columns]
    left_out: int

    @cached_property
    def runs(self) -> set[tuple[str, str, int]]:
        """Intermediate task, target and seed of everything that was scored."""
        return {(row["intermediate"], row["target"], row["seed"]) for row in self.rows}

    @cached_property
    def main(self) -> dict[tuple[str, str], Columns]:
        """What counts as the tasks' metrics, not the same metric at every layer."""
        return without_layers(self.scores)

    @cached_property
    def first(self) -> dict[str, tuple[str, Columns]]:
        """The first metric of each target, and its rows."""
        first = first_metrics(self.scores)
        return {target: (metric, columns) for (target, metric), columns in first.items()}


@dataclass(frozen=True)
class Evidence:
    """Models go from small to large within a family.

    Attributes:
        command: the last that ran the study; "" where that is not known.
    """

    models: tuple[Model, ...]
    findings: Findings = NOTHING
    phases: tuple[PhaseLog, ...] = ()
    command: str = ""

    @cached_property
    def intermediates(self) -> list[str]:
        """Direct fine-tuning first."""
        return direct_first({row["intermediate"] for model in self.models for row in model.rows})

    @cached_property
    def others(self) -> list[str]:
        """Without direct fine-tuning."""
        return [name for name in self.intermediates if name != DIRECT]

    @cached_property
    def targets(self) -> list[str]:
        return in_task_order({target for model in self.models for target in model.first})

    @cached_property
    def families(self) -> dict[str, list[Model]]:
        """Their models from small to large."""
        families: dict[str, list[Model]] = defaultdict(list)
        for model in self.models:
            families[family_of(model.name)].append(model)
        return dict(families)

    def gap(self, model: str, intermediate: str, target: str, language: str = "") -> Gap | None:
        """`MEAN` is the mean over targets, "" the mean over languages."""
        return self._gaps.get((model, intermediate, target, language))

    @cached_property
    def target_gaps(self) -> list[Gap]:
        """Those of single targets, means over languages."""
        return [g for g in self._gaps.values() if g.target != MEAN and not g.language]

    def language_gaps(self, model: str) -> list[Gap]:
        """Those of single languages."""
        return self._by_language[model]

    def slope(
        self, family: str, intermediate: str, target: str, parameters: str = "encoder"
    ) -> Slope | None:
        return self._slopes.get((family, intermediate, target, parameters))

    @cached_property
    def _gaps(self) -> dict[tuple[str, str, str, str], Gap]:
        gaps = self.findings.gaps
        return {(gap.model, gap.intermediate, gap.target, gap.language): gap for gap in gaps}

    @cached_property
    def _by_language(self) -> dict[str, list[Gap]]:
        found: dict[str, list[Gap]] = defaultdict(list)
        for gap in self._gaps.values():
            if gap.language and gap.target != MEAN:
                found[gap.model].append(gap)
        return found

    @cached_property
    def _slopes(self) -> dict[tuple[str, str, str, str], Slope]:
        return {(s.family, s.intermediate, s.target, s.parameters): s for s in self.findings.slopes}


def models_of(rows: list[Row], only: Collection[tuple[str, str]] = ()) -> tuple[Model, ...]:
    """The models with their rows that count, from small to large within a family.

    Args:
        rows: in the order of the files; settings may differ.
        only: (run, data) of the rows that belong to the current configuration. They go before
            rows of other settings; elsewhere the last setting counts.
    """
    by_model: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_model[row["model"]].append(row)
    models = [_model(name, mine, set(only)) for name, mine in by_model.items()]
    return tuple(sorted(models, key=lambda m: (family_of(m.name), m.encoder_params, m.name)))


def in_task_order(targets: Collection[str]) -> list[str]:
    """XTREME's order; unknown names last."""
    order = {name: i for i, name in enumerate(TASKS)}
    return sorted(targets, key=lambda name: (order.get(name, len(order)), name))


def sizes_of(models: Sequence[Model]) -> int:
    return len({model.encoder_params for model in models})


def _model(name: str, rows: list[Row], only: set[tuple[str, str]]) -> Model:
    kept, left_out = one_setting(rows, only)
    scores = collect(kept)
    ordered = {
        key: scores[key]
        for target in in_task_order({target for target, _ in scores})
        for key in scores
        if key[0] == target
    }
    last = kept[-1]
    return Model(name, last["encoder_params"], last["total_params"], kept, ordered, left_out)
