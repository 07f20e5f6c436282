"""This project's side of the benchmarks, with the steps, plans and batches of its own loop.

Started by `duel.Worker`; answers calls. Each use of the package is one small function.
"""

from __future__ import annotations

import duel

CPUS = duel.limit_processors()

import os  # noqa: E402
import time  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from typing import Any  # noqa: E402

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import making  # noqa: E402
import numpy as np  # noqa: E402
import profiles  # noqa: E402
from flax import nnx  # noqa: E402
from work import TASKS, Ragged, Work  # noqa: E402

from xt_jax import model as models  # noqa: E402
from xt_jax.data.packed_sets import PackedSets  # noqa: E402
from xt_jax.data.packing import Features, Plan, plan_training  # noqa: E402
from xt_jax.model.config import EncoderConfig  # noqa: E402
from xt_jax.model.predict import Predictor  # noqa: E402
from xt_jax.model.sharding import make_mesh, place_batch, place_params, row_multiple  # noqa: E402
from xt_jax.tasks.recipes import Recipe  # noqa: E402
from xt_jax.tasks.table import FAMILIES  # noqa: E402
from xt_jax.train import pruning  # noqa: E402
from xt_jax.train.batches import TrainedTask, batch_stream  # noqa: E402
from xt_jax.train.optim import make_optimizer  # noqa: E402
from xt_jax.train.step import StepSpec, TrainState, compile_step, init_state  # noqa: E402
from xt_jax.train.throughput import PEAK_TFLOPS, train_flops  # noqa: E402


class Ours:
    """The service that `duel.Worker` calls."""

    def prepare(self, work: dict, data: dict[str, str], **options: Any) -> dict[str, Any]:
        """Writes the folder of `Work`; `data` maps the name of a set of features to its file."""
        return making.prepare(Work(**work), data, **options)

    def start(self, folder: str, **variant: Any) -> dict[str, Any]:
        """Loads, plans and compiles a training run."""
        self.training = Training(Work.load(folder), **variant)
        return self.training.facts()

    def train(self, steps: int) -> duel.Measured:
        return self.training.run(steps)

    def profile(self, folder: str, steps: int) -> dict[str, float]:
        return self.training.profile(folder, steps)

    def start_prediction(self, folder: str, splits: list[str], **variant: Any) -> dict[str, Any]:
        """Loads and plans the prediction of several sets of features."""
        self.prediction = Prediction(Work.load(folder), splits, **variant)
        return self.prediction.facts()

    def predict(self, save: str = "") -> duel.Measured:
        return self.prediction.run(save)

    def matmul_tflops(self, shape: list[int], dtype: str) -> float:
        return matmul_tflops(shape, dtype)

    def device(self) -> dict[str, Any]:
        kind = jax.devices()[0].device_kind
        return {
            "platform": jax.default_backend(),
            "kind": kind,
            "processors": CPUS,
            "peak_tflops": PEAK_TFLOPS.get(kind),
        }


class Training:
    """A run as `xt_jax.train.loop.fit` makes it, some steps at a time.

    Args:
        packing: False puts one example in each row, padded to the longest of all.
        folding: trains only the word embeddings that occur (vocabulary pruning).
        words: the least number of these, as a larger set of examples would have more.
        attention: a backend by name; the fused ones do not drop attention probabilities.
        drop_attention: False turns that dropout off with any backend.
        remat: the gradient checkpointing policy, by name.
    """

    def __init__(
        self,
        work: Work,
        *,
        packing: bool = True,
        folding: bool = True,
        words: int = 0,
        attention: str = "xla",
        drop_attention: bool = True,
        remat: str = "none",
    ):
        self.work = work
        self.mesh = make_mesh(devices=jax.devices()[:1])
        features = load_features(work, "train")
        self.model = load_model(
            work.model,
            dtype=work.dtype,
            remat=remat,
            attention=attention,
            drop_attention=drop_attention and attention == "xla",
        )
        self.config = self.model.encoder.config
        self.recipe = training_recipe(work)
        self.plan = training_plan(features, self.recipe, work, self.config, packing)
        self.words = self.config.vocab_size
        if folding:
            self.model, features = pruned(self.model, features, words)
            self.words = self.model.encoder.embeddings.word.embedding.shape[0]
        self.features = features
        self.loss = first_loss(self.model, work, self.plan, features)
        self.batches = training_batches(work, self.plan, features, work.pad_id)
        self.state, step = training_step(self.model, work, self.recipe, self.mesh)
        del self.model  # the step takes its arrays
        began = time.perf_counter()
        first = next(training_batches(work, self.plan, features, work.pad_id))
        self.step = step.lower(self.state, place_batch(first, self.mesh)).compile()
        self.compile_seconds = time.perf_counter() - began
        self.done = 0
        self.run(1)

    def facts(self) -> dict[str, Any]:
        plan, lengths = self.plan, self.features.lengths
        return {
            "compile_seconds": self.compile_seconds,
            "rows": plan.rows,
            "row_length": plan.length,
            "fill": plan.fill(lengths),
            "examples_per_step": len(plan.feature) / plan.steps,
            "words_trained": self.words,
            "words": self.config.vocab_size,
            "flops_per_token": example_flops(self.config, lengths) / float(lengths.sum()),
            "first_loss": self.loss,
            "first_examples": plan.feature[: plan.splits[1]].tolist(),
        }

    def run(self, steps: int) -> duel.Measured:
        duel.forget_peak()
        waited, first = 0.0, self.done
        began = time.perf_counter()
        for _ in range(steps):
            requested = time.perf_counter()
            batch = next(self.batches)
            waited += time.perf_counter() - requested
            self.state, sums = self.step(self.state, place_batch(batch, self.mesh))
        loss = float(sums["loss"][0] / sums["loss"][1])
        seconds = time.perf_counter() - began
        self.done += steps
        return {
            "seconds": seconds,
            "wait_seconds": waited,
            "loss": loss,
            "peak_bytes": peak_bytes(),
            **counts(self.plan, self.features.lengths, self.config, first, self.done),
        }

    def profile(self, folder: str, steps: int) -> dict[str, float]:
        """Returns seconds per step by part, from a trace of `steps` steps saved in `folder`."""
        with jax.profiler.trace(folder):
            self.run(steps)
        return profiles.seconds_by_part(folder, self.step.as_text(), steps)


