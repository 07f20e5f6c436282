"""The input of a report: the rows that count, the findings, and the logs of training phases."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from statistics import fmean

import pandas as pd
from etils import epath

from xt_jax.errors import DataError
from xt_jax.languages import Language, language
from xt_jax.records import example_scores
from xt_jax.records.json_files import Malformed
from xt_jax.records.progress import read_status, status_file
from xt_jax.records.results import Row, read_all
from xt_jax.report.phase_logs import PHASES, PhaseLog, read_phases
from xt_jax.report.statistics.contrasts import ExampleScores
from xt_jax.report.statistics.families import is_last
from xt_jax.report.statistics.findings import Findings, Gap, Slope, find, multiplicity
from xt_jax.report.statistics.matching import Learnt, Point, learnt, matched
from xt_jax.report.statistics.scaling import Scaling
from xt_jax.report.statistics.scores import (
    Grid,
    as_frame,
    direct_first,
    in_task_order,
    one_setting,
    without_layers,
)
from xt_jax.report.sweeps import Sweep, read_sweeps
from xt_jax.tasks.table import DIRECT

MEAN = ""  # in place of a target or an intermediate task: the mean over all


@dataclass(frozen=True)
class Model:
    """One model of a study, or all pretraining runs of one size, with the rows that count.

    Attributes:
        name: of the size.
        left_out: the number of rows of other settings, which do not count.
    """

    name: str
    family: str
    encoder_params: int
    total_params: int
    rows: pd.DataFrame
    left_out: int

    @cached_property
    def grids(self) -> dict[tuple[str, str], Grid]:
        """The scores of each target and metric in the order of the tasks, without layers."""
        rows = without_layers(self.rows)
        by_key = dict(iter(rows.groupby(["target", "metric"], sort=False)))
        targets = in_task_order({target for target, _ in by_key})
        return {key: Grid(by_key[key]) for target in targets for key in by_key if key[0] == target}

    @cached_property
    def first(self) -> dict[str, tuple[str, Grid]]:
        """The first metric of each target and its scores."""
        first: dict[str, tuple[str, Grid]] = {}
        for (target, metric), grid in self.grids.items():
            first.setdefault(target, (metric, grid))
        return first


def sizes_of(models: Sequence[Model]) -> int:
    """Returns the number of different model sizes."""
    return len({model.encoder_params for model in models})


@dataclass(frozen=True)
class StudyResults:
    """The results of a study; models are ordered from small to large within a family.

    Attributes:
        rows: the rows that count of all models.
        checkpoints: rows that count of all checkpoints along pretraining runs that have several.
        every: all rows, also those that do not count.
        command: the last command that ran the study; "" if unknown.
    """

    models: tuple[Model, ...]
    findings: Findings = field(default_factory=Findings)
    phases: tuple[PhaseLog, ...] = ()
    command: str = ""
    checkpoints: pd.DataFrame = field(default_factory=lambda: as_frame([]))
    every: pd.DataFrame = field(default_factory=lambda: as_frame([]))
    sweeps: tuple[Sweep, ...] = ()

    @cached_property
    def rows(self) -> pd.DataFrame:
        return pd.concat([model.rows for model in self.models] or [as_frame([])])

    @cached_property
    def intermediates(self) -> list[str]:
        """All intermediate tasks, direct fine-tuning first."""
        return direct_first(set(self.rows["intermediate"]))

    @cached_property
    def others(self) -> list[str]:
        """All intermediate tasks without direct fine-tuning."""
        return [name for name in self.intermediates if name != DIRECT]

    @cached_property
    def targets(self) -> list[str]:
        """All targets in the order of the tasks."""
        return in_task_order({target for model in self.models for target in model.first})

    @cached_property
    def families(self) -> dict[str, list[Model]]:
        """The models of each family from small to large."""
        families: dict[str, list[Model]] = {}
        for model in self.models:
            families.setdefault(model.family, []).append(model)
        return families

    def gap(self, model: str, intermediate: str, target: str, language: str = "") -> Gap | None:
        """Returns one gap; target `MEAN` and language "" are means over targets or languages."""
        return self._gaps.get((model, intermediate, target, language))

    def scalings(self, family: str) -> list[Scaling]:
        """Returns the fits of a family's contrasts."""
        return [fit for fit in self.findings.scalings if fit.family == family]

    def slope(
        self, family: str, intermediate: str, target: str, parameters: str = "encoder"
    ) -> Slope | None:
        """Returns one slope; `MEAN` is the mean over intermediate tasks or targets."""
        return self._slopes.get((family, intermediate, target, parameters))

    @cached_property
    def matched(self) -> list[Point]:
        """The direct score and the gap of every checkpoint of every pretraining run."""
        return list(matched(pd.concat([self.rows, self.checkpoints]).drop_duplicates()))

    @cached_property
    def learnt(self) -> list[Learnt]:
        """The dev score and the gap of every intermediate checkpoint, also at other rates."""
        return list(learnt(pd.concat([self.rows, self.checkpoints]), self.every))

    @cached_property
    def target_gaps(self) -> list[Gap]:
        """The gaps on single targets, means over languages."""
        return [gap for gap in self.findings.gaps if gap.target != MEAN and not gap.language]

    @cached_property
    def kept(self) -> frozenset[Gap | Slope]:
        """The gaps and slopes that are kept after the correction for their number."""
        return frozenset(multiplicity(self.findings).kept)

    @cached_property
    def language_gains(self) -> pd.DataFrame:
        """The gap of each model, intermediate task and language, mean over the targets.

        Columns: model, intermediate, language, name, script, family, gap.
        """
        keys = ["model", "intermediate", "language"]
        gaps = [gap for gap in self.findings.gaps if gap.language]
        rows = [(gap.size, gap.intermediate, gap.language, gap.estimate.value) for gap in gaps]
        frame = pd.DataFrame(rows, columns=[*keys, "gap"])
        order = frame.groupby(keys[:2], sort=False).ngroup()
        gains = frame.groupby([order, *keys])["gap"].agg(fmean).reset_index(keys)
        gains.index = pd.RangeIndex(len(gains))
        about = pd.DataFrame(map(language, gains["language"]), gains.index, Language._fields)
        return pd.concat([gains[keys], about, gains["gap"]], axis="columns")

    @cached_property
    def _gaps(self) -> dict[tuple[str, str, str, str], Gap]:
        gaps = self.findings.gaps
        return {(gap.size, gap.intermediate, gap.target, gap.language): gap for gap in gaps}

    @cached_property
    def _slopes(self) -> dict[tuple[str, str, str, str], Slope]:
        return {(s.family, s.intermediate, s.target, s.parameters): s for s in self.findings.slopes}


