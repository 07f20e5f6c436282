"""The embedded world as a data source; its files are written when they are first needed."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

from etils import epath

from xt_jax.config import digest
from xt_jax.data.sources.files import FileSource
from xt_jax.mini.official import Sizes
from xt_jax.mini.weights import tokenizer_folder
from xt_jax.mini.write import write_world

TEXT_LINES = 25_000  # of plain text per language, where `mlm` is asked for


def open_mini(
    cache: epath.Path,
    tasks: Collection[str],
    *,
    train_examples: int = 0,
    eval_examples: int = 0,
    translations: Sequence[str] = (),
) -> tuple[FileSource, str]:
    """Opens the embedded world; writes its files for `tasks` to a folder in `cache` if missing.

    Args:
        tasks: names of tasks; only these are written, to save time.
        train_examples, eval_examples: size of a training split and of any other split; 0: the
            default (`Sizes`).
        translations: languages that the English training files are translated into.

    Returns:
        The source, and the folder of the tokenizer of the embedded world.

    Raises:
        ConfigError: this copy of the package has no such tokenizer.
    """
    usual = Sizes()
    sizes = Sizes(
        train=train_examples or usual.train,
        tagged=train_examples or usual.tagged,
        dev=eval_examples or usual.dev,
        tasks=tuple(sorted(tasks)),
        text=TEXT_LINES if "mlm" in tasks else 0,
        translations=tuple(translations),
    )
    folder = cache / f"mini-{digest(dataclasses.asdict(sizes))[:12]}"
    return FileSource(str(write_world(folder, sizes))), str(tokenizer_folder())
