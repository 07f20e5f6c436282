"""Reading and writing whole text files through `etils.epath`, so that `gs://` works."""

from __future__ import annotations

import contextlib
import errno
import uuid
from collections.abc import Iterator

from etils import epath

from xt_jax.errors import DataError, UserError


def read_text(path: epath.PathLike) -> str:
    """The UTF-8 text of a file, without a byte-order mark; line ends are left as they are.

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
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"byte 0x{data[error.start]:02x} is not UTF-8 ({error.reason})",
            where=f"{path}:{line}",
            remedy="convert the file to UTF-8 or fetch it again",
        ) from error


def read_lines(path: epath.PathLike) -> list[str]:
    r"""The lines of a UTF-8 file, cut at "\n" alone, less one trailing "\r" each.

    U+2028, U+0085 and the like occur inside sentences and do not end a line here.
    """
    lines = read_text(path).removesuffix("\n").split("\n")
    return [line.removesuffix("\r") for line in lines]


def atomic_write_text(path: epath.PathLike, text: str) -> None:
    """Writes `text` as UTF-8; see `atomic_write_bytes`."""
    atomic_write_bytes(path, text.encode("utf-8"))


def atomic_write_bytes(path: epath.PathLike, data: bytes) -> None:
    """Writes `data` under a temporary name beside `path`, then renames it to `path`."""
    path = epath.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{uuid.uuid4().hex}.tmp"
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def naming_full_disks(where: epath.PathLike) -> Iterator[None]:
    """Within, a disk without room is a UserError that says what to do."""
    try:
        yield
    except Exception as error:
        if not _is_full(error):
            raise
        raise UserError(
            "There is no room left on the disk, or in your share of it.",
            where=where,
            remedy="make room and give the same command again: it carries on from what is there",
        ) from error


def _is_full(error: BaseException | None) -> bool:
    """Of Python's own error, and of those of libraries, which say it in words."""
    if error is None:
        return False
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    words = ("No space left on device", "Disk quota exceeded")
    return any(text in str(error) for text in words) or _is_full(error.__cause__)