def read_study(
    folder: epath.Path,
    only: Collection[tuple[str, str]] = (),
    malformed: Malformed | None = None,
) -> StudyResults:
    """Reads a study's folder: its rows, per-example scores, logs of phases and last command.

    Args:
        only: as in `scores.one_setting`.
        malformed: as in `records.results.read_rows`.

    Raises:
        DataError: a malformed line, unless `malformed` takes it; or damaged per-example scores.
    """
    rows = read_all(folder, malformed=malformed)
    scores = partial(example_scores.read, folder)
    phases = read_phases(folder / PHASES, malformed)
    study = results_of(rows, scores, only, phases, _command(folder, malformed), malformed)
    return replace(study, sweeps=read_sweeps(folder / PHASES, phases, malformed))


def results_of(
    rows: Sequence[Row],
    scores: ExampleScores,
    only: Collection[tuple[str, str]] = (),
    phases: Sequence[PhaseLog] = (),
    command: str = "",
    malformed: Malformed | None = None,
) -> StudyResults:
    """Computes the results of a study from all of its rows; see `read_study`."""
    frame = as_frame(rows)
    kept, left_out = one_setting(frame, set(only))
    last = is_last(kept)
    models = []
    for name, of_size in kept[last].groupby("size", sort=False):
        about = of_size.iloc[-1]
        others = sum(int(left_out[model]) for model in of_size["model"].unique())
        params = int(about["encoder_params"]), int(about["total_params"])
        models.append(Model(str(name), about["family"], *params, of_size, others))
    models.sort(key=lambda m: (m.family, m.encoder_params, m.name))
    along = kept[kept["pretraining"].isin(kept["pretraining"][~last])]
    study = StudyResults(tuple(models), Findings(), tuple(phases), command, along, frame)
    chosen = frame[frame["layer_chosen"].notna()].groupby("layer_chosen", sort=False)
    by_layer = {str(how): one_setting(of_layer)[0] for how, of_layer in chosen}
    finals = {how: of_layer[is_last(of_layer)] for how, of_layer in by_layer.items()}
    return replace(study, findings=find(study.rows, scores, malformed, finals))


def _command(folder: epath.Path, malformed: Malformed | None) -> str:
    """Reads the last command that ran the study; shards have one in each phase instead."""
    status = folder / status_file("")
    try:
        command = read_status(status).get("command") if status.exists() else ""
    except DataError as error:
        if malformed is None:
            raise
        malformed(error)
        return ""
    return command if isinstance(command, str) else ""
