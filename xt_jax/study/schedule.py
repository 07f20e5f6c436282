"""Plans how often and in which order a phase trains its tasks, and the batches of each."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from etils import epath

from xt_jax import hosts
from xt_jax.config import MixtureConfig, digest
from xt_jax.data.mixture import smoothed_draws, task_order, task_shares
from xt_jax.data.packing import Plan, check_budget, plan_training
from xt_jax.data.shape import NoRoomError
from xt_jax.errors import ConfigError
from xt_jax.files import atomic_write_text
from xt_jax.study.task_data import Phase, TaskData
from xt_jax.tasks.table import per_example

FORMAT = 1  # raise it when the same data, recipe and seed come to give other batches
REFERENCE_SEED = 0
MOST_KEPT = 20_000_000  # placements of all plans kept in memory until training: about 320 MB
PlanBatches = Callable[..., Plan]  # plan_training with the arguments that all tasks share bound


class PhasePlan(NamedTuple):
    """The batches of a phase for one seed.

    Attributes:
        order: [steps] the index of the task that each step trains.
        plans: the batches of each task.
    """

    order: np.ndarray
    plans: list[Plan]

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Each task's (rows, columns, largest number of segments in a row, steps)."""
        return [(plan.rows, plan.length, plan.segments, plan.steps) for plan in self.plans]


class TaskSize(NamedTuple):
    """The amount of training on one task: `steps` of `rows` x `length` tokens."""

    rows: int
    length: int
    steps: int
    examples: int


@dataclass(frozen=True)
class Planner:
    """Plans the batches of one model's phases, once for each phase and seed.

    Attributes:
        packing, row_multiple, rows_multiple, hidden_size: as in `data.packing.plan_training`.
        cache: the folder of the sizes of planned phases, so that a restarted study need not plan
            phases that are trained already.
    """

    mixture: MixtureConfig
    packing: bool
    row_multiple: int
    rows_multiple: int
    hidden_size: int
    cache: epath.Path
    _plans: dict[str, PhasePlan] = field(default_factory=dict)  # planned for sizes, not yet trained

    def identity(self, phase: Phase, seed: int) -> str:
        """Returns a digest of all that determines the batches, without planning them."""
        mixture: dict[str, Any] = {}
        if len(phase.parts) > 1:
            mixture = {**dataclasses.asdict(self.mixture), "recipe": phase.recipe}
            del mixture["shared_heads"], mixture["mlm_languages"]
        elif phase.parts[0].is_text:
            mixture = {"mlm_exponent": self.mixture.mlm_exponent}
        parts = [
            [part.is_text, per_example(part.task), part.recipe, _key(part)] for part in phase.parts
        ]
        how = [self.packing, self.row_multiple, self.rows_multiple, self.hidden_size]
        return digest(FORMAT, parts, seed, mixture, how)

    def plan(self, phase: Phase, seed: int) -> PhasePlan:
        """Returns the batches of a phase that is about to be trained.

        Raises:
            ConfigError: a mixture in which a task would get no step.
        """
        plan = self._plans.pop(self.identity(phase, seed), None)
        return plan or plan_phase(phase, self.mixture, seed, self.plan_batches)

    def sizes(self, phase: Phase, seed: int) -> list[TaskSize]:
        """Returns the amount of training on each task of the phase."""
        identity = self.identity(phase, seed)
        path = self.cache / "plans" / f"{identity[:24]}.json"
        if path.exists():
            return [TaskSize(*numbers) for numbers in json.loads(path.read_text())]
        planned = self.plan(phase, seed)
        in_memory = [*self._plans.values(), planned]
        if sum(len(p.feature) for phase_plan in in_memory for p in phase_plan.plans) <= MOST_KEPT:
            self._plans[identity] = planned
        sizes = [TaskSize(p.rows, p.length, p.steps, len(p.feature)) for p in planned.plans]
        if hosts.is_first():
            atomic_write_text(path, json.dumps(sizes))
        return sizes

    def plan_batches(
        self, lengths: np.ndarray, batch_size: int, epochs: float, seed: int, **options: Any
    ) -> Plan:
        """Calls `plan_training` with the settings of this model and these devices."""
        return plan_training(
            lengths,
            batch_size,
            epochs,
            seed,
            packing=self.packing,
            row_multiple=self.row_multiple,
            rows_multiple=self.rows_multiple,
            hidden_size=self.hidden_size,
            **options,
        )

    def check_budgets(self, parts: Iterable[TaskData]) -> None:
        """Raises a ConfigError before training where `batch_tokens` are too few."""
        for part in parts:
            if part.train is None or not part.recipe.batch_tokens:
                continue
            try:
                check_budget(
                    part.train.features.lengths,
                    part.recipe.batch_tokens,
                    row_multiple=self.row_multiple if self.packing else 8,
                    rows_multiple=self.rows_multiple,
                    group=per_example(part.task),
                )
            except NoRoomError as error:
                raise no_room(part, error) from error


