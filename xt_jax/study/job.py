"""Runs one job of a study: trains what is not trained yet, evaluates and records."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from absl import logging
from etils import epath

from xt_jax import hosts
from xt_jax.config import digest
from xt_jax.data.rows import field, read_json_lines
from xt_jax.errors import DataError
from xt_jax.files import atomic_write_text
from xt_jax.records import example_scores as score_files
from xt_jax.records.results import Row
from xt_jax.study.build import Study
from xt_jax.study.datasets import Dataset
from xt_jax.study.jobs import Job
from xt_jax.study.layers import how_chosen
from xt_jax.study.phases import Checkpoint
from xt_jax.study.scoring import Scored, load_scorer
from xt_jax.study.sweep import at_best_rate
from xt_jax.study.task_data import TaskData, target_phase
from xt_jax.study.train import train_phase
from xt_jax.tasks.benchmarks import XTREME
from xt_jax.tasks.family import AT_LAYER
from xt_jax.tasks.submission import write as submission
from xt_jax.tasks.table import DIRECT, FAMILIES

AppendRows = Callable[[list[Row]], None]
Settings = set[tuple[str, str]]  # the (run, data) of rows
Names = set[tuple[str, str]]  # (language, data) of data sets, as rows name them


def run_job(study: Study, job: Job, append_rows: AppendRows) -> Settings:
    """Runs the job; an intermediate phase that it needs is loaded, or trained too.

    Args:
        append_rows: called with the rows of each data set as soon as it is scored.

    Returns:
        The (run, data) pairs of all rows that belong to the job, also of those scored earlier.

    Raises:
        UserError: the loss is not finite.
    """
    starts = intermediate_checkpoints(study, job.intermediate, job.seeds)
    settings: Settings = set()
    for name in job.targets:
        data = study.targets[name]
        trained = starts
        if data.train is not None:
            trained = target_checkpoints(study, data, job, starts)
        for seed, start, checkpoint in zip(job.seeds, starts, trained, strict=True):
            record = TargetRecord(
                study, data, start, checkpoint, job.intermediate, seed, append_rows
            )
            evaluate_target(record)
            settings |= record.settings
    return settings


def intermediate_checkpoints(
    study: Study, intermediate: str, seeds: Sequence[int]
) -> list[Checkpoint]:
    """Returns what each seed's targets start from, the encoder or its intermediate checkpoint."""
    start = study.trainer.pretrained_checkpoint()
    starts = [start] * len(seeds)
    if intermediate == DIRECT:
        return starts
    phase = at_best_rate(study.trainer, study.intermediates[intermediate], lambda: start, "")
    return train_phase(study.trainer, phase, starts, "", seeds)


def target_checkpoints(
    study: Study, data: TaskData, job: Job, starts: Sequence[Checkpoint]
) -> list[Checkpoint]:
    """Returns the checkpoint of the target for each seed of the job."""
    after = f"after-{job.intermediate}" if job.intermediate != DIRECT else ""

    def first_start() -> Checkpoint:
        return intermediate_checkpoints(study, job.intermediate, [study.trainer.first_seed])[0]

    phase = at_best_rate(study.trainer, target_phase(data), first_start, after)
    return train_phase(study.trainer, phase, starts, after, job.seeds)


def evaluate_target(record: TargetRecord) -> None:
    """Predicts and scores what is not recorded yet, then writes the submission's files.

    Of several processes all predict, and the first writes.
    """
    recorded: Names = set()
    missing: set[str] = set()
    if hosts.is_first():
        recorded = record.recorded()
        missing = record.missing(recorded)
    missing = set(hosts.agree(sorted(missing)))
    if missing:
        logging.info("%s: scoring %d languages", record.name, len(missing))
        data, datasets = record.data, record.datasets
        scorer, params = load_scorer(record.study.trainer, data, record.checkpoint)
        for scored in scorer.predictions(params, datasets, missing, data.fitted, data.deciding):
            if hosts.is_first():
                record.write(scored, recorded)
    if hosts.is_first():
        record.write_submission()


