"""The forecast cost of a study, counted from its data or from official training sets."""

from __future__ import annotations

import dataclasses

import jax
import pytest
from etils import epath

from configs import scaling_study
from xt_jax.config import Config, DataConfig, ModelConfig, RecipeOverrides
from xt_jax.errors import ConfigError
from xt_jax.model import preset
from xt_jax.model.sharding import make_mesh
from xt_jax.records.results import Results
from xt_jax.study import build, forecast
from xt_jax.study.check import check
from xt_jax.study.jobs import Cost, Job, forward_flops, job_costs, planned
from xt_jax.study.schedule import phase_seed
from xt_jax.train.throughput import train_flops


def test_a_pass_without_gradients_is_a_third_of_a_step():
    config = preset("base").config
    assert forward_flops(config, 64 * 128, 128) == pytest.approx(train_flops(config, 64, 128) / 3)


def test_official_sizes_by_hand():
    """MNLI: 392,702 examples twice, 45 tokens each, rows filled to 0.95."""
    config = Config(intermediates=("direct", "mnli"), targets=("xnli", "tatoeba"))
    config.model.name = "base"
    pieces, costs, params = forecast._official(config)
    assert [piece.name for piece in pieces] == [
        "base: xnli after direct, seed 0",
        "base: tatoeba after direct, seed 0",
        "base: mnli, seed 0",
        "base: xnli after mnli, seed 0",
        "base: tatoeba after mnli, seed 0",
    ]
    assert params == {"base": 277_453_056}
    assert costs[0] == costs[2] == costs[3]
    assert costs[1] == costs[4] == Cost()
    assert costs[0].examples == 2 * 392_702
    assert costs[0].tokens == round(2 * 392_702 * 45 / 0.95)
    layer = 2 * (4 * 768 * 768 + 2 * 768 * 3072) + 4 * 256 * 768
    assert costs[0].flops == pytest.approx(3 * 12 * layer * costs[0].tokens, rel=1e-6)


def test_steps_in_place_of_epochs_and_of_a_mixture():
    config = Config(intermediates=("mnli+squad",), targets=("pawsx",))
    config.target = RecipeOverrides(steps=100)
    config.mixture.steps = 500
    _, (mixed, target), _ = forecast._official(config)
    assert target.examples == 3200
    assert mixed.examples == 500 * 32
    config.shard = "1/1"
    assert len(forecast._official(config)[0]) == 2


def test_the_published_ladder(tmp_path):
    page = scaling_study.get_config()
    assert page.intermediate.learning_rates == page.target.learning_rates
    assert len(set(page.target.learning_rates)) >= 4
    text = forecast.forecast(page, str(tmp_path), 0.4)
    assert text.startswith("2670 jobs\n")
    for word in ("minilm-l6 ", "xxl ", "v5e-8", "v4-32", "one H200", "Chip-hours", "40%"):
        assert word in text
    rows = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    assert rows["all"].split()[1] == "2670"
    assert not list(tmp_path.iterdir())
    # 9 intermediate phases, and 10 starts x 6 target phases, of 5 seeds each, the first at 4 rates
    assert "for the best weights of 3,312 phases" in text
    assert 22 < float(text.partition("xxl ")[2].rpartition("xxl ")[2].split()[0]) < 25
    assert "Each target phase of seed 0 is trained at the learning rates 3e-06, 1e-05, " in text
    page.intermediate, page.target = RecipeOverrides(), RecipeOverrides()
    fixed = forecast.forecast(page, str(tmp_path), 0.4)
    assert "for the best weights of 2,070 phases" in fixed
    assert "learning rates" not in fixed


