"""Stores embeddings in one array on disk, which is appended to and then mapped into memory.

A folder holds `embeddings.npy` ([N, D]: 4 N D bytes in float32, half of that in float16; 40 GB and
20 GB for ten million sentences of XLM-R large) and `progress.json`: what the numbers depend on,
how many rows are done, and the checksum of their bytes. Further rows come from a stopped run and
are written again, as all are where the checksum differs. Works on local disks only.
"""

from __future__ import annotations

import io
import json
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xt_jax.errors import DataError
from xt_jax.files import atomic_write_text, parse_json, read_text

ARRAY, PROGRESS = "embeddings.npy", "progress.json"
_REMEDY = "remove the folder, or name another one"
_BLOCK = 1 << 24  # bytes read at a time


def embed_to_disk(
    texts: Sequence[str],
    embed: Callable[[Sequence[str]], Iterator[np.ndarray]],
    folder: Path,
    *,
    dim: int,
    dtype: str,
    key: dict[str, Any],
    renew: bool = False,
) -> np.ndarray:
    """Returns the embeddings of `texts` [N, D], computing those that `folder` lacks.

    Args:
        embed: gives the embeddings of the texts in order, some rows [n, D] at a time.
        dim: D.
        dtype: float32 or float16.
        key: everything that the numbers depend on.
        renew: replace embeddings made with another key; otherwise they are an error.

    Raises:
        DataError: the folder holds embeddings of other texts or of another encoder, or a number is
            not finite in `dtype`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    key = {**key, "sentences": len(texts), "dim": dim, "dtype": dtype}
    header, row_bytes = _header((len(texts), dim), dtype), dim * np.dtype(dtype).itemsize
    done, checksum = _recorded(folder, key, renew)
    if checksum != _checksum(folder / ARRAY, header, done * row_bytes):
        done, checksum = 0, 0  # the array was damaged
    if done < len(texts):
        with (folder / ARRAY).open("r+b" if done else "wb") as file:
            file.write(header)
            file.truncate(len(header) + done * row_bytes)
            file.seek(0, os.SEEK_END)
            for rows in embed(texts[done:]):
                data = _finite(rows, dtype, texts, done).tobytes()
                file.write(data)
                file.flush()
                os.fsync(file.fileno())  # rows are on the disk before they count as done
                done, checksum = done + len(rows), zlib.crc32(data, checksum)
                progress = {**key, "done": done, "crc32": checksum}
                atomic_write_text(folder / PROGRESS, json.dumps(progress) + "\n")
    if done != len(texts):
        raise ValueError(f"expected {len(texts)} embeddings, got {done}")
    return np.load(folder / ARRAY, mmap_mode="r")


def _header(shape: tuple[int, int], dtype: str) -> bytes:
    """Returns the header of a `.npy` file with an array of that shape."""
    buffer = io.BytesIO()
    about = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, about)
    return buffer.getvalue()


def _recorded(folder: Path, key: dict[str, Any], renew: bool) -> tuple[int, int]:
    """Returns how many rows are done by the folder's record, and the checksum of their bytes."""
    path = folder / PROGRESS
    if not path.exists() or not (folder / ARRAY).exists():
        return 0, 0
    recorded = parse_json(read_text(path), path, remedy=_REMEDY)
    values = recorded if isinstance(recorded, dict) else {}
    done, checksum = values.pop("done", None), values.pop("crc32", None)
    if type(done) is not int or type(checksum) is not int:
        raise DataError("the file does not say how much is done", where=path, remedy=_REMEDY)
    if recorded != key:
        if renew:
            return 0, 0
        differing = [name for name in key if recorded.get(name) != key[name]]
        raise DataError(
            f"The folder holds embeddings made with another {', '.join(differing) or 'program'}.",
            where=folder,
            remedy=_REMEDY,
        )
    if not 0 <= done <= key["sentences"]:
        problem = f"{done} of {key['sentences']} embeddings cannot be done"
        raise DataError(problem, where=path, remedy=_REMEDY)
    return done, checksum


def _checksum(array: Path, header: bytes, size: int) -> int | None:
    """Returns the CRC-32 of the `size` bytes after the header; None if the file lacks either."""
    checksum = 0
    if size == 0:
        return checksum
    with array.open("rb") as file:
        if file.read(len(header)) != header:
            return None
        while size and (data := file.read(min(size, _BLOCK))):
            size, checksum = size - len(data), zlib.crc32(data, checksum)
    return None if size else checksum


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
