"""Finds weight files in folders or on the hub, reads them lazily and writes them as streams."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import reprlib
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from etils import epath
from safetensors import SafetensorError, safe_open

from xt_jax.errors import WeightsError
from xt_jax.files import find, is_folder, parse_json, read_text, recognise
from xt_jax.places import as_path

CONFIG = "config.json"
SAFETENSORS, TORCH = "model.safetensors", "pytorch_model.bin"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
_SAFETENSORS_PATTERNS = (CONFIG, SAFETENSORS, f"{SAFETENSORS}.index.json", "model-*.safetensors")
_TORCH_PATTERNS = (TORCH, f"{TORCH}.index.json", "pytorch_model-*.bin")
_FILE_NAME = re.compile(r"[\w.-]{1,200}\.(safetensors|bin)")
_FLOATS = ("F64", "F32", "F16", "BF16", "float64", "float32", "float16", "bfloat16")
_CHUNK = 1 << 24
_SHOWN = 20  # of many names in one error


class Tensor(NamedTuple):
    """A tensor of a file; `read()` loads it into memory, in the file's float type or float32."""

    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], np.ndarray]

    @property
    def is_float(self) -> bool:
        return self.dtype in _FLOATS


def resolve_folder(path_or_hub_id: str | os.PathLike, *, weights: bool = True) -> epath.Path:
    """Returns the folder at that path, or a snapshot of the hub repository of that name.

    Only config.json and the weights are fetched; the `.bin` file only where there are no
    safetensors.

    Args:
        weights: False fetches config.json alone.

    Raises:
        WeightsError: neither a folder nor a repository that can be reached.
    """
    folder = as_path(path_or_hub_id)
    if is_folder(folder):
        return folder
    if not _HUB_ID.fullmatch(os.fspath(path_or_hub_id)):
        raise WeightsError(
            "there is no such folder",
            where=folder,
            remedy="give a folder with config.json and model.safetensors, or a hub id owner/name",
        )
    return _snapshot(os.fspath(path_or_hub_id), weights)


def read_json(path: epath.Path) -> dict[str, Any]:
    """Reads a file that holds a JSON object.

    Raises:
        WeightsError: no such file, or not a JSON object.
        DataError: not JSON; names the line.
    """
    if not path.exists():
        raise WeightsError(f"there is no {path.name}", where=path.parent, remedy=_FOLDER_REMEDY)
    values = parse_json(read_text(path), path)
    if not isinstance(values, dict):
        raise WeightsError("must hold a JSON object", where=path, remedy="fetch it again")
    return values


def listed(names: Sequence[str], separator: str = ", ") -> str:
    """Joins names for an error; of very many, the first and the number of the others."""
    more = len(names) - _SHOWN
    shown = [*names[:_SHOWN], f"and {more} more"] if more > 0 else names
    return separator.join(shown)


def weight_files(folder: epath.Path) -> list[epath.Path]:
    """Returns the files that hold the weights: safetensors, whole or sharded, else torch's.

    Raises:
        WeightsError: none there, or an index that names a file which is not there.
    """
    for name in (SAFETENSORS, TORCH):
        if (folder / name).exists():
            return [folder / name]
        index = folder / f"{name}.index.json"
        if index.exists():
            return _shards(index)
    raise WeightsError(
        f"there is neither {SAFETENSORS} nor {SAFETENSORS}.index.json nor {TORCH}",
        where=folder,
        remedy=_FOLDER_REMEDY,
    )


@contextlib.contextmanager
def open_weights(folder: epath.Path) -> Iterator[dict[str, Tensor]]:
    """Yields all tensors of a folder by their names in the files; each is read by `read()` only.

    Raises:
        WeightsError: a file that cannot be read, or two files with the same tensor.
    """
    tensors: dict[str, Tensor] = {}
    with contextlib.ExitStack() as stack:
        for file in weight_files(folder):
            local = _local_copy(file, stack)
            opened = _open_torch(local) if file.suffix == ".bin" else _open_safe(local, stack)
            repeated = sorted(set(opened) & set(tensors))
            if repeated:
                problem = f"also in another shard: {listed(repeated)}"
                raise WeightsError(problem, where=file, remedy="fetch all shards again")
            tensors.update(opened)
        yield tensors


