"""The training loop: steps, evaluation on English dev, early stopping, saving and resuming."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import jax
import numpy as np
from absl import logging
from etils import epath
from flax import nnx
from jax.sharding import Mesh

from xt_jax import hosts, preemption
from xt_jax.config import TrainConfig
from xt_jax.model.batch import Sums
from xt_jax.model.config import EncoderConfig
from xt_jax.model.sharding import MEMBER, place_batch
from xt_jax.preemption import Preempted
from xt_jax.tasks.recipes import Recipe
from xt_jax.train.batches import TrainedTask, batch_stream, filled
from xt_jax.train.checkpoint import NOT_BEGUN, Position, Progress, SavedStates
from xt_jax.train.log import Log
from xt_jax.train.step import TrainState, compile_step, init_state, params_of
from xt_jax.train.throughput import Meter, train_flops


class Selection(Protocol):
    """Scores the parameters of a training run and keeps the best ones."""

    def score(self, params: nnx.State) -> float:
        """Returns one member's score on English dev, which is to be maximised."""
        ...

    def keep_best(self, member: int, params: nnx.State, step: int, needed: set[int]) -> None:
        """Keeps the parameters after `step`, and the earlier ones of the steps `needed`.

        A killed run resumes from a state whose best step is one of `needed`.
        """
        ...

    def keep(self, member: int, params: nnx.State, step: int) -> None:
        """Keeps the parameters after `step` for good."""
        ...


@dataclass(frozen=True)
class Run:
    """One phase of training, of one seed or of several ("members") as one program.

    Attributes:
        folders: the folder of each member's log by the member's name, which the log shows.
        seeds: of dropout, one a member.
        tasks: what is trained; they share the optimizer.
        order: [steps] which of the tasks each step trains.
        states: the folder of the saved states.
        advance: called with the FLOPs of the steps made since the last call.
    """

    folders: dict[str, epath.Path]
    seeds: tuple[int, ...]
    tasks: tuple[TrainedTask, ...]
    order: np.ndarray
    recipe: Recipe
    selection: Selection
    states: epath.Path
    pad_id: int
    advance: Callable[[float], None] = lambda flops: None

    @property
    def steps(self) -> int:
        return len(self.order)

    def batches_digest(self) -> str:
        """Returns a digest of all members' batches, with which alone a saved state may resume."""
        digest = hashlib.sha256(self.order.tobytes())
        for plan in (plan for task in self.tasks for plan in task.plans):
            digest.update(f"{plan.rows} {plan.length}".encode())
            for array in (plan.feature, plan.row, plan.slot):
                digest.update(array.tobytes())
        return digest.hexdigest()[:16]


