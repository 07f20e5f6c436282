"""Checks the values of a configuration before anything is read."""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Sequence

from xt_jax.config import Config, of_model
from xt_jax.data.mixture import SAMPLERS
from xt_jax.data.sources import SOURCES
from xt_jax.errors import ConfigError
from xt_jax.model.pretrained import table_name
from xt_jax.model.sharding import RULES
from xt_jax.tasks.family import Task
from xt_jax.tasks.recipes import Recipe
from xt_jax.tasks.table import DIRECT, FAMILIES, NONE, TARGETS, TASKS

_ALIAS = re.compile(r"[^\W_][\w.+@ -]{,99}")


def check(config: Config) -> None:
    """Raises a ConfigError where options contradict each other or a value cannot be."""
    _check_models(config)
    _check_values(config)
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


def check_recipe(task: Task, recipe: Recipe, phase: str, longest: int) -> None:
    """Raises a ConfigError for a number of the recipe that is out of range.

    Args:
        phase: `intermediate` or `target`, as the configuration names it.
        longest: the number of tokens that the encoder takes at most.
    """
    limits = {
        "max_length": (FAMILIES[task.family].min_length, longest),
        "batch_size": (1, math.inf),
        "eval_every": (1, math.inf),
        "adam_b2": (0, 1 - 1e-9),
        "warmup_ratio": (0, 1),
    }
    free = ("epochs", "steps", "learning_rate", "weight_decay", "clip_norm", "batch_tokens")
    limits |= dict.fromkeys((*free, "eval_examples", "patience"), (0, math.inf))
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
    counts = {len(rates) for rates in (config.intermediate_rates, config.target_rates) if rates}
    if len(set(names)) < len(names) or counts - {len(names)}:
        raise ConfigError(
            f"{' and '.join(map(str, counts)) or 'No'} learning rates for the models "
            f"{', '.join(names) or '(none)'}.",
            where="--config.models, --config.intermediate_rates, --config.target_rates",
            remedy="name each model once, and give one learning rate for each model or none at "
            "all; or use an option: --config=configs/scaling_study.py:sizes=base+large",
        )
    if names and config.model.name not in names:
        raise ConfigError(
            f"The model {config.model.name} is not one of {', '.join(names)}.",
            where="--config.model.name, --config.models",
            remedy="name the models in --config.models alone, or by the option `sizes` of the "
            "configuration file",
        )
    _check_aliases(config)
    for phase in ("intermediate", "target"):
        if getattr(config, phase).learning_rate and getattr(config, f"{phase}_rates"):
            raise ConfigError(
                f"Two learning rates for the {phase} phase.",
                where=f"--config.{phase}.learning_rate, --config.{phase}_rates",
                remedy=f"give --config.{phase}_rates, one for each of {', '.join(names)}",
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


def _check_values(config: Config) -> None:
    data, train, mixture = config.data, config.train, config.mixture
    choices = {
        "data.source": (data.source, (*SOURCES, "mini")),
        "data.eval_split": (data.eval_split, ("auto", "dev", "test")),
        "train.sharding": (train.sharding, tuple(RULES)),
        "mixture.sampler": (mixture.sampler, SAMPLERS),
    }
    for name, (value, allowed) in choices.items():
        if value not in allowed:
            raise ConfigError(
                f"`{value}` is not a valid {name}.",
                where=f"--config.{name}",
                remedy=f"use one of: {', '.join(allowed)}",
            )
    limits = {
        "seeds": (config.seeds, 1, math.inf),
        "train.accumulate": (train.accumulate, 1, math.inf),
        "train.rows_multiple": (train.rows_multiple, 0, math.inf),
        "train.parallel_seeds": (train.parallel_seeds, 0, math.inf),
        "train.save_every_steps": (train.save_every_steps, 1, math.inf),
        "train.log_every": (train.log_every, 1, math.inf),
        "data.max_train_examples": (data.max_train_examples, 0, math.inf),
        "data.max_eval_examples": (data.max_eval_examples, 0, math.inf),
        "mixture.cap": (mixture.cap, 1, math.inf),
        "mixture.temperature": (mixture.temperature, 0.01, math.inf),
        "mixture.weights": (min(mixture.weights, default=0), 0, math.inf),
        "mixture.steps": (mixture.steps, 0, math.inf),
        "mixture.mlm_ratio": (mixture.mlm_ratio, 0.001, 0.999),
        "mixture.mlm_exponent": (mixture.mlm_exponent, 0, 1),
    }
    for name, (number, low, high) in limits.items():
        if not low <= number <= high:
            raise ConfigError(
                f"{name} cannot be {number}.",
                where=f"--config.{name}",
                remedy=f"use a number from {low} to {high}",
            )
