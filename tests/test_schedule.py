"""The identity of a phase's batches, and the cached sizes of planned phases."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from etils import epath
from test_budget import part_of

from xt_jax.config import MixtureConfig
from xt_jax.study.schedule import PhasePlan, Planner
from xt_jax.study.task_data import Phase
from xt_jax.tasks.recipes import Recipe

RECIPE = Recipe(epochs=1, batch_size=16)


def planner(folder, **changes) -> Planner:
    plain = Planner(MixtureConfig(steps=12), True, 8, 1, 64, epath.Path(folder))
    return dataclasses.replace(plain, **changes)


def phase(*names: str, recipe: Recipe = RECIPE) -> Phase:
    parts = [part_of(name, 160 + 16 * i, recipe) for i, name in enumerate(names)]
    keyed = [dataclasses.replace(part.train, key=part.task.name) for part in parts]
    parts = [dataclasses.replace(part, train=d) for part, d in zip(parts, keyed, strict=True)]
    return Phase("+".join(names), tuple(parts), recipe)


def same_batches(a: PhasePlan, b: PhasePlan) -> bool:
    arrays = [
        [plan.order, *(x for p in plan.plans for x in (p.feature, p.row, p.slot, p.splits))]
        for plan in (a, b)
    ]
    return a.shapes == b.shapes and all(map(np.array_equal, *arrays))


@pytest.mark.parametrize(
    "changes",
    [
        {"packing": False},
        {"rows_multiple": 8},
        {"row_multiple": 128},
        {"mixture": MixtureConfig(steps=14)},
        {"mixture": MixtureConfig(steps=12, sampler="uniform")},
    ],
)
def test_other_batches_have_another_identity(tmp_path, changes):
    mixed = phase("mnli", "qqp")
    usual, other = planner(tmp_path), planner(tmp_path, **changes)
    assert not same_batches(usual.plan(mixed, 0), other.plan(mixed, 0))
    assert usual.identity(mixed, 0) != other.identity(mixed, 0)


def test_seeds_recipes_and_data_are_in_the_identity(tmp_path):
    identity = planner(tmp_path).identity
    names = {
        identity(phase("mnli"), 0),
        identity(phase("mnli"), 1),
        identity(phase("mnli", recipe=dataclasses.replace(RECIPE, batch_size=8)), 0),
        identity(phase("mnli", recipe=dataclasses.replace(RECIPE, steps=3)), 0),
        identity(phase("mnli", "qqp"), 0),
        identity(phase("qqp", "mnli"), 0),
    }
    assert len(names) == 6


def test_the_mixture_is_not_in_the_identity_of_one_task(tmp_path):
    alone = phase("mnli")
    other = planner(tmp_path, mixture=MixtureConfig(sampler="uniform", cap=3))
    assert other.identity(alone, 0) == planner(tmp_path).identity(alone, 0)


def test_a_phase_is_planned_once_and_its_sizes_are_remembered(tmp_path, monkeypatch):
    mixed, calls, plan_anew = phase("mnli", "qqp"), [], Planner.plan_anew
    monkeypatch.setattr(Planner, "plan_anew", lambda *a: calls.append(a) or plan_anew(*a))
    first = planner(tmp_path)
    sizes = first.sizes(mixed, 0)
    plan = first.plan(mixed, 0)
    assert len(calls) == 1
    assert [size.steps for size in sizes] == [p.steps for p in plan.plans]
    assert [size.examples for size in sizes] == [len(p.feature) for p in plan.plans]
    assert planner(tmp_path).sizes(mixed, 0) == sizes
    assert len(calls) == 1