def fit(
    run: Run, params: nnx.State, model_config: EncoderConfig, config: TrainConfig, mesh: Mesh
) -> list[Progress]:
    """Trains until the plan ends or training stops early; resumes where an earlier call stopped.

    A member that stops early keeps its best parameters and is computed along until all have.

    Args:
        params: of all members, as `stack_params` gives them; on a `member_mesh` the last may come
            several times, to fill it, and counts once.

    Returns:
        For each member `best` (score), `best_step`, `steps` (updates made until then).

    Raises:
        UserError: the loss or a parameter is not finite, or no batch comes.
        Preempted: the run was asked to end; its state is saved.
    """
    members = len(run.seeds)
    if MEMBER in mesh.axis_names:
        members = jax.tree.leaves(params)[0].shape[0]
    seeds = filled(run.seeds, members)
    state = init_state(params, run.tasks[0].spec.optimizer, mesh, seeds)
    states = SavedStates(run.states, config)
    begin = Position(run.batches_digest(), 0, 0, [NOT_BEGUN for _ in run.seeds])
    state, at = states.restored(state, begin)
    log = Log(run.folders, run.steps, config, begun=at.done, mixed=len(run.tasks) > 1)
    if at.done:
        logging.info("%s: carrying on after step %d", log.title, at.done)
    batches = batch_stream(
        run.tasks,
        run.order,
        run.pad_id,
        mesh,
        members=members,
        accumulate=config.accumulate,
        begun=at.done,
    )
    row_axis = state.step.ndim + int(config.accumulate > 1)
    programs: dict[int, jax.stages.Compiled] = {}
    meter = _meter(run, model_config)
    latest: dict[str, Sums] = {}
    advanced = 0
    with (
        preemption.deferred(),  # the outermost: a save in progress is waited for
        log.bar(at.done) as bar,
        contextlib.closing(states),
        contextlib.closing(log),
        contextlib.closing(batches),
    ):
        try:
            while True:
                if at.evaluated < at.done and _is_due(run, at.done):
                    with preemption.deferred(False):
                        at = _evaluated(run, state, at, log, states)
                    meter.start(at.done)
                if at.done in config.keep_steps:
                    for member in range(len(run.seeds)):
                        run.selection.keep(member, params_of(state, member), at.done)
                if at.done == run.steps or _out_of_patience(run.recipe, at.members):
                    return at.members
                states.save_if_due(state, at)
                preemption.end_if_asked()
                with meter.waiting():
                    host_batch = next(batches)
                batch = place_batch(host_batch, mesh, axis=row_axis)
                index = int(run.order[at.done])
                task = run.tasks[index]
                if index not in programs:
                    programs[index] = log.compiled(
                        compile_step(task.spec, state).lower(state, batch)
                    )
                    jax.block_until_ready(state)
                    meter.start(at.done)  # the compilation is not part of the rates
                before = latest
                state, sums = programs[index](state, batch)
                jax.block_until_ready(before)  # the host is one step ahead of the device
                latest = {**before, task.name: sums}
                at = at._replace(done=at.done + 1)
                bar.update()
                if log.is_due(at.done):
                    jax.block_until_ready(sums)
                    run.advance(meter.flops(advanced, at.done))
                    advanced = at.done
                    log.losses(at.done, latest, meter.read(at.done))
        except Preempted:
            states.save(state, at)
            logging.info("%s: asked to end; saved after step %d", log.title, at.done)
            raise


def _meter(run: Run, config: EncoderConfig) -> Meter:
    real, slots, flops = (np.zeros(run.steps) for _ in range(3))
    for i, task in enumerate(run.tasks):
        steps = run.order == i
        for plan in task.plans:
            placed = task.features.lengths[plan.feature].astype(np.int64)
            real[steps] += np.diff(np.concatenate([[0], np.cumsum(placed)])[plan.splits])
            slots[steps] += plan.rows * plan.length
            flops[steps] += train_flops(config, plan.rows, plan.length)
    return Meter(real, slots, flops)


def _is_due(run: Run, step: int) -> bool:
    """Returns whether an evaluation follows this step."""
    return step % run.recipe.eval_every == 0 or step == run.steps


def _evaluated(
    run: Run, state: TrainState, at: Position, log: Log, states: SavedStates
) -> Position:
    """Evaluates every member that has not stopped early and returns the new position."""
    members = list(at.members)
    for member, (name, progress) in enumerate(zip(run.folders, at.members, strict=True)):
        if _out_of_patience(run.recipe, [progress]):
            continue
        params = params_of(state, member)
        score = hosts.agree(run.selection.score(params))
        progress = {
            **progress,
            "steps": at.done,
            "without_gain": progress["without_gain"] + 1,
        }
        if score > progress["best"]:
            run.selection.keep_best(member, params, at.done, states.best_steps(member))
            progress |= {"best": score, "best_step": at.done, "without_gain": 0}
        members[member] = progress
        log.write(name, at.done, {"dev": score, "best": progress["best"]})
    return at._replace(evaluated=at.done, members=members)


def _out_of_patience(recipe: Recipe, members: list[Progress]) -> bool:
    """Returns whether all members have gone `patience` evaluations without a gain."""
    return all(0 < recipe.patience <= progress["without_gain"] for progress in members)