def test_a_sweep_costs_its_candidates_for_the_first_seed(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "make_mesh", lambda _: make_mesh(1, jax.devices()[:1]))
    counted = Config(
        model=ModelConfig(name="mini-24", random_init=True),
        data=DataConfig(source="mini", max_train_examples=64, max_eval_examples=16),
        intermediates=("direct", "mnli"),
        languages=("en", "de"),
        targets=("xnli", "tatoeba"),
        seed=3,
        seeds=3,
        submission=False,
    )
    counted.train.parallel_seeds = 2
    official = dataclasses.replace(counted, model=ModelConfig(name="base"), data=DataConfig())
    for config in (counted, official):
        costs = {}
        for rates in ((), (1e-4,), (1e-4, 1e-3, 1e-2)):
            config.intermediate = RecipeOverrides(learning_rates=rates)
            config.target = RecipeOverrides(learning_rates=rates[:2])
            if config is official:
                jobs, found, _ = forecast._official(config)
            else:
                folder = epath.Path(tmp_path)
                studies = build.build_studies(config, folder, Results.open(folder))
                jobs, found = planned(config, studies)
            costs[rates] = {job: cost.tokens for job, cost in zip(jobs, found, strict=True)}
        fixed, single, swept = costs.values()
        assert fixed == single
        for job, tokens in fixed.items():
            first, seeds = 3 in job.seeds, len(job.seeds)
            more = {"intermediate": 2, "target": 1}[job.role] if first else 0
            assert swept[job] * seeds == tokens * (seeds + more)
            assert (tokens == 0) == (job.targets == ("tatoeba",))


def test_what_contradicts_itself_is_no_study():
    config = scaling_study.get_config("sizes=base+large")
    config.model.name = "xl"
    with pytest.raises(ConfigError, match="The model xl is not one of base, large"):
        check(config)


def test_translated_training_data_count_for_each_language():
    config = Config(intermediates=("mnli",), targets=("xnli",))
    _, (english, target), _ = forecast._official(config)
    config.data.intermediate_languages = ("en", "de", "sw")
    _, (three, same), _ = forecast._official(config)
    assert three.flops == pytest.approx(3 * english.flops)
    assert same == target


def test_what_is_counted_is_what_is_trained(tmp_path, monkeypatch):
    """The plan's tokens equal the slots in the logs of the real run."""
    monkeypatch.setattr(build, "make_mesh", lambda _: make_mesh(1, jax.devices()[:1]))
    config = Config(
        model=ModelConfig(name="mini-48", random_init=True),
        models=("mini-32", "mini-48"),
        data=DataConfig(source="mini", max_train_examples=160, max_eval_examples=20),
        intermediates=("direct", "mnli"),
        languages=("en",),
        targets=("xnli", "xquad", "mlqa"),
        intermediate=RecipeOverrides(steps=4),
        submission=False,
    )
    studies = build.build_studies(config, epath.Path(tmp_path), Results.open(tmp_path))
    pieces, costs = planned(config, studies)
    assert len(pieces) == 10
    of = dict(zip(pieces, costs, strict=True))
    mnli = of[Job("mini-48", "mnli", (0,))]
    assert mnli.examples == 4 * 32
    phase = studies["mini-48"].intermediates["mnli"]
    (member,) = studies["mini-48"].trainer.planner.plan(phase, phase_seed(0, phase)).plans
    assert mnli.tokens == 4 * member.rows * member.length
    both = of[Job("mini-48", "direct", (0,), ("xquad", "mlqa"))]
    (alone,) = job_costs(studies, [Job("mini-48", "direct", (0,), ("xquad",))])
    assert both.tokens == alone.tokens
    assert both.flops > alone.flops
    assert of[Job("mini-32", "mnli", (0,))].flops < mnli.flops
    assert (
        of[Job("mini-48", "mnli", (0,), ("xnli",))] == of[Job("mini-48", "direct", (0,), ("xnli",))]
    )
    parts = [planned(dataclasses.replace(config, shard=f"{i}/3"), studies)[0] for i in (1, 2, 3)]
    assert sorted(pieces.index(piece) for part in parts for piece in part) == list(range(10))
    text = forecast.forecast(config, str(tmp_path), 0.4)
    assert text.startswith("10 jobs\n")
    assert "counted from the data" in text


def test_a_task_whose_size_is_not_known():
    with pytest.raises(ConfigError, match="mlm"):
        forecast._official(Config(intermediates=("mnli+mlm",)))
    with pytest.raises(ConfigError, match="`mnl` is not a task"):
        forecast._official(Config(intermediates=("mnl",)))


def test_a_shard_without_a_job_costs_nothing(tmp_path):
    config = Config(model=ModelConfig("base"), intermediates=("direct",), targets=("pawsx",))
    config.shard = "2/2"
    assert "0 jobs, part 2/2" in forecast.forecast(config, str(tmp_path), 0.4)
