"""One phase of training: its name, its folder, its best parameters."""

from __future__ import annotations

import hashlib
import json
import statistics
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from absl import logging
from etils import epath
from flax import nnx
from jax.sharding import Mesh

from xt_jax import model as models
from xt_jax.config import MixtureConfig, TrainConfig, digest
from xt_jax.data.packing import Plan, plan_training
from xt_jax.data.tokenize import save_tokenizer
from xt_jax.files import atomic_write_text
from xt_jax.sharding import row_multiple
from xt_jax.study.encoders import Source
from xt_jax.study.heads import Models, new_models
from xt_jax.study.mixing import plan_phase
from xt_jax.study.prepare import MLM, Phase, TaskData
from xt_jax.study.record import write_record
from xt_jax.study.scoring import Scorer
from xt_jax.tasks.table import FAMILIES
from xt_jax.train.loop import Job, Progress, Stream, fit
from xt_jax.train.optim import make_optimizer
from xt_jax.train.step import StepSpec, model_of, task_params

FORMAT = 3  # raise it when the same settings come to give other numbers


@dataclass(frozen=True)
class Start:
    """Parameters to go on from: the source's own (`folder` None) or a finished phase's best."""

    key: str
    folder: epath.Path | None = None
    step: int = 0
    selected_by: str = "none"


@dataclass(frozen=True)
class Trainer:
    """What every phase of a study is trained with."""

    config: TrainConfig
    mixture: MixtureConfig
    source: Source
    mesh: Mesh
    directory: epath.Path

    def start(self) -> Start:
        """The encoder that everything starts from, as it is."""
        return Start(digest(FORMAT, self.source.key, self.source.config.dtype, self._devices()))

    def home(self, start: Start) -> epath.Path:
        """The folder of what these parameters give rise to."""
        if start.folder is None:
            return self.directory / f"start-{start.key[:12]}"
        return start.folder.parent.parent

    def train(self, phase: Phase, start: Start, after: str, seed: int) -> Start:
        """Trains `phase` from `start`, unless that is done; the best of it.

        Heads, order and dropout follow from the study's seed and the phase's name, not from
        `start`: what is compared with equal seeds differs in nothing else.
        """
        label = f"s{seed}"
        seed = int(digest(seed, phase.name)[:7], 16)
        order, plans = plan_phase(phase, self.mixture, seed, self._plan_batches)
        key = self._key(phase, start, order, plans, seed)
        directory = self.directory / "-".join(filter(None, [phase.name, after, label, key[:12]]))
        done = directory / "done.json"
        if not done.exists():
            progress = self._fit(phase, start, order, plans, directory, seed)
            names = {"model": self.source.name, "seed": label[1:]}
            write_record(directory, phase, order, plans, progress["steps"], **names)
            atomic_write_text(done, json.dumps(progress, sort_keys=True) + "\n")
        step = json.loads(done.read_text())["best_step"]
        (directory / "checkpoints").rmtree(missing_ok=True)
        _keep_bests(directory, {step})
        return Start(key, _best(directory, step), step, _selected_by(phase))

    def _plan_batches(
        self, lengths: np.ndarray, batch_size: int, epochs: float, seed: int, **options: Any
    ) -> Plan:
        return plan_training(
            lengths,
            batch_size,
            epochs,
            seed,
            packing=self.config.packing,
            row_multiple=row_multiple(),
            rows_multiple=self.mesh.shape["data"] * self.config.accumulate,
            hidden_size=self.source.config.hidden_size,
            **options,
        )

    def _key(
        self, phase: Phase, start: Start, order: np.ndarray, plans: list[Plan], seed: int
    ) -> str:
        """Names all that can change the result."""
        return digest(
            FORMAT,
            start.key,
            [phase.name, phase.recipe, seed, len(plans) > 1 and self.mixture.shared_heads],
            [_task_key(part) for part in phase.parts],
            [[p.rows, p.length, _hash(p.feature)] for p in plans],
            [_hash(order), self.config.accumulate, self.config.sharding],
            [self.source.config.dtype, self._devices()],
        )

    def _devices(self) -> list:
        return [jax.default_backend(), dict(self.mesh.shape)]

    def _fit(
        self,
        phase: Phase,
        start: Start,
        order: np.ndarray,
        plans: list[Plan],
        directory: epath.Path,
        seed: int,
    ) -> Progress:
        phase_models = new_models(
            [part.task for part in phase.parts],
            self.source,
            start.folder,
            seed,
            self.mesh,
            self.config.sharding,
            shared=self.mixture.shared_heads,
        )
        optimizer = make_optimizer(phase.recipe, len(order))

        def stream(part: TaskData, plan: Plan) -> Stream:
            assert part.train is not None
            name, family = part.task.name, FAMILIES[part.task.family]
            assert family.loss is not None
            logging.info(
                "%s: %s, %d steps of %d x %d tokens, fill %.3f",
                directory.name, name, plan.steps, plan.rows, plan.length,
                plan.fill(part.train.features.lengths),
            )  # fmt: skip
            spec = StepSpec(
                phase_models.graphdefs[name],
                family.loss,
                optimizer,
                self.config.accumulate,
                seed,
                head=phase_models.heads[name],
            )
            return Stream(name, spec, plan, part.train.features)

        def save_best(params: nnx.State, step: int, needed: set[int]) -> None:
            _save(phase, phase_models, params, _best(directory, step))
            _keep_bests(directory, needed | {step})

        job = Job(
            name=directory.name,
            streams=tuple(map(stream, phase.parts, plans)),
            order=order,
            recipe=phase.recipe,
            evaluate=self._evaluator(phase, phase_models),
            save_best=save_best,
            directory=directory,
            pad_id=self.source.pad_id,
        )
        progress = fit(job, phase_models.params, self.source.config, self.config, self.mesh)
        save_tokenizer(self.source.tokenizer, _best(directory, progress["best_step"]))
        return progress

    def _evaluator(self, phase: Phase, phase_models: Models):
        """Parameters to the mean of the tasks' first metrics on English dev."""
        scorers = [
            (part, Scorer(part.task, graphdef, self.source, self.mesh, self.config.packing))
            for part in selecting(phase)
            for graphdef in [phase_models.graphdefs[part.task.name]]
        ]

        def score(part: TaskData, scorer: Scorer, params: nnx.State) -> float:
            assert part.dev is not None
            mine = task_params(params, phase_models.heads[part.task.name])
            ((_, _, scores),) = scorer.predictions(mine, [part.dev])
            assert scores is not None
            return scores[part.task.metrics[0]]

        return lambda params: statistics.mean(score(*pair, params) for pair in scorers)