class Prediction:
    """Predicts all sets of features as `xt_jax.study.scoring` does.

    Args:
        exact: in full float32, whatever `work` says.
    """

    def __init__(self, work: Work, splits: list[str], *, exact: bool = False):
        self.names = splits
        jax.config.update("jax_default_matmul_precision", "highest" if exact else None)
        mesh = make_mesh(devices=jax.devices()[:1])
        model = load_model(work.model, dtype="float32" if exact else work.dtype)
        self.config = model.encoder.config
        graphdef, params = nnx.split(model)
        self.params = place_params(params, mesh, "replicated")
        ask = FAMILIES[TASKS[work.task]].predict
        self.predictor = Predictor(graphdef, ask, mesh, self.config)
        self.sets: PackedSets = self.predictor.stream(
            [load_features(work, name) for name in splits]
        )

    def facts(self) -> dict[str, Any]:
        lengths, plan = self._lengths(), self.sets.plan
        return {
            "rows": plan.rows,
            "row_length": plan.length,
            "fill": self.sets.fill,
            "flops_per_token": self._flops(lengths) / float(lengths.sum()),
        }

    def run(self, save: str) -> duel.Measured:
        duel.forget_peak()
        began = time.perf_counter()
        outputs = dict(self.predictor(self.params, self.sets))
        seconds = time.perf_counter() - began
        if save:
            labels = {name: outputs[i]["label"] for i, name in enumerate(self.names)}
            np.savez(save, allow_pickle=False, **labels)
        lengths, plan = self._lengths(), self.sets.plan
        return {
            "seconds": seconds,
            "peak_bytes": peak_bytes(),
            "examples": len(lengths),
            "real_tokens": int(lengths.sum()),
            "slots": plan.steps * plan.rows * plan.length,
        }

    def _lengths(self) -> np.ndarray:
        return np.concatenate([features.lengths for features in self.sets.sets])

    def _flops(self, lengths: np.ndarray) -> float:
        return example_flops(self.config, lengths) / 3  # the forward pass alone


def load_features(work: Work, name: str) -> Features:
    ragged = Ragged.load(work.folder, name)
    return Features(ragged.lengths, ragged.tokens, ragged.fields)


def load_model(folder: str, *, drop_attention: bool = True, **options: str) -> models.Model:
    """Loads the model; `options` are of the encoder's config: dtype, remat, attention."""
    model, _ = models.load_model(folder)
    changes: dict[str, Any] = {"unroll": models.unroll_on(jax.default_backend()), **options}
    if not drop_attention:
        changes["attention_dropout"] = 0.0
    return models.Model(models.with_options(model.encoder, **changes), model.head)


