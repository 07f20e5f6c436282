"""Writes what a study records: rows, scores and predictions of targets, and `phase.json`."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from absl import logging
from etils import epath

from xt_jax.data.packing import Plan
from xt_jax.files import atomic_write_text
from xt_jax.records import example_scores as score_files
from xt_jax.records.results import Row
from xt_jax.study.build import Study
from xt_jax.study.datasets import Dataset
from xt_jax.study.phases import Checkpoint
from xt_jax.study.predictions import has_predictions, write_predictions, write_submission
from xt_jax.study.task_data import Phase, TaskData
from xt_jax.tasks.family import AT_LAYER
from xt_jax.tasks.table import FAMILIES

FILE = "phase.json"
AppendRows = Callable[[list[Row]], None]
Names = set[tuple[str, str]]  # (language, data) of data sets, as rows name them


@dataclass(frozen=True)
class TargetRecord:
    """What is recorded of one target, scored with one checkpoint under one seed."""

    study: Study
    data: TaskData
    checkpoint: Checkpoint
    intermediate: str
    seed: int
    append_rows: AppendRows

    @property
    def name(self) -> str:
        return f"{self.data.task.name} after {self.intermediate}, seed {self.seed}"

    @property
    def datasets(self) -> tuple[Dataset, ...]:
        """All data sets that are predicted, scored or not."""
        return self.data.scored + self.data.submitted

    @property
    def settings(self) -> set[tuple[str, str]]:
        """The (run, data) pairs of all rows of this target."""
        return {(self._run, _short(dataset.key)) for dataset in self.data.scored}

    def recorded(self) -> Names:
        """Returns the data sets that this checkpoint has rows for under this seed.

        Rows of another seed are copied to this one: an encoder that is scored without any training
        is the same for all seeds.
        """
        by_seed = self._whole_sets()
        recorded = set(by_seed.pop(self.seed, {}))
        for seed in sorted(by_seed):
            for name, rows in by_seed[seed].items():
                if name not in recorded:
                    self.append_rows([Row({**row, "seed": self.seed}) for row in rows])
                    recorded.add(name)
        return recorded

    def missing(self, recorded: Names) -> set[str]:
        """Returns the keys of data sets without rows, predictions or example scores."""
        return {
            dataset.key
            for dataset in self.datasets
            if not has_predictions(self._home, self.data.task, dataset)
            or (dataset.labelled and not self._is_scored(dataset, recorded))
        }

    def write(
        self,
        dataset: Dataset,
        predictions: list,
        scores: dict[str, float] | None,
        recorded: Names,
    ) -> None:
        """Writes predictions, per-example scores, and last the rows, which mark them complete.

        Args:
            scores: the score of each metric; None where the data set is unlabelled.
        """
        write_predictions(self._home, self.data.task, dataset, predictions)
        summary = "predicted for submission"
        example_scores = FAMILIES[self.data.task.family].example_scores
        if dataset.labelled and example_scores is not None:
            task, examples = self.data.task, dataset.examples
            per_example = example_scores(task, examples, predictions, dataset.language)
            score_files.write(self._folder, self._run, _short(dataset.key), per_example)
        if scores is not None:
            named = [f"{name} {value:.1f}" for name, value in scores.items() if "@" not in name]
            summary = "  ".join(named)
            if _row_name(dataset) not in recorded:
                self.append_rows(self._rows(dataset, scores))
        logging.info("%s, %s: %s", self.name, dataset.language, summary)

    def write_submission(self) -> None:
        """Writes each test split's official file from predictions, and its labels."""
        name = f"{self.study.trainer.pretrained.name}-{self.intermediate}-s{self.seed}"
        folder = self._folder / "submissions" / name.replace("/", "_")
        for dataset in self.datasets:
            labels = self._folder / "labels" if dataset.key not in self.study.labels else None
            write_submission(folder, labels, self._home, self.data.task, dataset)
            self.study.labels.add(dataset.key)

    @property
    def _folder(self) -> epath.Path:
        return self.study.results.folder

    @property
    def _home(self) -> epath.Path:
        return self.study.trainer.home(self.checkpoint)

    @property
    def _run(self) -> str:
        return _short(self.checkpoint.key)

    def _is_scored(self, dataset: Dataset, recorded: Names) -> bool:
        return _row_name(dataset) in recorded and score_files.exists(
            self._folder, self._run, _short(dataset.key)
        )

    def _whole_sets(self) -> dict[int, dict[tuple[str, str], list[Row]]]:
        """Returns by seed and (language, data) the rows of data sets whose last metric is there."""
        last = self.data.task.metrics[0]
        if self.data.all_layers:
            layers = self.study.trainer.pretrained.config.num_layers
            last = AT_LAYER.format(metric=last, layer=layers)
        by_seed = self.study.results.of(self._run, self.intermediate, self.data.task.name)
        return {
            seed: {
                name: rows
                for name, rows in sets.items()
                if any(row["metric"] == last for row in rows)
            }
            for seed, sets in by_seed.items()
        }

    def _rows(self, dataset: Dataset, scores: dict[str, float]) -> list[Row]:
        encoder_params, total_params = self.study.params
        return [
            Row(
                model=self.study.trainer.pretrained.name,
                encoder_params=encoder_params,
                total_params=total_params,
                intermediate=self.intermediate,
                target=self.data.task.name,
                language=dataset.language,
                seed=self.seed,
                metric=metric,
                value=value,
                n=len(dataset.examples),
                split=dataset.split,
                step=self.checkpoint.step,
                selected_by=self.checkpoint.selected_by,
                run=self._run,
                data=_short(dataset.key),
            )
            for metric, value in scores.items()
        ]


def _row_name(dataset: Dataset) -> tuple[str, str]:
    """Returns (language, data), which identify a data set in its rows."""
    return dataset.language, _short(dataset.key)


def _short(key: str) -> str:
    return key[:12]


def write_phase(
    directory: epath.Path,
    phase: Phase,
    order: np.ndarray,
    plans: Sequence[Plan],
    steps: int,
    **names: Any,
) -> None:
    """Writes `phase.json` for model cards: the last command that trained it, settings, tokens.

    Args:
        order: [steps planned] the task of each step.
        plans: the batches of each task.
        steps: the steps made, fewer than planned where patience ran out.
        names: further entries of the file.
    """
    steps_of = np.bincount(order[:steps], minlength=len(plans))
    record = {
        **names,
        "phase": phase.name,
        "role": phase.role,
        "command": f"python {shlex.join(sys.argv)}",
        "recipe": dataclasses.asdict(phase.recipe),
        "steps": steps,
        "rows": {
            part.task.name: [p.rows, p.length] for part, p in zip(phase.parts, plans, strict=True)
        },
        "tokens": sum(map(_tokens, phase.parts, plans, steps_of.tolist())),
        "machine": machine(),
    }
    atomic_write_text(directory / FILE, json.dumps(record, indent=1) + "\n")


def machine() -> str:
    """Returns the hardware as text: `2 CPU cores` or `4 TPU v5p`."""
    if jax.default_backend() == "cpu":
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        return f"{cores} CPU cores"
    return f"{jax.device_count()} {jax.devices()[0].device_kind}"


def _tokens(part: TaskData, plan: Plan, steps: int) -> int:
    """Returns the tokens without padding that the first `steps` steps train on."""
    assert part.train is not None
    return int(part.train.features.lengths[plan.feature[: plan.splits[steps]]].sum(dtype=np.int64))
