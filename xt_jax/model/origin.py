"""Records which pretraining run a folder's encoder comes from, in a file beside its weights."""

from __future__ import annotations

import json
from typing import NamedTuple

from etils import epath

from xt_jax.errors import DataError
from xt_jax.files import atomic_write_text, parse_json, read_text
from xt_jax.places import as_path

FILE = "pretraining.json"


class Origin(NamedTuple):
    """The pretraining run of an encoder.

    Attributes:
        name: the encoder's name in tables.
        family: of encoders that differ in size alone.
        run: the pretraining run, which checkpoints along it share.
        steps: the updates made in it; 0 where that is not known.
    """

    name: str
    family: str
    run: str
    steps: int = 0


def write(folder: epath.Path, origin: Origin) -> None:
    """Writes the record into the folder of an encoder's weights."""
    atomic_write_text(folder / FILE, json.dumps(origin._asdict()) + "\n")


def read(folder: epath.PathLike) -> Origin | None:
    """Reads the record; returns None where there is none, as in folders of other programs.

    Raises:
        DataError: a damaged record.
    """
    path = as_path(folder) / FILE
    if not path.exists():
        return None
    fields = parse_json(read_text(path), path)
    try:
        origin = Origin(**fields)
    except TypeError:
        origin = None
    if origin is None or [type(value) for value in origin] != [str, str, str, int]:
        raise DataError(
            f"the record of a pretraining run has other fields than {', '.join(Origin._fields)}",
            where=path,
            remedy="delete the file: the encoder then counts as a run of its own",
        )
    return origin


def family_of(name: str) -> str:
    """Returns the family of an encoder without preset and record: its name without owner and size.

    `EuroBERT` for `EuroBERT/EuroBERT-210m`.
    """
    return name.rstrip("/").rsplit("/", 1)[-1].rsplit("-", 1)[0]
