"""Checks the values of a configuration before anything is read."""

from __future__ import annotations

import dataclasses
import re
import reprlib
from collections.abc import Iterator, Sequence
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from xt_jax.config import PHASES, Config, of_model, resources_of
from xt_jax.data.mixture import SAMPLERS
from xt_jax.data.sources import SOURCES
from xt_jax.errors import ConfigError
from xt_jax.model.pretrained import table_name
from xt_jax.model.sharding import RULES
from xt_jax.records.json_files import unprintable
from xt_jax.records.shard import parse_shard
from xt_jax.retrieval.encode import POOLINGS
from xt_jax.tasks.family import INTERMEDIATE, TARGET, Task
from xt_jax.tasks.recipes import Recipe
from xt_jax.tasks.table import DIRECT, FAMILIES, NONE, TARGETS, TASKS, get, names

_RECIPE = {
    "learning_rate": (0, 10),
    "epochs": (0, 1000),
    "steps": (0, 10**9),
    "batch_size": (1, 10**6),
    "batch_tokens": (0, 10**9),
    "max_length": (1, 10**6),
    "warmup_ratio": (0, 1),
    "weight_decay": (0, 10),
    "adam_b2": (0, 1 - 1e-9),
    "clip_norm": (0, 10**9),
    "eval_every": (1, 10**9),
    "eval_examples": (0, 10**9),
    "patience": (0, 10**9),
}

# The smallest and largest value of every number of a configuration.
LIMITS: dict[str, tuple[float, float]] = {
    "model.random_seed": (0, 2**31 - 1),
    "model.attention_dropout": (0, 0.999),
    "data.max_train_examples": (0, 10**9),
    "data.max_eval_examples": (0, 10**9),
    "train.accumulate": (1, 10**6),
    "train.rows_multiple": (0, 10**6),
    "train.parallel_seeds": (0, 10**6),
    "train.member_chips": (0, 10**6),
    "train.save_every_steps": (1, 10**9),
    "train.save_every_minutes": (0, 10**6),
    "train.keep_steps": (1, 10**9),
    "train.log_every": (1, 10**9),
    "train.model_axis": (1, 10**6),
    "mixture.cap": (1, 10**9),
    "mixture.temperature": (0.01, 10**6),
    "mixture.weights": (0, 10**9),
    "mixture.steps": (0, 10**9),
    "mixture.mlm_ratio": (0.001, 0.999),
    "mixture.mlm_exponent": (0, 1),
    "ray.cpus": (0, 10**6),
    "ray.gpus": (0, 10**6),
    "ray.retries": (0, 10**6),
    "seed": (0, 2**31 - 1),
    "seeds": (1, 10**4),
    **{f"{phase}.{name}": _RECIPE[name] for phase in PHASES for name in _RECIPE},
    **{f"{phase}.learning_rates": _RECIPE["learning_rate"] for phase in PHASES},
}

_CHOICES = {
    "data.source": (*SOURCES, "mini"),
    "data.eval_split": ("auto", "dev", "test"),
    "train.sharding": tuple(RULES),
    "mixture.sampler": SAMPLERS,
    "retrieval.pooling": POOLINGS,
}

_EXAMPLES = {str: "a text", bool: "true or false", int: "an integer", float: "a number"}

_LAYER = re.compile("published|dev|0|[1-9][0-9]{0,3}")
_ALIAS = re.compile(r"[^\W_][\w.+@ -]{,99}")


def check(config: Config) -> None:
    """Raises a ConfigError where options contradict each other or a value cannot be."""
    for name, value, kind in _fields(config, ""):
        _check_field(name, value, kind)
    _check_models(config)
    _check_rates(config)
    _check_tasks(config)
    if not _LAYER.fullmatch(config.retrieval.layer):
        remedy = "use published, dev or a number from 0 (embeddings)"
        raise _refused("retrieval.layer", config.retrieval.layer, remedy)
    resources_of(config.ray)
    if config.shard:
        parse_shard(config.shard)
    if not config.data.intermediate_languages:
        raise ConfigError(
            "No language was given for the intermediate tasks.",
            where="--config.data.intermediate_languages",
            remedy="use en, or leave the field out",
        )
    known = {lang for task in TASKS.values() for lang in task.languages}
    unknown = [lang for lang in config.languages if lang not in known]
    if unknown:
        raise ConfigError(
            f"No task has the languages {', '.join(unknown)}.",
            where="--config.languages",
            remedy="repeat the flag for each ISO 639-1 code; known are: " + " ".join(sorted(known)),
        )


def _fields(section: Any, prefix: str) -> Iterator[tuple[str, Any, Any]]:
    """Yields the name, value and annotated type of every field, those of sections after them."""
    for name, kind in get_type_hints(type(section)).items():
        value = getattr(section, name)
        yield prefix + name, value, kind
        if dataclasses.is_dataclass(kind):
            yield from _fields(value, f"{prefix}{name}.")


