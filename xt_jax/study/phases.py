"""One phase of training: its name, its folder, its best parameters."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import numpy as np
from absl import logging
from etils import epath
from flax import nnx
from jax.sharding import Mesh

from xt_jax import hosts
from xt_jax import model as models
from xt_jax.config import MixtureConfig, TrainConfig, digest
from xt_jax.data.packing import Plan, check_budget, plan_training
from xt_jax.data.shape import NoRoomError
from xt_jax.data.tokenize import save_tokenizer
from xt_jax.files import atomic_write_text
from xt_jax.model.pretrained import Pretrained
from xt_jax.model.sharding import row_multiple, rows_multiple
from xt_jax.study.heads import Models, new_models
from xt_jax.study.mixing import no_room, plan_phase
from xt_jax.study.prepare import MLM, Phase, TaskData
from xt_jax.study.reader import Dataset
from xt_jax.study.record import write_record
from xt_jax.study.scoring import Scorer
from xt_jax.study.seeds import sensible_seeds, together
from xt_jax.tasks.table import FAMILIES, per_example
from xt_jax.train.folding import decayed, occurring_words, renumber
from xt_jax.train.loop import Job, Progress, Run, Stream, fit
from xt_jax.train.optim import make_optimizer
from xt_jax.train.step import StepSpec, model_of, stack_params, task_params

FORMAT = 4  # raise it when the same settings come to give other numbers


@dataclass(frozen=True)
class Start:
    """Parameters to go on from: the source's own (`folder` None) or a finished phase's best."""

    key: str
    folder: epath.Path | None = None
    step: int = 0
    selected_by: str = "none"


@dataclass(frozen=True)
class Member:
    """One seed of a phase, planned.

    Attributes:
        seed, own_seed: the study's, and the phase's own that follows from it.
        order, plans: the task of each step, and the batches of each task.
        key: of all that can change the result.
    """

    seed: int
    own_seed: int
    start: Start
    order: np.ndarray
    plans: list[Plan]
    key: str
    directory: epath.Path

    @property
    def done(self) -> epath.Path:
        return self.directory / "done.json"


@dataclass(frozen=True)
class Trainer:
    """What every phase of a study is trained with.

    Attributes:
        finished: phases known to be done, so that they need not be planned to find them: many
            targets start from one intermediate phase.
    """

    config: TrainConfig
    mixture: MixtureConfig
    source: Pretrained
    mesh: Mesh
    directory: epath.Path
    finished: dict[tuple[str, str, str, int], Start] = field(default_factory=dict)

    def start(self) -> Start:
        """The encoder that everything starts from, as it is."""
        return Start(digest(FORMAT, self.source.key, self.source.numerics, jax.default_backend()))

    def home(self, start: Start) -> epath.Path:
        """The folder of what these parameters give rise to."""
        if start.folder is None:
            return self.directory / f"start-{start.key[:12]}"
        return start.folder.parent.parent

    def train(
        self, phase: Phase, starts: Sequence[Start], after: str, seeds: Sequence[int]
    ) -> list[Start]:
        """Trains `phase` for each seed from its start, unless that is done; the best of each.

        Heads, order and dropout follow from the study's seed and the phase's name, not from
        `start`: what is compared with equal seeds differs in nothing else.
        """
        pairs = list(zip(starts, seeds, strict=True))
        names = [(phase.role, phase.name, start.key, seed) for start, seed in pairs]
        if not self.finished.keys() >= set(names):
            members = [self._member(phase, start, seed, after) for start, seed in pairs]
            self._train(phase, members)
            self.finished.update(
                zip(names, [self._finished(phase, m) for m in members], strict=True)
            )
        return [self.finished[name] for name in names]

    def planned(self, phase: Phase, seed: int) -> tuple[np.ndarray, list[Plan]]:
        """([steps] which task each step trains, the batches of each task)."""
        return plan_phase(phase, self.mixture, seed, self._plan_batches)

    def _train(self, phase: Phase, members: Sequence[Member]) -> None:
        """Those that are not done yet."""
        done = hosts.agree([member.done.exists() for member in members])
        todo = [member for member, is_done in zip(members, done, strict=True) if not is_done]
        for group in together(todo, lambda member: member.plans, self.seeds_at_once):
            results = self._fit(phase, group)
            if hosts.is_first():
                for member, progress in zip(group, results, strict=True):
                    self._conclude(phase, member, progress)
                self._states(group).rmtree(missing_ok=True)

    def _conclude(self, phase: Phase, member: Member, progress: Progress) -> None:
        """Writes what a trained phase says of itself, last of all that it is done."""
        names = {"model": self.source.name, "seed": str(member.seed)}
        steps = progress["steps"]
        write_record(member.directory, phase, member.order, member.plans, steps, **names)
        atomic_write_text(member.done, json.dumps(progress, sort_keys=True) + "\n")

    @property
    def seeds_at_once(self) -> int:
        """How many seeds of a phase are at most one program."""
        return self.config.parallel_seeds or sensible_seeds(self.source.config)

    def _member(self, phase: Phase, start: Start, seed: int, after: str) -> Member:
        own_seed = int(digest(seed, phase.name)[:7], 16)
        order, plans = self.planned(phase, own_seed)
        key = self._key(phase, start, order, plans, own_seed)
        name = "-".join(filter(None, [phase.name, after, f"s{seed}", key[:12]]))
        return Member(seed, own_seed, start, order, plans, key, self.directory / name)

    def _finished(self, phase: Phase, member: Member) -> Start:
        step = 0
        if hosts.is_first():
            step = json.loads(member.done.read_text())["best_step"]
            self._states([member]).rmtree(missing_ok=True)
            _keep_bests(member.directory, {step})
        step = hosts.agree(step)
        return Start(member.key, _best(member.directory, step), step, _selected_by(phase))

    def _states(self, group: Sequence[Member]) -> epath.Path:
        """Where the states of what is trained together are kept meanwhile."""
        if len(group) == 1:
            return group[0].directory / "checkpoints"
        return self.directory / f"together-{digest([member.key for member in group])[:12]}"

    def check_budgets(self, parts: Iterable[TaskData]) -> None:
        """Raises a ConfigError, before anything is trained, where `batch_tokens` are too few."""
        for part in parts:
            if part.train is None or not part.recipe.batch_tokens:
                continue
            try:
                check_budget(
                    part.train.features.lengths,
                    part.recipe.batch_tokens,
                    row_multiple=row_multiple() if self.config.packing else 8,
                    rows_multiple=rows_multiple(self.config, self.mesh),
                    group=per_example(part.task),
                )
            except NoRoomError as error:
                raise no_room(part, error) from error

    def _plan_batches(
        self, lengths: np.ndarray, batch_size: int, epochs: float, seed: int, **options: Any
    ) -> Plan:
        return plan_training(
            lengths,
            batch_size,
            epochs,
            seed,
            packing=self.config.packing,
            row_multiple=row_multiple(),
            rows_multiple=rows_multiple(self.config, self.mesh),
            hidden_size=self.source.config.hidden_size,
            **options,
        )

    def _key(
        self, phase: Phase, start: Start, order: np.ndarray, plans: list[Plan], seed: int
    ) -> str:
        """Names all that can change the result but rounding, and the bits of dropout.

        Not the number of devices, so that what was begun on one slice is carried on on another,
        where that plans the same batches (`train.rows_multiple`).
        """
        return digest(
            FORMAT,
            start.key,
            [phase.name, phase.recipe, seed, len(plans) > 1 and self.mixture.shared_heads],
            [_task_key(part) for part in phase.parts],
            [[p.rows, p.length, _hash(p.feature, p.row, p.slot)] for p in plans],
            [_hash(order), self.config.accumulate, self.config.sharding],
            self.config.fold_vocabulary,
            [self.source.numerics, jax.default_backend()],
        )

    def _fit(self, phase: Phase, group: Sequence[Member]) -> list[Progress]:
        """Trains the seeds of `group` as one program."""
        words = self._words(phase)
        each = [
            new_models(
                [part.task for part in phase.parts],
                self.source,
                member.start.folder,
                member.own_seed,
                self.mesh,
                self.config.sharding,
                shared=self.mixture.shared_heads,
                words=words,
            )
            for member in group
        ]
        steps = len(group[0].order)
        optimizer = make_optimizer(phase.recipe, steps)

        def stream(index: int, part: TaskData) -> Stream:
            assert part.train is not None
            name, family = part.task.name, FAMILIES[part.task.family]
            assert family.loss is not None
            plans = tuple(member.plans[index] for member in group)
            plan, features = plans[0], part.train.features
            logging.info(
                "%s: %s, %d steps of %d x %d tokens, fill %.3f",
                group[0].directory.name, name, plan.steps, plan.rows, plan.length,
                plan.fill(features.lengths),
            )  # fmt: skip
            spec = StepSpec(
                each[0].graphdefs[name],
                family.loss,
                optimizer,
                self.config.accumulate,
                head=each[0].heads[name],
            )
            return Stream(name, spec, plans, _in_words(part.train, words).features)

        def run(member: Member, own: Models) -> Run:
            def save_best(params: nnx.State, step: int, needed: set[int]) -> None:
                decay = decayed(phase.recipe, steps, step)
                _save(phase, own, own.unfolded(params, decay), _best(member.directory, step))
                if hosts.is_first():
                    _keep_bests(member.directory, needed | {step})

            return Run(member.directory.name, member.own_seed, save_best, member.directory)

        job = Job(
            runs=tuple(map(run, group, each)),
            streams=tuple(stream(i, part) for i, part in enumerate(phase.parts)),
            order=group[0].order,
            recipe=phase.recipe,
            evaluate=self._evaluator(phase, each[0], words),
            states=self._states(group),
            pad_id=self.source.pad_id,
        )
        params = stack_params([own.params for own in each])
        progress = fit(job, params, self.source.config, self.config, self.mesh)
        for member, its in zip(group, progress, strict=True):
            if hosts.is_first():
                save_tokenizer(self.source.tokenizer, _best(member.directory, its["best_step"]))
        hosts.meet("the best parameters are there")
        return progress

    def _words(self, phase: Phase) -> np.ndarray | None:
        """The word embeddings to train; None for all, which masked language modelling needs."""
        if not self.config.fold_vocabulary or any(p.task.name == MLM for p in phase.parts):
            return None
        datasets = [d for part in phase.parts for d in (part.train, part.dev) if d is not None]
        return occurring_words([d.features for d in datasets], self.source.pad_id)

    def _evaluator(
        self, phase: Phase, phase_models: Models, words: np.ndarray | None
    ) -> Callable[[nnx.State], float]:
        """Parameters to the mean of the tasks' first metrics on English dev."""

        def scorer_of(part: TaskData) -> Callable[[nnx.State], float]:
            assert part.dev is not None
            task, dev = part.task, _in_words(part.dev, words)
            graphdef = phase_models.graphdefs[task.name]
            scorer = Scorer(task, graphdef, self.source, self.mesh, self.config.packing)

            def score(params: nnx.State) -> float:
                mine = task_params(params, phase_models.heads[task.name])
                ((_, _, scores),) = scorer.predictions(mine, [dev])
                assert scores is not None
                return scores[task.metrics[0]]

            return score

        scorers = [scorer_of(part) for part in selecting(phase)]
        return lambda params: statistics.mean(score(params) for score in scorers)


