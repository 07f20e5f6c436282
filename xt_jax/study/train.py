"""Trains the phases of a study and keeps the best parameters of each on English dev."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import logging
from etils import epath
from flax import nnx

from xt_jax import hosts
from xt_jax import model as models
from xt_jax.config import digest
from xt_jax.data.tokenize import save_tokenizer
from xt_jax.files import atomic_write_text
from xt_jax.model.encoder import Encoder, param_path
from xt_jax.model.heads import Head, Model
from xt_jax.model.origin import write as write_origin
from xt_jax.model.pretrained import Pretrained
from xt_jax.model.sharding import place_param, place_params
from xt_jax.study.datasets import Dataset
from xt_jax.study.phases import Checkpoint, Member, Trainer, origin_of, selecting, write_phase
from xt_jax.study.schedule import PhasePlan
from xt_jax.study.scoring import Scorer
from xt_jax.study.task_data import Phase
from xt_jax.tasks.table import FAMILIES, Task
from xt_jax.train.batches import TrainedTask, filled
from xt_jax.train.loop import Run, fit
from xt_jax.train.optim import make_optimizer
from xt_jax.train.pruning import decayed, occurring_words, renumber, whole_table
from xt_jax.train.step import StepSpec, model_of, stack_params, task_params

WORDS = "encoder/embeddings/word/embedding"


def train_phase(
    trainer: Trainer, phase: Phase, starts: Sequence[Checkpoint], after: str, seeds: Sequence[int]
) -> list[Checkpoint]:
    """Trains `phase` for each seed unless it is finished; returns the best of each seed.

    Args:
        after: the part of the folder's name that says what was trained before; "" for nothing.
    """
    members = [
        trainer.member(phase, start, seed, after) for start, seed in zip(starts, seeds, strict=True)
    ]
    finished = trainer.finished(phase, members)
    missing = [
        member for member, checkpoint in zip(members, finished, strict=True) if not checkpoint
    ]
    planned = [
        PlannedMember(member, trainer.planner.plan(phase, member.phase_seed)) for member in missing
    ]
    for group in together(planned, trainer.members_at_once):
        _train_group(trainer, phase, group)
    if missing:
        finished = trainer.finished(phase, members)
    assert all(finished)
    return [checkpoint for checkpoint in finished if checkpoint]


class PlannedMember(NamedTuple):
    """A seed that is to be trained, with its batches."""

    member: Member
    plan: PhasePlan


def together(planned: Sequence[PlannedMember], at_most: int) -> list[list[PlannedMember]]:
    """Groups consecutive seeds of one task whose steps have one shape; mixtures stay alone."""
    groups: list[list[PlannedMember]] = []
    for planned_member in planned:
        shapes = planned_member.plan.shapes
        if (
            groups
            and len(groups[-1]) < at_most
            and len(shapes) == 1
            and shapes == groups[-1][0].plan.shapes
        ):
            groups[-1].append(planned_member)
        else:
            groups.append([planned_member])
    return groups


def _train_group(trainer: Trainer, phase: Phase, group: Sequence[PlannedMember]) -> None:
    """Trains seeds as one program, writes their results, and marks them done last."""
    members = [member for member, _ in group]
    words = _words(trainer, phase)
    tasks = [part.task for part in phase.parts]
    phase_models = [
        new_models(trainer, tasks, member.start.folder, member.phase_seed, words)
        for member in members
    ]
    if trainer.groups > 1:  # a device holds its own members alone
        phase_models = [replace(each, params=hosts.get(each.params)) for each in phase_models]
    order = group[0].plan.order
    optimizer = make_optimizer(phase.recipe, len(order))
    trained = []
    for i, part in enumerate(phase.parts):
        name, family = part.task.name, FAMILIES[part.task.family]
        assert part.train is not None
        assert family.loss is not None
        graphdef, head = phase_models[0].graphdefs[name], phase_models[0].heads[name]
        spec = StepSpec(
            graphdef,
            family.loss,
            optimizer,
            trainer.config.accumulate,
            phase.recipe.clip_norm,
            head=head,
        )
        plans = tuple(plan.plans[i] for _, plan in group)
        trained.append(TrainedTask(name, spec, plans, _in_words(part.train, words).features))
    scorers = _dev_scorers(trainer, phase, phase_models[0], words)
    run = Run(
        folders={member.directory.name: member.directory for member in members},
        seeds=tuple(member.phase_seed for member in members),
        tasks=tuple(trained),
        order=order,
        recipe=phase.recipe,
        selection=PhaseSelection(trainer, phase, members, phase_models, scorers, len(order)),
        states=trainer.states(members),
        pad_id=trainer.pretrained.pad_id,
        advance=trainer.advance,
    )
    for task in run.tasks:
        plan = task.plans[0]
        logging.info(
            "%s: %s, %d steps of %d x %d tokens, fill %.3f",
            members[0].directory.name, task.name, plan.steps, plan.rows, plan.length,
            plan.fill(task.features.lengths),
        )  # fmt: skip
    mesh = trainer.training_mesh
    each = [member_models.params for member_models in phase_models]
    each = filled(each, math.ceil(len(each) / trainer.groups) * trainer.groups)
    params = stack_params(each, mesh, trainer.config.sharding)
    progress = fit(run, params, trainer.pretrained.config, trainer.config, mesh)
    if hosts.is_first():
        for (member, planned), reached in zip(group, progress, strict=True):
            save_tokenizer(trainer.pretrained.tokenizer, member.best(reached["best_step"]))
            write_phase(trainer, phase, member, planned, reached["steps"])
    hosts.meet("the best parameters are there")
    if hosts.is_first():
        for member, reached in zip(members, progress, strict=True):
            atomic_write_text(member.done, json.dumps(reached, sort_keys=True) + "\n")
        run.states.rmtree(missing_ok=True)


@dataclass(frozen=True)
class DevScorer:
    """Scores one task of a phase on its English dev examples."""

    scorer: Scorer
    head: str
    dev: Dataset

    def score(self, params: nnx.State) -> float:
        """Returns the task's first metric, given the parameters of the whole phase."""
        params = task_params(params, self.head)
        (scored,) = self.scorer.predictions(params, [self.dev])
        assert scored.scores is not None
        return scored.scores[self.scorer.task.metrics[0]]