def selecting(phase: Phase) -> list[TaskData]:
    """The tasks whose dev scores select the checkpoint: all but masked language modelling."""
    return [part for part in phase.parts if part.task.name != MLM] or list(phase.parts)


def _selected_by(phase: Phase) -> str:
    parts = selecting(phase)
    metrics = " and ".join(dict.fromkeys(part.task.metrics[0] for part in parts))
    mean = f"mean {metrics} of {len(parts)} tasks" if len(parts) > 1 else metrics
    return f"{mean} on {'' if parts[0].task.name == MLM else 'English '}dev"


def _task_key(part: TaskData) -> list:
    datasets = [part.train, part.dev]
    task = part.task
    identity = [task.family, task.train, task.labels, task.metrics[0]]
    return [identity, part.recipe, [d.key if d else "" for d in datasets]]


def _save(phase: Phase, phase_models: Models, params: nnx.State, folder: epath.Path) -> None:
    """The encoder; with its head where there is one task."""
    task = phase.parts[0].task
    model = model_of(phase_models.graphdefs[task.name], params, phase_models.heads[task.name])
    if len(phase.parts) > 1:
        models.save(model.encoder, folder)
    else:
        models.save(model, folder, labels=task.labels or None)


def _hash(array: np.ndarray) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()[:16]


def _keep_bests(directory: epath.Path, steps: set[int]) -> None:
    names = {_best(directory, step).name for step in steps}
    for folder in (directory / "best").iterdir():
        if folder.name not in names:
            folder.rmtree(missing_ok=True)


def _best(directory: epath.Path, step: int) -> epath.Path:
    return directory / "best" / f"step-{step}"
