"""How far the host runs ahead of a slow device, the rates it measures, and what it says by time."""

from __future__ import annotations

import dataclasses
import json
import time

import jax
import jax.numpy as jnp
import pytest
from absl import logging
from training import CONFIG, ONE, RECIPE, run_in

from xt_jax import ticker
from xt_jax.config import TrainConfig
from xt_jax.tasks import pairs
from xt_jax.train import log
from xt_jax.train.log import Log
from xt_jax.train.loop import fit


@pytest.fixture
def train(monkeypatch):
    """Trains ten steps of many multiplications; returns (the run, its progress, steps ahead, time).

    Before each step it counts those before that the device has not made yet. The time is that from
    the first step on.
    """
    ahead: list[int] = []
    began: list[float] = []
    original = Log.compiled

    def loss(model, batch, key):
        sums = pairs.loss(model, batch, key)
        work = jax.lax.fori_loop(0, 100, lambda _, x: x @ x, jnp.eye(256))
        total, weight = sums["loss"]
        return {**sums, "loss": (total + 0 * jax.lax.stop_gradient(work.sum()), weight)}

    def compiled(self, lowered):
        program, made = original(self, lowered), []

        def step(state, batch):
            began.append(time.perf_counter())
            ahead.append(sum(not jax.tree.leaves(sums)[0].is_ready() for sums in made))
            state, sums = program(state, batch)
            made.append(sums)
            return state, sums

        return step

    def run(folder):
        run, params = run_in(
            folder, lambda _: 0.0, recipe=dataclasses.replace(RECIPE, eval_every=100)
        )
        task = run.tasks[0]
        task = dataclasses.replace(task, spec=dataclasses.replace(task.spec, loss=loss))
        advanced: list[float] = []
        run = dataclasses.replace(run, tasks=(task,), advance=advanced.append)
        fit(run, params, CONFIG, TrainConfig(log_every=100), ONE)
        return run, advanced, ahead, time.perf_counter() - began[0]

    monkeypatch.setattr(Log, "compiled", compiled)
    return run


def lines_of(folder) -> list[dict]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [line for line in lines if "loss" in line]


def test_the_host_is_at_most_a_step_ahead_of_the_device(tmp_path, train):
    run, _, ahead, _ = train(tmp_path)
    assert len(ahead) == run.steps == 10
    assert max(ahead) == 1


def test_rates_are_those_of_the_device_also_where_a_phase_is_shorter_than_a_window(tmp_path, train):
    run, advanced, _, elapsed = train(tmp_path)
    (line,) = lines_of(tmp_path)
    seconds = line["step_seconds"] * run.steps
    assert line["step"] == run.steps
    assert elapsed / 2 < seconds < elapsed + 1
    assert sum(advanced) == pytest.approx(line["tflops"] * 1e12 * seconds, rel=1e-2)


def test_losses_are_logged_by_time_as_well_as_by_steps(tmp_path, monkeypatch, train):
    monkeypatch.setattr(log, "SILENCE", 0.0)
    run, *_ = train(tmp_path)
    assert [line["step"] for line in lines_of(tmp_path)] == list(range(1, run.steps + 1))


def test_a_long_loop_says_by_time_how_far_it_is(monkeypatch):
    said, now = [], [0.0]
    monkeypatch.setattr(ticker.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(logging, "info", lambda text, *args: said.append(text % args))
    counter = ticker.Ticker("embedded sentences", 2000)
    for _ in range(4):
        counter.advance(500)
        now[0] += 20
    assert said == ["embedded sentences: 1,500 of 2,000"]
