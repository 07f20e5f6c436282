"""Names the phases of training, and finds and describes what is in their folders."""

from __future__ import annotations

import dataclasses
import json
import os
import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from etils import epath
from jax.sharding import Mesh

from xt_jax import hosts
from xt_jax.command_line import command_line
from xt_jax.config import TrainConfig, digest
from xt_jax.data.packing import Plan
from xt_jax.errors import DataError
from xt_jax.files import atomic_write_text
from xt_jax.model.config import EncoderConfig
from xt_jax.model.origin import Origin
from xt_jax.model.pretrained import Pretrained
from xt_jax.model.sharding import MEMBER, member_mesh
from xt_jax.records.json_files import read_object
from xt_jax.study.schedule import PhasePlan, Planner, phase_seed
from xt_jax.study.task_data import Phase, TaskData
from xt_jax.train.checkpoint import Progress

FILE = "phase.json"
FORMAT = 6  # raise it when the same settings give other numbers than before

# Number of weights in the layers below which one seed leaves an accelerator idle, an estimate: base
# (85 M) at 32 examples a step is bound by kernel launches. A CPU is never idle: three seeds of
# mini-48 (55 k) take 1.3 times as long together as one by one.
IDLE_BELOW = 100_000_000
MOST = 8
SHARE = 1 / 3  # of the device's memory that parameters, gradients and moments may take
BYTES = 16  # per parameter, with its gradient and moments


@dataclass(frozen=True)
class Checkpoint:
    """Parameters to continue from: the pretrained ones (`folder` None) or a phase's best.

    Attributes:
        key: digest of everything that the parameters depend on.
        step: the update after which they were taken; `selected_by` says how it was chosen.
        score: the score on dev by which it was chosen.
        rate: the phase's learning rate.
    """

    key: str
    folder: epath.Path | None = None
    step: int = 0
    selected_by: str = "none"
    score: float | None = None
    rate: float | None = None


@dataclass(frozen=True)
class Member:
    """One seed of a phase of training.

    Attributes:
        seed: the study's seed.
        phase_seed: the seed of the phase's heads, order and dropout, derived from `seed`.
        key: digest of everything that the result depends on.
        directory: the folder of all files of this member.
    """

    seed: int
    phase_seed: int
    start: Checkpoint
    key: str
    directory: epath.Path

    @property
    def done(self) -> epath.Path:
        """The file that marks the member as finished."""
        return self.directory / "done.json"

    def best(self, step: int) -> epath.Path:
        """Returns the folder of the parameters after `step`, kept as the best so far."""
        return self.directory / "best" / f"step-{step}"

    def kept(self, step: int) -> epath.Path:
        """Returns the folder of the parameters after `step`, kept for good."""
        return self.directory / "kept" / f"step-{step}"

    def keep_bests(self, steps: set[int]) -> None:
        """Deletes the parameters kept from all other steps."""
        names = {self.best(step).name for step in steps}
        for folder in (self.directory / "best").iterdir():
            if folder.name not in names:
                folder.rmtree(missing_ok=True)


