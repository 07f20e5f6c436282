"""Writes the embedded world to a folder that `--config.data.dir` and `check_data` read.

python -m xt_jax.mini --output=WORLD --text=25000 --translations=de,ru
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Sequence

from xt_jax import command
from xt_jax.errors import ConfigError
from xt_jax.mini.languages import LANGUAGES
from xt_jax.mini.official import WRITTEN, Sizes
from xt_jax.mini.write import write_world

_HELP = {
    "train": "English training examples of a task",
    "tagged": "English training sentences of a tagging task",
    "dev": "examples in every other split of every language",
    "parallel": "Tatoeba's pairs per language",
    "pairs": "BUCC's translated sentences",
    "alone": "BUCC's sentences without a translation, on each side",
    "text": "lines of plain text per language",
    "translations": "languages of the English training files besides English, for example de,ru",
    "tasks": "tasks to write, for example mnli,xnli; all by default",
}


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command: writes the world to `--output`."""
    parser = argparse.ArgumentParser(
        prog="python -m xt_jax.mini", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--output", required=True, help="the folder to write; an equal one is kept")
    parser.add_argument("--seed", type=int, default=0, help="seed of the world")
    for field in dataclasses.fields(Sizes):
        kind = _names if field.default == () else int
        parser.add_argument(
            f"--{field.name}", type=kind, default=field.default, help=_HELP[field.name]
        )
    options = vars(command.parsed(parser, argv))
    output, seed = options.pop("output"), options.pop("seed")
    start = time.monotonic()
    _check(options["translations"], tuple(LANGUAGES), "--translations")
    _check(options["tasks"], WRITTEN, "--tasks")
    root = write_world(output, Sizes(**options), seed)
    print(f"{root}: ready after {time.monotonic() - start:.1f} s")


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))


def _check(names: Sequence[str], known: Sequence[str], where: str) -> None:
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(
            f"The mini world has no {', '.join(unknown)}.",
            where=where,
            remedy=f"use one or more of {','.join(known)}",
        )


if __name__ == "__main__":
    command.run(main)
