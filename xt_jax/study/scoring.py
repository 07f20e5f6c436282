"""Predicts and scores the data sets of a task."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flax import nnx
from jax.sharding import Mesh

from xt_jax import model as models
from xt_jax.model.predict import Predictor
from xt_jax.model.pretrained import Pretrained
from xt_jax.model.sharding import place_param, place_params
from xt_jax.retrieval.embed import tatoeba_layer
from xt_jax.retrieval.topk import cosine_topk
from xt_jax.study.datasets import Dataset
from xt_jax.study.phases import Checkpoint, Trainer
from xt_jax.study.task_data import TaskData
from xt_jax.tasks.family import Evaluation, Outputs, Scores, Task
from xt_jax.tasks.table import FAMILIES


@dataclass(frozen=True)
class Scorer:
    """Scores one architecture on one task; the parameters come with each call.

    Attributes:
        all_layers: whether to score every hidden state in families that can.
    """

    task: Task
    graphdef: Any
    source: Pretrained
    mesh: Mesh
    packing: bool = True
    all_layers: bool = False

    def predictions(
        self,
        params: nnx.State,
        datasets: Sequence[Dataset],
        wanted: Collection[str] | None = None,
        fitted: Mapping[str, Dataset] | None = None,
    ) -> Iterator[tuple[Dataset, list, Scores]]:
        """Yields (data set, predictions, metrics) for each data set that is wanted.

        Only `datasets` whose key is in `wanted` (None: all) are predicted. Batches are those of
        all data sets, so a resumed run computes exactly what an undisturbed one would have.

        Args:
            fitted: by language, the labelled split that the family's `fit` needs. It is predicted
                first, so that only the fitted setting of each language stays in memory.
        """
        family = FAMILIES[self.task.family]
        devs = list((fitted or {}).values())
        ordered = [*devs, *(d for d in datasets if d not in devs)]
        is_wanted = [d in datasets and (wanted is None or d.key in wanted) for d in ordered]
        languages = {d.language for d, scored in zip(ordered, is_wanted, strict=True) if scored}
        needed = [
            i
            for i, d in enumerate(ordered)
            if is_wanted[i] or (d in devs and d.language in languages)
        ]
        predict = (self.all_layers and family.predict_layers) or family.predict
        predictor = Predictor(
            self.graphdef, predict, self.mesh, self.source.config, self.source.name
        )
        stream = predictor.stream([d.features for d in ordered], packing=self.packing)
        settings: dict[str, Any] = {}
        names = [f"{self.task.name} {d.split} {d.language}" for d in ordered]
        for i, outputs in predictor(params, stream, needed, names):
            dataset = ordered[i]
            evaluation = self._evaluation(dataset, outputs)
            decoded = family.decoded(evaluation)
            if dataset in devs and family.fit is not None:
                settings[dataset.language] = family.fit(decoded, dataset.examples)
            if is_wanted[i]:
                yield dataset, *family.results(decoded, evaluation, settings.get(dataset.language))

    def _evaluation(self, dataset: Dataset, outputs: Outputs) -> Evaluation:
        """Bundles outputs for the family; searches use this process's devices alone."""
        return Evaluation(
            self.task,
            dataset.language,
            dataset.features,
            dataset.examples,
            dataset.labelled,
            outputs,
            tatoeba_layer(self.source.config.num_layers),
            self.all_layers,
            functools.partial(cosine_topk, mesh=self.mesh.local_mesh),
        )


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
