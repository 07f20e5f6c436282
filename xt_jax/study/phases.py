"""What a phase of training is called, where it lies, and whether it is finished."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
from etils import epath
from jax.sharding import Mesh

from xt_jax import hosts
from xt_jax.config import TrainConfig, digest
from xt_jax.model.pretrained import Pretrained
from xt_jax.study.schedule import Planner, phase_seed
from xt_jax.study.seeds import sensible_seeds
from xt_jax.study.task_data import MLM, Phase, TaskData
from xt_jax.train.loop import Progress

FORMAT = 5  # raise it when the same settings come to give other numbers


@dataclass(frozen=True)
class Checkpoint:
    """Parameters to go on from: the pretrained ones (`folder` None) or a finished phase's best.

    Attributes:
        key: of all that can have changed them.
        step: the update after which they were taken, chosen as `selected_by` says.
    """

    key: str
    folder: epath.Path | None = None
    step: int = 0
    selected_by: str = "none"


@dataclass(frozen=True)
class Member:
    """One seed of a phase.

    Attributes:
        seed: the study's.
        phase_seed: of the phase's heads, order and dropout, which follows from it.
        key: of all that can change the result.
        directory: where everything of it lies.
    """

    seed: int
    phase_seed: int
    start: Checkpoint
    key: str
    directory: epath.Path

    @property
    def done(self) -> epath.Path:
        """The file that says that it is finished."""
        return self.directory / "done.json"

    def best(self, step: int) -> epath.Path:
        """The folder of the parameters after `step`, kept as the best so far."""
        return self.directory / "best" / f"step-{step}"

    def keep_bests(self, steps: set[int]) -> None:
        """Deletes the parameters kept of all other steps."""
        names = {self.best(step).name for step in steps}
        for folder in (self.directory / "best").iterdir():
            if folder.name not in names:
                folder.rmtree(missing_ok=True)


@dataclass(frozen=True)
class Trainer:
    """What every phase of one model is trained with, and the names and folders of the phases.

    Attributes:
        shared_heads: tasks of a mixture that are of one kind with the same labels share a head.
        directory: of all phases.
    """

    config: TrainConfig
    shared_heads: bool
    pretrained: Pretrained
    mesh: Mesh
    planner: Planner
    directory: epath.Path

    @property
    def seeds_at_once(self) -> int:
        """How many seeds of a phase are at most one program."""
        return self.config.parallel_seeds or sensible_seeds(self.pretrained.config)

    def pretrained_checkpoint(self) -> Checkpoint:
        """The encoder that everything starts from, as it is."""
        return Checkpoint(digest(FORMAT, self.pretrained.key, self._numerics()))

    def home(self, checkpoint: Checkpoint) -> epath.Path:
        """The folder of what these parameters give rise to."""
        if checkpoint.folder is None:
            return self.directory / f"start-{checkpoint.key[:12]}"
        return checkpoint.folder.parent.parent

    def member(self, phase: Phase, start: Checkpoint, seed: int, after: str) -> Member:
        """One seed of the phase, by the name of all that can change its result.

        Heads, order and dropout follow from the study's seed and the phase's name, not from
        `start`: what is compared with equal seeds differs in nothing else.

        The key leaves out what changes rounding and the bits of dropout alone. The number of
        devices is in it only by `Planner.rows_multiple`, so that what was begun on one slice is
        carried on on another where `train.rows_multiple` gives both the same batches.
        """
        own_seed = phase_seed(seed, phase)
        several = len(phase.parts) > 1
        key = digest(
            FORMAT,
            start.key,
            [phase.name, phase.recipe, own_seed, several and self.shared_heads],
            [_task_key(part) for part in phase.parts],
            self.planner.identity(phase, own_seed),
            [self.config.accumulate, self.config.sharding, self.config.fold_vocabulary],
            self._numerics(),
        )
        name = "-".join(filter(None, [phase.name, after, f"s{seed}", key[:12]]))
        return Member(seed, own_seed, start, key, self.directory / name)

    def finished(self, phase: Phase, members: Sequence[Member]) -> list[Checkpoint | None]:
        """The best parameters of each member, or None where it is not trained to the end."""
        progress = [_read_done(member) for member in members] if hosts.is_first() else []
        return [
            _checkpoint(phase, member, member_progress) if member_progress else None
            for member, member_progress in zip(members, hosts.agree(progress), strict=True)
        ]

    def states(self, group: Sequence[Member]) -> epath.Path:
        """Where the states of what is trained together are kept meanwhile."""
        if len(group) == 1:
            return group[0].directory / "checkpoints"
        return self.directory / f"together-{digest([member.key for member in group])[:12]}"

    def _numerics(self) -> list[Any]:
        return [self.pretrained.numerics, jax.default_backend()]


def selecting(phase: Phase) -> list[TaskData]:
    """The tasks whose dev scores select the checkpoint: all but masked language modelling."""
    return [part for part in phase.parts if part.task.name != MLM] or list(phase.parts)


def _read_done(member: Member) -> Progress | None:
    """What a finished member came to; what only its training needed is deleted."""
    try:
        progress = json.loads(member.done.read_text())
    except FileNotFoundError:
        return None
    (member.directory / "checkpoints").rmtree(missing_ok=True)
    member.keep_bests({progress["best_step"]})
    return progress


def _checkpoint(phase: Phase, member: Member, progress: Progress) -> Checkpoint:
    parts, step = selecting(phase), progress["best_step"]
    metrics = " and ".join(dict.fromkeys(part.task.metrics[0] for part in parts))
    mean = f"mean {metrics} of {len(parts)} tasks" if len(parts) > 1 else metrics
    dev = "dev" if parts[0].task.name == MLM else "English dev"
    return Checkpoint(member.key, member.best(step), step, f"{mean} on {dev}")


def _task_key(part: TaskData) -> list:
    task = part.task
    identity = [task.family, task.train, task.labels, task.metrics[0]]
    return [identity, part.recipe, [d.key if d else "" for d in (part.train, part.dev)]]
