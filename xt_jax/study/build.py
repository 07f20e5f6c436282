"""Builds a study: reads and checks configuration, weights, data and earlier results."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from etils import epath

from xt_jax import hosts
from xt_jax import model as models
from xt_jax.config import Config, of_model
from xt_jax.data.mixture import SAMPLERS
from xt_jax.data.sources import SOURCES, Source, open_source
from xt_jax.data.sources.mini import open_mini
from xt_jax.data.tokenize import fingerprint
from xt_jax.errors import ConfigError
from xt_jax.model.pretrained import open_pretrained
from xt_jax.model.sharding import RULES, make_mesh, row_multiple, rows_multiple
from xt_jax.records.results import Results
from xt_jax.study.datasets import Files, Reader
from xt_jax.study.phases import Trainer
from xt_jax.study.schedule import Planner
from xt_jax.study.task_data import Phase, TaskData, prepare
from xt_jax.tasks.table import DIRECT, NONE, TARGETS, TASKS


@dataclass(frozen=True)
class Study:
    """The data, models and results that all phases of one model share, read and checked.

    Attributes:
        params: number of parameters of the encoder without and with its embeddings.
        labels: the keys of the data sets whose labels this process has written for submissions.
    """

    trainer: Trainer
    intermediates: dict[str, Phase]
    targets: dict[str, TaskData]
    results: Results
    params: tuple[int, int]
    labels: set[str] = field(default_factory=set)


def build_studies(config: Config, workdir: epath.Path, results: Results) -> dict[str, Study]:
    """Builds the study of each model, by the name that the configuration gives the model.

    Raises:
        UserError: anything wrong with configuration, weights or data.
    """
    check_models(config)
    files = Files()
    names = config.models or (config.model.name,)
    with hosts.first_ahead("data are read and tokenised"):
        return {
            name: build_study(of_model(config, name), workdir, files, results) for name in names
        }


def build_study(
    config: Config,
    workdir: epath.Path,
    files: Files | None = None,
    results: Results | None = None,
) -> Study:
    """Reads and checks configuration, weights, data and earlier results; trains nothing.

    Args:
        files: files read before, which are not read again; files read now are added.
        results: the open results of the workdir; None reads them and keeps new rows in memory.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    _check(config)
    _check_languages(config)
    cache = epath.Path(config.data.cache_dir or workdir / "cache")
    source, tokenizer = open_data(config, cache)
    pretrained = open_pretrained(config.model, tokenizer)
    mesh = make_mesh(config.train.model_axis)
    rows = rows_multiple(config.train, mesh)
    reader = Reader(
        pretrained.tokenizer,
        fingerprint(pretrained.tokenizer),
        source,
        cache,
        config.allow_missing,
        files or Files(),
    )
    longest = pretrained.config.max_length
    intermediates, targets = prepare(config, reader, longest)
    _check_something_to_run(config, set(intermediates), set(targets))
    planner = Planner(
        config.mixture,
        config.train.packing,
        row_multiple(),
        rows,
        pretrained.config.hidden_size,
        cache,
    )
    planner.check_budgets([part for phase in intermediates.values() for part in phase.parts])
    planner.check_budgets(targets.values())
    shared_heads = config.mixture.shared_heads
    return Study(
        Trainer(config.train, shared_heads, pretrained, mesh, planner, workdir / "phases"),
        intermediates,
        targets,
        results or Results.open(workdir, config.shard, writes=False),
        models.count_params(models.abstract_encoder(pretrained.config)),
    )


def open_data(config: Config, cache: epath.Path) -> tuple[Source, str]:
    """Returns the source of examples and the tokenizer that belongs to it ("" for none).

    Raises:
        ConfigError: an unknown source.
        DataError: the data folder does not exist.
    """
    if config.data.source != "mini":
        return open_source(config.data.source, config.data.dir), ""
    named = [part for name in config.intermediates for part in name.split("+")]
    named += config.targets or TARGETS
    return open_mini(
        cache,
        {task for name in named if name in TASKS for task in (name, *TASKS[name].train)},
        train_examples=config.data.max_train_examples,
        eval_examples=config.data.max_eval_examples,
        translations=[lang for lang in config.data.intermediate_languages if lang != "en"],
    )


def check_models(config: Config) -> None:
    """Raises a ConfigError where the options for several models contradict one another."""
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
    for phase in ("intermediate", "target"):
        if getattr(config, phase).learning_rate and getattr(config, f"{phase}_rates"):
            raise ConfigError(
                f"Two learning rates for the {phase} phase.",
                where=f"--config.{phase}.learning_rate, --config.{phase}_rates",
                remedy=f"give --config.{phase}_rates, one for each of {', '.join(names)}",
            )


def _check(config: Config) -> None:
    """Raises a ConfigError for a field whose value is not one of its choices or out of range."""
    choices = {
        "data.source": (config.data.source, (*SOURCES, "mini")),
        "train.sharding": (config.train.sharding, tuple(RULES)),
        "mixture.sampler": (config.mixture.sampler, SAMPLERS),
    }
    for name, (value, allowed) in choices.items():
        if value not in allowed:
            raise ConfigError(
                f"`{value}` is not a valid {name}.",
                where=f"--config.{name}",
                remedy=f"use one of: {', '.join(allowed)}",
            )
    mixture = config.mixture
    limits = {
        "seeds": (config.seeds, 1, math.inf),
        "train.accumulate": (config.train.accumulate, 1, math.inf),
        "train.rows_multiple": (config.train.rows_multiple, 0, math.inf),
        "train.parallel_seeds": (config.train.parallel_seeds, 0, math.inf),
        "train.save_every_steps": (config.train.save_every_steps, 1, math.inf),
        "train.log_every": (config.train.log_every, 1, math.inf),
        "data.max_train_examples": (config.data.max_train_examples, 0, math.inf),
        "data.max_eval_examples": (config.data.max_eval_examples, 0, math.inf),
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


def _check_languages(config: Config) -> None:
    if not config.data.intermediate_languages:
        raise ConfigError(
            "No language was given for the intermediate tasks.",
            where="--config.data.intermediate_languages",
            remedy="use en, or leave the field out",
        )
    if config.data.eval_split not in ("auto", "dev", "test"):
        raise ConfigError(
            f"There is no split `{config.data.eval_split}` to score.",
            where="--config.data.eval_split",
            remedy="use auto, dev or test",
        )
    known = {lang for task in TASKS.values() for lang in task.languages}
    unknown = [lang for lang in config.languages if lang not in known]
    if unknown:
        raise ConfigError(
            f"No task has the languages {', '.join(unknown)}.",
            where="--config.languages",
            remedy="repeat the flag for each ISO 639-1 code; known are: " + " ".join(sorted(known)),
        )


def _check_something_to_run(config: Config, intermediates: set[str], targets: set[str]) -> None:
    with_direct = DIRECT in config.intermediates and NONE not in config.targets
    if not (targets or NONE in config.targets) or not (intermediates or with_direct):
        tasks = ", ".join([*config.intermediates, *config.targets])
        raise ConfigError(
            f"Nothing is left to run: there is no data for {tasks}.",
            where="--config.data.dir, --config.languages",
            remedy="see the log above for the missing files; if it names none, no task has any "
            "of the requested languages",
        )
