"""One phase of training: its name, its folder, its best parameters."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass

import jax
from absl import logging
from etils import epath
from flax import nnx
from jax.sharding import Mesh

from xt_jax import model as models
from xt_jax.config import TrainConfig, digest
from xt_jax.data.packing import Plan, plan_training
from xt_jax.data.tokenize import save_tokenizer
from xt_jax.files import atomic_write_text
from xt_jax.model.heads import Model
from xt_jax.sharding import place_param, place_params, row_multiple
from xt_jax.study.encoders import Source
from xt_jax.study.prepare import TaskData
from xt_jax.study.scoring import Scorer
from xt_jax.tasks.table import FAMILIES
from xt_jax.train.loop import Job, Progress, fit
from xt_jax.train.optim import make_optimizer
from xt_jax.train.step import StepSpec

FORMAT = 1  # raise it when the same settings come to give other numbers


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
    source: Source
    mesh: Mesh
    directory: epath.Path

    def start(self) -> Start:
        """The encoder that everything starts from, as it is."""
        return Start(digest(FORMAT, self.source.key, self.source.config.dtype, self._devices()))

    def train(self, data: TaskData, start: Start, after: str, seed: int) -> Start:
        """Trains `data.task` from `start`, unless that is done; the best of it.

        Heads, order and dropout follow from the study's seed and the task, not from `start`:
        what is compared with equal seeds differs in nothing else.
        """
        label = f"s{seed}"
        seed = int(digest(seed, data.task.name)[:7], 16)
        plan = self._plan(data, seed)
        key = self._key(data, start, plan, seed)
        name = "-".join(filter(None, [data.task.name, after, label, key[:12]]))
        directory = self.directory / name
        done = directory / "done.json"
        if not done.exists():
            progress = self._fit(data, start, plan, directory, seed)
            atomic_write_text(done, json.dumps(progress) + "\n")
        step = json.loads(done.read_text())["best_step"]
        (directory / "checkpoints").rmtree(missing_ok=True)
        _keep_bests(directory, {step})
        selected_by = f"{data.task.metrics[0]} on English dev"
        return Start(key, _best(directory, step), step, selected_by)

    def _plan(self, data: TaskData, seed: int) -> Plan:
        assert data.train is not None
        return plan_training(
            data.train.features.lengths,
            data.recipe.batch_size,
            data.recipe.epochs,
            seed,
            packing=self.config.packing,
            row_multiple=row_multiple(),
            rows_multiple=self.mesh.shape["data"] * self.config.accumulate,
            hidden_size=self.source.config.hidden_size,
        )

    def _key(self, data: TaskData, start: Start, plan: Plan, seed: int) -> str:
        """Names all that can change the result."""
        assert data.train is not None
        assert data.dev is not None
        return digest(
            FORMAT,
            start.key,
            [data.task.name, data.train.key, data.dev.key, data.recipe, seed],
            [plan.rows, plan.length, self.config.accumulate, self.config.sharding],
            [self.source.config.dtype, self._devices()],
        )

    def _devices(self) -> list:
        return [jax.default_backend(), dict(self.mesh.shape)]

    def _fit(
        self, data: TaskData, start: Start, plan: Plan, directory: epath.Path, seed: int
    ) -> Progress:
        assert data.train is not None
        assert data.dev is not None
        lengths = data.train.features.lengths
        logging.info(
            "%s: %d steps of %d x %d tokens, fill %.3f",
            directory.name, plan.steps, plan.rows, plan.length, plan.fill(lengths),
        )  # fmt: skip
        family = FAMILIES[data.task.family]
        assert family.loss is not None
        graphdef, params = self._new_model(data, start, seed)
        scorer = Scorer(data.task, graphdef, self.source, self.mesh, self.config.packing)
        dev = data.dev

        def evaluate(params: nnx.State) -> float:
            ((_, _, scores),) = scorer.predictions(params, [dev])
            return scores[data.task.metrics[0]]

        def save_best(params: nnx.State, step: int, needed: set[int]) -> None:
            model = nnx.merge(graphdef, params)
            models.save(model, _best(directory, step), labels=data.task.labels or None)
            _keep_bests(directory, needed | {step})

        spec = StepSpec(
            graphdef,
            family.loss,
            make_optimizer(data.recipe, plan.steps),
            self.config.accumulate,
            seed,
        )
        job = Job(
            name=directory.name,
            spec=spec,
            plan=plan,
            features=data.train.features,
            recipe=data.recipe,
            evaluate=evaluate,
            save_best=save_best,
            directory=directory,
            pad_id=self.source.pad_id,
        )
        progress = fit(job, params, self.source.config, self.config, self.mesh)
        save_tokenizer(self.source.tokenizer, _best(directory, progress["best_step"]))
        return progress

    def _new_model(self, data: TaskData, start: Start, seed: int) -> tuple:
        """(graphdef, parameters on the mesh) of the start's encoder under a new head."""
        layout = self.config.sharding
        place = functools.partial(place_param, mesh=self.mesh, layout=layout)
        encoder = self.source.load(start.folder, place)
        new_head = FAMILIES[data.task.family].head
        assert new_head is not None
        head = new_head(encoder.config, len(data.task.labels), nnx.Rngs(seed))
        graphdef, params = nnx.split(Model(encoder, head))
        return graphdef, place_params(params, self.mesh, layout)


def _keep_bests(directory: epath.Path, steps: set[int]) -> None:
    names = {_best(directory, step).name for step in steps}
    for folder in (directory / "best").iterdir():
        if folder.name not in names:
            folder.rmtree(missing_ok=True)


def _best(directory: epath.Path, step: int) -> epath.Path:
    return directory / "best" / f"step-{step}"
