"""Predicts and scores the data sets of a task."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from flax import nnx
from jax.sharding import Mesh

from xt_jax import model as models
from xt_jax.config import RetrievalConfig
from xt_jax.data.packing import Features
from xt_jax.model.predict import PredictFn, Predictor
from xt_jax.model.pretrained import Pretrained
from xt_jax.model.sharding import place_param, place_params
from xt_jax.retrieval.topk import cosine_topk
from xt_jax.study import layers
from xt_jax.study.datasets import Dataset
from xt_jax.study.phases import Checkpoint, Trainer
from xt_jax.study.task_data import TaskData
from xt_jax.tasks.family import Evaluation, Outputs, Scores, Task
from xt_jax.tasks.table import FAMILIES


class Scored(NamedTuple):
    """A data set and what was predicted for it.

    Attributes:
        predictions: of the task's family.
        scores: the score of each metric; None where the data set is unlabelled.
        layer: the hidden state that was compared, in families that compare embeddings.
    """

    dataset: Dataset
    predictions: list
    scores: Scores
    layer: int


@dataclass(frozen=True)
class Scorer:
    """Scores one architecture on one task; the parameters come with each call.

    Attributes:
        retrieval: how embeddings are made and compared, if the task's family does.
    """

    task: Task
    graphdef: Any
    source: Pretrained
    mesh: Mesh
    packing: bool = True
    retrieval: RetrievalConfig = field(default_factory=RetrievalConfig)

    def predictions(
        self,
        params: nnx.State,
        datasets: Sequence[Dataset],
        wanted: Collection[str] | None = None,
        fitted: Mapping[str, Dataset] | None = None,
        deciding: layers.ByLanguage | None = None,
    ) -> Iterator[Scored]:
        """Yields each data set that is wanted with its predictions and metrics.

        Only `datasets` whose key is in `wanted` (None: all) are yielded. Batches are those of all
        data sets, so a resumed run computes exactly what an undisturbed one would have.

        Args:
            fitted: by language, the labelled split that the family's `fit` needs. It is predicted
                first, so that only the fitted setting of each language stays in memory.
            deciding: by language, the labelled splits that choose its layer (`layers.deciding`),
                predicted again even where they are not wanted, so that the choice is the same.
        """
        family, fitted, deciding = FAMILIES[self.task.family], fitted or {}, deciding or {}
        devs = list(fitted.values())
        ordered = [*devs, *(d for d in datasets if d not in devs)]
        scored = [d for d in datasets if wanted is None or d.key in wanted]
        needed = set(scored)
        for language in {d.language for d in scored}:
            needed |= {*deciding.get(language, ()), *(d for d in devs if d.language == language)}
        settings: dict[str, Any] = {}
        votes: dict[Dataset, dict[int, float]] = {}
        waiting: dict[Dataset, Any] = {}
        voters = {voter for splits in deciding.values() for voter in splits}
        for dataset, found in self._found(params, ordered, needed):
            if dataset in devs and family.fit is not None:
                settings[dataset.language] = family.fit(found, dataset.examples)
            if dataset in voters and family.layer_scores is not None:
                votes[dataset] = family.layer_scores(
                    self.task, found, dataset.examples, dataset.language
                )
            if dataset in scored:
                waiting[dataset] = found
            for each in [d for d in waiting if votes.keys() >= set(deciding.get(d.language, ()))]:
                layer = self._layer([votes[d] for d in deciding.get(each.language, ())])
                evaluation = self._evaluation(each, {}, range(0), layer)
                predictions, scores = family.results(
                    waiting.pop(each), evaluation, settings.get(each.language)
                )
                yield Scored(each, predictions, scores, layer)

    def _found(
        self, params: nnx.State, ordered: Sequence[Dataset], needed: Collection[Dataset]
    ) -> Iterator[tuple[Dataset, Any]]:
        """Yields (data set, what the family decodes or finds) for those that are needed.

        All data sets are one stream, unless their embeddings are too large to be held at every
        layer: then each takes a pass for each part of the layers.
        """
        family = FAMILIES[self.task.family]
        sets = [self._features(d) for d in ordered]
        parts = self._parts(sets)
        stream = self._predictor(parts[0]).stream(sets, packing=self.packing)
        names = [f"{self.task.name} {d.split} {d.language}" for d in ordered]
        wanted = [i for i, d in enumerate(ordered) if d in needed]
        for together in [wanted] if len(parts) == 1 else [[i] for i in wanted]:
            found: dict[int, Any] = {}
            for part in parts:
                for i, outputs in self._predictor(part)(params, stream, together, names):
                    decoded = family.decoded(self._evaluation(ordered[i], outputs, part))
                    del outputs  # before the next part is embedded
                    found[i] = found[i] | decoded if i in found else decoded
                    if part is parts[-1]:
                        yield ordered[i], found.pop(i)

    def _predictor(self, part: range) -> Predictor:
        predict = FAMILIES[self.task.family].predict
        if part:
            predict = _embedding(predict, part, self.retrieval.pooling)
        return Predictor(self.graphdef, predict, self.mesh, self.source.config, self.source.name)

    def _features(self, dataset: Dataset) -> Features:
        if self.retrieval.pooling == "mean_no_special" and self._compares:
            return layers.counting_own(dataset.features, self.source.tokenizer)
        return dataset.features

    def _parts(self, sets: Sequence[Features]) -> list[range]:
        """Returns the parts of the layers to embed; an empty one where nothing is compared."""
        if not self._compares:
            return [range(0)]
        config = self.source.config
        return layers.parts(
            layers.embedded(self.retrieval, config.num_layers), sets, config.hidden_size
        )

    @property
    def _compares(self) -> bool:
        return FAMILIES[self.task.family].layer_scores is not None

    def _layer(self, votes: Sequence[Mapping[int, float]]) -> int:
        known = layers.known_layer(self.retrieval, self.source.config.num_layers)
        return layers.best_layer(votes) if known is None else known

    def _evaluation(
        self, dataset: Dataset, outputs: Outputs, part: range, layer: int = 0
    ) -> Evaluation:
        """Bundles outputs for the family; searches use this process's devices alone."""
        return Evaluation(
            self.task,
            dataset.language,
            dataset.features,
            dataset.examples,
            dataset.labelled,
            outputs,
            part,
            layer,
            functools.partial(cosine_topk, mesh=self.mesh.local_mesh),
        )


@functools.cache  # jit compiles once for each function
def _embedding(predict: Callable[..., Any], part: range, pooling: str) -> PredictFn:
    return functools.partial(predict, layers=part, pooling=pooling)


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
        model.encoder = models.with_options(model.encoder, unroll=pretrained.config.unroll)
    graphdef, params = nnx.split(model)
    scorer = Scorer(
        data.task, graphdef, pretrained, trainer.mesh, trainer.config.packing, data.retrieval
    )
    return scorer, place_params(params, trainer.mesh, layout)
