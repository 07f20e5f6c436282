"""The graph of a study and its shards, of which one trains each phase."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xt_jax.config import Config, RecipeOverrides, of_model
from xt_jax.errors import ConfigError
from xt_jax.study.jobs import Cost, Job, graph, share

TARGETS = ("xnli", "xquad", "mlqa", "tatoeba")


def config(**changes) -> Config:
    usual = {"intermediates": ("direct", "mnli"), "seed": 3, "seeds": 2}
    return dataclasses.replace(Config(), **{**usual, **changes})


def sweeps(intermediate: bool, target: bool) -> dict[str, RecipeOverrides]:
    swept = {"intermediate": intermediate, "target": target}
    rates = {name: (1e-3, 1e-4) if is_swept else (1e-3,) for name, is_swept in swept.items()}
    return {name: RecipeOverrides(learning_rates=each) for name, each in rates.items()}


def jobs_of(config, models=("a",), intermediates=("mnli",), targets=TARGETS, at_once=1):
    return graph(config, dict.fromkeys(models, at_once), intermediates, targets)


def test_every_job_comes_after_what_it_needs_and_seeds_are_outermost():
    jobs = jobs_of(config(), models=("a", "b"))
    assert [job.name for job in jobs[:8]] == [
        "a: xnli after direct, seed 3",
        "a: xquad and mlqa after direct, seed 3",
        "a: tatoeba after direct, seed 3",
        "a: mnli, seed 3",
        "a: xnli after mnli, seed 3",
        "a: xquad and mlqa after mnli, seed 3",
        "a: tatoeba after mnli, seed 3",
        "b: xnli after direct, seed 3",
    ]
    assert len(jobs) == 28 == len(set(jobs))
    for i, job in enumerate(jobs):
        assert set(job.needs) <= set(jobs[:i])
    assert [job.seeds[0] for job in jobs] == [3] * 14 + [4] * 14


def test_seeds_that_are_one_program_are_one_job():
    jobs = jobs_of(config(seeds=3), targets=("xnli",), at_once=2)
    assert [job.seeds for job in jobs] == [(3, 4)] * 3 + [(5,)] * 3
    assert jobs[0].name == "a: xnli after direct, seed 3-4"
    mixed = graph(config(), {"a": 2, "b": 1}, (), ("xnli",))
    assert [(job.model, job.seeds) for job in mixed] == [
        ("a", (3, 4)),
        ("b", (3,)),
        ("b", (4,)),
    ]


def test_tasks_without_data_are_not_there_and_without_targets_only_intermediate_phases():
    assert {job.intermediate for job in jobs_of(config(), intermediates=())} == {"direct"}
    assert jobs_of(config(), targets=()) == [Job("a", "mnli", (3,)), Job("a", "mnli", (4,))]


@given(
    st.integers(1, 7),
    st.lists(st.sampled_from(["direct", "mnli", "squad", "qqp"]), min_size=1, unique=True),
    st.integers(1, 3),
    st.tuples(st.booleans(), st.booleans()),
    st.randoms(use_true_random=False),
)
def test_shards_hold_every_job_once_and_none_waits_for_another(count, names, seeds, swept, random):
    of = config(intermediates=tuple(names), seeds=seeds, **sweeps(*swept))
    jobs = jobs_of(of, ("a", "b"), names)
    costs = [Cost(flops=random.random()) for _ in jobs]
    shards = [share(jobs, costs, f"{i}/{count}")[0] for i in range(1, count + 1)]
    assert sorted(jobs.index(job) for shard in shards for job in shard) == [*range(len(jobs))]
    for shard in shards:
        assert shard == [job for job in jobs if job in shard]
        assert all(needed in shard for job in shard for needed in job.needs)


def test_with_a_sweep_other_seeds_wait_for_the_first():
    def needs(*swept: bool) -> dict[str, list[str]]:
        of = config(seeds=3, **sweeps(*swept))
        jobs = jobs_of(of, intermediates=("mnli",), targets=("xnli", "tatoeba"), at_once=1)
        return {job.name: [needed.name for needed in job.needs] for job in jobs}

    rate, xnli = "a: mnli, seed 3", "a: xnli after mnli, seed 3"
    for swept in ((False, False), (True, False), (False, True), (True, True)):
        found = needs(*swept)
        assert found[rate] == []
        assert found["a: mnli, seed 5"] == [rate] * swept[0]
        assert found[xnli] == [rate]
        assert found["a: xnli after mnli, seed 5"] == ["a: mnli, seed 5", *[xnli] * swept[1]]
        assert found["a: tatoeba after mnli, seed 5"] == ["a: mnli, seed 5"]
        assert found["a: xnli after direct, seed 5"] == ["a: xnli after direct, seed 3"] * swept[1]
        assert found["a: tatoeba after direct, seed 5"] == []


def test_shards_cost_about_the_same():
    jobs = jobs_of(config(intermediates=("direct",), seeds=12))
    costs = [Cost(flops=1.0 + i % 5) for i in range(len(jobs))]
    shares = [share(jobs, costs, f"{i}/4")[1] for i in range(1, 5)]
    loads = [sum(cost.flops for cost in costs) for costs in shares]
    assert max(loads) - min(loads) <= 5


@pytest.mark.parametrize("shard", ["3", "0/2", "3/2", "a/b", "1/2/3", "-1/2", "1/0"])
def test_a_malformed_shard_is_rejected(shard):
    with pytest.raises(ConfigError, match="not a shard of a study") as error:
        share([], [], shard)
    assert error.value.where == "--config.shard"


def test_the_configuration_of_one_of_several_models():
    several = config(models=("base", "large"))
    one = of_model(several, "large")
    assert (one.model.name, one.models, one.seed) == ("large", (), 3)
    assert several.model.name == Config().model.name
    alone = config()
    assert of_model(alone, alone.model.name) is alone