@dataclass(frozen=True)
class TargetRecord:
    """What is recorded of one target, scored with one checkpoint under one seed.

    Attributes:
        start: the intermediate checkpoint, or the pretrained one, from which `checkpoint` was
            trained; the same where the target is scored without training.
    """

    study: Study
    data: TaskData
    start: Checkpoint
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
        """Returns the data sets that this checkpoint has rows for under this seed and recipe.

        Rows are copied from another seed, as an encoder that is scored without any training is the
        same for all seeds, and from another recipe, as a sweep may choose what was trained before.
        """
        by_seed = self._whole_sets()
        recorded: Names = set()
        for seed in sorted(by_seed, key=lambda seed: (seed != self.seed, seed)):
            for name, rows in by_seed[seed].items():
                if name not in recorded and self._own(rows[-1]) != rows[-1]:
                    latest = {row["metric"]: row for row in rows}.values()
                    self.append_rows([self._own(row) for row in latest])
                recorded.add(name)
        return recorded

    def missing(self, recorded: Names) -> set[str]:
        """Returns the keys of data sets without rows, predictions or example scores."""
        return {
            dataset.key
            for dataset in self.datasets
            if not self._predictions(dataset).exists()
            or (dataset.labelled and not self._is_scored(dataset, recorded))
        }

    def write(self, scored: Scored, recorded: Names) -> None:
        """Writes predictions, per-example scores, and last the rows, which mark them complete.

        Predictions are lines of JSON, one for each example, or for each pair under its foreign id.
        """
        dataset, predictions, scores, layer = scored
        task, family = self.data.task, FAMILIES[self.data.task.family]
        if family.whole:
            pairs = [tuple(pair) for pair in predictions]
        else:
            pairs = [(e.id, p) for e, p in zip(dataset.examples, predictions, strict=True)]
        lines = (
            json.dumps({"id": id_, "prediction": prediction}, ensure_ascii=False) + "\n"
            for id_, prediction in pairs
        )
        atomic_write_text(self._predictions(dataset), "".join(lines))
        if dataset.labelled and family.example_scores is not None:
            per_example = family.example_scores(
                task, dataset.examples, predictions, dataset.language
            )
            score_files.write(self._folder, self._run, _short(dataset.key), per_example)
        summary = "predicted for submission"
        if scores is not None:
            named = [f"{name} {value:.1f}" for name, value in scores.items() if "@" not in name]
            summary = "  ".join(named)
            if _row_name(dataset) not in recorded:
                self.append_rows(self._rows(dataset, scores, layer))
        logging.info("%s, %s: %s", self.name, dataset.language, summary)

    def write_submission(self) -> None:
        """Writes the official file of each complete test split, and its labels if they are known.

        The predictions are those on disk. Labels of a data set are written once in a run.
        """
        task, labels = self.data.task, self.study.labels
        name = f"{self.study.trainer.pretrained.name}-{self.intermediate}-s{self.seed}"
        folder = self._folder / "submissions" / name
        for dataset in self.datasets:
            if dataset.split != "test" or not dataset.official or task.name not in XTREME.tasks:
                continue
            predictions = self._read_predictions(dataset)
            submission.write(folder, task.name, dataset.language, dataset.examples, predictions)
            if dataset.labelled and dataset.key not in labels:
                submission.write_labels(
                    self._folder / "labels", task.name, dataset.language, dataset.examples
                )
                labels.add(dataset.key)

    @property
    def _folder(self) -> epath.Path:
        return self.study.results.folder

    @property
    def _run(self) -> str:
        key, retrieval = self.checkpoint.key, self.data.retrieval_key
        return _short(digest(key, retrieval) if retrieval else key)

    def _predictions(self, dataset: Dataset) -> epath.Path:
        """Returns the file of the predictions for a data set."""
        name = f"{dataset.split}-{dataset.language}-{dataset.key[:8]}"
        if self.data.retrieval_key:
            name += f"-{self.data.retrieval_key[:8]}"
        home = self.study.trainer.home(self.checkpoint)
        return home / "predictions" / self.data.task.name / f"{name}.jsonl"

    def _read_predictions(self, dataset: Dataset) -> list:
        """Reads what `write` wrote.

        Raises:
            DataError: the file was damaged.
        """
        path = self._predictions(dataset)
        lines = read_json_lines(path) if path.stat().length else ()
        rows = [(field(row, "id", str, place), row.get("prediction")) for place, row in lines]
        if FAMILIES[self.data.task.family].whole:
            return rows
        if [id_ for id_, _ in rows] != [example.id for example in dataset.examples]:
            raise DataError(
                "the predictions are not those of the data set's examples, one a line",
                where=path,
                remedy="remove the file and run again: it is predicted again",
            )
        return [prediction for _, prediction in rows]

    def _is_scored(self, dataset: Dataset, recorded: Names) -> bool:
        return _row_name(dataset) in recorded and score_files.exists(
            self._folder, self._run, _short(dataset.key)
        )

    def _whole_sets(self) -> dict[int, dict[tuple[str, str], list[Row]]]:
        """Returns by seed and (language, data) the rows of data sets whose last metric is there."""
        last = self.data.task.metrics[0]
        if self.data.compares and self.data.retrieval.all_layers:
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

    def _rows(self, dataset: Dataset, scores: dict[str, float], layer: int) -> list[Row]:
        encoder_params, total_params = self.study.params
        trainer = self.study.trainer
        common = Row(
            model=trainer.pretrained.name,
            encoder_params=encoder_params,
            total_params=total_params,
            intermediate=self.intermediate,
            target=self.data.task.name,
            language=dataset.language,
            seed=self.seed,
            metric="",
            value=0.0,
            n=len(dataset.examples),
            split=dataset.split,
            step=self.checkpoint.step,
            selected_by=self.checkpoint.selected_by,
            run=self._run,
            data=_short(dataset.key),
            family=trainer.pretrained.origin.family,
            pretraining=trainer.pretrained.origin.run,
            pretraining_steps=trainer.pretrained.origin.steps,
        )
        if self.start.score is not None and self.start.rate is not None:
            common["intermediate_score"] = self.start.score
            common["intermediate_rate"] = self.start.rate
        if self.data.train is not None and self.checkpoint.rate is not None:
            common["learning_rate"] = self.checkpoint.rate
        if self.data.train is None:
            common["layer"] = layer
            common["layer_chosen"] = how_chosen(self.data.retrieval)
        if substitutes := self._substitutes(dataset):
            common["substitutes"] = substitutes
        common = self._own(common)
        return [
            Row({**common, "metric": metric, "value": value}) for metric, value in scores.items()
        ]

    def _substitutes(self, dataset: Dataset) -> str:
        """Names which of the data that a score depends on are substitutes."""
        phase = self.study.intermediates.get(self.intermediate)
        before: list[Dataset | None] = [
            d for part in (phase.parts if phase else ()) for d in (part.train, part.dev)
        ]
        used: dict[str, list[Dataset | None]] = {
            "scored": [dataset],
            "trained": [self.data.train, self.data.dev],
            "intermediate": before,
        }
        found = [name for name, sets in used.items() if any(d and d.substitute for d in sets)]
        return "+".join(found)

    def _own(self, row: Row) -> Row:
        """Returns the row as one of this seed and recipe; retrieval as published names none."""
        own, recipe = Row({**row, "seed": self.seed}), self.data.retrieval_key
        if self.data.train is not None:
            recipe = self.study.trainer.recipe(target_phase(self.data))
        if recipe:
            own["recipe"] = _short(recipe)
        return own


def _row_name(dataset: Dataset) -> tuple[str, str]:
    """Returns (language, data), which identify a data set in its rows."""
    return dataset.language, _short(dataset.key)


def _short(key: str) -> str:
    return key[:12]
