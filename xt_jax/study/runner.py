"""Runs a study: every piece of its graph once, here or on a cluster, from where it was killed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence

from absl import logging
from etils import epath

from xt_jax import hosts, preemption
from xt_jax.config import Config
from xt_jax.errors import UserError
from xt_jax.files import naming_full_disks, sweep_temporaries
from xt_jax.records.lock import locked
from xt_jax.records.progress import Progress, status_file
from xt_jax.records.results import Results
from xt_jax.report.write import write_report
from xt_jax.study import cluster
from xt_jax.study.cost import Cost, cost_of
from xt_jax.study.opening import Study, open_studies
from xt_jax.study.plan import Piece, graph, share
from xt_jax.study.work import Settings, intermediate_starts, perform
from xt_jax.tasks.table import NONE

Failures = dict[Piece, UserError]

_PATIENCE = 30.0  # seconds that processes which all failed at one place come apart, at most
_ABANDONED = 600.0  # seconds; nothing is written under a temporary name for so long


def run(config: Config, workdir: str) -> str:
    """The whole experiment and its report in `workdir`; returns what a terminal shows of that.

    Of several processes on one mesh (`xt_jax.hosts`) the first writes, and the others return "".

    A piece that fails does not stop those that do not need it. With `targets=("none",)` the
    intermediate phases alone, and where the weights of each are.

    Raises:
        UserError: anything wrong with configuration, weights or data, before training starts; a
            full disk; at the end, a piece that failed.
    """
    with naming_full_disks(workdir):
        if not hosts.is_first():
            return _run(config, workdir)
        with locked(workdir, config.shard):
            sweep_temporaries(workdir, before=time.time() - _ABANDONED)
            return _run(config, workdir)


def _run(config: Config, workdir: str) -> str:
    results = Results.open(workdir, config.shard, writes=hosts.is_first())
    with contextlib.closing(results):
        return _run_studies(config, workdir, results)


def _run_studies(config: Config, workdir: str, results: Results) -> str:
    folder = epath.Path(workdir)
    studies = open_studies(config, folder, results)
    pieces, costs = planned(config, studies)
    with Progress(
        folder / status_file(config.shard),
        [piece.name for piece in pieces],
        [cost.flops for cost in costs],
        writes=hosts.is_first(),
    ) as progress:
        if config.ray.address:
            settings, failures = cluster.run_pieces(config, workdir, studies, pieces, progress)
        else:
            settings, failures = run_pieces(studies, pieces, progress)
    if NONE in config.targets:
        text = "\n".join(
            line for piece in pieces if piece not in failures for line in _trained(studies, piece)
        )
    else:
        text = write_report(folder, folder, only=settings) if hosts.is_first() else ""
    if failures:
        raise _failed(failures, len(pieces))
    return text


def planned(config: Config, studies: dict[str, Study]) -> tuple[list[Piece], list[Cost]]:
    """The pieces that are this process's to do, and what each costs."""
    any_study = next(iter(studies.values()))
    pieces = graph(
        config,
        list(studies),
        set(any_study.intermediates),
        tuple(any_study.targets),
        {name: study.trainer.seeds_at_once for name, study in studies.items()},
    )
    cost = cost_of(studies)
    costs = {piece: cost(piece) for piece in pieces}
    if config.shard:
        pieces = share(pieces, [costs[piece].flops for piece in pieces], config.shard)
    return pieces, [costs[piece] for piece in pieces]


def run_pieces(
    studies: dict[str, Study], pieces: Sequence[Piece], progress: Progress
) -> tuple[Settings, Failures]:
    """One after the other, in this process; (what `perform` gives, what failed).

    Of several processes all do a piece together. If it fails on some alone, the others cannot know
    and go on: those end at once, and so the run.
    """
    settings: Settings = set()
    failures: Failures = {}
    for piece in pieces:
        if piece.needs is not None and piece.needs in failures:
            failures[piece] = failures[piece.needs]
            progress.block(piece.name)
            continue
        preemption.end_if_asked()
        progress.begin(piece.name)
        study = studies[piece.model]
        try:
            settings |= perform(study, piece, study.results.append)
        except UserError as error:
            logging.error("%s failed: %s", piece.name, error)
            if not hosts.met(f"{piece.name} failed", _PATIENCE):
                hosts.leave(error)
            failures[piece] = error
            progress.fail(piece.name, error)
        else:
            progress.finish(piece.name)
    return settings, failures


def _trained(studies: dict[str, Study], piece: Piece) -> list[str]:
    """Lines that say where the weights of an intermediate phase are."""
    study = studies[piece.model]
    name = f"{study.trainer.source.name} after {piece.intermediate}"
    starts = intermediate_starts(study, piece)
    return [
        f"{name}, seed {seed}: {start.folder} (best {start.selected_by})"
        for seed, start in zip(piece.seeds, starts, strict=True)
    ]


def _failed(failures: Failures, pieces: int) -> UserError:
    first, error = next(iter(failures.items()))
    if len(failures) == 1:
        return error
    return UserError(
        f"{len(failures)} of {pieces} pieces of the study failed or could not begin; the first "
        f"is {first.name}: {error.problem}",
        where=error.where,
        remedy=error.remedy,
    )