def selecting(phase: Phase) -> list[TaskData]:
    """The tasks whose dev scores select the checkpoint: all but masked language modelling."""
    return [part for part in phase.parts if part.task.name != MLM] or list(phase.parts)


def _selected_by(phase: Phase) -> str:
    parts = selecting(phase)
    metrics = " and ".join(dict.fromkeys(part.task.metrics[0] for part in parts))
    mean = f"mean {metrics} of {len(parts)} tasks" if len(parts) > 1 else metrics
    return f"{mean} on {'' if parts[0].task.name == MLM else 'English '}dev"


def _task_key(part: TaskData) -> list:
    datasets = [part.train, part.dev]
    task = part.task
    identity = [task.family, task.train, task.labels, task.metrics[0]]
    return [identity, part.recipe, [d.key if d else "" for d in datasets]]


def _save(phase: Phase, phase_models: Models, params: nnx.State, folder: epath.Path) -> None:
    """The encoder; with its head where there is one task."""
    task = phase.parts[0].task
    model = model_of(phase_models.graphdefs[task.name], params, phase_models.heads[task.name])
    if len(phase.parts) > 1:
        models.save(model.encoder, folder)
    else:
        models.save(model, folder, labels=task.labels or None)


def _in_words(dataset: Dataset, words: np.ndarray | None) -> Dataset:
    """The data set in indices of the words that are trained."""
    if words is None:
        return dataset
    return replace(dataset, features=renumber(dataset.features, words))


def _hash(*arrays: np.ndarray) -> str:
    together = hashlib.sha256()
    for array in arrays:
        together.update(array.tobytes())
    return together.hexdigest()[:16]


def _keep_bests(directory: epath.Path, steps: set[int]) -> None:
    names = {_best(directory, step).name for step in steps}
    for folder in (directory / "best").iterdir():
        if folder.name not in names:
            folder.rmtree(missing_ok=True)


def _best(directory: epath.Path, step: int) -> epath.Path:
    return directory / "best" / f"step-{step}"
