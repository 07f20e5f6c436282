"""Stores per-example scores of test sets: one array file for each run and set of examples.

The files are in a folder beside `results.jsonl`, whose rows name them by `run` and `data`.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from etils import epath

from xt_jax.errors import DataError
from xt_jax.files import atomic_write_bytes


def write(folder: epath.Path, run: str, data: str, array: np.ndarray) -> None:
    """Writes the result of a family's `example_scores`: counts as integers, else as float32."""
    buffer = io.BytesIO()
    np.save(buffer, array.astype(_dtype(array)), allow_pickle=False)
    atomic_write_bytes(path_of(folder, run, data), buffer.getvalue())


def exists(folder: epath.Path, run: str, data: str) -> bool:
    return path_of(folder, run, data).exists()


def read(folder: epath.Path, run: str, data: str) -> np.ndarray | None:
    """Reads the per-example scores [n, 2]; returns None if there is no file.

    Raises:
        DataError: the file is damaged.
    """
    path = path_of(folder, run, data)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
        fault = _fault(array)
    except Exception as error:  # numpy raises many types
        fault = f"{error}" or type(error).__name__
    if fault:
        raise DataError(
            f"The per-example scores cannot be read ({fault}).",
            where=path,
            remedy="delete the file and run the study again: it scores what is missing",
        )
    return array


def _fault(array: Any) -> str:
    if not isinstance(array, np.ndarray) or array.ndim != 2 or array.shape[1] != 2:
        return "they are no pairs of numbers"
    if array.dtype.kind not in "iuf" or not (np.isfinite(array) & (array >= 0)).all():
        return "they are no finite numbers from 0"
    return ""


def path_of(folder: epath.Path, run: str, data: str) -> epath.Path:
    """Returns the file, whether there is one or not."""
    return folder / "example_scores" / f"{run}-{data}.npy"


def _dtype(array: np.ndarray) -> np.dtype:
    """Returns the smallest integer type that holds the counts, or float32 for fractions."""
    if (array != np.floor(array)).any() or (array < 0).any():
        return np.dtype(np.float32)
    return np.min_scalar_type(int(array.max(initial=0)))
