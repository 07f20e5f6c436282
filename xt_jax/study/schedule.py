"""Plans how often and in which order a phase trains its tasks, and the batches of each."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from etils import epath

from xt_jax import hosts
from xt_jax.config import MixtureConfig, digest
from xt_jax.data.mixture import smoothed_draws, task_order, task_shares
from xt_jax.data.packing import Plan, check_budget, plan_training
from xt_jax.data.shape import NoRoomError
from xt_jax.errors import ConfigError, DataError
from xt_jax.files import atomic_write_text, parse_json, read_text
from xt_jax.study.datasets import Dataset
from xt_jax.study.task_data import Phase, TaskData
from xt_jax.tasks.table import per_example

FORMAT = 1  # raise it when the same data, recipe and seed come to give other batches
REFERENCE_SEED = 0
MOST_PLANNED = 200_000_000  # examples of a phase, each counted in every epoch: about an hour
MOST_KEPT = 20_000_000  # placements of all plans kept in memory until training: about 320 MB


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
            [part.is_text, per_example(part.task), part.recipe, _train(part).key]
            for part in phase.parts
        ]
        how = [self.packing, self.row_multiple, self.rows_multiple, self.hidden_size]
        return digest(FORMAT, parts, seed, mixture, how)

    def plan(self, phase: Phase, seed: int) -> PhasePlan:
        """Returns the batches of a phase that is about to be trained.

        Raises:
            ConfigError: a mixture in which a task would get no step.
        """
        return self._plans.pop(self.identity(phase, seed), None) or self.plan_anew(phase, seed)

    def sizes(self, phase: Phase, seed: int) -> list[TaskSize]:
        """Returns the amount of training on each task of the phase."""
        identity = self.identity(phase, seed)
        path = self.cache / "plans" / f"{identity[:24]}.json"
        if path.exists():
            with contextlib.suppress(DataError, TypeError, ValueError, OverflowError):  # damaged
                return [TaskSize(*map(int, n)) for n in parse_json(read_text(path), path)]
        planned = self.plan(phase, seed)
        in_memory = [*self._plans.values(), planned]
        if sum(len(p.feature) for phase_plan in in_memory for p in phase_plan.plans) <= MOST_KEPT:
            self._plans[identity] = planned
        sizes = [TaskSize(p.rows, p.length, p.steps, len(p.feature)) for p in planned.plans]
        if hosts.is_first():
            atomic_write_text(path, json.dumps(sizes))
        return sizes

    def plan_anew(self, phase: Phase, seed: int) -> PhasePlan:
        """Plans the order of the tasks of a phase and the batches of each.

        One task alone has the steps or epochs of its recipe. Several share the configured steps, or
        else the sum of their recipes' epochs (with sampler=capped, of the examples that count),
        spread by the sampler; the share of plain text comes on top.

        Raises:
            ConfigError: a task that would get no step.
        """
        if len(phase.parts) == 1:
            (part,) = phase.parts
            plan = self._plan_part(part, part.recipe.steps, seed)
            return PhasePlan(np.zeros(plan.steps, np.int32), [plan])
        order = task_order(self._shares(phase), self._steps(phase), seed)
        counts = np.bincount(order, minlength=len(phase.parts)).tolist()
        for part, count in zip(phase.parts, counts, strict=True):
            if not count:
                raise ConfigError(
                    f"{part.task.name} gets none of the {len(order)} steps of {phase.name}.",
                    where="--config.mixture",
                    remedy="choose more steps, another sampler or other weights",
                )
        pairs = zip(phase.parts, counts, strict=True)
        return PhasePlan(order, [self._plan_part(part, count, seed) for part, count in pairs])

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
                raise _no_room(part, error) from error

    def _shares(self, phase: Phase) -> np.ndarray:
        """Returns the share of each task: a fixed one of text, the sampler divides the rest."""
        config, is_text = self.mixture, np.array([part.is_text for part in phase.parts])
        sizes = [_examples(part) for part in phase.parts if not part.is_text]
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

    def _steps(self, phase: Phase) -> int:
        """Returns the number of steps of a mixture."""
        config = self.mixture
        if config.steps or phase.recipe.steps:
            return config.steps or phase.recipe.steps
        supervised = [part for part in phase.parts if not part.is_text]
        cap = config.cap if config.sampler == "capped" else math.inf
        steps = sum(
            math.ceil(min(_examples(part), cap) * part.recipe.epochs / self._per_step(part))
            for part in supervised
        )
        has_text = len(supervised) < len(phase.parts)
        return round(steps / (1 - config.mlm_ratio)) if has_text else steps

    def _plan_part(self, part: TaskData, steps: int, seed: int) -> Plan:
        """Plans `steps` full batches; for 0, the recipe's epochs, whose last batch may be short.

        Raises:
            ConfigError: the recipe's `batch_tokens` have no room for the longest example.
        """
        recipe, train = part.recipe, _train(part)
        lengths = train.features.lengths
        try:
            if not part.is_text:
                return self._batches(part, lengths, recipe.epochs, seed, steps=steps)
            per_step = self._per_step(part)
            full = steps or math.ceil(_examples(part) * recipe.epochs / per_step)
            draws, reference_draws = (
                smoothed_draws(
                    train.sizes, self.mixture.mlm_exponent, math.ceil(full * per_step), s
                )
                for s in (seed, REFERENCE_SEED)
            )
            # The shape must not depend on the lines that this seed draws.
            reference = np.append(lengths[reference_draws], lengths.max())
            plan = self._batches(part, lengths[draws], 1, seed, steps=steps, reference=reference)
            return dataclasses.replace(plan, feature=draws[plan.feature])
        except NoRoomError as error:
            raise _no_room(part, error) from error

    def _per_step(self, part: TaskData) -> float:
        """Returns the average number of examples in a step."""
        if not part.recipe.batch_tokens:
            return part.recipe.batch_size
        train, count = _train(part), _examples(part)
        lengths = train.features.lengths
        if part.is_text:
            exponent = self.mixture.mlm_exponent
            lengths = lengths[smoothed_draws(train.sizes, exponent, count, REFERENCE_SEED)]
        return count / self._batches(part, lengths, 1, REFERENCE_SEED).steps

    def _batches(
        self, part: TaskData, lengths: np.ndarray, epochs: float, seed: int, **options: Any
    ) -> Plan:
        """Calls `plan_training` with the settings of the task, of this model and these devices.

        Raises:
            ConfigError: so many examples that to plan them would take hours.
        """
        count = options.get("steps", 0) * part.recipe.batch_size or len(lengths) * epochs
        if count > MOST_PLANNED:
            raise ConfigError(
                f"{part.task.name} would train on {count:,.0f} examples, more than "
                f"{MOST_PLANNED:,}.",
                where="--config.*.epochs, --config.*.steps, --config.*.batch_size",
                remedy="use fewer epochs or steps",
            )
        return plan_training(
            lengths,
            part.recipe.batch_size,
            epochs,
            seed,
            batch_tokens=part.recipe.batch_tokens,
            packing=self.packing,
            row_multiple=self.row_multiple,
            rows_multiple=self.rows_multiple,
            hidden_size=self.hidden_size,
            group=per_example(part.task),
            **options,
        )


def phase_seed(seed: int, phase: Phase) -> int:
    """Derives the seed of a phase's heads, order and dropout from the study's seed."""
    return int(digest(seed, phase.name)[:7], 16)


def _no_room(part: TaskData, error: NoRoomError) -> ConfigError:
    """Returns the error for a token budget that does not hold the task's longest example."""
    return ConfigError(
        f"A step of {part.recipe.batch_tokens} tokens is too small for {part.task.name}: {error}.",
        where="--config.intermediate.batch_tokens, --config.target.batch_tokens",
        remedy=f"use {error.needed} or more, a smaller max_length, or fewer devices",
    )


def _train(part: TaskData) -> Dataset:
    assert part.train is not None
    return part.train


def _examples(part: TaskData) -> int:
    """Returns the number that batches and epochs count: each window of a long text counts."""
    return len(_train(part).features) // per_example(part.task)
