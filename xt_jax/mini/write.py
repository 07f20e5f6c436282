"""Writes the world to a folder: atomically, and only if the folder does not hold it already."""

from __future__ import annotations

import dataclasses
import json

from etils import epath

from xt_jax.errors import DataError
from xt_jax.files import atomic_write_text, temporary_path
from xt_jax.mini.languages import LANGUAGES
from xt_jax.mini.official import Sizes, write_files

FORMAT = 4  # increased whenever the same seed and sizes give other bytes
FINGERPRINT = "WORLD.json"


def write_world(directory: epath.PathLike, sizes: Sizes | None = None, seed: int = 0) -> epath.Path:
    """Writes the world's task data to a folder, all or nothing, unless it is already there.

    A world of another seed or size in the same place is replaced. The same seed and sizes give
    the same bytes.

    Raises:
        DataError: the directory holds something that is not a world.
    """
    sizes = sizes or Sizes()
    made = {"format": FORMAT, "seed": seed, **dataclasses.asdict(sizes)}
    fingerprint = json.dumps({**made, "languages": list(LANGUAGES)}, indent=1) + "\n"
    target = epath.Path(directory)
    if _is_made(target, fingerprint):
        return target
    temporary = temporary_path(target)
    try:
        write_files(temporary, sizes, seed)
        atomic_write_text(temporary / FINGERPRINT, fingerprint)
        if not _is_made(target, fingerprint):
            if target.exists():
                target.rmtree()
            temporary.rename(target)
    finally:
        if temporary.exists():
            temporary.rmtree()
    return target


def _is_made(target: epath.Path, fingerprint: str) -> bool:
    mark = target / FINGERPRINT
    if mark.exists():
        return mark.read_bytes() == fingerprint.encode()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise DataError(
            "There is a file or folder that xt_jax.mini did not write.",
            where=target,
            remedy="give the name of a new folder",
        )
    return False
