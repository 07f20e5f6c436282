"""Predicts and scores the languages of a task."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flax import nnx
from jax.sharding import Mesh

from xt_jax.encoders import Source
from xt_jax.evaluate.score import score, score_retrieval
from xt_jax.predict import Predictor
from xt_jax.retrieval.embed import tatoeba_layer
from xt_jax.retrieval.mining import Candidates
from xt_jax.study.reader import Dataset
from xt_jax.tasks import mining, retrieval
from xt_jax.tasks.table import FAMILIES, Task

Scores = dict[str, float] | None  # None: the data set is unlabelled
ORACLE = "{metric}@oracle_threshold"


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
        predictor = Predictor(
            self.graphdef, FAMILIES[self.task.family].predict, self.mesh, self.source.config
        )
        stream = predictor.stream([d.features for d in ordered], packing=self.packing)
        least: dict[str, float] = {}
        for i, outputs in predictor(params, stream, needed):
            dataset = ordered[i]
            if self.task.family == "mining":
                found = mining.candidates(outputs["embedding"], dataset.examples)
                if dataset in devs:
                    least[dataset.language] = mining.threshold(found, dataset.examples)
                if is_wanted[i]:
                    yield dataset, *self._mined(dataset, found, least[dataset.language])
            elif self.task.family == "retrieval":
                yield dataset, *self._retrieved(dataset, outputs["embedding"])
            else:
                yield dataset, *self._decoded(dataset, outputs)

    def _decoded(self, dataset: Dataset, outputs: dict[str, np.ndarray]) -> tuple[list, Scores]:
        decode = FAMILIES[self.task.family].decode
        assert decode is not None
        predictions = decode(outputs, dataset.features, dataset.examples, self.task.labels)
        return predictions, self._scores(dataset, predictions)

    def _retrieved(self, dataset: Dataset, embeddings: np.ndarray) -> tuple[list, Scores]:
        layer = tatoeba_layer(self.source.config.num_layers)
        nearest = retrieval.nearest_foreign(embeddings)
        scores = score_retrieval(nearest, dataset.examples, layer) if dataset.labelled else None
        return nearest[layer].tolist(), scores

    def _mined(self, dataset: Dataset, found: Candidates, least: float) -> tuple[list, Scores]:
        """At the threshold `least`, and with labels at the oracle's too."""
        predictions = mining.decode(found, least)
        scores = self._scores(dataset, predictions)
        if scores is not None:
            oracle = mining.decode(found, mining.threshold(found, dataset.examples))
            best = self._scores(dataset, oracle) or {}
            scores |= {ORACLE.format(metric=name): best[name] for name in self.task.metrics[:1]}
        return predictions, scores

    def _scores(self, dataset: Dataset, predictions: list) -> Scores:
        if not dataset.labelled:
            return None
        return score(self.task, dataset.examples, predictions, dataset.language)
