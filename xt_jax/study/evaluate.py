"""Predicts and scores the data sets that a target's record does not have yet."""

from __future__ import annotations

import functools

from absl import logging
from flax import nnx

from xt_jax import hosts
from xt_jax import model as models
from xt_jax.model.sharding import place_param, place_params
from xt_jax.study.phases import Checkpoint, Trainer
from xt_jax.study.record import Names, TargetRecord
from xt_jax.study.scoring import Scorer
from xt_jax.study.task_data import TaskData


def evaluate_target(record: TargetRecord) -> None:
    """Predicts and scores what is not recorded yet, then writes the submission's files.

    Of several processes all predict, and the first writes.
    """
    recorded: Names = set()
    missing: set[str] = set()
    if hosts.is_first():
        recorded = record.recorded()
        missing = record.missing(recorded)
    missing = set(hosts.agree(sorted(missing)))
    if missing:
        logging.info("%s: scoring %d languages", record.name, len(missing))
        data, datasets = record.data, record.datasets
        scorer, params = load_scorer(record.study.trainer, data, record.checkpoint)
        for dataset, predictions, scores in scorer.predictions(
            params, datasets, missing, data.fitted
        ):
            if hosts.is_first():
                record.write(dataset, predictions, scores, recorded)
    if hosts.is_first():
        record.write_submission()


def load_scorer(
    trainer: Trainer, data: TaskData, checkpoint: Checkpoint
) -> tuple[Scorer, nnx.State]:
    """Loads the model to score, with its head or for retrieval the encoder alone."""
    layout, pretrained = trainer.config.sharding, trainer.pretrained
    place = functools.partial(place_param, mesh=trainer.mesh, layout=layout)
    model: nnx.Module
    if data.train is None or checkpoint.folder is None:
        model = pretrained.load(checkpoint.folder, place)
    else:
        model, _ = models.load_model(
            checkpoint.folder,
            dtype=pretrained.config.dtype,
            attention=pretrained.config.attention,
            put=place,
        )
    graphdef, params = nnx.split(model)
    scorer = Scorer(
        data.task, graphdef, pretrained, trainer.mesh, trainer.config.packing, data.all_layers
    )
    return scorer, place_params(params, trainer.mesh, layout)
