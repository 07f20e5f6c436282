"""Runs a study: trains each phase once, scores every language, carries on where it was killed."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from absl import logging
from etils import epath
from flax import nnx

from xt_jax import model as models
from xt_jax.config import Config
from xt_jax.data.mixture import SAMPLERS
from xt_jax.data.tokenize import fingerprint
from xt_jax.encoders import open_source
from xt_jax.errors import ConfigError
from xt_jax.evaluate.outcomes import outcomes
from xt_jax.evaluate.score import AT_LAYER
from xt_jax.sharding import RULES, make_mesh, place_param, place_params
from xt_jax.study import outcomes as kept
from xt_jax.study.data import SOURCES, open_data
from xt_jax.study.phases import Start, Trainer
from xt_jax.study.plan import Branch, branches
from xt_jax.study.predictions import has_predictions, write_predictions, write_submission
from xt_jax.study.prepare import Phase, TaskData, prepare
from xt_jax.study.reader import Dataset, Reader
from xt_jax.study.report import write_report
from xt_jax.study.results import Row, append_rows, read_rows
from xt_jax.study.scoring import Scorer
from xt_jax.tasks.table import NONE


@dataclass(frozen=True)
class Study:
    """Everything that phases share, read and checked."""

    trainer: Trainer
    intermediates: dict[str, Phase]
    targets: dict[str, TaskData]
    results: epath.Path
    params: tuple[int, int]  # of the encoder without and with its embeddings


def run(config: Config, workdir: str) -> str:
    """The whole experiment; returns the table that it also writes to `<workdir>/report.md`.

    With `targets=("none",)` the intermediate phases alone, and where the weights of each are.

    Raises:
        UserError: anything wrong with configuration, weights or data; before training starts.
    """
    study = open_study(config, epath.Path(workdir))
    at_once = study.trainer.seeds_at_once
    todo = branches(config, set(study.intermediates), tuple(study.targets), at_once)
    if NONE in config.targets:
        return "\n".join(
            line for branch in todo if branch.has_intermediate for line in _trained(study, branch)
        )
    mine: set[tuple[str, str]] = set()
    for branch in todo:
        mine |= _run_branch(study, branch)
    return write_report(study.results, only=mine)


def open_study(config: Config, workdir: epath.Path) -> Study:
    """Reads and checks configuration, weights, data and earlier results; trains nothing."""
    workdir.mkdir(parents=True, exist_ok=True)
    _check(config)
    mesh = make_mesh(config.train.model_axis)
    cache = epath.Path(config.data.cache_dir or workdir / "cache")
    data, tokenizer = open_data(config, cache)
    source = open_source(config.model, tokenizer)
    key = fingerprint(source.tokenizer)
    reader = Reader(config, source.tokenizer, key, source.config.max_length, data, cache)
    intermediates, targets = prepare(reader)
    _check_something_to_run(config, set(intermediates), set(targets))
    results = workdir / "results.jsonl"
    read_rows(results)
    trainer = Trainer(config.train, config.mixture, source, mesh, workdir / "phases")
    trainer.check_budgets([part for phase in intermediates.values() for part in phase.parts])
    trainer.check_budgets(targets.values())
    return Study(
        trainer,
        intermediates,
        targets,
        results,
        models.count_params(models.abstract_encoder(source.config)),
    )


def _check(config: Config) -> None:
    """Fields that only some values suit."""
    choices = {
        "data.source": (config.data.source, SOURCES),
        "train.sharding": (config.train.sharding, tuple(RULES)),
        "mixture.sampler": (config.mixture.sampler, SAMPLERS),
    }
    for field, (value, allowed) in choices.items():
        if value not in allowed:
            raise ConfigError(
                f"`{value}` is no {field}.",
                where=f"--config.{field}",
                remedy=f"use one of: {', '.join(allowed)}",
            )
    mixture = config.mixture
    limits = {
        "seeds": (config.seeds, 1, math.inf),
        "train.accumulate": (config.train.accumulate, 1, math.inf),
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
    for field, (number, low, high) in limits.items():
        if not low <= number <= high:
            raise ConfigError(
                f"{field} cannot be {number}.",
                where=f"--config.{field}",
                remedy=f"use a number from {low} to {high}",
            )


def _check_something_to_run(config: Config, intermediates: set[str], targets: set[str]) -> None:
    without_targets = NONE in config.targets and bool(intermediates)
    if not (targets or without_targets) or not branches(config, intermediates, tuple(targets)):
        wanted = ", ".join([*config.intermediates, *config.targets])
        raise ConfigError(
            f"Nothing is left to run: no data for {wanted}.",
            where="--config.data.dir, --config.languages",
            remedy="the log above names the files that are missing; where it names none, no task "
            "has a language that was asked for",
        )


def _starts(study: Study, branch: Branch) -> list[Start]:
    """What each seed's targets start from: the encoder itself, or after the intermediate phase."""
    starts = [study.trainer.start()] * len(branch.seeds)
    if not branch.has_intermediate:
        return starts
    return study.trainer.train(study.intermediates[branch.intermediate], starts, "", branch.seeds)


def _trained(study: Study, branch: Branch) -> list[str]:
    """Trains the intermediate phase alone; lines that say where its weights are."""
    name = f"{study.trainer.source.name} after {branch.intermediate}"
    return [
        f"{name}, seed {seed}: {start.folder} (best {start.selected_by})"
        for seed, start in zip(branch.seeds, _starts(study, branch), strict=True)
    ]


