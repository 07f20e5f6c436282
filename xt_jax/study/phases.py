"""One phase of training: its name, its folder, its best parameters."""

from __future__ import annotations

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
from xt_jax.files import atomic_write_text
from xt_jax.model.heads import Model
from xt_jax.sharding import place_params
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

    def train(self, data: TaskData, start: Start, after: str, seed: int) -> Start:
        """Trains `data.task` from `start`, unless that is done; the best of it."""
        plan = self._plan(data, seed)
        key = self._key(data, start, plan, seed)
        name = "-".join(filter(None, [data.task.name, after, f"s{seed}", key[:12]]))
        directory = self.directory / name
        done = directory / "done.json"
        if not done.exists():
            progress = self._fit(data, start, plan, directory, seed)
            atomic_write_text(done, json.dumps(progress) + "\n")
            (directory / "checkpoints").rmtree(missing_ok=True)
        step = json.loads(done.read_text())["best_step"]
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
            [self.source.config.dtype, dict(self.mesh.shape)],
        )

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

        def save_best(params: nnx.State, step: int) -> None:
            model = nnx.merge(graphdef, params)
            models.save(model, _best(directory, step), labels=data.task.labels or None)
            for old in (directory / "best").iterdir():
                if old != _best(directory, step):
                    old.rmtree(missing_ok=True)

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
        return fit(job, params, self.source.config, self.config, self.mesh)

    def _new_model(self, data: TaskData, start: Start, seed: int) -> tuple:
        """(graphdef, parameters on the mesh) of the start's encoder under a new head."""
        encoder = self.source.load(start.folder)
        new_head = FAMILIES[data.task.family].head
        assert new_head is not None
        head = new_head(encoder.config, len(data.task.labels), nnx.Rngs(seed))
        graphdef, params = nnx.split(Model(encoder, head))
        return graphdef, place_params(params, self.mesh, self.config.sharding)


def row_multiple() -> int:
    """Row lengths are multiples of it: a TPU's lane width, or a vector register elsewhere."""
    return 128 if jax.default_backend() == "tpu" else 8


def _best(directory: epath.Path, step: int) -> epath.Path:
    return directory / "best" / f"step-{step}"
