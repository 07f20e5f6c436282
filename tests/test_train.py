"""The step, the loop and the optimizer: devices, accumulation, resume, early stopping."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from etils import epath
from flax import nnx

from xt_jax.config import TrainConfig
from xt_jax.data.mixture import task_order
from xt_jax.data.packing import IGNORE, Features, materialise, plan_training
from xt_jax.errors import ConfigError, UserError
from xt_jax.model import Encoder, EncoderConfig
from xt_jax.model.heads import Model
from xt_jax.sharding import make_mesh, place_batch, place_params
from xt_jax.tasks import pairs
from xt_jax.tasks.recipes import Recipe
from xt_jax.tasks.table import FAMILIES
from xt_jax.train.loop import Job, Stream, batch_stream, fit
from xt_jax.train.optim import decays, linear_schedule, make_optimizer
from xt_jax.train.step import StepSpec, compile_step, init_state
from xt_jax.train.throughput import train_flops

CONFIG = EncoderConfig("xlm-roberta", 120, 32, 2, 4, 64, 514, 1, 1e-5, 1, initializer_range=0.1)
RECIPE = Recipe(learning_rate=1e-3, epochs=1, batch_size=16, eval_every=4, patience=0)
TOLERANCE = 2e-6
ONE = make_mesh(devices=jax.devices()[:1])


def pair_features(count: int = 160, seed: int = 0) -> Features:
    """Random tokens whose label is whether token 7 occurs."""
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
    spec = StepSpec(graphdef, pairs.loss, make_optimizer(RECIPE, steps))
    return dataclasses.replace(spec, **changes)


def run_steps(devices: int, layout: str, accumulate: int = 1, model_axis: int = 1, steps: int = 6):
    """Losses and parameters after a few steps without dropout."""
    features = pair_features()
    mesh = make_mesh(model_axis, jax.devices()[:devices])
    plan = plan_training(features.lengths, 16, 1, 0, rows_multiple=8)
    graphdef, params = new_params()
    params = place_params(params, mesh, layout)
    spec = spec_of(graphdef, plan.steps, accumulate=accumulate, dropout=False)
    state = init_state(params, spec.optimizer, mesh)
    step_fn = compile_step(spec, state)
    losses = []
    order = np.zeros(plan.steps, np.int32)
    stream = Stream("pairs", spec, plan, features)
    batches = iter(batch_stream([stream], order, 1, accumulate))
    for _ in range(steps):
        batch = place_batch(next(batches), mesh, axis=int(accumulate > 1))
        state, sums = step_fn(state, batch)
        losses.append(float(sums["loss"][0] / sums["loss"][1]))
    assert float(sums["loss"][1]) == 16
    return losses, jax.device_get(state.params), step_fn


@pytest.fixture(scope="module")
def one_device():
    with jax.default_matmul_precision("highest"):
        return run_steps(1, "replicated")


@pytest.mark.parametrize(
    ("devices", "layout", "accumulate", "model_axis"),
    [
        (8, "replicated", 1, 1),
        (8, "fsdp", 1, 1),
        (8, "fsdp", 1, 2),
        (1, "replicated", 4, 1),
        (2, "replicated", 4, 1),
    ],
)
def test_devices_layout_and_accumulation_do_not_change_the_result(
    one_device, devices, layout, accumulate, model_axis
):
    with jax.default_matmul_precision("highest"):
        losses, params, _ = run_steps(devices, layout, accumulate, model_axis)
    np.testing.assert_allclose(losses, one_device[0], atol=TOLERANCE)
    for a, b in zip(jax.tree.leaves(params), jax.tree.leaves(one_device[1]), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_parameters_are_really_cut_and_the_state_keeps_its_layout():
    features = pair_features()
    mesh = make_mesh(2, jax.devices())
    plan = plan_training(features.lengths, 16, 1, 0, rows_multiple=4)
    graphdef, params = new_params()
    spec = spec_of(graphdef, plan.steps)
    state = init_state(place_params(params, mesh, "fsdp"), spec.optimizer, mesh)
    batch = place_batch(materialise(plan, features, 0, 1), mesh)
    kernel = "encoder", "layers", "ffn", "up", "kernel"

    def pieces(tree):
        for name in kernel:
            tree = tree[name]
        return {shard.data.shape for shard in tree[...].addressable_shards}

    assert pieces(state.params) == {(2, 8, 32)}
    assert pieces(state.opt_state[1][0].mu) == {(2, 8, 32)}
    state, _ = compile_step(spec, state)(state, batch)
    assert pieces(state.params) == {(2, 8, 32)}
    assert {s.data.shape for s in batch["input_ids"].addressable_shards} == {
        (plan.rows // 4, plan.length)
    }


def test_a_phase_traces_its_step_once(one_device):
    assert one_device[2]._cache_size() == 1


def test_sharding_errors_name_the_field():
    with pytest.raises(ConfigError, match="model_axis"):
        make_mesh(3)
    odd = dataclasses.replace(CONFIG, hidden_size=36)
    _, params = nnx.split(Model(Encoder(odd, rngs=nnx.Rngs(0)), None))
    with pytest.raises(ConfigError, match="does not divide over 8"):
        place_params(params, make_mesh(), "fsdp")


def test_dropout_follows_seed_and_step():
    features = pair_features()
    plan = plan_training(features.lengths, 16, 1, 0)
    graphdef, params = new_params()
    batch = jax.tree.map(jnp.asarray, materialise(plan, features, 0, 1))

    def grad_norm(seed: int, step: int) -> float:
        spec = spec_of(graphdef, plan.steps, seed=seed)
        placed = place_params(params, ONE, "replicated")
        state = init_state(placed, spec.optimizer, ONE)._replace(step=jnp.int32(step))
        copy = jax.tree.map(jnp.copy, state)
        return float(compile_step(spec, copy)(copy, batch)[1]["grad_norm"][0])

    assert grad_norm(0, 0) == grad_norm(0, 0)
    assert len({grad_norm(0, 0), grad_norm(0, 1), grad_norm(1, 0)}) == 3


def test_the_schedule_rises_and_falls_linearly():
    schedule = linear_schedule(2.0, 0.1, 105)
    warmup = math.ceil(10.5)
    for step in (0, 1, 5, 10, 11, 12, 50, 104, 105):
        if step < warmup:
            expected = 2.0 * step / warmup
        else:
            expected = 2.0 * max(0, 105 - step) / (105 - warmup)
        assert float(schedule(step)) == pytest.approx(expected, abs=1e-6)
    assert float(linear_schedule(2.0, 0.0, 10)(0)) == 2.0


def test_kernels_and_embeddings_decay_biases_and_norms_do_not():
    _, params = new_params()
    decayed = {
        "/".join(str(getattr(k, "key", "")) for k in path)
        for path, decay in jax.tree_util.tree_leaves_with_path(decays(params))
        if decay
    }
    assert len(decayed) == 3 + 6 + 2  # embeddings, layer kernels, head kernels
    assert not any("norm" in name or "bias" in name for name in decayed)


def job_in(folder, evaluate, *, recipe=RECIPE, saved=None, features=None) -> tuple[Job, object]:
    features = features or pair_features()
    plan = plan_training(features.lengths, recipe.batch_size, recipe.epochs, 0)
    graphdef, params = new_params()
    job = Job(
        name="job",
        streams=(Stream("pairs", spec_of(graphdef, plan.steps), plan, features),),
        order=np.zeros(plan.steps, np.int32),
        recipe=recipe,
        evaluate=evaluate,
        save_best=lambda params, step, needed: None if saved is None else saved.append(step),
        directory=epath.Path(folder),
        pad_id=1,
    )
    return job, params


def weights_sum(params) -> float:
    return float(sum(jnp.abs(leaf).sum() for leaf in jax.tree.leaves(params)))


class Killed(Exception):  # noqa: N818
    pass


def mixed_job(folder, evaluate, *, steps: int = 10, saved=None) -> tuple[Job, object]:
    """Two tasks of other features and shapes by turns, a head for each."""
    encoder = Encoder(CONFIG, rngs=nnx.Rngs(0))
    optimizer = make_optimizer(RECIPE, steps)
    order = task_order(np.array([0.7, 0.3]), steps, 0)
    streams, heads = [], {}
    for i, name in enumerate(("easy", "hard")):
        features = pair_features(120, seed=i)
        batch = 8 * (i + 1)
        turns = int((order == i).sum())
        plan = plan_training(features.lengths, batch, turns * batch / 120, i)
        graphdef, params = nnx.split(Model(encoder, FAMILIES["pairs"].head(CONFIG, 2, nnx.Rngs(i))))
        heads[name] = params["head"]
        spec = StepSpec(graphdef, pairs.loss, optimizer, head=name)
        streams.append(Stream(name, spec, plan, features))
    params = nnx.State({"encoder": params["encoder"], "heads": nnx.State(heads)})
    job = Job(
        name="mixed",
        streams=tuple(streams),
        order=order,
        recipe=dataclasses.replace(RECIPE, eval_every=2),
        evaluate=evaluate,
        save_best=lambda params, step, needed: None if saved is None else saved.append(step),
        directory=epath.Path(folder),
        pad_id=1,
    )
    return job, place_params(params, ONE, "replicated")


def test_a_mixture_trains_every_task_and_logs_each_loss(tmp_path):
    job, params = mixed_job(tmp_path, lambda _: 0.0)
    before = jax.tree.map(jnp.copy, params)
    last = []
    job = dataclasses.replace(job, evaluate=lambda p: last.append(jax.device_get(p)) or 0.0)
    fit(job, params, CONFIG, TrainConfig(log_every=10), ONE)
    for head in ("easy", "hard"):
        moved = jax.tree.map(
            lambda a, b: float(jnp.abs(a - b).max()), before["heads"][head], last[-1]["heads"][head]
        )
        assert min(jax.tree.leaves(moved)) > 0
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    losses = next(line for line in lines if "fill" in line)
    assert {"loss/easy", "loss/hard", "grad_norm/easy"} <= set(losses)


def test_every_step_brings_the_next_batch_of_its_task(tmp_path):
    job, _ = mixed_job(tmp_path, lambda _: 0.0)
    seen = [0, 0]
    for task, batch in zip(
        job.order, batch_stream(job.streams, job.order, job.pad_id, 1), strict=True
    ):
        stream = job.streams[task]
        expected = materialise(stream.plan, stream.features, seen[task], job.pad_id)
        np.testing.assert_array_equal(batch["feature"], expected["feature"])
        seen[task] += 1
    assert seen == [stream.plan.steps for stream in job.streams]


def test_a_task_learns_nothing_from_the_steps_of_another(tmp_path):
    """Adam moves a head without a gradient only by what its own steps left behind."""
    job, params = mixed_job(tmp_path, lambda _: 0.0)
    stream = job.streams[0]
    state = init_state(params, stream.spec.optimizer, ONE)
    hard = jax.device_get(state.params["heads"]["hard"])
    batch = place_batch(materialise(stream.plan, stream.features, 0, 1), ONE)
    state, _ = compile_step(stream.spec, state)(state, batch)
    moments = jax.device_get(state.opt_state[1][0].mu["heads"])
    assert max(float(np.abs(m).max()) for m in jax.tree.leaves(moments["hard"])) == 0
    assert max(float(np.abs(m).max()) for m in jax.tree.leaves(moments["easy"])) > 0
    for a, b in zip(
        jax.tree.leaves(hard), jax.tree.leaves(state.params["heads"]["hard"]), strict=True
    ):
        np.testing.assert_array_equal(a, b)  # the first warm-up update has learning rate 0


@pytest.mark.parametrize("killed_at", [4, 6, 8])
def test_a_mixture_killed_in_the_middle_ends_with_the_same_numbers(tmp_path, killed_at):
    config = TrainConfig(save_every_steps=2, log_every=100)

    def fit_in(folder, kill: int = 0):
        sums = []

        def evaluate(params):
            sums.append(weights_sum(params))
            if kill and 2 * len(sums) == kill:
                raise Killed
            return float(len(sums))

        job, params = mixed_job(folder, evaluate)
        fit(job, params, CONFIG, config, ONE)
        return sums

    whole = fit_in(tmp_path / "whole")
    with pytest.raises(Killed):
        fit_in(tmp_path / "killed", killed_at)
    assert fit_in(tmp_path / "killed") == whole[killed_at // 2 - 1 :]


@pytest.mark.parametrize("killed_at", [4, 6, 8])
def test_a_killed_phase_ends_with_the_same_numbers(tmp_path, killed_at):
    config = TrainConfig(save_every_steps=2, log_every=100)
    mesh = ONE
    recipe = dataclasses.replace(RECIPE, eval_every=2)

    def fit_in(folder, kill: int = 0):
        sums = []

        def evaluate(params):
            if kill and 2 * (len(sums) + 1) == kill:
                raise Killed
            sums.append(weights_sum(params))
            return sums[-1] * (-1) ** len(sums)

        saved: list[int] = []
        job, params = job_in(folder, evaluate, recipe=recipe, saved=saved)
        return fit(job, params, CONFIG, config, mesh), sums, saved

    whole, sums, _ = fit_in(tmp_path / "whole")
    with pytest.raises(Killed):
        fit_in(tmp_path / "killed", killed_at)
    resumed_at = killed_at - 2
    seen: list[float] = []

    def evaluate(params):
        seen.append(weights_sum(params))
        return seen[-1] * (-1) ** (len(seen) + resumed_at // 2)

    job, params = job_in(tmp_path / "killed", evaluate, recipe=recipe)
    assert fit(job, params, CONFIG, config, mesh) == whole
    assert seen == sums[resumed_at // 2 :]


def test_a_phase_in_a_relative_folder_is_saved_and_goes_on(tmp_path, monkeypatch):
    """As with `--workdir=runs/base`; orbax wants absolute paths."""
    monkeypatch.chdir(tmp_path)
    config = TrainConfig(save_every_steps=2, log_every=100)

    def killed(params):
        raise Killed

    job, params = job_in(Path("run"), killed)
    with pytest.raises(Killed):
        fit(job, params, CONFIG, config, ONE)
    assert list((tmp_path / "run" / "checkpoints").glob("[0-9]*"))


def test_patience_ends_training_and_the_best_step_is_kept(tmp_path):
    scores = iter([10.0, 30.0, 20.0, 25.0, 40.0])
    saved: list[int] = []
    recipe = dataclasses.replace(RECIPE, epochs=5, eval_every=3, patience=2)
    job, params = job_in(tmp_path, lambda _: next(scores), recipe=recipe, saved=saved)
    progress = fit(job, params, CONFIG, TrainConfig(), ONE)
    assert (progress["best"], progress["best_step"], progress["steps"]) == (30.0, 6, 12)
    assert saved == [3, 6]


def test_training_learns_and_moves_from_its_start(tmp_path):
    recipe = dataclasses.replace(RECIPE, epochs=12, learning_rate=3e-3)
    features = pair_features(320)
    job, params = job_in(tmp_path, lambda _: 0.0, recipe=recipe, features=features)
    (stream,) = job.streams
    spec = dataclasses.replace(stream.spec, optimizer=make_optimizer(recipe, job.steps))
    job = dataclasses.replace(job, streams=(dataclasses.replace(stream, spec=spec),))
    config = TrainConfig(log_every=job.steps)
    fit(job, params, CONFIG, config, ONE)
    lines = (tmp_path / "log.jsonl").read_text()
    assert '"loss": 0.0' in lines or '"loss": 0.1' in lines


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    job, params = job_in(tmp_path, lambda _: 0.0)
    params = jax.tree.map(lambda a: a * jnp.nan, params)
    with pytest.raises(UserError, match="loss is nan at step 1"):
        fit(job, params, CONFIG, TrainConfig(log_every=1), ONE)


def test_flops_are_six_per_weight_and_token_and_attention():
    rows, length = 3, 64
    layers = nnx.state(Encoder(CONFIG, rngs=nnx.Rngs(0)).layers)
    weights = sum(leaf.size for leaf in jax.tree.leaves(layers) if leaf.ndim == 3)
    attention = CONFIG.num_layers * 3 * 4 * length * CONFIG.hidden_size * rows * length
    assert train_flops(CONFIG, rows, length) == 6 * weights * rows * length + attention


def test_tokens_without_a_label_weigh_nothing():
    labels = jnp.array([[2, IGNORE, 1, IGNORE]])
    encoder = Encoder(CONFIG, rngs=nnx.Rngs(0))
    model = Model(encoder, FAMILIES["tags"].head(CONFIG, 3, nnx.Rngs(1)))
    batch = {
        "input_ids": jnp.array([[0, 5, 6, 2]]),
        "positions": jnp.arange(4)[None],
        "segment_ids": jnp.ones((1, 4), jnp.int32),
        "labels": labels,
    }
    _, weight = FAMILIES["tags"].loss(model, batch, None)["loss"]
    assert int(weight) == 2
