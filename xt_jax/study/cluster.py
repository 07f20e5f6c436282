"""Runs the jobs of a study on a Ray cluster: a task each, restarted where a node was lost.

All nodes share one workdir. Workers train and score, and return the rows to the driver, which
alone writes results, so that their file has one writer.
"""

from __future__ import annotations

import functools
import os
import pickle
from collections.abc import Sequence
from typing import Any

import jax
from absl import logging
from etils import epath

from xt_jax.compilation import keep_programs
from xt_jax.config import Config, RayConfig, of_model, resources_of
from xt_jax.errors import ConfigError, UserError
from xt_jax.records.progress import Progress
from xt_jax.records.results import Results, Row
from xt_jax.study.build import Study, build_study
from xt_jax.study.job import Settings, run_job
from xt_jax.study.jobs import Job

LOCAL = "local"


def run_jobs(
    config: Config, workdir: str, results: Results, jobs: Sequence[Job], progress: Progress
) -> tuple[Settings, dict[Job, UserError]]:
    """Runs as many jobs at once as the cluster has room for; returns as `runner.run_jobs`.

    Raises:
        ConfigError: Ray is not installed, or there is no such cluster.
    """
    ray = _connected(config.ray)
    options = _options(config.ray)
    folder = os.path.abspath(workdir) if "://" not in workdir else workdir
    work = ray.remote(**options)(_work)
    cache = jax.config.values["jax_compilation_cache_dir"]
    settings: Settings = set()
    failures: dict[Job, UserError] = {}
    waiting = list(jobs)
    running: dict[Any, Job] = {}
    while waiting or running:
        waiting = _without_blocked(waiting, failures, progress)
        unfinished = {*waiting, *running.values()}
        ready = [job for job in waiting if unfinished.isdisjoint(job.needs)]
        for job in ready[: max(0, _room(ray, options) - len(running))]:
            waiting.remove(job)
            progress.begin(job.name, where="Ray")
            of_job = pickle.dumps(of_model(config, job.model))
            running[work.options(name=job.name).remote(of_job, folder, cache, job)] = job
        if not running:
            continue
        (first,), _ = ray.wait(list(running), num_returns=1)
        job = running.pop(first)
        try:
            rows, settings_of_job = ray.get(first)
        except ray.exceptions.RayError as error:
            failures[job] = _reason(error)
            logging.error("%s failed: %s", job.name, failures[job])
            progress.fail(job.name, failures[job])
            continue
        results.append(rows)
        settings |= settings_of_job
        progress.finish(job.name)
    return settings, failures


def _without_blocked(
    waiting: Sequence[Job], failures: dict[Job, UserError], progress: Progress
) -> list[Job]:
    """Returns the waiting jobs whose prerequisites have not failed; records the others."""
    for job in waiting:
        if failed := [needed for needed in job.needs if needed in failures]:
            failures[job] = failures[failed[0]]
            progress.block(job.name)
    return [job for job in waiting if job not in failures]


def _work(config: bytes, workdir: str, cache: str | None, job: Job) -> tuple[list, Settings]:
    """Runs a job on a worker; returns (the rows that were missing, what `run_job` returns)."""
    if cache:
        keep_programs(cache)
    rows: list[Row] = []
    settings = run_job(_study(config, workdir), job, rows.extend)
    return rows, settings


@functools.cache  # Ray gives a worker process several jobs, which use its studies again
def _study(config: bytes, workdir: str) -> Study:
    return build_study(pickle.loads(config), epath.Path(workdir))


def _connected(config: RayConfig) -> Any:
    """Returns the module `ray` after it has connected to the cluster."""
    try:
        import ray
    except ImportError as error:
        raise ConfigError(
            "Ray is not installed.",
            where="--config.ray.address",
            remedy="pip install 'xt_jax[ray]' on every node, or leave the field empty",
        ) from error
    if not ray.is_initialized():
        address = None if config.address == LOCAL else config.address
        try:
            ray.init(address=address, include_dashboard=False, log_to_driver=False)
        except (ConnectionError, ValueError) as error:
            raise ConfigError(
                f"There is no Ray cluster at {config.address}: {error}",
                where="--config.ray.address",
                remedy="start one with `ray start --head`, or use local",
            ) from error
    return ray


def _options(config: RayConfig) -> dict[str, Any]:
    """Returns the resources that a job requests, under the names that `ray.remote` uses."""
    return {
        "num_cpus": config.cpus,
        "num_gpus": config.gpus,
        "resources": resources_of(config),
        "max_retries": config.retries,
    }


def _room(ray: Any, options: dict[str, Any]) -> int:
    """Returns how many jobs the live nodes take at once, or 1 while no node has joined."""
    named = {"CPU": options["num_cpus"], "GPU": options["num_gpus"], **options["resources"]}
    needs = {name: number for name, number in named.items() if number}
    room = sum(
        min((int(node["Resources"].get(name, 0) / n) for name, n in needs.items()), default=1)
        for node in ray.nodes()
        if node["Alive"]
    )
    if not room:
        logging.warning("No node has %s for a job of the study: waiting for a node.", needs)
    return max(1, room)


def _reason(error: Exception) -> UserError:
    cause = getattr(error, "cause", None)
    if isinstance(cause, UserError):
        return cause
    return UserError(f"{type(error).__name__}: {error}", remedy="see Ray's log of the task")