def _run_branch(study: Study, branch: Branch) -> set[tuple[str, str]]:
    """Trains and scores; the (run, data) of all rows that belong to the branch."""
    starts = _starts(study, branch)
    rows = set()
    for name in branch.targets:
        data = study.targets[name]
        trained = starts
        if data.train is not None:
            # Named by what it trains on: XQuAD and MLQA are two tests of one phase.
            phase = Phase("+".join(data.task.train), (data,), data.recipe)
            after = f"after-{branch.intermediate}" if branch.has_intermediate else ""
            trained = study.trainer.train(phase, starts, after, branch.seeds)
        for seed, one in zip(branch.seeds, trained, strict=True):
            _score(study, data, one, branch.intermediate, seed)
            rows |= {(_short(one.key), _short(dataset.key)) for dataset in data.scored}
    return rows


def _score(study: Study, data: TaskData, trained: Start, intermediate: str, seed: int) -> None:
    """Predicts and scores what is not there yet, then writes the submission's files."""
    have = _have(study, data, trained, intermediate, seed)
    todo = _todo(study, data, trained, have)
    name = f"{data.task.name} after {intermediate}, seed {seed}"
    home = study.trainer.home(trained)
    if todo:
        logging.info("%s: scoring %d languages", name, len(todo))
        scorer, params = _load(study.trainer, data, trained)
        datasets = data.scored + data.submitted
        for dataset, predictions, scores in scorer.predictions(params, datasets, todo, data.fitted):
            write_predictions(home, data.task, dataset, predictions)
            if scores is None:
                logging.info("%s, %s: predicted for submission", name, dataset.language)
                continue
            each = outcomes(data.task, dataset.examples, predictions, dataset.language)
            kept.write(study.results.parent, _short(trained.key), _short(dataset.key), each)
            if _name(dataset) not in have:
                rows = _rows(study, data, dataset, trained, intermediate, seed, scores)
                append_rows(study.results, rows)
            logging.info("%s, %s: %s", name, dataset.language, _shown(scores))
    submission = f"{study.trainer.source.name}-{intermediate}-s{seed}"
    folder = study.results.parent / "submissions" / submission.replace("/", "_")
    for dataset in data.scored + data.submitted:
        write_submission(folder, study.results.parent / "labels", home, data.task, dataset)


def _have(
    study: Study, data: TaskData, trained: Start, intermediate: str, seed: int
) -> set[tuple[str, str]]:
    """(language, data) of the data sets that this model has rows for."""
    mine = (_short(trained.key), intermediate, seed, data.task.name)
    last = data.task.metrics[0]
    if data.all_layers:
        last = AT_LAYER.format(metric=last, layer=study.trainer.source.config.num_layers)
    return {
        (row["language"], row["data"])
        for row in read_rows(study.results)
        if (row["run"], row["intermediate"], row["seed"], row["target"]) == mine
        and row["metric"] == last
    }


def _todo(study: Study, data: TaskData, trained: Start, have: set[tuple[str, str]]) -> set[str]:
    """The keys of the data sets that this model has no rows, predictions or outcomes for."""
    home, folder = study.trainer.home(trained), study.results.parent

    def is_scored(dataset: Dataset) -> bool:
        run, key = _short(trained.key), _short(dataset.key)
        return _name(dataset) in have and kept.exists(folder, run, key)

    return {
        dataset.key
        for dataset in data.scored + data.submitted
        if not has_predictions(home, data.task, dataset)
        or (dataset.labelled and not is_scored(dataset))
    }


def _name(dataset: Dataset) -> tuple[str, str]:
    """What its rows call it: language and data."""
    return dataset.language, _short(dataset.key)


def _short(key: str) -> str:
    return key[:12]


def _load(trainer: Trainer, data: TaskData, trained: Start) -> tuple[Scorer, nnx.State]:
    """The model to score: with its head, or in retrieval the encoder alone."""
    layout = trainer.config.sharding
    place = functools.partial(place_param, mesh=trainer.mesh, layout=layout)
    model: nnx.Module
    if data.train is None or trained.folder is None:
        model = trainer.source.load(trained.folder, place)
    else:
        how = trainer.source.config
        model, _ = models.load_model(
            trained.folder, dtype=how.dtype, attention=how.attention, put=place
        )
    graphdef, params = nnx.split(model)
    scorer = Scorer(
        data.task,
        graphdef,
        trainer.source,
        trainer.mesh,
        trainer.config.packing,
        data.all_layers,
    )
    return scorer, place_params(params, trainer.mesh, layout)


def _rows(
    study: Study,
    data: TaskData,
    dataset: Dataset,
    trained: Start,
    intermediate: str,
    seed: int,
    scores: dict[str, float],
) -> list[Row]:
    encoder_params, total_params = study.params
    return [
        Row(
            model=study.trainer.source.name,
            encoder_params=encoder_params,
            total_params=total_params,
            intermediate=intermediate,
            target=data.task.name,
            language=dataset.language,
            seed=seed,
            metric=metric,
            value=value,
            n=len(dataset.examples),
            split=dataset.split,
            step=trained.step,
            selected_by=trained.selected_by,
            run=_short(trained.key),
            data=_short(dataset.key),
        )
        for metric, value in scores.items()
    ]


def _shown(scores: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.1f}" for name, value in scores.items() if "@" not in name)
