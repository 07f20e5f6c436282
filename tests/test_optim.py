"""The optimizer, its schedule, and what a step costs."""

from __future__ import annotations

import math

import jax
import pytest
from flax import nnx
from training import (
    CONFIG,
    new_params,
)

from xt_jax.model import Encoder
from xt_jax.tasks.recipes import Recipe
from xt_jax.train.optim import decays, learning_rates
from xt_jax.train.throughput import train_flops


def test_the_schedule_rises_and_falls_linearly():
    schedule = learning_rates(Recipe(learning_rate=2.0, warmup_ratio=0.1), 105)
    warmup = math.ceil(10.5)
    for step in (0, 1, 5, 10, 11, 12, 50, 104, 105):
        if step < warmup:
            expected = 2.0 * step / warmup
        else:
            expected = 2.0 * max(0, 105 - step) / (105 - warmup)
        assert float(schedule(step)) == pytest.approx(expected, abs=1e-6)
    assert float(learning_rates(Recipe(learning_rate=2.0, warmup_ratio=0.0), 10)(0)) == 2.0


def test_kernels_and_embeddings_decay_biases_and_norms_do_not():
    _, params = new_params()
    decayed = {
        "/".join(str(getattr(k, "key", "")) for k in path)
        for path, decay in jax.tree_util.tree_leaves_with_path(decays(params))
        if decay
    }
    assert len(decayed) == 3 + 6 + 2  # embeddings, layer kernels, head kernels
    assert not any("norm" in name or "bias" in name for name in decayed)


def test_flops_are_six_per_weight_and_token_and_attention():
    rows, length = 3, 64
    layers = nnx.state(Encoder(CONFIG, rngs=nnx.Rngs(0)).layers)
    weights = sum(leaf.size for leaf in jax.tree.leaves(layers) if leaf.ndim == 3)
    attention = CONFIG.num_layers * 3 * 4 * length * CONFIG.hidden_size * rows * length
    assert train_flops(CONFIG, rows, length) == 6 * weights * rows * length + attention
