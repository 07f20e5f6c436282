"""Stores embeddings in one array on disk, which is appended to and then mapped into memory.

A folder holds `embeddings.npy` ([N, D]: 4 N D bytes in float32, half of that in float16; 40 GB and
20 GB for ten million sentences of XLM-R large) and `progress.json`: what the numbers depend on, and
how many rows are done. Further rows come from a stopped run and are written again. Works on local
disks only.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xt_jax.errors import DataError
from xt_jax.files import atomic_write_text, parse_json, read_text

ARRAY, PROGRESS = "embeddings.npy", "progress.json"
_REMEDY = "remove the folder, or name another one"


def embed_to_disk(
    texts: Sequence[str],
    embed: Callable[[Sequence[str]], Iterator[np.ndarray]],
    folder: Path,
    *,
    dim: int,
    dtype: str,
    key: dict[str, Any],
) -> np.ndarray:
    """Returns the embeddings of `texts` [N, D], computing those that `folder` lacks.

    Args:
        embed: gives the embeddings of the texts in order, some rows [n, D] at a time.
        dim: D.
        dtype: float32 or float16.
        key: everything that the numbers depend on; a folder made with another key is an error.

    Raises:
        DataError: the folder holds embeddings of other texts or of another encoder, or a number is
            not finite in `dtype`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    key = {**key, "sentences": len(texts), "dim": dim, "dtype": dtype}
    header, row_bytes = _header((len(texts), dim), dtype), dim * np.dtype(dtype).itemsize
    done = _rows_done(folder, key)
    if done and not _begins_with(folder / ARRAY, header, done * row_bytes):
        done = 0  # the array was damaged
    if done < len(texts):
        with (folder / ARRAY).open("r+b" if done else "wb") as file:
            file.write(header)
            file.truncate(len(header) + done * row_bytes)
            file.seek(0, os.SEEK_END)
            for rows in embed(texts[done:]):
                file.write(_finite(rows, dtype, texts, done).tobytes())
                file.flush()
                os.fsync(file.fileno())  # rows are on the disk before they count as done
                done += len(rows)
                atomic_write_text(folder / PROGRESS, json.dumps({**key, "done": done}) + "\n")
    if done != len(texts):
        raise ValueError(f"expected {len(texts)} embeddings, got {done}")
    return np.load(folder / ARRAY, mmap_mode="r")


def _header(shape: tuple[int, int], dtype: str) -> bytes:
    """Returns the header of a `.npy` file with an array of that shape."""
    buffer = io.BytesIO()
    about = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, about)
    return buffer.getvalue()


def _rows_done(folder: Path, key: dict[str, Any]) -> int:
    """Returns how many rows are recorded as done in the folder; 0 where there is nothing yet."""
    if not (folder / PROGRESS).exists() or not (folder / ARRAY).exists():
        return 0
    path = folder / PROGRESS
    recorded = parse_json(read_text(path), path, remedy=_REMEDY)
    done = recorded.pop("done", None) if isinstance(recorded, dict) else None
    if type(done) is not int:
        raise DataError("the file does not say how much is done", where=path, remedy=_REMEDY)
    if recorded != key:
        differing = [name for name in key if recorded.get(name) != key[name]]
        raise DataError(
            f"The folder holds embeddings made with another {', '.join(differing) or 'program'}.",
            where=folder,
            remedy=_REMEDY,
        )
    if not 0 <= done <= key["sentences"]:
        problem = f"{done} of {key['sentences']} embeddings cannot be done"
        raise DataError(problem, where=path, remedy=_REMEDY)
    return done


def _begins_with(array: Path, header: bytes, size: int) -> bool:
    """Whether a file has this header and at least `size` bytes after it."""
    with array.open("rb") as file:
        return file.read(len(header)) == header and array.stat().st_size >= len(header) + size


def _finite(rows: np.ndarray, dtype: str, texts: Sequence[str], first: int) -> np.ndarray:
    """Converts `rows`, of the texts from `first` on, to `dtype` and checks that they are finite."""
    with np.errstate(over="ignore"):
        rows = rows.astype(dtype)
    wrong = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(wrong):
        raise DataError(
            f"The embedding of {texts[first + int(wrong[0])][:80]!r} holds NaN or infinity, and so "
            f"do {len(wrong) - 1} others of the {len(rows)} embeddings in its chunk.",
            where="the encoder",
            remedy="use a model with sound weights"
            + (", or float32" if dtype == "float16" else ""),
        )
    return rows
