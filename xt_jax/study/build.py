"""Builds a study: reads and checks configuration, weights, data and earlier results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from etils import epath

from xt_jax import hosts
from xt_jax import model as models
from xt_jax.config import Config, of_model, swept_rates
from xt_jax.data.sources import Source, open_source
from xt_jax.data.sources.mini import open_mini
from xt_jax.data.tokenize import fingerprint
from xt_jax.errors import ConfigError
from xt_jax.model.pretrained import open_pretrained
from xt_jax.model.sharding import make_mesh, member_mesh, row_multiple, rows_multiple
from xt_jax.places import check_writable
from xt_jax.records.results import Results
from xt_jax.study.datasets import Files, Reader
from xt_jax.study.layers import check_layers
from xt_jax.study.phases import Trainer
from xt_jax.study.schedule import Planner
from xt_jax.study.task_data import Phase, TaskData, prepare
from xt_jax.tasks.table import DIRECT, NONE, TARGETS, TASKS


@dataclass(frozen=True)
class Study:
    """The data, models and results that all phases of one model share, read and checked.

    Attributes:
        params: number of parameters of the encoder without and with its embeddings.
        labels: the keys of the data sets whose labels this process has written for submissions.
    """

    trainer: Trainer
    intermediates: dict[str, Phase]
    targets: dict[str, TaskData]
    results: Results
    params: tuple[int, int]
    labels: set[str] = field(default_factory=set)

    def observed(self, advance: Callable[[float], None]) -> Study:
        """Returns the study with a function that is called as its phases are trained."""
        return replace(self, trainer=replace(self.trainer, advance=advance))


def build_studies(config: Config, workdir: epath.Path, results: Results) -> dict[str, Study]:
    """Builds the study of each model, by the name that the configuration gives the model.

    Args:
        config: checked by `check`.

    Raises:
        UserError: anything wrong with configuration, weights or data.
    """
    if config.data.cache_dir and hosts.is_first():
        check_writable(config.data.cache_dir, "--config.data.cache_dir")
    files = Files()
    names = config.models or (config.model.name,)
    check_layers(config.retrieval, names)
    with hosts.first_ahead("data are read and tokenised"):
        return {
            name: build_study(of_model(config, name), workdir, files, results) for name in names
        }


def build_study(
    config: Config,
    workdir: epath.Path,
    files: Files | None = None,
    results: Results | None = None,
) -> Study:
    """Reads and checks weights, data and earlier results; trains nothing.

    Args:
        config: checked by `check`.
        files: files read before, which are not read again; files read now are added.
        results: the open results of the workdir; None reads them and keeps new rows in memory.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    cache = epath.Path(config.data.cache_dir or workdir / "cache")
    source, tokenizer = open_data(config, cache)
    pretrained = open_pretrained(config.model, tokenizer)
    mesh = make_mesh(config.train.model_axis)
    planner = Planner(
        config.mixture,
        config.train.packing,
        row_multiple(),
        rows_multiple(config.train, member_mesh(mesh, config.train.member_chips)),
        pretrained.config.hidden_size,
        cache,
    )
    key = fingerprint(pretrained.tokenizer)
    reader = Reader(
        pretrained.tokenizer, key, source, cache, config.allow_missing, files or Files()
    )
    intermediates, targets = prepare(config, reader, pretrained.config.max_length)
    _check_something_to_run(config, set(intermediates), set(targets))
    planner.check_budgets([part for phase in intermediates.values() for part in phase.parts])
    planner.check_budgets(targets.values())
    trainer = Trainer(
        config.train,
        config.mixture.shared_heads,
        pretrained,
        mesh,
        planner,
        workdir / "phases",
        swept_rates(config),
        config.seed,
    )
    return Study(
        trainer,
        intermediates,
        targets,
        results or Results.open(workdir, config.shard, writes=False),
        models.count_params(models.abstract_encoder(pretrained.config)),
    )


def open_data(config: Config, cache: epath.Path) -> tuple[Source, str]:
    """Returns the source of examples and the tokenizer that belongs to it ("" for none).

    Raises:
        ConfigError: an unknown source.
        DataError: the data folder does not exist.
    """
    if config.data.source != "mini":
        return open_source(config.data.source, config.data.dir), ""
    named = [part for name in config.intermediates for part in name.split("+")]
    named += config.targets or TARGETS
    return open_mini(
        cache,
        {task for name in named if name in TASKS for task in (name, *TASKS[name].train)},
        train_examples=config.data.max_train_examples,
        eval_examples=config.data.max_eval_examples,
        translations=[lang for lang in config.data.intermediate_languages if lang != "en"],
    )


def _check_something_to_run(config: Config, intermediates: set[str], targets: set[str]) -> None:
    with_direct = DIRECT in config.intermediates and NONE not in config.targets
    if not (targets or NONE in config.targets) or not (intermediates or with_direct):
        tasks = ", ".join([*config.intermediates, *config.targets])
        raise ConfigError(
            f"Nothing is left to run: there is no data for {tasks}.",
            where="--config.data.dir, --config.languages",
            remedy="see the log above for the missing files; if it names none, no task has any "
            "of the requested languages",
        )