@dataclass(frozen=True)
class Trainer:
    """The settings that all phases of one model are trained with, and where the phases lie.

    Attributes:
        shared_heads: whether tasks of a mixture in one family with the same labels share a head.
        directory: the folder of all phases.
        rates: by role of a phase, the learning rates of its sweep, the lowest first; () for none.
        first_seed: the seed with which a sweep chooses.
        advance: called during training with the FLOPs of the steps made since the last call.
    """

    config: TrainConfig
    shared_heads: bool
    pretrained: Pretrained
    mesh: Mesh
    planner: Planner
    directory: epath.Path
    rates: Mapping[str, tuple[float, ...]]
    first_seed: int
    advance: Callable[[float], None] = lambda flops: None

    @property
    def training_mesh(self) -> Mesh:
        """The mesh of training: a `member_mesh` where `member_chips` asks for one."""
        return member_mesh(self.mesh, self.config.member_chips)

    @property
    def groups(self) -> int:
        """The number of groups of devices that train side by side."""
        return self.training_mesh.shape.get(MEMBER, 1)

    @property
    def members_at_once(self) -> int:
        """The largest number of seeds of a phase that are trained as one program."""
        each = self.config.parallel_seeds or sensible_seeds(self.pretrained.config)
        return each * self.groups

    def pretrained_checkpoint(self) -> Checkpoint:
        """Returns the pretrained encoder, from which every phase descends."""
        return Checkpoint(digest(FORMAT, self.pretrained.key, self._numerics()))

    def home(self, checkpoint: Checkpoint) -> epath.Path:
        """Returns the folder of predictions made with the parameters of a checkpoint."""
        if checkpoint.folder is None:
            return self.directory / f"start-{checkpoint.key[:12]}"
        return checkpoint.folder.parent.parent

    def member(self, phase: Phase, start: Checkpoint, seed: int, after: str) -> Member:
        """Returns one seed of the phase, with a key of all that can change its result.

        Heads, order and dropout follow from the study's seed and the phase's name, not from
        `start`, so runs that are compared at equal seeds differ only in what they start from.

        The key leaves out settings that change only rounding and the bits of dropout. The number
        of devices enters it only through `Planner.rows_multiple`, so a phase begun on one slice
        continues on another where `train.rows_multiple` gives both the same batches.
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

    def recipe(self, phase: Phase) -> str:
        """Returns a digest of all that a phase's result depends on but its start and its seed.

        Of a sweep it holds the candidates, whichever was chosen.
        """
        return digest(
            FORMAT,
            [phase.name, phase.recipe, *self.rates[phase.role]],
            [_task_key(part) for part in phase.parts],
            self.planner.identity(phase, 0),
            [self.config.accumulate, self.config.fold_vocabulary],
            self._numerics(),
        )

    def finished(self, phase: Phase, members: Sequence[Member]) -> list[Checkpoint | None]:
        """Returns the best parameters of each member, or None where it is unfinished."""
        progress = [_read_done(member) for member in members] if hosts.is_first() else []
        return [
            _checkpoint(phase, member, member_progress) if member_progress else None
            for member, member_progress in zip(members, hosts.agree(progress), strict=True)
        ]

    def states(self, group: Sequence[Member]) -> epath.Path:
        """Returns the folder of the training states of members that are trained together."""
        if len(group) == 1:
            return group[0].directory / "checkpoints"
        return self.directory / f"together-{digest([member.key for member in group])[:12]}"

    def _numerics(self) -> list[Any]:
        return [self.pretrained.numerics, jax.default_backend()]


def selecting(phase: Phase) -> list[TaskData]:
    """Returns the tasks that select the checkpoint by dev score: all but plain-text ones."""
    return [part for part in phase.parts if not part.is_text] or list(phase.parts)


def origin_of(
    trainer: Trainer, phase: Phase, member: Member, step: int, kept: bool
) -> Origin | None:
    """Returns the pretraining run that a phase of plain text from random weights is, or None."""
    source = trainer.pretrained
    is_random = source.folder is None and member.start.folder is None
    if not is_random or not all(part.is_text for part in phase.parts):
        return None
    size = source.origin.name.partition("-random")[0]
    run = f"{size}-s{member.seed}"
    family = source.origin.family.removesuffix("-random")
    return Origin(f"{run}-{step}" if kept else run, family, run, step)


def write_phase(
    trainer: Trainer, phase: Phase, member: Member, plan: PhasePlan, steps: int
) -> None:
    """Writes `phase.json` for model cards: the last command that trained it, settings, tokens.

    Args:
        steps: the steps made, fewer than planned where patience ran out.
    """
    parts, plans = phase.parts, plan.plans
    steps_of = np.bincount(plan.order[:steps], minlength=len(plans))
    record = {
        "model": trainer.pretrained.name,
        "seed": str(member.seed),
        "phase": phase.name,
        "role": phase.role,
        "command": command_line(),
        "recipe": dataclasses.asdict(phase.recipe),
        "steps": steps,
        "rows": {part.task.name: [p.rows, p.length] for part, p in zip(parts, plans, strict=True)},
        "tokens": sum(map(_tokens, parts, plans, steps_of.tolist())),
        "machine": machine(),
    }
    atomic_write_text(member.directory / FILE, json.dumps(record, indent=1) + "\n")


def machine() -> str:
    """Returns the hardware as text: `2 CPU cores` or `4 TPU v5p`."""
    if jax.default_backend() == "cpu":
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        return f"{cores} CPU cores"
    return f"{jax.device_count()} {jax.devices()[0].device_kind}"


def sensible_seeds(config: EncoderConfig) -> int:
    """Returns how many seeds of this model fit one program and are faster that way."""
    if jax.default_backend() == "cpu":
        return 1
    return seeds_within(config, (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit"))


def seeds_within(config: EncoderConfig, room: float | None) -> int:
    """Returns `sensible_seeds` for an accelerator with `room` bytes (None: unknown)."""
    dim = config.hidden_size
    layers = config.num_layers * dim * (4 * dim + 2 * config.intermediate_size)
    if layers > IDLE_BELOW:
        return 1
    if room is None:
        return MOST
    return max(1, min(MOST, int(room * SHARE / (BYTES * (layers + config.vocab_size * dim)))))


def _tokens(part: TaskData, plan: Plan, steps: int) -> int:
    """Returns the tokens without padding that the first `steps` steps train on."""
    assert part.train is not None
    return int(part.train.features.lengths[plan.feature[: plan.splits[steps]]].sum(dtype=np.int64))


def _read_done(member: Member) -> Progress | None:
    """Reads the progress of a finished member, and deletes what only training needed."""
    if not member.done.exists():
        return None
    progress = read_object(member.done)
    step = progress.get("best_step")
    if type(step) is not int or not member.best(step).exists():
        raise DataError(
            f"The best step is {reprlib.repr(step)}, of which there are no parameters.",
            where=member.done,
            remedy="delete the folder of the phase: it is trained again",
        )
    (member.directory / "checkpoints").rmtree(missing_ok=True)
    member.keep_bests({progress["best_step"]})
    return progress


def _checkpoint(phase: Phase, member: Member, progress: Progress) -> Checkpoint:
    parts, step = selecting(phase), progress["best_step"]
    metrics = " and ".join(dict.fromkeys(part.task.metrics[0] for part in parts))
    mean = f"mean {metrics} of {len(parts)} tasks" if len(parts) > 1 else metrics
    dev = "dev" if parts[0].is_text else "English dev"
    return Checkpoint(
        member.key,
        member.best(step),
        step,
        f"{mean} on {dev}",
        progress["best"],
        phase.recipe.learning_rate,
    )


def _task_key(part: TaskData) -> list:
    task = part.task
    identity = [task.family, task.train, task.labels, task.metrics[0]]
    return [identity, part.recipe, [d.key if d else "" for d in (part.train, part.dev)]]
