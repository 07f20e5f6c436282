"""Provides a tiny classifier, its data and its training runs for the tests of training."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath
from flax import nnx

from xt_jax.data.mixture import task_order
from xt_jax.data.packing import Features, plan_training
from xt_jax.model import Encoder, EncoderConfig
from xt_jax.model.heads import Model
from xt_jax.model.sharding import make_mesh, place_params
from xt_jax.tasks import pairs
from xt_jax.tasks.recipes import Recipe
from xt_jax.tasks.table import FAMILIES
from xt_jax.train.batches import TrainedTask
from xt_jax.train.loop import Run
from xt_jax.train.optim import make_optimizer
from xt_jax.train.step import StepSpec

CONFIG = EncoderConfig("xlm-roberta", 120, 32, 2, 4, 64, 514, 1, 1e-5, 1, initializer_range=0.1)
RECIPE = Recipe(learning_rate=1e-3, epochs=1, batch_size=16, eval_every=4, patience=0)
TOLERANCE = 2e-6
ONE = make_mesh(devices=jax.devices()[:1])


def pair_features(count: int = 160, seed: int = 0) -> Features:
    """Returns random tokens whose label is whether token 7 occurs."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(5, 40, count).astype(np.int32)
    tokens = rng.integers(8, 120, int(lengths.sum())).astype(np.int32)
    label = rng.integers(0, 2, count).astype(np.int32)
    starts = np.cumsum(lengths) - lengths
    tokens[starts] = 0
    tokens[starts[label == 1] + 2] = 7
    fields = {"example": np.arange(count, dtype=np.int32), "label": label}
    return Features(lengths, {"input_ids": tokens}, fields)


def new_params() -> tuple:
    encoder = Encoder(CONFIG, rngs=nnx.Rngs(0))
    return nnx.split(Model(encoder, FAMILIES["pairs"].head(CONFIG, 2, nnx.Rngs(1))))


def spec_of(graphdef, steps: int, **changes) -> StepSpec:
    spec = StepSpec(graphdef, pairs.loss, make_optimizer(RECIPE, steps), clip_norm=RECIPE.clip_norm)
    return dataclasses.replace(spec, **changes)


@dataclasses.dataclass
class Selection:
    """Scores by `score`, and notes the steps whose parameters are kept in `saved`."""

    score: Callable[[nnx.State], float]
    saved: list[int] | None = None
    kept: list[int] = dataclasses.field(default_factory=list)

    def keep(self, member: int, params: nnx.State, step: int) -> None:
        self.kept.append(step)

    def keep_best(self, member: int, params: nnx.State, step: int, needed: set[int]) -> None:
        if self.saved is not None:
            self.saved.append(step)


def run_of(folder, tasks, order, recipe, selection: Selection) -> Run:
    """Returns a run of one member under the name `run` in `folder`."""
    folder = epath.Path(folder)
    states = folder / "checkpoints"
    return Run({"run": folder}, (0,), tuple(tasks), order, recipe, selection, states, pad_id=1)


def run_in(folder, score, *, recipe=RECIPE, saved=None, features=None) -> tuple[Run, object]:
    features = features or pair_features()
    plan = plan_training(features.lengths, recipe.batch_size, recipe.epochs, 0)
    graphdef, params = new_params()
    task = TrainedTask("pairs", spec_of(graphdef, plan.steps), (plan,), features)
    order = np.zeros(plan.steps, np.int32)
    return run_of(folder, [task], order, recipe, Selection(score, saved)), params


def weights_sum(params) -> float:
    return float(sum(jnp.abs(leaf).sum() for leaf in jax.tree.leaves(params)))


def mixed_run(folder, score) -> tuple[Run, object]:
    """Returns ten steps of two interleaved tasks of different shapes, with a head for each."""
    encoder, steps = Encoder(CONFIG, rngs=nnx.Rngs(0)), 10
    optimizer = make_optimizer(RECIPE, steps)
    order = task_order(np.array([0.7, 0.3]), steps, 0)
    tasks, heads = [], {}
    for i, name in enumerate(("easy", "hard")):
        features = pair_features(120, seed=i)
        batch = 8 * (i + 1)
        turns = int((order == i).sum())
        plan = plan_training(features.lengths, batch, turns * batch / 120, i)
        graphdef, params = nnx.split(Model(encoder, FAMILIES["pairs"].head(CONFIG, 2, nnx.Rngs(i))))
        heads[name] = params["head"]
        spec = StepSpec(graphdef, pairs.loss, optimizer, clip_norm=RECIPE.clip_norm, head=name)
        tasks.append(TrainedTask(name, spec, (plan,), features))
    params = nnx.State({"encoder": params["encoder"], "heads": nnx.State(heads)})
    recipe = dataclasses.replace(RECIPE, eval_every=2)
    run = run_of(folder, tasks, order, recipe, Selection(score))
    return run, place_params(params, ONE, "replicated")


class Killed(Exception):  # noqa: N818
    pass
