"""The jobs of a study: what each depends on and costs, and the shard that runs it."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from xt_jax.config import Config, swept_rates
from xt_jax.model.config import EncoderConfig
from xt_jax.records.shard import parse_shard
from xt_jax.study import layers
from xt_jax.study.build import Study
from xt_jax.study.datasets import Dataset
from xt_jax.study.schedule import phase_seed
from xt_jax.study.task_data import Phase, TaskData, target_phase
from xt_jax.tasks.table import DIRECT, TASKS
from xt_jax.train.throughput import train_flops


@dataclass(frozen=True)
class Job:
    """A unit of work of a study: an intermediate phase, or a target phase and its scores.

    Attributes:
        model: as the configuration names it.
        intermediate: the task or mixture trained first, or `direct`.
        seeds: one, or those that are trained as one program.
        targets: the tasks scored, together where they share a phase of training (XQuAD and MLQA);
            () for the intermediate phase itself.
        needs: the jobs that must be finished before this one: that of its intermediate phase, and
            where learning rates are swept, that of the first seed, which chooses the rate.
    """

    model: str
    intermediate: str
    seeds: tuple[int, ...]
    targets: tuple[str, ...] = ()
    needs: tuple[Job, ...] = field(default=(), compare=False, repr=False)

    @property
    def role(self) -> str:
        """The role of the phase that the job trains."""
        return "target" if self.targets else "intermediate"

    @property
    def name(self) -> str:
        last = f"-{self.seeds[-1]}" if len(self.seeds) > 1 else ""
        targets = " and ".join(self.targets)
        trained = f"{targets} after {self.intermediate}" if targets else self.intermediate
        return f"{self.model}: {trained}, seed {self.seeds[0]}{last}"


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

    def times(self, factor: int) -> Cost:
        return Cost(factor * self.examples, factor * self.tokens, factor * self.flops)


def total_cost(costs: Sequence[Cost]) -> Cost:
    """Returns the sum of the costs."""
    return Cost(
        sum(cost.examples for cost in costs),
        sum(cost.tokens for cost in costs),
        sum(cost.flops for cost in costs),
    )


def planned(config: Config, studies: dict[str, Study]) -> tuple[list[Job], list[Cost]]:
    """Returns the jobs of the study, or of its shard `config.shard`, and the cost of each."""
    any_study = next(iter(studies.values()))
    jobs = graph(
        config,
        {name: study.trainer.members_at_once for name, study in studies.items()},
        any_study.intermediates,
        tuple(any_study.targets),
    )
    return share(jobs, job_costs(studies, jobs), config.shard)


def graph(
    config: Config,
    at_once: Mapping[str, int],
    intermediates: Collection[str],
    targets: Sequence[str],
) -> list[Job]:
    """Returns all jobs of a study, each after the one it needs.

    Seeds are outermost, so that the first results cover every comparison.

    Args:
        at_once: for each model the number of its seeds that are trained as one program.
        intermediates: the intermediate tasks that have data.
        targets: the target tasks that have data; () to train the intermediate phases alone.
    """
    end = config.seed + config.seeds
    names = [name for name in config.intermediates if name == DIRECT or name in intermediates]
    by_phase: dict[tuple, list[str]] = defaultdict(list)
    for target in targets:
        by_phase[TASKS[target].train or (target,)].append(target)
    branches = [
        Job(model, name, tuple(range(first, min(first + together, end))))
        for model, together in at_once.items()
        for first in range(config.seed, end, together)
        for name in names
    ]
    branches.sort(key=lambda branch: branch.seeds[0])
    jobs: list[Job] = []
    first: dict[tuple, Job] = {}  # those that choose the rates of a sweep
    for branch in branches:
        needs: tuple[Job, ...] = ()
        if branch.intermediate != DIRECT:
            needs = (_after_first(config, branch, first),)
            jobs += needs
        for scored in by_phase.values():
            job = dataclasses.replace(branch, targets=tuple(scored), needs=needs)
            jobs.append(_after_first(config, job, first))
    return jobs


def _after_first(config: Config, job: Job, first: dict[tuple, Job]) -> Job:
    """Returns the job, which needs that of the first seed where its phase's rates are swept."""
    is_trained = not job.targets or TASKS[job.targets[0]].train
    if not is_trained or not swept_rates(config)[job.role]:
        return job
    chooses = first.setdefault((job.model, job.intermediate, job.targets), job)
    return job if chooses is job else dataclasses.replace(job, needs=(*job.needs, chooses))