def _dev_scorers(
    trainer: Trainer, phase: Phase, phase_models: Models, words: np.ndarray | None
) -> list[DevScorer]:
    """Returns the scorer of each task that selects the checkpoint."""
    scorers = []
    for part in selecting(phase):
        assert part.dev is not None
        name = part.task.name
        scorer = Scorer(
            part.task,
            phase_models.graphdefs[name],
            trainer.pretrained,
            trainer.mesh,
            trainer.config.packing,
        )
        scorers.append(DevScorer(scorer, phase_models.heads[name], _in_words(part.dev, words)))
    return scorers


@dataclass(frozen=True)
class PhaseSelection:
    """Scores a phase's parameters and keeps each member's best (`train.loop.Selection`).

    Attributes:
        steps: the number of steps planned.
    """

    trainer: Trainer
    phase: Phase
    members: Sequence[Member]
    models: Sequence[Models]
    scorers: Sequence[DevScorer]
    steps: int

    def score(self, params: nnx.State) -> float:
        """Returns the mean of the tasks' first metrics on English dev."""
        return statistics.mean(scorer.score(params) for scorer in self.scorers)

    def keep_best(self, member: int, params: nnx.State, step: int, needed: set[int]) -> None:
        """Saves the parameters with all word embeddings, and deletes those not `needed`."""
        owner = self.members[member]
        self._save(member, params, step, owner.best(step), kept=False)
        if hosts.is_first():
            owner.keep_bests(needed | {step})

    def keep(self, member: int, params: nnx.State, step: int) -> None:
        """Saves the parameters with all word embeddings, as a folder that names a model."""
        self._save(member, params, step, self.members[member].kept(step), kept=True)

    def _save(
        self, member: int, params: nnx.State, step: int, folder: epath.Path, kept: bool
    ) -> None:
        phase_models = self.models[member]
        params = phase_models.with_all_words(params, decayed(self.phase.recipe, self.steps, step))
        _save(self.phase, phase_models, params, folder)
        origin = origin_of(self.trainer, self.phase, self.members[member], step, kept)
        if hosts.is_first():
            if kept:
                save_tokenizer(self.trainer.pretrained.tokenizer, folder)
            if origin is not None:
                write_origin(folder, origin)


