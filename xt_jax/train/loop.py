"""The one training loop: steps, evaluation on English dev, early stopping, saves, resume."""

from __future__ import annotations

import collections
import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grain
import jax
import numpy as np
from absl import logging
from etils import epath
from flax import nnx
from jax.sharding import Mesh

from xt_jax.config import TrainConfig
from xt_jax.data.mixture import turns
from xt_jax.data.packing import Features, Plan, materialise
from xt_jax.model.config import EncoderConfig
from xt_jax.sharding import place_batch
from xt_jax.tasks.packed import Sums
from xt_jax.tasks.recipes import Recipe
from xt_jax.train.checkpoint import Checkpoints
from xt_jax.train.log import Log
from xt_jax.train.step import StepSpec, TrainState, compile_step, init_state, params_of
from xt_jax.train.throughput import Meter, train_flops

Progress = dict[str, Any]
NOT_BEGUN: Progress = {"best": -math.inf, "best_step": 0, "without_gain": 0, "steps": 0}


@dataclass(frozen=True)
class Stream:
    """One task of a phase: its step, and the batches for it.

    Attributes:
        plans: of each seed, all of one shape.
    """

    name: str
    spec: StepSpec
    plans: tuple[Plan, ...]
    features: Features


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
        UserError: the loss is not finite.
    """
    folders = {run.name: run.directory for run in job.runs}
    batches = iter(batch_stream(job.streams, job.order, job.pad_id, config.accumulate))
    checkpoints = Checkpoints(job.states, config.save_every_steps, config.save_every_minutes)
    state = init_state(params, job.streams[0].spec.optimizer, mesh, [run.seed for run in job.runs])
    done, progress = 0, [NOT_BEGUN for _ in job.runs]
    restored = checkpoints.restore(state, batches)
    if restored is not None:
        state, saved = restored
        done, progress = saved["done"], saved["seeds"]
    log = Log(folders, job.steps, config, begun=done, mixed=len(job.streams) > 1)
    if done:
        logging.info("%s: carrying on after step %d", log.title, done)
    row_axis = int(len(job.runs) > 1) + int(config.accumulate > 1)
    step_fns: dict[int, jax.stages.Compiled] = {}
    meter = _meter(job, model_config)
    # The best steps that the last two states name: one may be half written, then the other counts.
    needed = collections.deque([_best_steps(progress)], maxlen=2)
    latest: dict[str, Sums] = {}
    with log.bar(done) as bar, contextlib.closing(checkpoints), contextlib.closing(log):
        while done < job.steps and not all(_out_of_patience(p, job.recipe) for p in progress):
            with meter.waiting():
                host_batch = next(batches)
            batch = place_batch(host_batch, mesh, axis=row_axis)
            task = int(job.order[done])
            stream = job.streams[task]
            if task not in step_fns:
                step_fns[task] = log.compiled(compile_step(stream.spec, state).lower(state, batch))
                meter.start(done)  # the compilation is not part of the rates
            state, latest[stream.name] = step_fns[task](state, batch)
            done += 1
            bar.update()
            if done % config.log_every == 0 or done == job.steps:
                log.losses(done, latest, meter.read(done))
            if done % job.recipe.eval_every == 0 or done == job.steps:
                progress = [
                    _evaluate(job, i, state, done, progress[i], log, {best[i] for best in needed})
                    for i in range(len(job.runs))
                ]
                meter.start(done)
            # Only after the evaluation: a saved state has seen the score of its own step.
            if checkpoints.maybe_save(done, state, batches, {"done": done, "seeds": progress}):
                needed.append(_best_steps(progress))
    return progress


def batch_stream(
    streams: Sequence[Stream], order: np.ndarray, pad_id: int, accumulate: int
) -> grain.IterDataset:
    """The batches of all steps in order, made ahead in a thread; its state is one integer.

    Arrays are [R, ...]; those of several micro-batches [accumulate, R / accumulate, ...]; those of
    several seeds have a further axis in front.
    """
    turn = turns(order)

    def make(step: int) -> dict[str, np.ndarray]:
        stream = streams[order[step]]
        batches = [
            materialise(plan, stream.features, int(turn[step]), pad_id) for plan in stream.plans
        ]
        if accumulate > 1:
            batches = [_micro_batches(batch, accumulate) for batch in batches]
        if len(batches) == 1:
            return batches[0]
        return {name: np.stack([batch[name] for batch in batches]) for name in batches[0]}

    return (
        grain.MapDataset.range(len(order))
        .map(make)
        .to_iter_dataset(grain.ReadOptions(num_threads=2, prefetch_buffer_size=8))
    )


def _micro_batches(batch: dict[str, np.ndarray], accumulate: int) -> dict[str, np.ndarray]:
    return {name: a.reshape(accumulate, -1, *a.shape[1:]) for name, a in batch.items()}


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


def _evaluate(
    job: Job,
    index: int,
    state: TrainState,
    step: int,
    progress: Progress,
    log: Log,
    needed: set[int],
) -> Progress:
    """The progress of the seed at `index` after its evaluation, unless it is out of patience."""
    if _out_of_patience(progress, job.recipe):
        return progress
    run, params = job.runs[index], params_of(state, index)
    score = job.evaluate(params)
    progress = {**progress, "steps": step, "without_gain": progress["without_gain"] + 1}
    if score > progress["best"]:
        run.save_best(params, step, needed)
        progress = {**progress, "best": score, "best_step": step, "without_gain": 0}
    log.write(run.name, step, {"dev": score, "best": progress["best"]})
    return progress


def _best_steps(progress: Sequence[Progress]) -> list[int]:
    return [each["best_step"] for each in progress]


def _out_of_patience(progress: Progress, recipe: Recipe) -> bool:
    return 0 < recipe.patience <= progress["without_gain"]
