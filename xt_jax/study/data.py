"""Where a study's examples come from; the embedded world is written where it is asked for."""

from __future__ import annotations

import dataclasses

from etils import epath

from xt_jax import mini
from xt_jax.config import Config, digest
from xt_jax.data import sources
from xt_jax.data.sources import Source
from xt_jax.mini.tokenizer import tokenizer_folder
from xt_jax.study.prepare import MLM
from xt_jax.tasks.table import TARGETS, TASKS

SOURCES = (*sources.SOURCES, "mini")
MINI_TEXT = 25_000  # lines per language, where there is masked language modelling


def open_data(config: Config, cache: epath.Path) -> tuple[Source, str]:
    """(source, the tokenizer that belongs to it or "").

    Raises:
        ConfigError: no such source, or languages that the embedded world does not have.
        DataError: a folder that is not there.
    """
    if config.data.source != "mini":
        return sources.open_source(config.data.source, config.data.dir), ""
    sizes = _sizes(config)
    folder = cache / f"mini-{digest(dataclasses.asdict(sizes))[:12]}"
    root = mini.write_world(folder, sizes)
    return sources.open_source("files", str(root)), str(tokenizer_folder())


def _sizes(config: Config) -> mini.Sizes:
    """The world's tasks that are asked for, as large as is asked, so that nobody waits for more."""
    named = [part for name in config.intermediates for part in name.split("+")]
    named += config.targets or TARGETS
    tasks = {task for name in named if name in TASKS for task in (name, *TASKS[name].train)}
    usual = mini.Sizes()
    return mini.Sizes(
        train=config.data.max_train_examples or usual.train,
        tagged=config.data.max_train_examples or usual.tagged,
        dev=config.data.max_eval_examples or usual.dev,
        tasks=tuple(sorted(tasks)),
        text=MINI_TEXT if MLM in tasks else 0,
        translations=tuple(lang for lang in config.data.intermediate_languages if lang != "en"),
    )
