"""Saved states: onto other meshes bit for bit; a damaged one is skipped."""

from __future__ import annotations

import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from etils import epath
from training import CONFIG, new_params, run_in, spec_of

from xt_jax.config import TrainConfig
from xt_jax.errors import UserError
from xt_jax.model.sharding import make_mesh, place_params
from xt_jax.train.checkpoint import Checkpoints
from xt_jax.train.loop import NOT_BEGUN, Position, SavedStates, fit
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


@pytest.mark.parametrize("layouts", [("fsdp", "fsdp"), ("fsdp", "replicated")])
@pytest.mark.parametrize("shapes", [(8, 4), (8, 1), (4, 8), (1, 4)])
def test_a_state_is_restored_onto_another_mesh(tmp_path, shapes, layouts):
    before, after = shapes
    saved = state_on(before, layouts[0], fill=1)
    checkpoints = Checkpoints(epath.Path(tmp_path), 1, 1e9)
    checkpoints.save(7, saved, {"done": 7})
    checkpoints.close()
    start = state_on(after, layouts[1])
    restored = Checkpoints(epath.Path(tmp_path), 1, 1e9).restore(start)
    assert restored is not None
    assert restored[1] == {"done": 7}
    assert_equal(restored[0], saved)
    for array, like in zip(*map(jax.tree.leaves, (restored[0], start)), strict=True):
        assert array.sharding == like.sharding


def test_a_state_is_restored_from_two_to_a_model_to_one(tmp_path):
    saved = state_on(8, "fsdp", fill=2, model_axis=2)
    checkpoints = Checkpoints(epath.Path(tmp_path), 1, 1e9)
    checkpoints.save(1, saved, {"done": 1})
    checkpoints.close()
    restored = Checkpoints(epath.Path(tmp_path), 1, 1e9).restore(state_on(4, "fsdp"))
    assert restored is not None
    assert_equal(restored[0], saved)


def at_step(done: int) -> Position:
    return Position("", done, 0, [NOT_BEGUN])


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
    [({"done": 3}, "version"), (Position("others", 3, 0, [NOT_BEGUN])._asdict(), "batches")],
)
def test_a_state_of_another_version_or_batches_is_not_taken(tmp_path, caplog, progress, what):
    checkpoints = Checkpoints(epath.Path(tmp_path), 1, 1e9)
    checkpoints.save(3, state_on(1, "replicated", fill=3), progress)
    checkpoints.close()
    start, at = state_on(1, "replicated"), at_step(0)
    state, found = SavedStates(epath.Path(tmp_path), TrainConfig()).restored(start, at)
    assert found == at
    assert_equal(state, start)
    assert what in caplog.text


def test_numbers_that_are_not_finite_are_never_saved(tmp_path):
    """Not in place of the only state that is good."""
    states = SavedStates(epath.Path(tmp_path), TrainConfig())
    good, start = state_on(4, "fsdp", fill=4), state_on(4, "fsdp")
    states.save(good, at_step(3))
    leaves, tree = jax.tree.flatten(good.opt_state)
    at = next(i for i, leaf in enumerate(leaves) if leaf.ndim == 3)
    leaves[at] = leaves[at].at[1, 0, 0].set(jnp.inf)
    with pytest.raises(UserError, match="After step 4 parameters or moments are not") as error:
        states.save(
            good._replace(opt_state=tree.unflatten(leaves)), Position("", 4, 0, [NOT_BEGUN])
        )
    assert "the state of step 3 is kept" in error.value.remedy
    states.close()
    restored, found = SavedStates(epath.Path(tmp_path), TrainConfig()).restored(
        start, Position("", 0, 0, [])
    )
    assert found.done == 3
    assert_equal(restored, good)


def test_a_state_is_due_after_so_many_steps_or_minutes(tmp_path):
    checkpoints = Checkpoints(epath.Path(tmp_path), 10, 1 / 600)
    assert [checkpoints.is_due(step) for step in (9, 10, 11)] == [False, True, False]
    time.sleep(0.11)
    assert checkpoints.is_due(11)
    checkpoints.save(11, state_on(1, "replicated"), {"done": 11})
    assert not checkpoints.is_due(12)
    checkpoints.close()
