"""Runs every job of a study once, here or on a cluster, and resumes after a kill."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Sequence

from absl import logging
from etils import epath

from xt_jax import hosts, preemption
from xt_jax.config import Config
from xt_jax.errors import ConfigError, UserError
from xt_jax.files import sweep_temporaries
from xt_jax.places import as_path, check_writable, naming_full_disks
from xt_jax.records.lock import locked
from xt_jax.records.names import claim
from xt_jax.records.progress import Progress, status_file
from xt_jax.records.results import Results
from xt_jax.report.write import write_report
from xt_jax.study import cluster
from xt_jax.study.build import Study, build_studies
from xt_jax.study.check import check
from xt_jax.study.job import Settings, intermediate_checkpoints, run_job
from xt_jax.study.jobs import Job, planned
from xt_jax.tasks.table import NONE

Failures = dict[Job, UserError]

_PATIENCE = 30.0  # seconds to wait for other processes that may have failed at the same place
_ABANDONED = 600.0  # seconds after which an unchanged temporary file belongs to no live process


def run(config: Config, workdir: str) -> str:
    """Runs the whole study and writes its report in `workdir`; returns the text for a terminal.

    Of several processes on one mesh (`xt_jax.hosts`) the first writes, and the others return "".

    A failed job does not stop jobs that do not need it. `targets=("none",)` trains the
    intermediate phases alone; the text then says where the weights of each are.

    Raises:
        UserError: anything wrong with configuration, weights or data, before training starts; a
            full disk; at the end, a job that failed.
    """
    check(config)
    folder = as_path(workdir)
    with naming_full_disks(workdir), contextlib.ExitStack() as stack:
        check_owned: Callable[[], None] = _owns_nothing
        if hosts.is_first():
            check_writable(workdir, "--workdir")
            check_owned = stack.enter_context(locked(workdir, config.shard))
            sweep_temporaries(workdir, before=time.time() - _ABANDONED)
        results = Results.open(workdir, config.shard, writes=hosts.is_first())
        stack.callback(results.close)
        studies = build_studies(config, folder, results)
        _claim_names(folder, studies)
        jobs, costs = planned(config, studies)
        with Progress(
            folder / status_file(config.shard),
            [job.name for job in jobs],
            [cost.flops for cost in costs],
            writes=hosts.is_first(),
        ) as progress:
            if config.ray.address:
                settings, failures = cluster.run_jobs(config, workdir, results, jobs, progress)
            else:
                settings, failures = run_jobs(studies, jobs, progress, check_owned)
        check_owned()
        if NONE in config.targets:
            lines = [_trained(studies, job) for job in jobs if job not in failures]
            text = "\n".join(line for of_job in lines for line in of_job)
        else:
            text = write_report(folder, folder, only=settings) if hosts.is_first() else ""
    if failures:
        raise _failed(failures, len(jobs))
    return text


def run_jobs(
    studies: dict[str, Study],
    jobs: Sequence[Job],
    progress: Progress,
    check_owned: Callable[[], None],
) -> tuple[Settings, Failures]:
    """Runs the jobs in order in this process; returns (results of `run_job`, failures).

    `check_owned` raises, which ends the run, if the workdir was lost since the last job.

    Several processes run each job together. If it fails on only some of them, the others cannot
    know and continue; the failed ones exit at once, which ends the run.
    """
    settings: Settings = set()
    failures: Failures = {}
    for job in jobs:
        if failed := [needed for needed in job.needs if needed in failures]:
            failures[job] = failures[failed[0]]
            progress.block(job.name)
            continue
        preemption.end_if_asked()
        check_owned()
        progress.begin(job.name)
        study = studies[job.model].observed(functools.partial(progress.advance, job.name))
        try:
            settings |= run_job(study, job, study.results.append)
        except UserError as error:
            check_owned()
            logging.error("%s failed: %s", job.name, error)
            if not hosts.met(f"{job.name} failed", _PATIENCE):
                hosts.leave(error)
            failures[job] = error
            progress.fail(job.name, error)
        else:
            progress.finish(job.name)
    return settings, failures


def _owns_nothing() -> None:
    """Stands for the check of a process that writes nothing."""


def _claim_names(workdir: epath.Path, studies: dict[str, Study]) -> None:
    """Raises a ConfigError if the name of a model stands for another one in this workdir."""
    for source, study in studies.items():
        model = study.trainer.pretrained
        weights = source if model.folder else f"random weights for {source}"
        owner = claim(workdir, model.name, model.key, weights) if hosts.is_first() else ""
        owner = hosts.agree(owner)
        if owner:
            raise ConfigError(
                f"In this workdir {model.name} is the name of another model: {owner}.",
                where="--config.model.alias, --workdir",
                remedy="give this model a name of its own with --config.model.alias, or use "
                "another workdir",
            )


def _trained(studies: dict[str, Study], job: Job) -> list[str]:
    """Returns lines that say where the weights of an intermediate phase are."""
    study = studies[job.model]
    name = f"{study.trainer.pretrained.name} after {job.intermediate}"
    checkpoints = intermediate_checkpoints(study, job.intermediate, job.seeds)
    return [
        f"{name}, seed {seed}: {checkpoint.folder} (best {checkpoint.selected_by})"
        for seed, checkpoint in zip(job.seeds, checkpoints, strict=True)
    ]


def _failed(failures: Failures, jobs: int) -> UserError:
    first, error = next(iter(failures.items()))
    if len(failures) == 1:
        return error
    return UserError(
        f"{len(failures)} of {jobs} jobs of the study failed or could not begin; the first "
        f"is {first.name}: {error.problem}",
        where=error.where,
        remedy=error.remedy,
    )
