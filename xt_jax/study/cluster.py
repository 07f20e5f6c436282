"""The pieces of a study on a Ray cluster: a task each, begun anew where a node was lost.

All nodes see one workdir. Workers train and score; the rows come back to the driver, which alone
writes results, so that their file has one writer.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Sequence
from typing import Any

import jax
from absl import logging
from etils import epath

from xt_jax.compilation import keep_programs
from xt_jax.config import Config, RayConfig, digest, of_model
from xt_jax.errors import ConfigError, UserError
from xt_jax.records.progress import Progress
from xt_jax.records.results import Row
from xt_jax.study.opening import Study, open_study
from xt_jax.study.plan import Piece
from xt_jax.study.work import Settings, perform

LOCAL = "local"


def run_pieces(
    config: Config,
    workdir: str,
    studies: dict[str, Study],
    pieces: Sequence[Piece],
    progress: Progress,
) -> tuple[Settings, dict[Piece, UserError]]:
    """As many at once as the cluster has room for; as `runner.run_pieces`.

    Raises:
        ConfigError: Ray is not installed, or there is no such cluster.
    """
    ray = _connected(config.ray)
    options = _options(config.ray)
    work = ray.remote(**options)(_work)
    folder = os.path.abspath(workdir) if "://" not in workdir else workdir
    constant = (ray.put(config), folder, jax.config.values["jax_compilation_cache_dir"])
    settings: Settings = set()
    failures: dict[Piece, UserError] = {}
    left = list(pieces)
    running: dict[Any, Piece] = {}
    while left or running:
        left = _without_blocked(left, failures, progress)
        waits = {*left, *running.values()}
        ready = [piece for piece in left if piece.needs not in waits]
        for piece in ready[: max(0, _room(ray, options) - len(running))]:
            left.remove(piece)
            progress.begin(piece.name, where="Ray")
            running[work.options(name=piece.name).remote(*constant, piece)] = piece
        if not running:
            continue
        (first,), _ = ray.wait(list(running), num_returns=1)
        piece = running.pop(first)
        try:
            rows, its = ray.get(first)
        except ray.exceptions.RayError as error:
            failures[piece] = _reason(error)
            logging.error("%s failed: %s", piece.name, failures[piece])
            progress.fail(piece.name, failures[piece])
            continue
        studies[piece.model].results.append(rows)
        settings |= its
        progress.finish(piece.name)
    return settings, failures


def _without_blocked(
    left: Sequence[Piece], failures: dict[Piece, UserError], progress: Progress
) -> list[Piece]:
    """Those that need nothing that has failed."""
    for piece in left:
        if piece.needs is not None and piece.needs in failures:
            failures[piece] = failures[piece.needs]
            progress.block(piece.name)
    return [piece for piece in left if piece not in failures]


def _work(config: Config, workdir: str, cache: str | None, piece: Piece) -> tuple[list, Settings]:
    """On a worker: (the rows that were not there yet, what `perform` gives)."""
    if cache:
        keep_programs(cache)
    rows: list[Row] = []
    settings = perform(_opened(of_model(config, piece.model), workdir), piece, rows.extend)
    return rows, settings


_studies: dict[str, Study] = {}  # of this worker, which may get several pieces


def _opened(config: Config, workdir: str) -> Study:
    key = digest(config, workdir)
    if key not in _studies:
        _studies[key] = open_study(config, epath.Path(workdir))
    return _studies[key]


def _connected(config: RayConfig) -> Any:
    """The module `ray`, connected."""
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
    """What a piece takes, as `ray.remote` names it."""
    try:
        resources = ast.literal_eval(config.resources)
        numbers = {str(name): float(number) for name, number in resources.items()}
    except (ValueError, SyntaxError, AttributeError, TypeError) as error:
        raise ConfigError(
            f"`{config.resources}` is no dictionary of numbers.",
            where="--config.ray.resources",
            remedy="""use for example '{"TPU": 4}'""",
        ) from error
    return {
        "num_cpus": config.cpus,
        "num_gpus": config.gpus,
        "resources": numbers,
        "max_retries": config.retries,
    }


def _room(ray: Any, options: dict[str, Any]) -> int:
    """How many pieces the nodes that are alive take at once; 1 where a node is yet to come."""
    named = {"CPU": options["num_cpus"], "GPU": options["num_gpus"], **options["resources"]}
    needs = {name: number for name, number in named.items() if number}
    room = sum(
        min((int(node["Resources"].get(name, 0) / n) for name, n in needs.items()), default=1)
        for node in ray.nodes()
        if node["Alive"]
    )
    if not room:
        logging.warning("No node has %s for a piece of the study: waiting for one.", needs)
    return max(1, room)


def _reason(error: Exception) -> UserError:
    cause = getattr(error, "cause", None)
    if isinstance(cause, UserError):
        return cause
    return UserError(f"{type(error).__name__}: {error}", remedy="look at Ray's log of the task")
