"""Saved states: onto other meshes bit for bit; a damaged one is skipped."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from etils import epath
from training import CONFIG, new_params, run_in, spec_of

from xt_jax.config import TrainConfig
from xt_jax.errors import UserError
from xt_jax.model.sharding import make_mesh, place_params
from xt_jax.train.checkpoint import NOT_BEGUN, Position, SavedStates
from xt_jax.train.loop import fit
from xt_jax.train.step import TrainState, init_state


def state_on(devices: int, layout: str, fill: int = 0, model_axis: int = 1) -> TrainState:
    """Random numbers everywhere, moments included, or without `fill` the state of a start."""
    mesh = make_mesh(model_axis, jax.devices()[:devices])
    graphdef, params = new_params()
    params = place_params(params, mesh, layout)
    state = init_state(params, spec_of(graphdef, 10).optimizer, mesh, [0])
    if not fill:
        return state
    rng = np.random.default_rng(fill)

    def drawn(array: jax.Array) -> jax.Array:
        values = rng.integers(0, 9, array.shape) if array.dtype == jnp.int32 else None
        values = rng.normal(size=array.shape) if values is None else values
        return jax.device_put(values.astype(array.dtype), array.sharding)

    return TrainState(*jax.tree.map(drawn, state[:3]), state.key)


def assert_equal(a: TrainState, b: TrainState) -> None:
    for name in ("step", "params", "opt_state"):
        for x, y in zip(*map(jax.tree.leaves, (getattr(a, name), getattr(b, name))), strict=True):
            np.testing.assert_array_equal(jax.device_get(x), jax.device_get(y))


def at_step(done: int) -> Position:
    return Position("", done, 0, [NOT_BEGUN])


def save(folder, state: TrainState, at) -> None:
    states = SavedStates(epath.Path(folder), TrainConfig())
    states.save(state, at)
    states.close()


def restored(folder, start: TrainState) -> tuple[TrainState, Position]:
    return SavedStates(epath.Path(folder), TrainConfig()).restored(start, at_step(0))


@pytest.mark.parametrize(
    ("before", "after", "layout", "model_axis"),
    [
        *[(8, 4, layout, 1) for layout in ("fsdp", "replicated")],
        *[(8, 1, layout, 1) for layout in ("fsdp", "replicated")],
        *[(4, 8, layout, 1) for layout in ("fsdp", "replicated")],
        *[(1, 4, layout, 1) for layout in ("fsdp", "replicated")],
        (8, 4, "fsdp", 2),
    ],
)
def test_a_state_is_restored_onto_another_mesh(tmp_path, before, after, layout, model_axis):
    saved = state_on(before, "fsdp", fill=1, model_axis=model_axis)
    save(tmp_path, saved, at_step(7))
    start = state_on(after, layout)
    found, at = restored(tmp_path, start)
    assert at == at_step(7)
    assert_equal(found, saved)
    for array, like in zip(*map(jax.tree.leaves, (found, start)), strict=True):
        assert array.sharding == like.sharding


def damage(folder: epath.Path) -> None:
    """Removes the second half of every file."""
    for path in Path(folder).rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            path.write_bytes(content[: len(content) // 2])


@pytest.mark.slow
@pytest.mark.parametrize("what", ["damage", "unlink"])
def test_a_damaged_state_is_named_and_the_phase_begins_anew(tmp_path, caplog, what):
    def fit_in(folder) -> tuple[list, list]:
        scores: list[float] = []

        def evaluate(params) -> float:
            scores.append(float(sum(jnp.abs(leaf).sum() for leaf in jax.tree.leaves(params))))
            return scores[-1]

        run, params = run_in(folder, evaluate)
        mesh = make_mesh(devices=jax.devices()[:1])
        return fit(run, params, CONFIG, TrainConfig(save_every_steps=3), mesh), scores

    whole = fit_in(tmp_path)
    (state,) = (epath.Path(tmp_path) / "checkpoints").glob("[0-9]*")
    if what == "damage":
        damage(state)
    else:
        (state / "state").rmtree()
    assert fit_in(tmp_path) == whole
    assert f"state of step {state.name} cannot be read" in caplog.text


@pytest.mark.parametrize(
    ("progress", "what"),
    [({"done": 3}, "version"), (at_step(3)._replace(batches="others")._asdict(), "batches")],
)
def test_a_state_of_another_version_or_batches_is_not_taken(tmp_path, caplog, progress, what):
    at = SimpleNamespace(done=3, members=[], _asdict=lambda: progress)
    save(tmp_path, state_on(1, "replicated", fill=3), at)
    start = state_on(1, "replicated")
    state, found = restored(tmp_path, start)
    assert found == at_step(0)
    assert_equal(state, start)
    assert what in caplog.text


def test_numbers_that_are_not_finite_are_never_saved(tmp_path):
    """Not in place of the only state that is good."""
    states = SavedStates(epath.Path(tmp_path), TrainConfig())
    good = state_on(4, "fsdp", fill=4)
    states.save(good, at_step(3))
    leaves, tree = jax.tree.flatten(good.opt_state)
    at = next(i for i, leaf in enumerate(leaves) if leaf.ndim == 3)
    leaves[at] = leaves[at].at[1, 0, 0].set(jnp.inf)
    with pytest.raises(UserError, match="After step 4 parameters or moments are not") as error:
        states.save(good._replace(opt_state=tree.unflatten(leaves)), at_step(4))
    assert "the state of step 3 is kept" in error.value.remedy
    states.close()
    state, found = restored(tmp_path, state_on(4, "fsdp"))
    assert found.done == 3
    assert_equal(state, good)


def test_a_state_is_due_after_so_many_steps_or_minutes(tmp_path):
    config = TrainConfig(save_every_steps=10, save_every_minutes=1 / 600)
    states = SavedStates(epath.Path(tmp_path), config)
    assert [states.is_due(step) for step in (9, 10, 11)] == [False, True, False]
    time.sleep(0.11)
    assert states.is_due(11)
    states.save(state_on(1, "replicated"), at_step(11))
    assert not states.is_due(12)
    states.close()


def test_brackets_in_a_path_are_no_wildcards(tmp_path):
    saved = state_on(1, "replicated", fill=1)
    for step in (7, 9):
        save(tmp_path / "w[1]", saved, at_step(step))
        found, at = restored(tmp_path / "w[1]", state_on(1, "replicated"))
        assert at == at_step(step)
        assert_equal(found, saved)