def _save(phase: Phase, phase_models: Models, params: nnx.State, folder: epath.Path) -> None:
    """Saves the encoder, with its head where there is only one task."""
    task = phase.parts[0].task
    model = model_of(phase_models.graphdefs[task.name], params, phase_models.heads[task.name])
    if len(phase.parts) > 1:
        models.save(model.encoder, folder)
    else:
        models.save(model, folder, labels=task.labels or None)


def _words(trainer: Trainer, phase: Phase) -> np.ndarray | None:
    """Returns the word embeddings to train; None for all, which plain-text tasks need."""
    if not trainer.config.fold_vocabulary or any(part.is_text for part in phase.parts):
        return None
    datasets = [d for part in phase.parts for d in (part.train, part.dev) if d is not None]
    return occurring_words([d.features for d in datasets], trainer.pretrained.pad_id)


def _in_words(dataset: Dataset, words: np.ndarray | None) -> Dataset:
    """Returns the data set with ids renumbered to the words that are trained."""
    if words is None:
        return dataset
    return replace(dataset, features=renumber(dataset.features, words))


@dataclass(frozen=True)
class Models:
    """The encoder and heads that one member of a phase trains.

    Attributes:
        graphdefs: each task's model without its parameters.
        heads: each task's head in `params["heads"]`; "" where a single task has `params["head"]`.
        params: the parameters, on the mesh.
        words: [K] ids of the word embeddings in `params`; None if `params` has all.
        table: [V, D] all word embeddings before training, on the host; None if `params` has all.
    """

    graphdefs: dict[str, Any]
    heads: dict[str, str]
    params: nnx.State
    words: np.ndarray | None = None
    table: np.ndarray | None = None

    def with_all_words(self, params: nnx.State, decay: float) -> nnx.State:
        """Returns `params` with all word embeddings; untrained rows have decayed by `decay`."""
        if self.table is None or self.words is None:
            return params
        table, words = self.table, self.words

        def whole(path: tuple, leaf: jax.Array) -> jax.Array | np.ndarray:
            if param_path(path) != WORDS:
                return leaf
            return whole_table(table, words, hosts.get(leaf), decay)

        return jax.tree_util.tree_map_with_path(whole, params)


def new_models(
    trainer: Trainer,
    tasks: Sequence[Task],
    folder: epath.Path | None,
    seed: int,
    words: np.ndarray | None = None,
) -> Models:
    """Creates new heads on the encoder of `folder` (None: the pretrained one).

    Masked language modelling continues with the pretrained head where its folder has one.

    Args:
        words: [K] ids of the word embeddings to train; None: all.
    """
    source, mesh, layout = trainer.pretrained, trainer.mesh, trainer.config.sharding
    table = None

    def place(path: str, array: Any) -> jax.Array:
        nonlocal table
        if words is not None and path == WORDS:
            table = np.asarray(array)
            array = table[words]
        return place_param(path, array, mesh, layout)

    encoder = source.load(folder, place)
    if len(tasks) == 1:
        (task,) = tasks
        graphdef, params = nnx.split(Model(encoder, _new_head(task, encoder, source, seed)))
        params = place_params(params, mesh, layout)
        return Models({task.name: graphdef}, {task.name: ""}, params, words, table)
    alike: dict[tuple, str] = {}
    heads = {
        task.name: alike.setdefault((task.family, task.labels), task.name)
        if trainer.shared_heads
        else task.name
        for task in tasks
    }
    graphdefs: dict[str, Any] = {}
    states: dict[str, nnx.State] = {}
    for task in tasks:
        name = heads[task.name]
        head = _new_head(task, encoder, source, int(digest(seed, name)[:7], 16))
        graphdefs[task.name], params = nnx.split(Model(encoder, head))
        states.setdefault(name, params["head"])
    together = nnx.State({"encoder": params["encoder"], "heads": nnx.State(states)})
    return Models(graphdefs, heads, place_params(together, mesh, layout), words, table)


def _new_head(task: Task, encoder: Encoder, source: Pretrained, seed: int) -> Head:
    family = FAMILIES[task.family]
    assert family.head is not None
    if family.published_head is not None and source.folder is not None:
        published = family.published_head(source.folder)
        if published is not None:
            return published
    return family.head(encoder.config, len(task.labels), nnx.Rngs(seed))
