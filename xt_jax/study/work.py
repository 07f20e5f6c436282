"""A piece of a study's work: trains what is not trained yet, scores what is not scored yet."""

from __future__ import annotations

import functools
from collections.abc import Callable

from absl import logging
from flax import nnx

from xt_jax import hosts
from xt_jax import model as models
from xt_jax.model.sharding import place_param, place_params
from xt_jax.records import example_scores as kept
from xt_jax.records.results import Row
from xt_jax.study.opening import Study
from xt_jax.study.phases import Start, Trainer
from xt_jax.study.plan import Piece
from xt_jax.study.predictions import has_predictions, write_predictions, write_submission
from xt_jax.study.prepare import Phase, TaskData
from xt_jax.study.reader import Dataset
from xt_jax.study.scoring import Scorer
from xt_jax.tasks.family import AT_LAYER
from xt_jax.tasks.table import DIRECT, FAMILIES

Keep = Callable[[list[Row]], None]
Settings = set[tuple[str, str]]
Names = set[tuple[str, str]]  # of data sets: language and data


def perform(study: Study, piece: Piece, keep: Keep) -> Settings:
    """Does the piece; an intermediate phase that it needs is found or trained too.

    Args:
        keep: called with the rows of each data set as soon as it is scored.

    Returns:
        (run, data) of all rows that belong to the piece, those scored earlier included.

    Raises:
        UserError: the loss is not finite.
    """
    starts = intermediate_starts(study, piece)
    settings: Settings = set()
    for name in piece.targets:
        data = study.targets[name]
        trained = starts
        if data.train is not None:
            after = f"after-{piece.intermediate}" if piece.intermediate != DIRECT else ""
            trained = study.trainer.train(target_phase(data), starts, after, piece.seeds)
        for seed, one in zip(piece.seeds, trained, strict=True):
            _score(study, data, one, piece.intermediate, seed, keep)
            settings |= {(_short(one.key), _short(dataset.key)) for dataset in data.scored}
    return settings


def target_phase(data: TaskData) -> Phase:
    """Named by what it trains on: XQuAD and MLQA are two tests of one phase."""
    return Phase("+".join(data.task.train), (data,), data.recipe, "target")


def intermediate_starts(study: Study, piece: Piece) -> list[Start]:
    """What each seed's targets start from: the encoder itself, or after the intermediate phase."""
    starts = [study.trainer.start()] * len(piece.seeds)
    if piece.intermediate == DIRECT:
        return starts
    return study.trainer.train(study.intermediates[piece.intermediate], starts, "", piece.seeds)


def _score(
    study: Study, data: TaskData, trained: Start, intermediate: str, seed: int, keep: Keep
) -> None:
    """Predicts and scores what is not there yet, then writes the submission's files.

    Of several processes all predict, and the first writes.
    """
    have: Names = set()
    todo: set[str] = set()
    if hosts.is_first():
        have = _have(study, data, trained, intermediate, seed, keep)
        todo = _todo(study, data, trained, have)
    todo = set(hosts.agree(sorted(todo)))
    name = f"{data.task.name} after {intermediate}, seed {seed}"
    datasets = data.scored + data.submitted
    if todo:
        logging.info("%s: scoring %d languages", name, len(todo))
        scorer, params = _load(study.trainer, data, trained)
        for dataset, predictions, scores in scorer.predictions(params, datasets, todo, data.fitted):
            if not hosts.is_first():
                continue
            rows = None
            if scores is not None and _name(dataset) not in have:
                rows = _rows(study, data, dataset, trained, intermediate, seed, scores)
            _keep(study, data, trained, dataset, predictions, rows, keep)
            shown = _shown(scores) if scores else "predicted for submission"
            logging.info("%s, %s: %s", name, dataset.language, shown)
    if hosts.is_first():
        home = study.trainer.home(trained)
        submission = f"{study.trainer.source.name}-{intermediate}-s{seed}"
        folder = study.results.folder / "submissions" / submission.replace("/", "_")
        for dataset in datasets:
            write_submission(folder, study.results.folder / "labels", home, data.task, dataset)


def _keep(
    study: Study,
    data: TaskData,
    trained: Start,
    dataset: Dataset,
    predictions: list,
    rows: list[Row] | None,
    keep: Keep,
) -> None:
    """Predictions, per-example scores, and last the rows, which say that all is there."""
    write_predictions(study.trainer.home(trained), data.task, dataset, predictions)
    of_examples = FAMILIES[data.task.family].example_scores
    if dataset.labelled and of_examples is not None:
        each = of_examples(data.task, dataset.examples, predictions, dataset.language)
        kept.write(study.results.folder, _short(trained.key), _short(dataset.key), each)
    if rows is not None:
        keep(rows)


def _have(
    study: Study, data: TaskData, trained: Start, intermediate: str, seed: int, keep: Keep
) -> Names:
    """Of the data sets that this model has rows for.

    What another seed has rows for is kept under this seed too: the encoder itself, scored without
    any training, is the same for all.
    """
    found = _found(study, data, trained, intermediate)
    have = set(found.pop(seed, {}))
    for rows in (found[other] for other in sorted(found)):
        for name in [name for name in rows if name not in have]:
            keep([Row({**row, "seed": seed}) for row in rows[name]])
        have |= rows.keys()
    return have


def _found(
    study: Study, data: TaskData, trained: Start, intermediate: str
) -> dict[int, dict[tuple[str, str], list[Row]]]:
    """By seed, then by language and data: the rows of this model that were all written."""
    last = data.task.metrics[0]
    if data.all_layers:
        last = AT_LAYER.format(metric=last, layer=study.trainer.source.config.num_layers)
    found = study.results.of(_short(trained.key), intermediate, data.task.name)
    return {
        seed: {
            name: rows
            for name, rows in by_name.items()
            if any(row["metric"] == last for row in rows)
        }
        for seed, by_name in found.items()
    }


def _todo(study: Study, data: TaskData, trained: Start, have: Names) -> set[str]:
    """The keys of the data sets without rows, predictions or per-example scores."""
    home, folder = study.trainer.home(trained), study.results.folder

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
