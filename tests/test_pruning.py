"""Training some of the word embeddings gives what training all of them gives."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st
from training import CONFIG, ONE, new_params, pair_features

from xt_jax.data.packing import Features, materialise, plan_training
from xt_jax.model.sharding import place_batch, place_params
from xt_jax.tasks import pairs
from xt_jax.tasks.recipes import Recipe
from xt_jax.train.optim import make_optimizer
from xt_jax.train.pruning import decayed, occurring_words, renumber, whole_table
from xt_jax.train.step import StepSpec, compile_step, init_state

STEPS = 50
TABLE = "encoder", "embeddings", "word", "embedding"


def sparse_features() -> Features:
    """Returns features in which only every third word occurs."""
    features = pair_features(STEPS * 8)
    ids = features.tokens["input_ids"]
    return dataclasses.replace(features, tokens={"input_ids": np.where(ids > 7, ids // 3 * 3, ids)})


def trained(features: Features, params: nnx.State, graphdef, recipe: Recipe) -> nnx.State:
    plan = plan_training(features.lengths, 8, 1, 0)
    assert plan.steps == STEPS
    spec = StepSpec(graphdef, pairs.loss, make_optimizer(recipe, STEPS), clip_norm=recipe.clip_norm)
    state = init_state(place_params(params, ONE, "replicated"), spec.optimizer, ONE, [0])
    step = compile_step(spec, state)
    for i in range(STEPS):
        state, _ = step(state, place_batch(materialise(plan, features, i, 1), ONE))
    return jax.device_get(state.params)


SLOW_CASES = [pytest.param(*case, marks=pytest.mark.slow) for case in ((0.0, 1.0), (0.3, 0.0))]


def table_of(params: nnx.State) -> np.ndarray:
    for name in TABLE:
        params = params[name]
    return np.asarray(params[...])


@pytest.mark.parametrize(("decay", "clip"), [(0.01, 1.0), *SLOW_CASES])
def test_fifty_steps_end_with_the_parameters_of_the_whole_table(decay, clip):
    recipe = Recipe(learning_rate=1e-3, weight_decay=decay, clip_norm=clip)
    features = sparse_features()
    graphdef, params = new_params()
    before = table_of(params).copy()
    dense = trained(features, jax.tree.map(np.array, params), graphdef, recipe)

    words = occurring_words([features], pad_id=1)
    assert len(words) < CONFIG.vocab_size / 2
    pruned = jax.tree.map(np.array, params)
    pruned["encoder"]["embeddings"]["word"]["embedding"] = nnx.Param(before[words])
    pruned = trained(renumber(features, words), pruned, graphdef, recipe)
    factor = decayed(recipe, STEPS, STEPS)
    whole = whole_table(before, words, table_of(pruned), factor)

    np.testing.assert_allclose(whole, table_of(dense), atol=1e-6)
    rest = np.setdiff1d(np.arange(CONFIG.vocab_size), words)
    moved = np.abs(whole[rest] - before[rest]).max()
    assert (moved > 1e-6) == (decay > 0)
    pruned["encoder"]["embeddings"]["word"]["embedding"] = nnx.Param(whole)
    for a, b in zip(jax.tree.leaves(pruned), jax.tree.leaves(dense), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=40), st.integers(0, 3))
def test_renumbering_goes_back_to_the_words_and_keeps_the_pad(ids, pad_id):
    tokens = np.array(ids, np.int32)
    features = Features(np.array([len(ids)], np.int32), {"input_ids": tokens}, {})
    words = occurring_words([features], pad_id)
    renumbered = renumber(features, words).tokens["input_ids"]
    np.testing.assert_array_equal(words[renumbered], tokens)
    assert words[pad_id] == pad_id
    assert set(words) == set(ids) | set(range(pad_id + 1))


def test_a_word_that_was_not_kept_is_named():
    features = pair_features()
    words = np.setdiff1d(occurring_words([features], 1), [50])
    with pytest.raises(ValueError, match="token 50 is not"):
        renumber(features, words)
