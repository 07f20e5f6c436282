"""Reads, writes and appends to files through `etils.epath`, so that `gs://` works."""

from __future__ import annotations

import contextlib
import fnmatch
import itertools
import json
import os
import re
import socket
import uuid
from typing import Any

from etils import epath

from xt_jax.errors import DataError
from xt_jax.places import as_path, is_device, is_local, naming_unusable_places

_AGAIN = "the file is cut off or was edited; fetch it again"


def read_text(path: epath.PathLike) -> str:
    """Reads the UTF-8 text of a file, without a byte-order mark; line ends stay as they are.

    Raises:
        DataError: the file cannot be opened, is empty, or is not UTF-8 (with the line).
    """
    try:
        data = epath.Path(path).read_bytes()
    except OSError as error:
        raise DataError(
            f"the file cannot be opened ({error.strerror or type(error).__name__})",
            where=path,
            remedy="check the path and the name of the split and language",
        ) from error
    if not data:
        raise DataError("the file is empty", where=path, remedy="fetch or prepare it again")
    return decode(data, path).removeprefix("\ufeff")


def decode(data: bytes, path: epath.PathLike, line: int = 1) -> str:
    """Decodes the UTF-8 text that begins on `line` of a file.

    Raises:
        DataError: it is not UTF-8; names the line.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line += data.count(b"\n", 0, error.start)
        raise DataError(
            f"byte 0x{data[error.start]:02x} is not UTF-8 ({error.reason})",
            where=f"{path}:{line}",
            remedy="convert the file to UTF-8 or fetch it again",
        ) from error


def read_lines(path: epath.PathLike) -> list[str]:
    r"""Reads the lines of a UTF-8 file, split at "\n" only, without one trailing "\r" each.

    U+2028, U+0085 and the like occur inside sentences and do not end a line.
    """
    lines = read_text(path).removesuffix("\n").split("\n")
    return [line.removesuffix("\r") for line in lines]


def parse_json(text: str, path: epath.PathLike, line: int = 1, *, remedy: str = _AGAIN) -> Any:
    """Parses JSON that begins on `line` of a file.

    Raises:
        DataError: with line and column, of what is not JSON, of half a surrogate pair (which no
            UTF-8 file can hold), of nesting too deep, or of an integer too long to be read.
    """
    at = 0
    try:
        value = json.loads(text)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except json.JSONDecodeError as error:
        other = recognise(text.encode(errors="replace")) if text else ""
        problem, at = f"it is {other}" if other else f"broken JSON: {error.msg}", error.pos
    except UnicodeEncodeError:
        problem = "half of a surrogate pair stands alone, which is no character"
        at = next((half.start() for half in _HALF_PAIR.finditer(text)), 0)
    except RecursionError:
        problem = "the JSON is nested too deep to be read"
    except ValueError:  # Python reads no integer of more than 4,300 digits
        problem = "an integer has thousands of digits"
        at = next((digits.start() for digits in re.finditer(r"\d{4300,}", text)), 0)
    raise DataError(
        problem,
        where=f"{path}:{line + text.count(_LF, 0, at)}:{at - text.rfind(_LF, 0, at)}",
        remedy=remedy,
    )


_LF = "\n"
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_HIGH, _LOW = r"\\u[dD][89abAB][0-9a-fA-F]{2}", r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_HALF_PAIR = re.compile(rf"{_HIGH}(?!{_LOW})|(?<!{_HIGH}){_LOW}")


def recognise(data: bytes) -> str:
    """Says what stands in the place of a file, by its first bytes; "" for what is not known."""
    known = {
        b"version https://git-lfs": "a git-LFS pointer; the file itself was not fetched",
        b"<": "a page of HTML or XML, such as a site returns with an error",
        b"\x89hdf": "an HDF5 file, as Keras writes",
        b"\x1f\x8b": "an archive (gzip)",
    }
    if not data.strip(b"\0"):
        return "only zero bytes" if data else "an empty file"
    start = data[:99].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return next((what for magic, what in known.items() if start.startswith(magic)), "")


def is_folder(path: epath.PathLike) -> bool:
    """Returns whether the path is an existing folder; False also for names that cannot be paths."""
    try:
        return epath.Path(path).is_dir()
    except (OSError, ImportError, KeyError, ValueError):
        return False


def find(folder: epath.PathLike, pattern: str) -> list[epath.Path]:
    """Lists what matches a pattern below `folder`, sorted by name.

    The wildcards `*`, `?` and `[...]` count in the pattern only, not in the path of the folder.
    """
    paths = [as_path(folder)]
    for component in pattern.split("/"):
        with naming_unusable_places(folder, "read"):
            paths = [
                entry
                for path in paths
                if path.is_dir()
                for entry in path.iterdir()
                if entry.name == component or fnmatch.fnmatchcase(entry.name, component)
            ]
    return sorted(paths, key=lambda path: (path.name, os.fspath(path)))


def atomic_write_text(path: epath.PathLike, text: str) -> None:
    """Writes `text` as UTF-8; see `atomic_write_bytes`."""
    atomic_write_bytes(path, text.encode("utf-8"))


def atomic_write_bytes(path: epath.PathLike, data: bytes) -> None:
    """Writes `data` under a temporary name beside `path`, then renames it to `path`.

    An object in a bucket is replaced as a whole anyway, so it is written under its own name.
    """
    path = epath.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not is_local(path) or is_device(path):
        path.write_bytes(data)
        return
    path = epath.Path(os.path.realpath(path))  # a link stays
    temporary = temporary_path(path)
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:  # as on a full disk
            error.filename = os.fspath(path)
        raise


def temporary_path(path: epath.Path) -> epath.Path:
    """A hidden name beside `path` that tells which process of which host writes there."""
    owner = f"{socket.gethostname()}-{os.getpid()}"
    return path.parent / f".{path.name}.{owner}.{uuid.uuid4().hex[:8]}.tmp"


def sweep_temporaries(folder: epath.PathLike, before: float) -> None:
    """Deletes what killed processes left below `folder` under temporary names.

    A file or folder goes if its process, of this host, does not run any more, or if it is older
    than `before` (in seconds since 1970). A bucket has none.
    """
    for root, folders, names in os.walk(folder) if is_local(folder) else ():
        for name in [*folders, *names]:
            path = epath.Path(root) / name
            if name.startswith(".") and name.endswith(".tmp"):
                with contextlib.suppress(FileNotFoundError):
                    if _is_writer_gone(name) or path.stat().mtime < before:
                        path.rmtree() if name in folders else path.unlink()


def _is_writer_gone(name: str) -> bool:
    """Whether a name of `temporary_path` is of a process of this host that has ended."""
    owner = re.search(rf"\.{re.escape(socket.gethostname())}-(\d+)\.\w+\.tmp$", name)
    if owner is None:
        return False
    try:
        os.kill(int(owner[1]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False


class AppendedFile:
    """An append-only file, kept open by its single writer; works on disks and in buckets.

    On a file system an append is a write at the end of the file. Objects in a bucket cannot be
    appended to: there an append rewrites the last part. The first part of `NAME.jsonl` is that
    object itself, and after `PART_BYTES` come `NAME.parts/0001.jsonl` and so on. So the cost of an
    append does not grow with the file, and nothing has to be merged. `read_appended` reads both.

    Args:
        path: created if it does not exist.
        size: the bytes to keep; the rest is cut off. By default all whole lines: a last line
            without an end was left by a process that was killed while it wrote.
    """

    PART_BYTES = 2**18

    def __init__(self, path: epath.PathLike, size: int | None = None):
        self._path = epath.Path(path)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if size is None:
            size = read_appended(path).rfind(b"\n") + 1
        self._descriptor: int | None = None
        if is_local(path):
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            self._descriptor = os.open(path, flags, 0o666)
            os.ftruncate(self._descriptor, size)
        else:
            self._open_parts(size)

    def append(self, data: bytes) -> None:
        """Writes `data` at the end; if that fails or is interrupted, none of it remains."""
        if self._descriptor is None:
            self._append_to_part(data)
            return
        size = os.fstat(self._descriptor).st_size
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except BaseException as error:
            os.ftruncate(self._descriptor, size)
            if isinstance(error, OSError):
                error.filename = os.fspath(self._path)
            raise

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def _open_parts(self, size: int) -> None:
        *full, last = _parts(self._path) or [b""]
        self._part, self._content = len(full), last[: size - sum(map(len, full))]
        if self._content != last:
            _part_path(self._path, self._part).write_bytes(self._content)

    def _append_to_part(self, data: bytes) -> None:
        if len(self._content) >= self.PART_BYTES:
            self._part, self._content = self._part + 1, b""
        _part_path(self._path, self._part).write_bytes(self._content + data)
        self._content += data


def read_appended(path: epath.PathLike) -> bytes:
    """Reads all parts of an `AppendedFile`; returns b"" if there is no file."""
    return b"".join(_parts(epath.Path(path)))


def _parts(path: epath.Path) -> list[bytes]:
    """Reads the content of each part; a file on a disk has one part."""
    parts: list[bytes] = []
    with contextlib.suppress(FileNotFoundError):
        for number in itertools.count() if not is_local(path) else (0,):
            parts.append(_part_path(path, number).read_bytes())
    return parts


def _part_path(path: epath.Path, number: int) -> epath.Path:
    return path.with_suffix(".parts") / f"{number:04}{path.suffix}" if number else path
