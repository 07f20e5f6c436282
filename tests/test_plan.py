"""The graph of a study, its parts, and that every phase is trained in one of them."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xt_jax.config import Config, of_model
from xt_jax.errors import ConfigError
from xt_jax.study.plan import Job, graph, share

TARGETS = ("xnli", "xquad", "mlqa", "tatoeba")


def config(**changes) -> Config:
    usual = {"intermediates": ("direct", "mnli"), "seed": 3, "seeds": 2}
    return dataclasses.replace(Config(), **{**usual, **changes})


def pieces(config, models=("a",), found=("mnli",), targets=TARGETS, at_once=1):
    return graph(config, models, found, targets, dict.fromkeys(models, at_once))


def test_every_piece_comes_after_what_it_needs_and_seeds_are_outermost():
    found = pieces(config(), models=("a", "b"))
    assert [piece.name for piece in found[:8]] == [
        "a: xnli after direct, seed 3",
        "a: xquad and mlqa after direct, seed 3",
        "a: tatoeba after direct, seed 3",
        "a: mnli, seed 3",
        "a: xnli after mnli, seed 3",
        "a: xquad and mlqa after mnli, seed 3",
        "a: tatoeba after mnli, seed 3",
        "b: xnli after direct, seed 3",
    ]
    assert len(found) == 28 == len(set(found))
    for i, piece in enumerate(found):
        assert piece.needs is None or piece.needs in found[:i]
    assert [piece.seeds[0] for piece in found] == [3] * 14 + [4] * 14


def test_seeds_that_are_one_program_are_one_piece():
    found = pieces(config(seeds=3), targets=("xnli",), at_once=2)
    assert [piece.seeds for piece in found] == [(3, 4)] * 3 + [(5,)] * 3
    assert found[0].name == "a: xnli after direct, seed 3-4"
    mixed = graph(config(), ("a", "b"), (), ("xnli",), {"a": 2, "b": 1})
    assert [(piece.model, piece.seeds) for piece in mixed] == [
        ("a", (3, 4)),
        ("b", (3,)),
        ("b", (4,)),
    ]


def test_tasks_without_data_are_not_there_and_without_targets_only_intermediate_phases():
    assert {piece.intermediate for piece in pieces(config(), found=())} == {"direct"}
    assert pieces(config(), targets=()) == [Job("a", "mnli", (3,)), Job("a", "mnli", (4,))]


@given(
    st.integers(1, 7),
    st.lists(st.sampled_from(["direct", "mnli", "squad", "qqp"]), min_size=1, unique=True),
    st.integers(1, 3),
    st.randoms(use_true_random=False),
)
def test_parts_hold_every_piece_once_and_none_waits_for_another(count, names, seeds, random):
    found = pieces(config(intermediates=tuple(names), seeds=seeds), ("a", "b"), names)
    costs = [random.random() for _ in found]
    parts = [share(found, costs, f"{i}/{count}") for i in range(1, count + 1)]
    assert sorted(found.index(piece) for part in parts for piece in part) == [*range(len(found))]
    for part in parts:
        assert part == [piece for piece in found if piece in part]
        assert all(piece.needs is None or piece.needs in part for piece in part)


def test_parts_cost_about_the_same():
    found = pieces(config(intermediates=("direct",), seeds=12))
    costs = [1.0 + i % 5 for i in range(len(found))]
    cost = dict(zip(found, costs, strict=True))
    loads = [sum(cost[piece] for piece in share(found, costs, f"{i}/4")) for i in range(1, 5)]
    assert max(loads) - min(loads) <= 5


@pytest.mark.parametrize("shard", ["3", "0/2", "3/2", "a/b", "1/2/3", "-1/2", "1/0"])
def test_a_malformed_shard_is_rejected(shard):
    with pytest.raises(ConfigError, match="not a shard of a study") as error:
        share([], [], shard)
    assert error.value.where == "--config.shard"


def test_the_configuration_of_one_of_several_models():
    several = config(models=("base", "large"), target_rates=(1e-5, 5e-6))
    one = of_model(several, "large")
    assert (one.model.name, one.models, one.target_rates) == ("large", (), ())
    assert (one.intermediate.learning_rate, one.target.learning_rate) == (None, 5e-6)
    assert several.model.name == Config().model.name
    without = of_model(config(models=("base",)), "base")
    assert without.target.learning_rate is None
    alone = config()
    assert of_model(alone, alone.model.name) is alone