def trainings(job: Job, rates: Mapping[str, Sequence[float]], first_seed: int) -> int:
    """Returns how often the job trains its phase: for each seed, the first at all rates."""
    more = max(0, len(rates[job.role]) - 1) if first_seed in job.seeds else 0
    return len(job.seeds) + more


def share(jobs: Sequence[Job], costs: Sequence[Cost], shard: str) -> tuple[list[Job], list[Cost]]:
    """Returns the jobs of shard `i/n` (all for "") and their costs, about even between shards.

    No phase is in two shards: jobs that need one another stay together.

    Raises:
        ConfigError: `shard` is not of the form 3/16.
    """
    if not shard:
        return list(jobs), list(costs)
    index, count = parse_shard(shard)
    load = [0.0] * count
    chosen: list[int] = []
    for group in sorted(_connected(jobs), key=lambda group: -sum(costs[i].flops for i in group)):
        least = load.index(min(load))
        load[least] += sum(costs[i].flops for i in group)
        if least == index - 1:
            chosen += group
    return [jobs[i] for i in sorted(chosen)], [costs[i] for i in sorted(chosen)]


def _connected(jobs: Sequence[Job]) -> list[list[int]]:
    """Returns the indices of jobs in groups, of which none needs a job of another."""
    leaders = {job: job for job in jobs}

    def leader(job: Job) -> Job:
        while leaders[job] != job:
            job = leaders[job]
        return job

    for job in jobs:
        for needed in job.needs:
            leaders[leader(job)] = leader(needed)
    groups: dict[Job, list[int]] = defaultdict(list)
    for i, job in enumerate(jobs):
        groups[leader(job)].append(i)
    return list(groups.values())


def job_costs(studies: dict[str, Study], jobs: Sequence[Job]) -> list[Cost]:
    """Returns the cost of each job, from the batches that are planned for its training.

    All seeds of a phase are assumed to cost as much as the first, as their steps have one shape.
    """
    first_seed = min((job.seeds[0] for job in jobs), default=0)
    phases: dict[tuple[str, str, str], Cost] = {}  # of one seed at one learning rate
    costs = []
    for job in jobs:
        study = studies[job.model]
        scoring = [_scoring(study, study.targets[target]) for target in job.targets]
        parts = [total_cost(scoring).times(len(job.seeds))]
        phase = trained_phase(study, job)
        if phase is not None:
            name = (job.model, phase.role, phase.name)
            if name not in phases:
                phases[name] = _training(study, phase, first_seed)
            times = trainings(job, study.trainer.rates, study.trainer.first_seed)
            parts.append(phases[name].times(times))
        costs.append(total_cost(parts))
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
    evaluations = -(-sum(size.steps for size in sizes) // phase.recipe.eval_every)
    dev = _passes(config, [part.dev for part in phase.parts if part.dev is not None])
    parts = [Cost(flops=evaluations * dev)]
    for size in sizes:
        rows = size.steps * size.rows
        flops = train_flops(config, rows, size.length)
        parts.append(Cost(size.examples, rows * size.length, flops))
    return total_cost(parts)


def _scoring(study: Study, data: TaskData) -> Cost:
    config = study.trainer.pretrained.config
    datasets = list(dict.fromkeys([*data.scored, *data.submitted, *data.fitted.values()]))
    passes = 1
    if data.compares:
        every = layers.embedded(data.retrieval, config.num_layers)
        passes = len(layers.parts(every, [d.features for d in datasets], config.hidden_size))
    return Cost(flops=passes * _passes(config, datasets))


def _passes(config: EncoderConfig, datasets: Sequence[Dataset]) -> float:
    """Returns the FLOPs of predicting every example once."""
    lengths = [dataset.features.lengths for dataset in datasets if len(dataset.features)]
    return sum(forward_flops(config, float(x.sum()), float(x.max())) for x in lengths)
