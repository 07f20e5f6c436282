"""The loop: mixtures, resume, early stopping."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from training import (
    CONFIG,
    ONE,
    RECIPE,
    Killed,
    mixed_run,
    pair_features,
    run_in,
    weights_sum,
)

from xt_jax.config import TrainConfig
from xt_jax.data.packing import materialise
from xt_jax.errors import UserError
from xt_jax.model.sharding import place_batch
from xt_jax.train.batches import batch_stream
from xt_jax.train.loop import fit
from xt_jax.train.optim import make_optimizer
from xt_jax.train.step import compile_step, init_state


def test_a_mixture_trains_every_task_and_logs_each_loss(tmp_path):
    run, params = mixed_run(tmp_path, lambda _: 0.0)
    before = jax.tree.map(jnp.copy, params)
    last = []
    run.selection.score = lambda p: last.append(jax.device_get(p)) or 0.0
    fit(run, params, CONFIG, TrainConfig(log_every=10), ONE)
    for head in ("easy", "hard"):
        moved = jax.tree.map(
            lambda a, b: float(jnp.abs(a - b).max()), before["heads"][head], last[-1]["heads"][head]
        )
        assert min(jax.tree.leaves(moved)) > 0
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    losses = next(line for line in lines if "fill" in line)
    assert {"loss/easy", "loss/hard", "grad_norm/easy"} <= set(losses)


def test_every_step_brings_the_next_batch_of_its_task(tmp_path):
    run, _ = mixed_run(tmp_path, lambda _: 0.0)
    seen = [0, 0]
    for task, batch in zip(
        run.order, batch_stream(run.tasks, run.order, run.pad_id, ONE), strict=True
    ):
        stream = run.tasks[task]
        expected = materialise(stream.plans[0], stream.features, seen[task], run.pad_id)
        np.testing.assert_array_equal(batch["feature"], expected["feature"])
        seen[task] += 1
    assert seen == [stream.plans[0].steps for stream in run.tasks]


def test_a_task_learns_nothing_from_the_steps_of_another(tmp_path):
    """Adam moves a head without a gradient only by what its own steps left behind."""
    run, params = mixed_run(tmp_path, lambda _: 0.0)
    stream = run.tasks[0]
    state = init_state(params, stream.spec.optimizer, ONE, [0])
    hard = jax.device_get(state.params["heads"]["hard"])
    batch = place_batch(materialise(stream.plans[0], stream.features, 0, 1), ONE)
    state, _ = compile_step(stream.spec, state)(state, batch)
    moments = jax.device_get(state.opt_state[0].mu["heads"])
    assert max(float(np.abs(m).max()) for m in jax.tree.leaves(moments["hard"])) == 0
    assert max(float(np.abs(m).max()) for m in jax.tree.leaves(moments["easy"])) > 0
    for a, b in zip(
        jax.tree.leaves(hard), jax.tree.leaves(state.params["heads"]["hard"]), strict=True
    ):
        np.testing.assert_array_equal(a, b)  # the first warm-up update has learning rate 0


@pytest.mark.slow
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

        run, params = mixed_run(folder, evaluate)
        fit(run, params, CONFIG, config, ONE)
        return sums

    uninterrupted = fit_in(tmp_path / "whole")
    with pytest.raises(Killed):
        fit_in(tmp_path / "killed", killed_at)
    assert fit_in(tmp_path / "killed") == uninterrupted[killed_at // 2 - 1 :]


def fit_alternating(folder, *, begun: int = 0, killed_at: int = 0):
    """Returns the progress and what each evaluation saw; they alternately gain and lose."""
    sums: list[float] = []

    def evaluate(params):
        if killed_at and 2 * (len(sums) + 1) == killed_at:
            raise Killed
        sums.append(weights_sum(params))
        return sums[-1] * (-1) ** (len(sums) + begun // 2)

    run, params = run_in(folder, evaluate, recipe=dataclasses.replace(RECIPE, eval_every=2))
    return fit(run, params, CONFIG, TrainConfig(save_every_steps=2, log_every=100), ONE), sums


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    return fit_alternating(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("killed_at", [4, 6, 8])
def test_a_killed_phase_ends_with_the_same_numbers(tmp_path, whole_run, killed_at):
    whole, sums = whole_run
    with pytest.raises(Killed):
        fit_alternating(tmp_path, killed_at=killed_at)
    resumed_at = killed_at - 2
    assert fit_alternating(tmp_path, begun=resumed_at) == (whole, sums[resumed_at // 2 :])


def test_a_phase_in_a_relative_folder_is_saved_and_goes_on(tmp_path, monkeypatch):
    """As with `--workdir=runs/base`; orbax wants absolute paths."""
    monkeypatch.chdir(tmp_path)
    config = TrainConfig(save_every_steps=2, log_every=100)

    def killed(params):
        raise Killed

    run, params = run_in(Path("run"), killed)
    with pytest.raises(Killed):
        fit(run, params, CONFIG, config, ONE)
    assert list((tmp_path / "run" / "checkpoints").glob("[0-9]*"))


def test_patience_ends_training_and_the_best_step_is_kept(tmp_path):
    scores = iter([10.0, 30.0, 20.0, 25.0, 40.0])
    saved: list[int] = []
    recipe = dataclasses.replace(RECIPE, epochs=5, eval_every=3, patience=2)
    run, params = run_in(tmp_path, lambda _: next(scores), recipe=recipe, saved=saved)
    (progress,) = fit(run, params, CONFIG, TrainConfig(), ONE)
    assert (progress["best"], progress["best_step"], progress["steps"]) == (30.0, 6, 12)
    assert saved == [3, 6]


def test_training_learns_and_moves_from_its_start(tmp_path):
    recipe = dataclasses.replace(RECIPE, epochs=12, learning_rate=3e-3, eval_every=1000)
    features = pair_features(320)
    run, params = run_in(tmp_path, lambda _: 0.0, recipe=recipe, features=features)
    (stream,) = run.tasks
    spec = dataclasses.replace(stream.spec, optimizer=make_optimizer(recipe, run.steps))
    run = dataclasses.replace(run, tasks=(dataclasses.replace(stream, spec=spec),))
    config = TrainConfig(log_every=run.steps)
    fit(run, params, CONFIG, config, ONE)
    lines = (tmp_path / "log.jsonl").read_text()
    assert '"loss": 0.0' in lines or '"loss": 0.1' in lines


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    run, params = run_in(tmp_path, lambda _: 0.0)
    params = jax.tree.map(lambda a: a * jnp.nan, params)
    with pytest.raises(UserError, match="loss is nan at step 1"):
        fit(run, params, CONFIG, TrainConfig(log_every=1), ONE)
