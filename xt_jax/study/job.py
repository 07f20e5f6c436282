"""Runs one job of a study: trains what is not trained yet, evaluates and records."""

from __future__ import annotations

from absl import logging

from xt_jax import hosts
from xt_jax.study.build import Study
from xt_jax.study.jobs import Job
from xt_jax.study.phases import Checkpoint
from xt_jax.study.record import AppendRows, Names, TargetRecord
from xt_jax.study.scoring import load_scorer
from xt_jax.study.task_data import target_phase
from xt_jax.study.train import train_phase
from xt_jax.tasks.table import DIRECT

Settings = set[tuple[str, str]]  # the (run, data) of rows


def run_job(study: Study, job: Job, append_rows: AppendRows) -> Settings:
    """Runs the job; an intermediate phase that it needs is loaded, or trained too.

    Args:
        append_rows: called with the rows of each data set as soon as it is scored.

    Returns:
        The (run, data) pairs of all rows that belong to the job, also of those scored earlier.

    Raises:
        UserError: the loss is not finite.
    """
    starts = intermediate_checkpoints(study, job)
    after = f"after-{job.intermediate}" if job.intermediate != DIRECT else ""
    settings: Settings = set()
    for name in job.targets:
        data = study.targets[name]
        trained = starts
        if data.train is not None:
            trained = train_phase(study.trainer, target_phase(data), starts, after, job.seeds)
        for seed, checkpoint in zip(job.seeds, trained, strict=True):
            record = TargetRecord(study, data, checkpoint, job.intermediate, seed, append_rows)
            evaluate_target(record)
            settings |= record.settings
    return settings


def intermediate_checkpoints(study: Study, job: Job) -> list[Checkpoint]:
    """Returns what each seed's targets start from, the encoder or its intermediate checkpoint."""
    starts = [study.trainer.pretrained_checkpoint()] * len(job.seeds)
    if job.intermediate == DIRECT:
        return starts
    phase = study.intermediates[job.intermediate]
    return train_phase(study.trainer, phase, starts, "", job.seeds)


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
        for dataset, predictions, scores in scorer.predictions(
            params, datasets, missing, data.fitted
        ):
            if hosts.is_first():
                record.write(dataset, predictions, scores, recorded)
    if hosts.is_first():
        record.write_submission()