def phase_seed(seed: int, phase: Phase) -> int:
    """Derives the seed of a phase's heads, order and dropout from the study's seed."""
    return int(digest(seed, phase.name)[:7], 16)


def plan_phase(
    phase: Phase, config: MixtureConfig, seed: int, plan_batches: PlanBatches
) -> PhasePlan:
    """Plans the order of the tasks of a phase and the batches of each.

    One task alone has the steps or epochs of its recipe. Several share the configured steps, or
    else the sum of their recipes' epochs (with sampler=capped, of the examples that count), spread
    by the sampler; the share of plain text comes on top.

    Raises:
        ConfigError: a task that would get no step.
    """
    if len(phase.parts) == 1:
        (part,) = phase.parts
        plans = [_plan(part, part.recipe.steps, config, seed, plan_batches)]
        return PhasePlan(np.zeros(plans[0].steps, np.int32), plans)
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
    return PhasePlan(order, plans)


def _shares(phase: Phase, config: MixtureConfig) -> np.ndarray:
    """Returns the share of each task; plain text has a fixed one, the sampler divides the rest."""
    is_text = np.array([part.is_text for part in phase.parts])
    sizes = [_examples(part) for part in phase.parts if not part.is_text]
    weights = len(sizes) if config.sampler == "given" else 0
    if len(config.weights) != weights or (weights and not sum(config.weights)):
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
    supervised = [part for part in phase.parts if not part.is_text]
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
    """Plans `steps` full batches; for 0, the recipe's epochs, whose last batch may be short.

    Raises:
        ConfigError: the recipe's `batch_tokens` have no room for the longest example.
    """
    assert part.train is not None
    recipe, lengths, train = part.recipe, part.train.features.lengths, part.train
    options: dict[str, Any] = {"batch_tokens": recipe.batch_tokens} if recipe.batch_tokens else {}
    try:
        if part.is_text:
            per_step = _per_step(part, config, plan_batches)
            full = steps or math.ceil(_examples(part) * recipe.epochs / per_step)
            draws, reference_draws = (
                smoothed_draws(train.sizes, config.mlm_exponent, math.ceil(full * per_step), s)
                for s in (seed, REFERENCE_SEED)
            )
            # The shape must not depend on the lines that this seed draws.
            reference = np.append(lengths[reference_draws], lengths.max())
            options |= {"reference": reference, "steps": steps}
            plan = plan_batches(lengths[draws], recipe.batch_size, 1, seed, **options)
            return dataclasses.replace(plan, feature=draws[plan.feature])
        options |= {"group": per_example(part.task), "steps": steps}
        return plan_batches(lengths, recipe.batch_size, recipe.epochs, seed, **options)
    except NoRoomError as error:
        raise no_room(part, error) from error


def no_room(part: TaskData, error: NoRoomError) -> ConfigError:
    """Returns the error for a token budget that does not hold the task's longest example."""
    tokens = part.recipe.batch_tokens
    return ConfigError(
        f"A step of {tokens} tokens is too small for {part.task.name}: {error}.",
        where="--config.intermediate.batch_tokens, --config.target.batch_tokens",
        remedy=f"use {error.needed} or more, a smaller max_length, or fewer devices",
    )


def _per_step(part: TaskData, config: MixtureConfig, plan_batches: PlanBatches) -> float:
    """Returns the average number of examples in a step."""
    assert part.train is not None
    if not part.recipe.batch_tokens:
        return part.recipe.batch_size
    lengths, count = part.train.features.lengths, _examples(part)
    if part.is_text:
        sizes = part.train.sizes
        lengths = lengths[smoothed_draws(sizes, config.mlm_exponent, count, REFERENCE_SEED)]
    options = {"batch_tokens": part.recipe.batch_tokens, "group": per_example(part.task)}
    return count / plan_batches(lengths, 0, 1, REFERENCE_SEED, **options).steps


def _examples(part: TaskData) -> int:
    """Returns the number that batches and epochs count: each window of a long text counts."""
    assert part.train is not None
    return len(part.train.features) // per_example(part.task)


def _key(part: TaskData) -> str:
    assert part.train is not None
    return part.train.key
