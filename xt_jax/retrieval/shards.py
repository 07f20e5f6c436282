"""Embeddings on disk: a folder of `.npy` files of equal length, made once and read as one array.

`000000.npy`, `000001.npy`, ... hold N rows of D numbers together: 4 N D bytes in float32, half of
that in float16 (40 GB and 20 GB for ten million sentences of XLM-R large). Local disks only: the
files are mapped into memory.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xt_jax.errors import DataError
from xt_jax.files import atomic_write_text

_ABOUT = "about.json"


@dataclass(frozen=True)
class Shards:
    """[N, D] rows over several memory-mapped arrays, all but the last of equal length."""

    arrays: tuple[np.ndarray, ...]

    @property
    def shape(self) -> tuple[int, int]:
        return sum(map(len, self.arrays)), self.arrays[0].shape[1]

    @property
    def dtype(self) -> np.dtype:
        return self.arrays[0].dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        """A copy of the rows of a slice with step 1, or of a list of rows."""
        size = len(self.arrays[0])
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            assert step == 1
            parts = range(start // size, -(-stop // size))
            pieces = [self.arrays[i][max(0, start - i * size) : stop - i * size] for i in parts]
            return np.concatenate([self.arrays[0][:0], *pieces])
        found = np.empty((len(rows), self.shape[1]), self.dtype)
        which = np.asarray(rows) // size
        for i in np.unique(which):
            here = which == i
            found[here] = self.arrays[i][np.asarray(rows)[here] - i * size]
        return found


def embed_to_disk(
    texts: Sequence[str],
    embed: Callable[[Sequence[str]], Iterator[np.ndarray]],
    folder: Path,
    *,
    shard: int,
    dtype: str,
    key: dict[str, Any],
) -> Shards:
    """The embeddings of `texts`, those that `folder` does not hold yet computed now.

    Args:
        embed: gives [shard, D] of the texts at a time, the last one shorter.
        shard: rows of a file.
        dtype: float32 or float16.
        key: all that decides the numbers; a folder made with another one is not touched.

    Raises:
        DataError: the folder holds embeddings of other texts or of another encoder, or a number is
            not finite in `dtype`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, {**key, "sentences": len(texts), "shard": shard, "dtype": dtype})
    for unfinished in folder.glob("*.tmp"):
        unfinished.unlink()
    paths = [folder / f"{i:06d}.npy" for i in range(-(-len(texts) // shard))]
    done = next((i for i, path in enumerate(paths) if not path.exists()), len(paths))
    left = range(done, len(paths))
    for i, rows in zip(left, embed(texts[done * shard :]), strict=True):
        rows = _finite(rows, dtype, texts, i * shard)
        temporary = paths[i].with_suffix(f".{os.getpid()}.tmp")
        with temporary.open("wb") as file:
            np.save(file, rows)
        temporary.replace(paths[i])
    return Shards(tuple(np.load(path, mmap_mode="r") for path in paths))


def _finite(rows: np.ndarray, dtype: str, texts: Sequence[str], first: int) -> np.ndarray:
    with np.errstate(over="ignore"):
        rows = rows.astype(dtype)
    wrong = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(wrong):
        raise DataError(
            f"The embedding of {texts[first + int(wrong[0])][:80]!r} holds NaN or infinity, and so "
            f"do {len(wrong) - 1} of the {len(rows)} embeddings made with it.",
            where="the encoder",
            remedy="use a model with sound weights"
            + (", or float32" if dtype == "float16" else ""),
        )
    return rows


def _claim(folder: Path, about: dict[str, Any]) -> None:
    path = folder / _ABOUT
    if not path.exists():
        atomic_write_text(path, json.dumps(about, indent=2) + "\n")
        return
    held = json.loads(path.read_text())
    if held != about:
        differing = [name for name in about if held.get(name) != about[name]]
        raise DataError(
            f"The folder holds embeddings made with another {', '.join(differing) or 'program'}.",
            where=folder,
            remedy="remove it, or name another folder",
        )
