"""Builds AdamW with linear warm-up and decay."""

from __future__ import annotations

import math
from typing import Any

import jax
import optax

from xt_jax.model.encoder import param_path
from xt_jax.tasks.recipes import Recipe


def make_optimizer(recipe: Recipe, steps: int) -> optax.GradientTransformation:
    """Returns AdamW; only kernels and embeddings decay. `train_step` clips the gradient."""
    return optax.adamw(
        learning_rates(recipe, steps),
        b2=recipe.adam_b2,
        eps=recipe.adam_eps,
        weight_decay=recipe.weight_decay,
        mask=decays,
    )


def learning_rates(recipe: Recipe, steps: int) -> optax.Schedule:
    """Returns a schedule from 0 to the recipe's rate over the warm-up (rounded up), then to 0.

    That of transformers' `get_linear_schedule_with_warmup`: update k (from 0) of `steps` uses the
    value at k, so the first update of a run with warm-up moves nothing.
    """
    warmup = math.ceil(recipe.warmup_ratio * steps)
    up = optax.schedules.linear_schedule(0.0, recipe.learning_rate, warmup)
    down = optax.schedules.linear_schedule(recipe.learning_rate, 0.0, max(1, steps - warmup))
    return optax.schedules.join_schedules([up, down], [warmup])


def decays(params: Any) -> Any:
    """Marks every parameter but biases and LayerNorm scales with True."""
    return jax.tree_util.tree_map_with_path(
        lambda key_path, _: param_path(key_path).rsplit("/", 1)[-1] not in ("bias", "scale"), params
    )