def _check_field(name: str, value: Any, kind: Any) -> None:
    """Raises a ConfigError for a field of another type, or out of its range."""
    if dataclasses.is_dataclass(kind):
        if type(value) is not kind:
            raise _refused(name, value, "leave it as it is, and set its fields")
        return
    options = get_args(kind) if get_origin(kind) is UnionType else (kind,)
    if value is None and NoneType in options:
        return
    is_many = get_origin(options[0]) is tuple
    if is_many and not isinstance(value, (tuple, list)):
        raise _refused(name, value, "use a tuple")
    values = value if is_many else (value,)
    single = get_args(options[0])[0] if is_many else options[0]
    for each in values:
        if type(each) is not single and not (single is float and type(each) is int):
            raise _refused(name, each, f"use {_EXAMPLES[single]}")
        if single is str and unprintable(each):
            raise _refused(name, each, "use characters that can be shown, in a UTF-8 locale")
        if name in LIMITS and not LIMITS[name][0] <= each <= LIMITS[name][1]:
            raise _refused(name, each, "use a number from {} to {}".format(*LIMITS[name]))
        if name in _CHOICES and each not in _CHOICES[name]:
            raise _refused(name, each, f"use one of: {', '.join(_CHOICES[name])}")
    if is_many and single is str and len(set(values)) < len(values):
        raise _refused(name, value, "name each once")


def _refused(name: str, value: Any, remedy: str) -> ConfigError:
    return ConfigError(
        f"{name} cannot be {reprlib.repr(value)}.", where=f"--config.{name}", remedy=remedy
    )


def _check_tasks(config: Config) -> None:
    """Raises a ConfigError for a name that is no task, or weights that fit no mixture."""
    for target in wanted_targets(config):
        get(target, (*names(TARGET), NONE), "--config.targets")
    for name in config.intermediates:
        tasks = name.split("+")
        for task in tasks:
            allowed = (DIRECT, *names(INTERMEDIATE)) if len(tasks) == 1 else names(INTERMEDIATE)
            if task != DIRECT or task not in allowed:
                get(task, allowed, "--config.intermediates")
        if len(set(tasks)) < len(tasks):
            raise _refused("intermediates", name, "name each task once")
        if len(tasks) > 1:
            _check_weights(config, name, tasks)


def _check_weights(config: Config, name: str, tasks: Sequence[str]) -> None:
    weights, sampler = config.mixture.weights, config.mixture.sampler
    count = sum(not FAMILIES[TASKS[task].family].plain_text for task in tasks)
    wanted = count if sampler == "given" else 0
    if len(weights) != wanted or (wanted and not sum(weights)):
        raise ConfigError(
            f"{len(weights)} weights {weights} for the {count} tasks of {name} and the sampler "
            f"{sampler}.",
            where="--config.mixture.weights",
            remedy="with --config.mixture.sampler=given one for each task in the order of the "
            "name, without mlm, not all 0; else none",
        )


def check_recipe(task: Task, recipe: Recipe, phase: str, longest: int) -> None:
    """Raises a ConfigError for a number of the recipe that is out of range.

    Args:
        phase: `intermediate` or `target`, as the configuration names it.
        longest: the number of tokens that the encoder takes at most.
    """
    shortest = FAMILIES[task.family].min_length
    limits = _RECIPE | {"max_length": (shortest, longest)}
    for name, (low, high) in limits.items():
        value = getattr(recipe, name)
        if not low <= value <= high:
            raise ConfigError(
                f"{task.name} cannot run with {name} {value}.",
                where=f"--config.{phase}.{name}",
                remedy=f"use a value from {low} to {high}",
            )


def wanted_targets(config: Config) -> Sequence[str]:
    """Returns the names of the targets: all where none is named, and none for `none`.

    Raises:
        ConfigError: `none` beside another target, or without an intermediate task to train.
    """
    if NONE not in config.targets:
        return config.targets or TARGETS
    if len(config.targets) > 1 or not set(config.intermediates) - {DIRECT}:
        raise ConfigError(
            f"No target is to be trained, but the targets are {', '.join(config.targets)} and the "
            f"intermediate tasks are {', '.join(config.intermediates) or 'none'}.",
            where="--config.targets, --config.intermediates",
            remedy=f"with --config.targets={NONE} name no other target, and at least one "
            f"intermediate task that is not {DIRECT}",
        )
    return ()


def _check_models(config: Config) -> None:
    names = config.models
    if names and config.model.name not in names:
        raise ConfigError(
            f"The model {config.model.name} is not one of {', '.join(names)}.",
            where="--config.model.name, --config.models",
            remedy="name the models in --config.models alone, or by the option `sizes` of the "
            "configuration file",
        )
    _check_aliases(config)


def _check_rates(config: Config) -> None:
    for phase in PHASES:
        overrides = getattr(config, phase)
        rates = overrides.learning_rates
        if len(set(rates)) < len(rates):
            raise _refused(f"{phase}.learning_rates", rates, "name each once")
        if rates and overrides.learning_rate is not None:
            raise ConfigError(
                f"Both one learning rate and a sweep for the {phase} phase.",
                where=f"--config.{phase}.learning_rate, --config.{phase}.learning_rates",
                remedy=f"give one of the two; --config.{phase}.learning_rates=() takes a page's "
                "sweep away, and a page's one rate is taken out of a copy of the page",
            )


def _check_aliases(config: Config) -> None:
    alias, names = config.model.alias, config.models
    if alias and not _ALIAS.fullmatch(alias):
        raise ConfigError(
            f"{reprlib.repr(alias)} cannot be a model's name in tables.",
            where="--config.model.alias",
            remedy="use up to 100 letters, digits, blanks and .+@_-, first a letter or digit",
        )
    aliases = [table_name(of_model(config, name).model) for name in names]
    twice = [name for name in dict.fromkeys(aliases) if aliases.count(name) > 1]
    if twice:
        same = [name for name, alias in zip(names, aliases, strict=True) if alias == twice[0]]
        raise ConfigError(
            f"The models {', '.join(same)} have one name in tables: {twice[0]}.",
            where="--config.model.alias, --config.models",
            remedy="give their folders other names, or run each by itself with an alias",
        )