def pruned(model: models.Model, features: Features, least: int) -> tuple[models.Model, Features]:
    """Returns the model with only the word embeddings that occur, and the renumbered features.

    At least `least` words are kept, others too if too few occur.
    """
    config = model.encoder.config
    words = pruning.occurring_words([features], config.pad_id)
    unused = np.setdiff1d(np.arange(config.vocab_size, dtype=words.dtype), words)
    words = np.sort(np.concatenate([words, unused[: max(0, least - len(words))]]))
    table = np.asarray(model.encoder.embeddings.word.embedding[...])
    model.encoder.embeddings.word.embedding = nnx.Param(jnp.asarray(table[words]))
    return model, pruning.renumber(features, words)


def training_recipe(work: Work) -> Recipe:
    return Recipe(
        learning_rate=work.learning_rate,
        steps=work.steps,
        batch_size=work.batch_size,
        batch_tokens=work.tokens_per_step,
        warmup_ratio=work.warmup_ratio,
        weight_decay=work.weight_decay,
        clip_norm=work.clip_norm,
    )


def training_plan(
    features: Features, recipe: Recipe, work: Work, config: EncoderConfig, packing: bool
) -> Plan:
    return plan_training(
        features.lengths,
        recipe.batch_size,
        recipe.epochs,
        work.seed,
        batch_tokens=recipe.batch_tokens,
        steps=recipe.steps,
        packing=packing,
        row_multiple=row_multiple(),
        hidden_size=config.hidden_size,
    )


def training_step(
    model: models.Model, work: Work, recipe: Recipe, mesh: jax.sharding.Mesh
) -> tuple[TrainState, Any]:
    """Returns the state before the first step, and the compiled step."""
    graphdef, params = nnx.split(model)
    loss = FAMILIES[TASKS[work.task]].loss
    assert loss is not None
    spec = StepSpec(graphdef, loss, make_optimizer(recipe, work.steps), clip_norm=work.clip_norm)
    placed = place_params(params, mesh, "replicated")
    state = init_state(placed, spec.optimizer, mesh, seeds=[work.seed])
    return state, compile_step(spec, state)


def first_loss(model: models.Model, work: Work, plan: Plan, features: Features) -> float:
    """Returns the mean loss of the plan's first step, without dropout, in full float32."""
    batch = next(training_batches(work, plan, features, work.pad_id))
    encoder = models.with_options(model.encoder, dtype="float32", attention="xla")
    graphdef, params = nnx.split(models.Model(encoder, model.head))
    loss = FAMILIES[TASKS[work.task]].loss
    assert loss is not None
    with jax.default_matmul_precision("highest"):
        sums = jax.jit(lambda p, b: loss(nnx.merge(graphdef, p), b, None))(params, batch)
    return float(sums["loss"][0] / sums["loss"][1])


def training_batches(
    work: Work, plan: Plan, features: Features, pad_id: int
) -> Iterator[dict[str, np.ndarray]]:
    """Returns the loop's own stream of batches, prepared ahead in a thread."""
    unused: Any = None
    stream = TrainedTask(work.task, unused, (plan,), features)
    return batch_stream([stream], np.zeros(plan.steps, np.int32), pad_id, make_mesh())


def counts(
    plan: Plan, lengths: np.ndarray, config: EncoderConfig, first: int, end: int
) -> duel.Measured:
    """Returns the work of the steps [first, end); `slot_flops` includes the padding."""
    placed = lengths[plan.feature[plan.splits[first] : plan.splits[end]]].astype(np.float64)
    return {
        "examples": len(placed),
        "real_tokens": placed.sum(),
        "slots": (end - first) * plan.rows * plan.length,
        "slot_flops": (end - first) * train_flops(config, plan.rows, plan.length),
    }


def example_flops(config: EncoderConfig, lengths: np.ndarray) -> float:
    """Returns the FLOPs of a training step over these examples without any padding."""
    lengths = lengths.astype(np.float64)
    values, times = np.unique(lengths, return_counts=True)
    return float(
        sum(n * train_flops(config, 1, length) for length, n in zip(values, times, strict=True))
    )


def matmul_tflops(shape: list[int], dtype: str, repeats: int = 10) -> float:
    """Measures the best rate of a product [m, k] x [k, n] in TFLOP/s."""
    m, k, n = shape
    a, b = (jnp.ones(shape, dtype) for shape in ((m, k), (k, n)))
    product = jax.jit(jnp.matmul)
    product(a, b).block_until_ready()
    best = float("inf")
    for _ in range(repeats):
        began = time.perf_counter()
        product(a, b).block_until_ready()
        best = min(best, time.perf_counter() - began)
    return 2 * m * k * n / best / 1e12


def peak_bytes() -> int:
    """Returns the peak memory of the device, or on a CPU of this process."""
    stats = jax.devices()[0].memory_stats()
    return stats["peak_bytes_in_use"] if stats else duel.peak_bytes()


if __name__ == "__main__":
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    duel.serve(Ours())
