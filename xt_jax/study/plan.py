"""The graph of a study: the pieces of work there are, what each waits for, who does which."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from xt_jax.config import Config
from xt_jax.records.shard import parse_shard
from xt_jax.tasks.table import DIRECT, TASKS


@dataclass(frozen=True)
class Piece:
    """Work that is done in one go: an intermediate phase, or a target phase and its scores.

    Attributes:
        model: as the configuration names it.
        intermediate: the task or mixture trained first, or `direct`.
        seeds: one, or those that are trained as one program.
        targets: the tasks scored; those that share a phase of training stand together (XQuAD and
            MLQA). () for the intermediate phase itself.
    """

    model: str
    intermediate: str
    seeds: tuple[int, ...]
    targets: tuple[str, ...] = ()

    @property
    def needs(self) -> Piece | None:
        """The piece that has to be done before."""
        if not self.targets or self.intermediate == DIRECT:
            return None
        return dataclasses.replace(self, targets=())

    @property
    def name(self) -> str:
        last = f"-{self.seeds[-1]}" if len(self.seeds) > 1 else ""
        what = " and ".join(self.targets)
        what = f"{what} after {self.intermediate}" if what else self.intermediate
        return f"{self.model}: {what}, seed {self.seeds[0]}{last}"


def graph(
    config: Config,
    models: Sequence[str],
    intermediates: Collection[str],
    targets: Sequence[str],
    at_once: Mapping[str, int],
) -> list[Piece]:
    """All pieces, each after the one it needs.

    Seeds are outermost, so that the first results cover every comparison.

    Args:
        intermediates: the intermediate tasks that have data.
        targets: the target tasks that have data; () to train the intermediate phases alone.
        at_once: of each model, the seeds trained as one program.
    """
    end = config.seed + config.seeds
    names = [name for name in config.intermediates if name == DIRECT or name in intermediates]
    by_phase: dict[tuple, list[str]] = defaultdict(list)
    for target in targets:
        by_phase[TASKS[target].train or (target,)].append(target)
    branches = [
        Piece(model, name, tuple(range(first, min(first + at_once[model], end))))
        for model in models
        for first in range(config.seed, end, at_once[model])
        for name in names
    ]
    branches.sort(key=lambda branch: branch.seeds[0])
    return [
        dataclasses.replace(branch, targets=tuple(its))
        for branch in branches
        for its in ([()] if branch.intermediate != DIRECT else []) + list(by_phase.values())
    ]


def share(pieces: Sequence[Piece], costs: Sequence[float], shard: str) -> list[Piece]:
    """The part `i/n` of the pieces: no phase is in two parts, and the costs are about even.

    An intermediate phase stays with its targets; a piece that needs nothing stands alone.

    Raises:
        ConfigError: `shard` is not of the form 3/16.
    """
    index, count = parse_shard(shard)
    groups: dict[Piece, list[int]] = defaultdict(list)
    for i, piece in enumerate(pieces):
        groups[piece.needs or piece].append(i)
    load = [0.0] * count
    mine: list[int] = []
    for members in sorted(groups.values(), key=lambda group: -sum(costs[i] for i in group)):
        least = load.index(min(load))
        load[least] += sum(costs[i] for i in members)
        if least == index - 1:
            mine += members
    return [pieces[i] for i in sorted(mine)]