def write_safetensors(
    path: epath.Path,
    shapes: dict[str, tuple[int, ...]],
    tensors: Iterable[tuple[str, np.ndarray]],
    dtype: str = "float32",
) -> None:
    """Writes float tensors one after the other, with one in memory at a time.

    Format: length of the header (8 bytes, little endian), header in JSON padded to 8 bytes, data.
    See https://huggingface.co/docs/safetensors.

    Args:
        path: the file.
        shapes: shape by name, in the order of `tensors`.
        tensors: (name, array), in that order.
        dtype: of the file, float32 or float16 (numbers are rounded).

    Raises:
        WeightsError: a number that float16 cannot hold.
    """
    size, code = {"float32": (4, "F32"), "float16": (2, "F16")}[dtype]
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + size * int(np.prod(shape))
        header[name] = {"dtype": code, "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for (name, shape), (given, array) in zip(shapes.items(), tensors, strict=True):
            if (given, array.shape) != (name, shape):
                raise ValueError(f"expected {name} {shape}, got {given} {array.shape}")
            with np.errstate(over="ignore"):
                stored = np.ascontiguousarray(array, f"<f{size}")
            if dtype == "float16" and not np.isfinite(stored).all():
                raise WeightsError(
                    f"{name} holds numbers that float16 cannot", where=path, remedy="use float32"
                )
            file.write(stored.data)


@contextlib.contextmanager
def replace_folder(folder: epath.Path) -> Iterator[epath.Path]:
    """Yields a temporary folder, which replaces `folder` if the block ends without an error.

    A folder of that name is moved aside first and removed last, so after a kill there is always
    a complete one: the old, the new, or the old as `.NAME.old`, which the next call moves back.
    """
    temporary, old = (folder.parent / f".{folder.name}.{end}" for end in ("tmp", "old"))
    if old.exists() and not folder.exists():
        old.rename(folder)
    for leftover in (temporary, old):
        if leftover.exists():
            leftover.rmtree()
    temporary.mkdir(parents=True)
    yield temporary
    if folder.exists():
        folder.rename(old)
    temporary.rename(folder)
    if old.exists():
        old.rmtree()


def weights_fingerprint(path_or_hub_id: str | os.PathLike) -> str:
    """Returns a sha256 digest of the names and contents of config.json and the weight files."""
    folder = resolve_folder(path_or_hub_id)
    digest = hashlib.sha256()
    for file in [folder / CONFIG, *weight_files(folder)]:
        if not file.exists():
            raise WeightsError(f"there is no {file.name}", where=folder, remedy=_FOLDER_REMEDY)
        content = hashlib.sha256()
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                content.update(chunk)
        digest.update(f"{file.name}\0{content.hexdigest()}\n".encode())
    return digest.hexdigest()


PUBLISHED_CONFIG = f"use the {CONFIG} that was published with the weights"
_FOLDER_REMEDY = f"give a folder that holds {CONFIG} and {SAFETENSORS} (or its shards and index)"


def _shards(index: epath.Path) -> list[epath.Path]:
    weight_map = read_json(index).get("weight_map")
    names = list(weight_map.values()) if isinstance(weight_map, dict) else []
    odd = [name for name in names if not (isinstance(name, str) and _FILE_NAME.fullmatch(name))]
    if odd or not names:
        problem = f"the file {reprlib.repr(odd[0])}" if odd else "no files"
        raise WeightsError(f"weight_map names {problem}", where=index, remedy="fetch it again")
    files = [index.parent / name for name in sorted(set(names))]
    absent = [file.name for file in files if not file.exists()]
    if absent:
        raise WeightsError(
            f"names files that are not there: {listed(absent)}",
            where=index,
            remedy="download the missing shards",
        )
    return files


def _snapshot(hub_id: str, weights: bool) -> epath.Path:
    import huggingface_hub

    def fetch(patterns: tuple[str, ...]) -> epath.Path:
        return epath.Path(huggingface_hub.snapshot_download(hub_id, allow_patterns=list(patterns)))

    try:
        folder = fetch(_SAFETENSORS_PATTERNS if weights else (CONFIG,))
        if weights and not find(folder, "model*.safetensors"):
            folder = fetch(_TORCH_PATTERNS)
    except Exception as error:  # the types depend on the hub client's version and its HTTP library
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise WeightsError(
            f"not a local folder, and the Hugging Face hub did not provide it: {reason}",
            where=hub_id,
            remedy="check the name and the network; without a network, pass a local folder with "
            f"{CONFIG} and {SAFETENSORS} in place of the hub id",
        ) from error
    return folder


def _local_copy(file: epath.Path, stack: contextlib.ExitStack) -> str:
    """Returns the file's path if it can be mapped into memory, else that of a temporary copy."""
    if os.path.exists(os.fspath(file)):
        return os.fspath(file)
    local = os.path.join(stack.enter_context(tempfile.TemporaryDirectory()), file.name)
    with file.open("rb") as source, open(local, "wb") as target:
        shutil.copyfileobj(source, target, _CHUNK)
    return local


def _open_safe(path: str, stack: contextlib.ExitStack) -> dict[str, Tensor]:
    start = _start(path)
    try:
        file = stack.enter_context(safe_open(path, "np"))
    except (SafetensorError, OSError) as error:
        other = recognise(start)
        if start.startswith((b"PK", b"\x80")):
            other = f"a file of torch.save, which belongs in {TORCH}"
        raise WeightsError(
            f"not safetensors but {other}" if other else f"not readable as safetensors: {error}",
            where=path,
            remedy="download it again",
        ) from error

    def tensor(name: str) -> Tensor:
        part = file.get_slice(name)
        return Tensor(
            tuple(part.get_shape()),
            part.get_dtype(),
            lambda: file.get_tensor(name),
        )

    return {name: tensor(name) for name in file.keys()}  # noqa: SIM118


def _open_torch(path: str) -> dict[str, Tensor]:
    start = _start(path)
    other = recognise(start)
    if start[5:9] == b"\0\0\0{":
        other = f"a safetensors file, which belongs in {SAFETENSORS}"
    if other:
        raise WeightsError(
            f"not a file of torch.save but {other}", where=path, remedy="download it again"
        )
    try:
        import torch
    except ImportError as error:
        raise WeightsError(
            "a .bin file can only be read with torch, which is not installed",
            where=path,
            remedy="install torch, or convert the folder to safetensors elsewhere",
        ) from error
    try:
        # Before torch 1.6 files were no zip archives, and these cannot be mapped into memory.
        mapped = zipfile.is_zipfile(path)
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # torch raises a dozen types, all of them mean the same here
        pickled = re.search(r"GLOBAL (\S+)", str(error))
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise WeightsError(
            f"holds a pickled {pickled[1]} and not only tensors by their names"
            if pickled
            else f"torch cannot read it: {reason}",
            where=path,
            remedy=_TORCH_REMEDY,
        ) from error
    odd = _not_tensors(state, torch.Tensor)
    if odd:
        raise WeightsError(f"{odd}, not tensors by their names", where=path, remedy=_TORCH_REMEDY)

    def tensor(value: Any) -> Tensor:
        dtype = str(value.dtype).removeprefix("torch.")
        if value.layout != torch.strided or value.is_meta:
            dtype = f"{value.device} {value.layout} {dtype}"  # has no numbers in a row to read
        return Tensor(tuple(value.shape), dtype, lambda: value.detach().to(torch.float32).numpy())

    return {name: tensor(value) for name, value in state.items()}


_TORCH_REMEDY = f"save the model's state_dict() as {TORCH}: torch.save(model.state_dict(), FILE)"


def _not_tensors(state: Any, tensor: type) -> str:
    """Says what a torch file holds in place of tensors by name; "" if it holds those."""
    if not isinstance(state, dict):
        return f"holds a {type(state).__name__}"
    inner = [name for name, value in state.items() if isinstance(value, dict) and value]
    weights = [name for name in inner if not _not_tensors(state[name], tensor)]
    if weights:
        return f"a checkpoint of training, with the weights in its part {weights[0]!r}"
    odd = [n for n, v in state.items() if not (isinstance(n, str) and isinstance(v, tensor))]
    if odd:
        return f"under {reprlib.repr(odd[0])} holds a {type(state[odd[0]]).__name__}"
    return "" if state else "holds an empty dict"


def _start(path: str) -> bytes:
    """Reads the first bytes of a file.

    Raises:
        WeightsError: the file cannot be opened.
    """
    try:
        with open(path, "rb") as file:
            return file.read(512)
    except OSError as error:
        raise WeightsError(
            f"the file cannot be opened ({error.strerror})", where=path, remedy=_FOLDER_REMEDY
        ) from error
