"""How often and in which order a phase trains its tasks, and the batches of each."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from xt_jax.config import MixtureConfig
from xt_jax.data.mixture import smoothed_draws, task_order, task_shares
from xt_jax.data.packing import Plan
from xt_jax.data.shape import NoRoomError
from xt_jax.errors import ConfigError
from xt_jax.study.prepare import MLM, Phase, TaskData
from xt_jax.tasks.table import per_example

REFERENCE_SEED = 0
PlanBatches = Callable[..., Plan]  # plan_training but for what a phase's tasks share


def plan_phase(
    phase: Phase, config: MixtureConfig, seed: int, plan_batches: PlanBatches
) -> tuple[np.ndarray, list[Plan]]:
    """([steps] which task each step trains, the batches of each task).

    One task alone has the steps or epochs of its recipe. Several have those asked for, else the
    epochs of their recipes together (with sampler=capped those of the examples that count), spread
    as the sampler says; the share of `mlm` comes on top.

    Raises:
        ConfigError: a task that would get no step.
    """
    if len(phase.parts) == 1:
        (part,) = phase.parts
        plans = [_plan(part, part.recipe.steps, config, seed, plan_batches)]
        return np.zeros(plans[0].steps, np.int32), plans
    shares = _shares(phase, config)
    order = task_order(shares, _steps(phase, config, plan_batches), seed)
    counts = np.bincount(order, minlength=len(phase.parts))
    for part, count in zip(phase.parts, counts, strict=True):
        if not count:
            raise ConfigError(
                f"{part.task.name} gets none of the {len(order)} steps of {phase.name}.",
                where="--config.mixture",
                remedy="choose more steps, another sampler or other weights",
            )
    plans = [
        _plan(part, int(count), config, seed, plan_batches)
        for part, count in zip(phase.parts, counts, strict=True)
    ]
    return order, plans


def _shares(phase: Phase, config: MixtureConfig) -> np.ndarray:
    """The share of each task; `mlm` has a fixed one, the sampler divides the rest."""
    is_text = np.array([part.task.name == MLM for part in phase.parts])
    sizes = [_examples(part) for part in phase.parts if part.task.name != MLM]
    wanted = len(sizes) if config.sampler == "given" else 0
    if len(config.weights) != wanted or (wanted and not sum(config.weights)):
        raise ConfigError(
            f"{len(config.weights)} weights {config.weights} for the {len(sizes)} tasks of "
            f"{phase.name} and the sampler {config.sampler}.",
            where="--config.mixture.weights",
            remedy="with --config.mixture.sampler=given one for each task in the order of the "
            "name, without mlm, not all 0; else none",
        )
    shares = np.empty(len(phase.parts))
    shares[~is_text] = task_shares(
        sizes,
        config.sampler,
        cap=config.cap,
        temperature=config.temperature,
        given=config.weights,
    )
    shares[~is_text] *= 1 - config.mlm_ratio * is_text.any()
    shares[is_text] = config.mlm_ratio
    return shares


def _steps(phase: Phase, config: MixtureConfig, plan_batches: PlanBatches) -> int:
    if config.steps or phase.recipe.steps:
        return config.steps or phase.recipe.steps
    supervised = [part for part in phase.parts if part.task.name != MLM]
    cap = config.cap if config.sampler == "capped" else math.inf
    steps = sum(
        math.ceil(
            min(_examples(part), cap) * part.recipe.epochs / _per_step(part, config, plan_batches)
        )
        for part in supervised
    )
    return round(steps / (1 - config.mlm_ratio)) if len(supervised) < len(phase.parts) else steps


def _plan(
    part: TaskData, steps: int, config: MixtureConfig, seed: int, plan_batches: PlanBatches
) -> Plan:
    """`steps` full batches; 0: the recipe's epochs, whose last batch may be short.

    Raises:
        ConfigError: the recipe's `batch_tokens` have no room for the longest example.
    """
    assert part.train is not None
    recipe, lengths, train = part.recipe, part.train.features.lengths, part.train
    options: dict[str, Any] = {"batch_tokens": recipe.batch_tokens} if recipe.batch_tokens else {}
    try:
        if part.task.name == MLM:
            per_step = _per_step(part, config, plan_batches)
            full = steps or math.ceil(_examples(part) * recipe.epochs / per_step)
            draws, others = (
                smoothed_draws(train.sizes, config.mlm_exponent, math.ceil(full * per_step), s)
                for s in (seed, REFERENCE_SEED)
            )
            # The shape must not depend on the lines that this seed draws.
            reference = np.append(lengths[others], lengths.max())
            options |= {"reference": reference, "steps": steps}
            plan = plan_batches(lengths[draws], recipe.batch_size, 1, seed, **options)
            return dataclasses.replace(plan, feature=draws[plan.feature])
        options |= {"group": per_example(part.task), "steps": steps}
        return plan_batches(lengths, recipe.batch_size, recipe.epochs, seed, **options)
    except NoRoomError as error:
        raise no_room(part, error) from error


def no_room(part: TaskData, error: NoRoomError) -> ConfigError:
    """The error for a budget that does not hold the task's longest example."""
    tokens = part.recipe.batch_tokens
    return ConfigError(
        f"A step of {tokens} tokens is too small for {part.task.name}: {error}.",
        where="--config.intermediate.batch_tokens, --config.target.batch_tokens",
        remedy=f"use {error.needed} or more, a smaller max_length, or fewer devices",
    )


def _per_step(part: TaskData, config: MixtureConfig, plan_batches: PlanBatches) -> float:
    """Examples of a step, on average."""
    assert part.train is not None
    if not part.recipe.batch_tokens:
        return part.recipe.batch_size
    lengths, count = part.train.features.lengths, _examples(part)
    if part.task.name == MLM:
        sizes = part.train.sizes
        lengths = lengths[smoothed_draws(sizes, config.mlm_exponent, count, REFERENCE_SEED)]
    options = {"batch_tokens": part.recipe.batch_tokens, "group": per_example(part.task)}
    return count / plan_batches(lengths, 0, 1, REFERENCE_SEED, **options).steps


def _examples(part: TaskData) -> int:
    """What a recipe's batches and epochs count: windows of a long text count each."""
    assert part.train is not None
    return len(part.train.features) // per_example(part.task)
