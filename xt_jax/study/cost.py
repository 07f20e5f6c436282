"""What pieces of a study cost: examples, tokens, and the FLOPs of the encoder's layers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from xt_jax.model.config import EncoderConfig
from xt_jax.study.opening import Study
from xt_jax.study.plan import Piece
from xt_jax.study.prepare import Phase, TaskData
from xt_jax.study.reader import Dataset
from xt_jax.study.work import target_phase
from xt_jax.train.throughput import train_flops


class Cost(NamedTuple):
    """At most: patience may end a phase earlier.

    Attributes:
        examples: trained on, each as often as it is.
        tokens: trained on, padding included.
        flops: of training, of selection on dev, of scoring.
    """

    examples: int = 0
    tokens: int = 0
    flops: float = 0.0

    def plus(self, other: Cost) -> Cost:
        return Cost(
            self.examples + other.examples, self.tokens + other.tokens, self.flops + other.flops
        )

    def times(self, factor: int) -> Cost:
        return Cost(factor * self.examples, factor * self.tokens, factor * self.flops)


def cost_of(studies: dict[str, Study]) -> Callable[[Piece], Cost]:
    """The cost of a piece, of data that is at hand."""

    @functools.cache
    def training(model: str, phase: str, is_target: bool) -> Cost:
        study = studies[model]
        part = study.targets[phase] if is_target else None
        return _training(study, target_phase(part) if part else study.intermediates[phase])

    def cost(piece: Piece) -> Cost:
        study = studies[piece.model]
        if not piece.targets:
            return training(piece.model, piece.intermediate, False).times(len(piece.seeds))
        first = study.targets[piece.targets[0]]
        total = training(piece.model, piece.targets[0], True) if first.train else Cost()
        for name in piece.targets:
            total = total.plus(_scoring(study, study.targets[name]))
        return total.times(len(piece.seeds))

    return cost


def forward_flops(config: EncoderConfig, tokens: float, length: float) -> float:
    """Of a pass without gradients over `tokens` in rows of `length`."""
    return train_flops(config, 1, 1) / 3 * tokens + 4.0 * config.num_layers * (
        config.hidden_size * tokens * (length - 1)
    )


def _training(study: Study, phase: Phase) -> Cost:
    config = study.trainer.source.config
    order, plans = study.trainer.planned(phase, 0)
    made = np.bincount(order, minlength=len(plans))
    total = Cost()
    for plan, steps in zip(plans, made.tolist(), strict=True):
        rows = plan.rows * steps
        total = total.plus(
            Cost(
                int(plan.splits[steps]),
                rows * plan.length,
                train_flops(config, rows, plan.length),
            )
        )
    evaluations = -(-len(order) // phase.recipe.eval_every)
    dev = _passes(config, [part.dev for part in phase.parts if part.dev is not None])
    return total.plus(Cost(flops=evaluations * dev))


def _scoring(study: Study, data: TaskData) -> Cost:
    datasets = {id(d): d for d in [*data.scored, *data.submitted, *data.fitted.values()]}
    return Cost(flops=_passes(study.trainer.source.config, list(datasets.values())))


def _passes(config: EncoderConfig, datasets: Sequence[Dataset]) -> float:
    lengths = [dataset.features.lengths for dataset in datasets if len(dataset.features)]
    return sum(forward_flops(config, float(x.sum()), float(x.max())) for x in lengths)
