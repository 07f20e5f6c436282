"""Predicts and scores the languages of a task."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from flax import nnx
from jax.sharding import Mesh

from xt_jax.data.packing import Plan
from xt_jax.evaluate.predict import plan_all, predict
from xt_jax.evaluate.score import score, score_retrieval
from xt_jax.retrieval.embed import tatoeba_layer
from xt_jax.sharding import row_multiple
from xt_jax.study.encoders import Source
from xt_jax.study.prepare import Dataset
from xt_jax.tasks.table import FAMILIES, Task


@dataclass(frozen=True)
class Scorer:
    """How one architecture is scored on one task; parameters come with each call."""

    task: Task
    graphdef: Any
    source: Source
    mesh: Mesh
    packing: bool = True

    def predictions(
        self,
        params: nnx.State,
        datasets: Sequence[Dataset],
        languages: Collection[str] | None = None,
    ) -> Iterator[tuple[Dataset, list | None, dict[str, float]]]:
        """(dataset, one prediction per example or, in retrieval, None, metrics), one by one.

        Of all `datasets`, those of `languages` (None: all) are predicted. The compiled shape is
        that of all: what is left after a stop is computed exactly as it would have been.
        """
        plans = plan_all(
            [dataset.features for dataset in datasets],
            packing=self.packing,
            devices=self.mesh.shape["data"],
            row_multiple=row_multiple(),
        )
        for dataset, plan in zip(datasets, plans, strict=True):
            if languages is None or dataset.language in languages:
                yield dataset, *self._one(params, dataset, plan)

    def _one(
        self, params: nnx.State, dataset: Dataset, plan: Plan
    ) -> tuple[list | None, dict[str, float]]:
        family = FAMILIES[self.task.family]
        outputs = predict(
            self.graphdef,
            params,
            family.predict,
            dataset.features,
            plan,
            mesh=self.mesh,
            pad_id=self.source.pad_id,
        )
        if family.decode is None:
            layer = tatoeba_layer(self.source.config.num_layers)
            return None, score_retrieval(outputs["embedding"], layer)
        predictions = family.decode(outputs, dataset.features, dataset.examples, self.task.labels)
        return predictions, score(self.task, dataset.examples, predictions)
