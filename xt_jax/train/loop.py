"""The one training loop: steps, evaluation on English dev, early stopping, saves, resume."""

from __future__ import annotations

import collections
import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import logging
from etils import epath
from flax import nnx
from jax.sharding import Mesh

from xt_jax import hosts, preemption
from xt_jax.config import TrainConfig
from xt_jax.errors import UserError
from xt_jax.model.config import EncoderConfig
from xt_jax.model.sharding import place_batch
from xt_jax.preemption import Preempted
from xt_jax.tasks.packed import Sums
from xt_jax.tasks.recipes import Recipe
from xt_jax.train.batches import Stream, batch_stream
from xt_jax.train.checkpoint import Checkpoints
from xt_jax.train.log import Log
from xt_jax.train.step import TrainState, all_finite, compile_step, init_state, params_of
from xt_jax.train.throughput import Meter, train_flops

Progress = dict[str, Any]
NOT_BEGUN: Progress = {"best": -math.inf, "best_step": 0, "without_gain": 0, "steps": 0}


class At(NamedTuple):
    """How far a job is.

    Attributes:
        done: updates made.
        evaluated: the last step after which there was an evaluation.
        seeds: the progress of each.
    """

    done: int
    evaluated: int
    seeds: list[Progress]


@dataclass(frozen=True)
class Run:
    """One seed of a phase.

    Attributes:
        name: shown in the log.
        seed: of dropout.
        save_best: keeps the parameters of a step, and those of the earlier steps it is given: a
            state that a killed run goes back to names one of them.
        directory: where its log is.
    """

    name: str
    seed: int
    save_best: Callable[[nnx.State, int, set[int]], None]
    directory: epath.Path


@dataclass(frozen=True)
class Job:
    """One phase of training: of one seed, or of several as one program.

    Attributes:
        streams: the tasks; they share the optimizer.
        order: [steps] which of them each step trains.
        evaluate: the score to maximise, of the parameters of one seed, on English dev.
        states: the folder of the saved states.
    """

    runs: tuple[Run, ...]
    streams: tuple[Stream, ...]
    order: np.ndarray
    recipe: Recipe
    evaluate: Callable[[nnx.State], float]
    states: epath.Path
    pad_id: int

    @property
    def steps(self) -> int:
        return len(self.order)


def fit(
    job: Job, params: nnx.State, model_config: EncoderConfig, config: TrainConfig, mesh: Mesh
) -> list[Progress]:
    """Trains until the plan ends or patience does; carries on where an earlier call was killed.

    A seed that is out of patience keeps its best and is computed along until the others are too.

    Args:
        params: of all seeds, as `stack_params` gives them.

    Returns:
        Of each seed `best` (score), `best_step`, `steps` (updates made until then).

    Raises:
        UserError: the loss or a parameter is not finite, or no batch comes.
        Preempted: the run was asked to end; its state is saved.
    """
    state = init_state(params, job.streams[0].spec.optimizer, mesh, [run.seed for run in job.runs])
    states = _States(job.states, config)
    state, at = states.restored(state, At(0, 0, [NOT_BEGUN for _ in job.runs]))
    folders = {run.name: run.directory for run in job.runs}
    log = Log(folders, job.steps, config, begun=at.done, mixed=len(job.streams) > 1)
    if at.done:
        logging.info("%s: carrying on after step %d", log.title, at.done)
    batches = batch_stream(
        job.streams, job.order, job.pad_id, mesh, accumulate=config.accumulate, begun=at.done
    )
    row_axis = int(len(job.runs) > 1) + int(config.accumulate > 1)
    step_fns: dict[int, jax.stages.Compiled] = {}
    meter = _meter(job, model_config)
    latest: dict[str, Sums] = {}
    with (
        preemption.deferred(),  # the outermost: a save in progress is waited for
        log.bar(at.done) as bar,
        contextlib.closing(states),
        contextlib.closing(log),
        contextlib.closing(batches),
    ):
        try:
            while True:
                if at.evaluated < at.done and _is_due(job, at.done):
                    with preemption.deferred(False):
                        at = _evaluated(job, state, at, log, states)
                    meter.start(at.done)
                if at.done == job.steps or all(_out_of_patience(p, job.recipe) for p in at.seeds):
                    return at.seeds
                states.save_if_due(state, at)
                preemption.end_if_asked()
                with meter.waiting():
                    host_batch = next(batches)
                batch = place_batch(host_batch, mesh, axis=row_axis)
                task = int(job.order[at.done])
                spec, name = job.streams[task].spec, job.streams[task].name
                if task not in step_fns:
                    step_fns[task] = log.compiled(compile_step(spec, state).lower(state, batch))
                    meter.start(at.done)  # the compilation is not part of the rates
                state, latest[name] = step_fns[task](state, batch)
                at = at._replace(done=at.done + 1)
                bar.update()
                if at.done % config.log_every == 0 or at.done == job.steps:
                    log.losses(at.done, latest, meter.read(at.done))
        except Preempted:
            states.save(state, at)
            logging.info("%s: asked to end; saved after step %d", log.title, at.done)
            raise


