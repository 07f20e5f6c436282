"""A budget of tokens in place of a number of examples, in the phases of a study."""

from __future__ import annotations

import numpy as np
import pytest
from etils import epath

from xt_jax.config import Config, DataConfig, MixtureConfig, ModelConfig, RecipeOverrides
from xt_jax.data.packing import Features
from xt_jax.errors import ConfigError
from xt_jax.records import results
from xt_jax.study import runner
from xt_jax.study.datasets import Dataset
from xt_jax.study.schedule import Planner
from xt_jax.study.task_data import Phase, TaskData
from xt_jax.tasks.recipes import Recipe
from xt_jax.tasks.table import TASKS, per_example


def part_of(name: str, count: int, recipe: Recipe, sizes: tuple[int, ...] = ()) -> TaskData:
    task = TASKS[name]
    rng = np.random.default_rng(count)
    count *= per_example(task)
    lengths = np.clip(rng.gamma(3.0, 15.0, count), 6, 100).astype(np.int32)
    features = Features(lengths, {}, {})
    dataset = Dataset("train", "en", features, "", sizes or (count,), list)
    return TaskData(task, recipe, dataset, None)


def planner(mixture: MixtureConfig | None = None) -> Planner:
    return Planner(mixture or MixtureConfig(), True, 8, 1, 768, epath.Path("unused"))


def planned(part: TaskData, seed: int = 0):
    return planner().plan_anew(Phase("one", (part,), part.recipe), seed)


def fill(part: TaskData, plan) -> float:
    assert part.train is not None
    return plan.fill(part.train.features.lengths)


@pytest.mark.parametrize("name", ["mnli", "commonsense_qa"])
def test_epochs_of_one_task_decide_the_steps(name):
    recipe = Recipe(epochs=3, batch_size=4, batch_tokens=2048)
    part = part_of(name, 600, recipe)
    order, (plan,) = planned(part)
    assert len(order) == plan.steps
    assert plan.steps % 3 == 0
    assert plan.rows * plan.length <= 2048
    assert (np.bincount(plan.feature, minlength=len(part.train.features)) == 3).all()
    assert fill(part, plan) > 0.95


@pytest.mark.parametrize(("name", "sizes"), [("mnli", ()), ("mlm", (500, 80, 20))])
@pytest.mark.parametrize("steps", [1, 7, 60])
def test_steps_are_exact(name, sizes, steps):
    part = part_of(name, 600, Recipe(steps=steps, batch_tokens=2048), sizes)
    order, (plan,) = planned(part)
    assert len(order) == plan.steps == steps
    assert fill(part, plan) > (0.9 if steps > 1 else 0.8)
    _, (plan,) = planned(part_of(name, 600, Recipe(steps=steps, batch_size=16, epochs=9), sizes))
    assert np.diff(plan.splits).tolist() == [16] * steps


def test_text_without_steps_is_one_pass_of_full_steps():
    recipe = Recipe(epochs=1, batch_tokens=2048)
    part = part_of("mlm", 600, recipe, (500, 80, 20))
    _, (plan,) = planned(part)
    assert abs(len(plan.feature) - 600) <= 600 / plan.steps
    assert fill(part, plan) > 0.9


@pytest.mark.parametrize("tokens", [0, 2048])
def test_all_seeds_of_text_have_one_shape(tokens):
    recipe = Recipe(epochs=1, batch_tokens=tokens)
    part = part_of("mlm", 6000, recipe, (5000, 800, 200))
    shapes = set()
    for seed in range(4):
        _, (plan,) = planned(part, seed)
        shapes.add((plan.rows, plan.length, plan.segments, plan.steps))
    assert len(shapes) == 1


def test_a_mixture_gives_each_task_the_steps_of_its_epochs():
    """Twice the examples are twice the steps, whatever the length of a step."""
    recipe = Recipe(epochs=2, batch_tokens=2048)
    parts = (part_of("mnli", 800, recipe), part_of("qqp", 400, recipe))
    config = MixtureConfig(sampler="proportional")
    order, plans = planner(config).plan_anew(Phase("mnli+qqp", parts, recipe), 0)
    alone = [planned(part).plans[0].steps for part in parts]
    assert abs(len(order) - sum(alone)) <= 1
    for i, (part, plan) in enumerate(zip(parts, plans, strict=True)):
        assert plan.steps == (order == i).sum()
        assert abs(plan.steps - alone[i]) <= 1
        assert plan.rows * plan.length <= 2048
        assert fill(part, plan) > 0.9


@pytest.mark.parametrize("name", ["mnli", "commonsense_qa"])
def test_a_budget_too_small_for_the_longest_example_says_what_is_needed(name):
    def plan(tokens: int):
        return planned(part_of(name, 50, Recipe(batch_tokens=tokens)))

    with pytest.raises(ConfigError, match=f"64 tokens is too small for {name}") as error:
        plan(64)
    needed = int(str(error.value).split("use ")[1].split(" or more")[0])
    plan(needed)
    with pytest.raises(ConfigError):
        plan(needed - 1)


def test_a_budget_of_a_target_is_checked_before_the_intermediate_task_is_trained(
    world, mini_tokenizer_folder, one_device, tmp_path
):
    config = Config(
        model=ModelConfig("tiny", str(mini_tokenizer_folder)),
        data=DataConfig(dir=str(world), max_train_examples=64, max_eval_examples=20),
        languages=("en",),
        targets=("tydiqa",),
        intermediates=("mnli",),
        target=RecipeOverrides(batch_tokens=16),
    )
    with pytest.raises(ConfigError, match="16 tokens is too small for tydiqa"):
        runner.run(config, str(tmp_path))
    assert not list(epath.Path(tmp_path).glob("phases/*"))


@pytest.mark.slow
def test_a_study_trains_on_a_budget(world, mini_tokenizer_folder, one_device, tmp_path):
    recipe = RecipeOverrides(learning_rate=1e-3, epochs=2, eval_every=50, batch_tokens=1024)
    config = Config(
        model=ModelConfig("tiny", str(mini_tokenizer_folder)),
        data=DataConfig(dir=str(world), max_train_examples=128, max_eval_examples=20),
        languages=("en", "de"),
        targets=("xnli",),
        intermediates=("direct",),
        target=recipe,
    )
    runner.run(config, str(tmp_path))
    (record,) = epath.Path(tmp_path).glob("phases/*/phase.json")
    text = record.read_text()
    assert '"batch_tokens": 1024' in text
    assert len(results.read_rows(epath.Path(tmp_path) / "results.jsonl")) == 2
