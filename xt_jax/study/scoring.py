"""Predicts and scores the languages of a task."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from flax import nnx
from jax.sharding import Mesh

from xt_jax.evaluate.score import AT_LAYER, score, score_retrieval
from xt_jax.model.predict import PredictFn, Predictor
from xt_jax.model.pretrained import Pretrained
from xt_jax.retrieval.embed import tatoeba_layer
from xt_jax.retrieval.mining import Candidates, Search
from xt_jax.retrieval.topk import cosine_topk
from xt_jax.study.reader import Dataset
from xt_jax.tasks import mining, retrieval
from xt_jax.tasks.table import FAMILIES, Task

Scores = dict[str, float] | None  # None: the data set is unlabelled
T = TypeVar("T")
ByLayer = dict[int, T]
ORACLE = "{metric}@oracle_threshold"


@dataclass(frozen=True)
class Scorer:
    """How one architecture is scored on one task; parameters come with each call."""

    task: Task
    graphdef: Any
    source: Pretrained
    mesh: Mesh
    packing: bool = True
    all_layers: bool = False  # in mining; retrieval always scores all

    def predictions(
        self,
        params: nnx.State,
        datasets: Sequence[Dataset],
        wanted: Collection[str] | None = None,
        fitted: Mapping[str, Dataset] | None = None,
    ) -> Iterator[tuple[Dataset, list, Scores]]:
        """(data set, predictions, metrics), one by one.

        Predictions are one per example: what the family's `decode` gives, in retrieval the line of
        the nearest foreign sentence; in mining the pairs of ids that pass the threshold.

        Of all `datasets`, those whose key is `wanted` (None: all) are predicted. The stream is
        that of all: what is left after a stop is computed exactly as it would have been.

        Args:
            fitted: by language, the labelled split on which a mining threshold is fitted. It comes
                first, so that of each language only the threshold is kept.
        """
        devs = list((fitted or {}).values())
        ordered = [*devs, *(d for d in datasets if d not in devs)]
        is_wanted = [d in datasets and (wanted is None or d.key in wanted) for d in ordered]
        languages = {d.language for d, mine in zip(ordered, is_wanted, strict=True) if mine}
        needed = [
            i
            for i, d in enumerate(ordered)
            if is_wanted[i] or (d in devs and d.language in languages)
        ]
        predictor = Predictor(self.graphdef, self._predict(), self.mesh, self.source.config)
        stream = predictor.stream([d.features for d in ordered], packing=self.packing)
        least: dict[str, ByLayer[float]] = {}
        for i, outputs in predictor(params, stream, needed):
            dataset = ordered[i]
            if self.task.family == "mining":
                found = self._candidates(dataset, outputs["embedding"])
                if dataset in devs:
                    least[dataset.language] = {
                        k: mining.threshold(of_layer, dataset.examples)
                        for k, of_layer in found.items()
                    }
                if is_wanted[i]:
                    yield dataset, *self._mined(dataset, found, least[dataset.language])
            elif self.task.family == "retrieval":
                yield dataset, *self._retrieved(dataset, outputs["embedding"])
            else:
                yield dataset, *self._decoded(dataset, outputs)

    def _predict(self) -> PredictFn:
        if self.task.family == "mining" and self.all_layers:
            return retrieval.predict
        return FAMILIES[self.task.family].predict

    def _decoded(self, dataset: Dataset, outputs: dict[str, np.ndarray]) -> tuple[list, Scores]:
        decode = FAMILIES[self.task.family].decode
        assert decode is not None
        predictions = decode(outputs, dataset.features, dataset.examples, self.task.labels)
        return predictions, self._scores(dataset, predictions)

    def _retrieved(self, dataset: Dataset, embeddings: np.ndarray) -> tuple[list, Scores]:
        nearest = retrieval.nearest_foreign(embeddings, self._search)
        scores = (
            score_retrieval(nearest, dataset.examples, self._layer) if dataset.labelled else None
        )
        return nearest[self._layer].tolist(), scores

    def _candidates(self, dataset: Dataset, embeddings: np.ndarray) -> ByLayer[Candidates]:
        """`embeddings` [n, D], or [n, L+1, D] of all layers."""
        layers = (
            {self._layer: embeddings}
            if embeddings.ndim == 2
            else dict(enumerate(embeddings.swapaxes(0, 1)))
        )
        return {
            k: mining.candidates(of_layer, dataset.examples, search=self._search)
            for k, of_layer in layers.items()
        }

    def _mined(
        self, dataset: Dataset, found: ByLayer[Candidates], least: ByLayer[float]
    ) -> tuple[list, Scores]:
        """At the thresholds `least`, and with labels at the oracle's and at every layer too."""
        main = self.task.metrics[0]
        predictions = {k: mining.decode(found[k], least[k]) for k in found}
        scores = self._scores(dataset, predictions[self._layer])
        if scores is not None:
            of_layer = found[self._layer]
            oracle = mining.decode(of_layer, mining.threshold(of_layer, dataset.examples))
            scores[ORACLE.format(metric=main)] = (self._scores(dataset, oracle) or {})[main]
        if scores is not None and self.all_layers:
            for k, pairs in predictions.items():
                name = AT_LAYER.format(metric=main, layer=k)
                scores[name] = (self._scores(dataset, pairs) or {})[main]
        return predictions[self._layer], scores

    @property
    def _layer(self) -> int:
        return tatoeba_layer(self.source.config.num_layers)

    @property
    def _search(self) -> Search:
        """On the devices of this process, which has the embeddings of all."""
        return functools.partial(cosine_topk, mesh=self.mesh.local_mesh)

    def _scores(self, dataset: Dataset, predictions: list) -> Scores:
        if not dataset.labelled:
            return None
        return score(self.task, dataset.examples, predictions, dataset.language)