class _States:
    """The saved states of a job in `directory`, and the best steps that they name."""

    def __init__(self, directory: epath.Path, config: TrainConfig):
        every = config.save_every_steps, config.save_every_minutes
        self._directory = directory
        self._checkpoints = Checkpoints(directory, *every)
        self._saved = 0
        # Of the last two: one may be half written, then the other counts.
        self._best: collections.deque[list[int]] = collections.deque(maxlen=2)

    def restored(self, state: TrainState, at: At) -> tuple[TrainState, At]:
        """The latest; what is given if there is none of this version of the program."""
        found = self._checkpoints.restore(state)
        if found is not None and found[1].keys() == at._asdict().keys():
            state, at = found[0], At(**found[1])
        elif found is not None:
            logging.warning("A saved state is of another version; the phase begins anew")
        self._note(at)
        return state, at

    def named(self, index: int) -> set[int]:
        """The best steps of a seed whose parameters a restart may ask for."""
        return {best[index] for best in self._best}

    def save_if_due(self, state: TrainState, at: At) -> None:
        """To be called after the evaluation of its step: the state then holds its score."""
        if at.done > self._saved and self._checkpoints.is_due(at.done):
            self.save(state, at)

    def save(self, state: TrainState, at: At) -> None:
        """Raises a UserError, and keeps the state before, where a number is not finite."""
        if at.done > self._saved:
            if not all_finite(state):
                raise UserError(
                    f"After step {at.done} parameters or moments are not finite.",
                    where=str(self._directory),
                    remedy="lower the learning rate, or look at the data of the steps before; the "
                    f"state of step {self._saved} is kept",
                )
            self._checkpoints.save(at.done, state, at._asdict())
            self._note(at)

    def close(self) -> None:
        """Waits for a save in progress."""
        self._checkpoints.close()

    def _note(self, at: At) -> None:
        self._saved = at.done
        self._best.append([progress["best_step"] for progress in at.seeds])


def _meter(job: Job, config: EncoderConfig) -> Meter:
    real, slots, flops = (np.zeros(job.steps) for _ in range(3))
    for i, stream in enumerate(job.streams):
        mine = job.order == i
        for plan in stream.plans:
            placed = stream.features.lengths[plan.feature].astype(np.int64)
            real[mine] += np.diff(np.concatenate([[0], np.cumsum(placed)])[plan.splits])
            slots[mine] += plan.rows * plan.length
            flops[mine] += train_flops(config, plan.rows, plan.length)
    return Meter(real, slots, flops)


def _is_due(job: Job, step: int) -> bool:
    """Whether an evaluation follows this step."""
    return step % job.recipe.eval_every == 0 or step == job.steps


def _evaluated(job: Job, state: TrainState, at: At, log: Log, states: _States) -> At:
    """After the evaluation of every seed that is not out of patience."""
    seeds = [
        progress
        if _out_of_patience(progress, job.recipe)
        else _evaluate(job, i, state, at.done, progress, log, states.named(i))
        for i, progress in enumerate(at.seeds)
    ]
    return At(at.done, at.done, seeds)


def _evaluate(
    job: Job,
    index: int,
    state: TrainState,
    step: int,
    progress: Progress,
    log: Log,
    needed: set[int],
) -> Progress:
    """The progress of the seed at `index` after its evaluation."""
    run, params = job.runs[index], params_of(state, index)
    score = hosts.agree(job.evaluate(params))
    progress = {**progress, "steps": step, "without_gain": progress["without_gain"] + 1}
    if score > progress["best"]:
        run.save_best(params, step, needed)
        progress = {**progress, "best": score, "best_step": step, "without_gain": 0}
    log.write(run.name, step, {"dev": score, "best": progress["best"]})
    return progress


def _out_of_patience(progress: Progress, recipe: Recipe) -> bool:
    return 0 < recipe.patience <= progress["without_gain"]
