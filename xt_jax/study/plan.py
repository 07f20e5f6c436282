"""The graph of a study: its jobs, what each depends on, and the shard of each."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from xt_jax.config import Config
from xt_jax.records.shard import parse_shard
from xt_jax.tasks.table import DIRECT, TASKS


@dataclass(frozen=True)
class Job:
    """A unit of work of a study: an intermediate phase, or a target phase and its scores.

    Attributes:
        model: as the configuration names it.
        intermediate: the task or mixture trained first, or `direct`.
        seeds: one, or those that are trained as one program.
        targets: the tasks scored, together where they share a phase of training (XQuAD and MLQA);
            () for the intermediate phase itself.
    """

    model: str
    intermediate: str
    seeds: tuple[int, ...]
    targets: tuple[str, ...] = ()

    @property
    def needs(self) -> Job | None:
        """The job that must be finished before this one, if there is one."""
        if not self.targets or self.intermediate == DIRECT:
            return None
        return dataclasses.replace(self, targets=())

    @property
    def name(self) -> str:
        last = f"-{self.seeds[-1]}" if len(self.seeds) > 1 else ""
        targets = " and ".join(self.targets)
        trained = f"{targets} after {self.intermediate}" if targets else self.intermediate
        return f"{self.model}: {trained}, seed {self.seeds[0]}{last}"


def graph(
    config: Config,
    models: Sequence[str],
    intermediates: Collection[str],
    targets: Sequence[str],
    at_once: Mapping[str, int],
) -> list[Job]:
    """Returns all jobs of a study, each after the one it needs.

    Seeds are outermost, so that the first results cover every comparison.

    Args:
        intermediates: the intermediate tasks that have data.
        targets: the target tasks that have data; () to train the intermediate phases alone.
        at_once: the number of seeds of each model that are trained as one program.
    """
    end = config.seed + config.seeds
    names = [name for name in config.intermediates if name == DIRECT or name in intermediates]
    by_phase: dict[tuple, list[str]] = defaultdict(list)
    for target in targets:
        by_phase[TASKS[target].train or (target,)].append(target)
    branches = [
        Job(model, name, tuple(range(first, min(first + at_once[model], end))))
        for model in models
        for first in range(config.seed, end, at_once[model])
        for name in names
    ]
    branches.sort(key=lambda branch: branch.seeds[0])
    return [
        dataclasses.replace(branch, targets=tuple(together))
        for branch in branches
        for together in ([()] if branch.intermediate != DIRECT else []) + list(by_phase.values())
    ]


def share(jobs: Sequence[Job], costs: Sequence[float], shard: str) -> list[Job]:
    """Returns shard `i/n` of the jobs: no phase is in two shards, and costs are about even.

    An intermediate phase stays with its targets; a job that needs no other is placed alone.

    Raises:
        ConfigError: `shard` is not of the form 3/16.
    """
    index, count = parse_shard(shard)
    groups: dict[Job, list[int]] = defaultdict(list)
    for i, job in enumerate(jobs):
        groups[job.needs or job].append(i)
    load = [0.0] * count
    chosen: list[int] = []
    for group in sorted(groups.values(), key=lambda group: -sum(costs[i] for i in group)):
        least = load.index(min(load))
        load[least] += sum(costs[i] for i in group)
        if least == index - 1:
            chosen += group
    return [jobs[i] for i in sorted(chosen)]
