"""Settings that cannot be: refused before anything is read, by the name of the field."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import pytest

from xt_jax.config import PHASES, Config
from xt_jax.errors import ConfigError
from xt_jax.study import forecast, runner
from xt_jax.study.check import LIMITS, check


def numbers(section: Any, prefix: str = "") -> Iterator[tuple[str, type]]:
    """Yields the name of every field of numbers, and their type."""
    for name, kind in get_type_hints(type(section)).items():
        if dataclasses.is_dataclass(kind):
            yield from numbers(getattr(section, name), f"{prefix}{name}.")
        for single in (int, float):
            if kind is single or single in get_args(kind):
                yield prefix + name, single


NUMBERS = dict(numbers(Config()))
MANY = ("mixture.weights", "train.keep_steps", *(f"{phase}.learning_rates" for phase in PHASES))


def changed(name: str, value: Any) -> Config:
    config = Config()
    *parents, last = name.split(".")
    section: Any = config
    for parent in parents:
        section = getattr(section, parent)
    setattr(section, last, value)
    return config


def refused(name: str, value: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        check(changed(name, value))
    assert caught.value.remedy
    return caught.value


def test_every_number_has_limits():
    assert NUMBERS.keys() == LIMITS.keys()


def test_the_defaults_are_allowed():
    check(Config())


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_out_of_its_range_is_refused(name):
    low, high = LIMITS[name]
    wrong: list[Any] = [low - 1, high + 1, math.nan, math.inf, -math.inf, 10**400, "1", True, [1]]
    wrong += [1.5] if NUMBERS[name] is int else []
    for value in wrong:
        error = refused(name, (value,) if name in MANY else value)
        assert error.where == f"--config.{name}"
        assert len(str(error)) < 1000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("languages", (1, 2)),
        ("languages", "en"),
        ("languages", ("en", "en")),
        ("intermediates", (1,)),
        ("intermediates", ("mnli", "mnli")),
        ("intermediates", ("mnli+mnli",)),
        ("intermediates", ("mnli+direct",)),
        ("intermediates", ("",)),
        ("intermediates", ("xnli",)),
        ("targets", ("mnli",)),
        ("targets", ("nothing",)),
        ("targets", (None,)),
        ("models", (0,)),
        ("mixture.weights", ("0/0",)),
        ("models", ("base", "base")),
        ("target.learning_rates", 1e-5),
        ("target.learning_rates", (1e-5, 1e-5)),
        ("intermediate.learning_rates", (1, 1.0)),
        ("intermediate.learning_rates", ("1e-5",)),
        ("intermediate.learning_rates", (1e-5, None)),
        ("mixture.mlm_languages", ("\0",)),
        ("model.name", "a\0b"),
        ("model.name", "\udcc3"),
        ("model.name", 3),
        ("model.random_init", "yes"),
        ("data", None),
        ("data.dir", None),
        ("data.dir", "a\nb"),
        ("data.source", 1),
        ("train.packing", 1),
        ("ray.resources", "[1]"),
        ("ray.resources", '{"TPU": "many"}'),
        ("ray.resources", '{"TPU": -1}'),
        ("ray.resources", '{"TPU": 1e999}'),
        ("ray.resources", "{" * 10_000),
        ("ray.resources", "4"),
        ("shard", "17/16"),
        ("shard", "²/3"),
    ],
)
def test_a_value_of_another_kind_is_refused(name, value):
    assert f"--config.{name}" in refused(name, value).where


@pytest.mark.parametrize("weights", [(), (1.0,), (1.0, 2.0, 3.0), (0.0, 0.0)])
def test_weights_that_fit_no_mixture_are_refused(weights):
    config = Config(intermediates=("mnli+squad+mlm",))
    config.mixture.sampler = "given"
    config.mixture.weights = weights
    with pytest.raises(ConfigError) as caught:
        check(config)
    assert caught.value.where == "--config.mixture.weights"
    config.mixture.weights = (1.0, 2.0)
    check(config)


@pytest.mark.parametrize("phase", PHASES)
def test_one_rate_and_a_sweep_are_refused(phase):
    config = changed(f"{phase}.learning_rates", (1e-5, 3e-5))
    check(config)
    getattr(config, phase).learning_rate = 1e-5
    with pytest.raises(
        ConfigError, match=f"one learning rate and a sweep for the {phase}"
    ) as error:
        check(config)
    assert f"--config.{phase}.learning_rates" in error.value.where


def test_runs_and_forecasts_refuse_them_at_once(tmp_path):
    began = time.monotonic()
    config = changed("target.epochs", 1e8)
    for work in (runner.run, lambda *a: forecast.forecast(*a, 0.4)):
        with pytest.raises(ConfigError, match=r"target\.epochs"):
            work(config, str(tmp_path / "work"))
    assert not (tmp_path / "work").exists()
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("mfu", [math.nan, 0, -1, math.inf, 1.1])
def test_a_share_of_the_peak_that_cannot_be(mfu, tmp_path):
    with pytest.raises(ConfigError) as caught:
        forecast.forecast(Config(), str(tmp_path), mfu)
    assert caught.value.where == "--mfu"
