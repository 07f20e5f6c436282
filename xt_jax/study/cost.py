"""What the jobs of a study cost: examples, tokens, and the FLOPs of the encoder's layers."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

from xt_jax.config import Config
from xt_jax.model.config import EncoderConfig
from xt_jax.study.build import Study
from xt_jax.study.datasets import Dataset
from xt_jax.study.plan import Job, graph, share
from xt_jax.study.schedule import phase_seed
from xt_jax.study.task_data import Phase, TaskData, target_phase
from xt_jax.train.throughput import train_flops


class Cost(NamedTuple):
    """An upper bound on computation, as patience may end a phase early.

    Attributes:
        examples: training examples, each counted once per epoch.
        tokens: training tokens, padding included.
        flops: FLOPs of training, of selection on dev and of scoring.
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


def total_cost(costs: Sequence[Cost]) -> Cost:
    """Returns the sum of the costs."""
    return functools.reduce(Cost.plus, costs, Cost())


def planned(config: Config, studies: dict[str, Study]) -> tuple[list[Job], list[Cost]]:
    """Returns the jobs of the study, or of its shard `config.shard`, and the cost of each."""
    any_study = next(iter(studies.values()))
    jobs = graph(
        config,
        list(studies),
        set(any_study.intermediates),
        tuple(any_study.targets),
        {name: study.trainer.seeds_at_once for name, study in studies.items()},
    )
    return shard_of(jobs, job_costs(studies, jobs), config.shard)


def shard_of(jobs: list[Job], costs: list[Cost], shard: str) -> tuple[list[Job], list[Cost]]:
    """Returns the jobs of one shard (all jobs for "") and their costs."""
    cost_of = dict(zip(jobs, costs, strict=True))
    if shard:
        jobs = share(jobs, [cost.flops for cost in costs], shard)
    return jobs, [cost_of[job] for job in jobs]


def job_costs(studies: dict[str, Study], jobs: Sequence[Job]) -> list[Cost]:
    """Returns the cost of each job, from the batches that are planned for its training.

    All seeds of a phase are assumed to cost as much as the first, as their steps have one shape.
    """
    first_seed = min((job.seeds[0] for job in jobs), default=0)
    phases: dict[tuple[str, str, str], Cost] = {}
    costs = []
    for job in jobs:
        study, cost, phase = studies[job.model], Cost(), trained_phase(studies[job.model], job)
        if phase is not None:
            name = (job.model, phase.role, phase.name)
            if name not in phases:
                phases[name] = _training(study, phase, first_seed)
            cost = phases[name]
        for target in job.targets:
            cost = cost.plus(_scoring(study, study.targets[target]))
        costs.append(cost.times(len(job.seeds)))
    return costs


def trained_phase(study: Study, job: Job) -> Phase | None:
    """Returns the phase that the job trains; None where the encoder is scored as it is."""
    if not job.targets:
        return study.intermediates[job.intermediate]
    data = study.targets[job.targets[0]]
    return target_phase(data) if data.train is not None else None


def forward_flops(config: EncoderConfig, tokens: float, length: float) -> float:
    """Returns the FLOPs of a forward pass over `tokens` in rows of `length` tokens."""
    return train_flops(config, 1, 1) / 3 * tokens + 4.0 * config.num_layers * (
        config.hidden_size * tokens * (length - 1)
    )


def _training(study: Study, phase: Phase, seed: int) -> Cost:
    config = study.trainer.pretrained.config
    sizes = study.trainer.planner.sizes(phase, phase_seed(seed, phase))
    trained = total_cost(
        [
            Cost(
                size.examples,
                size.steps * size.rows * size.length,
                train_flops(config, size.steps * size.rows, size.length),
            )
            for size in sizes
        ]
    )
    evaluations = -(-sum(size.steps for size in sizes) // phase.recipe.eval_every)
    dev = _passes(config, [part.dev for part in phase.parts if part.dev is not None])
    return trained.plus(Cost(flops=evaluations * dev))


def _scoring(study: Study, data: TaskData) -> Cost:
    datasets = {id(d): d for d in [*data.scored, *data.submitted, *data.fitted.values()]}
    return Cost(flops=_passes(study.trainer.pretrained.config, list(datasets.values())))


def _passes(config: EncoderConfig, datasets: Sequence[Dataset]) -> float:
    """Returns the FLOPs of predicting every example once."""
    lengths = [dataset.features.lengths for dataset in datasets if len(dataset.features)]
    return sum(forward_flops(config, float(x.sum()), float(x.max())) for x in lengths)
