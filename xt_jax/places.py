"""Places of files: whether they can be written, and errors of their file systems."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import tempfile
import uuid
from collections.abc import Iterator

from etils import epath

from xt_jax.errors import UserError


def as_path(path: epath.PathLike) -> epath.Path:
    """Returns the path of a place that the user has named.

    Raises:
        UserError: it begins with `name://` of no known file system.
    """
    with naming_unusable_places(str(path), "read"):
        return epath.Path(path)


def check_writable(folder: epath.PathLike, option: str) -> None:
    """Makes a folder and checks that files can be written there, before the work for them begins.

    Args:
        option: the option that names the folder.

    Raises:
        UserError: the folder cannot be made or written.
    """
    with naming_unusable_places(f"{option}={os.fspath(folder)}", "written"):
        _try_to_write(epath.Path(folder))


def check_output(path: epath.PathLike, option: str) -> None:
    """As `check_writable`, for an option that names a file."""
    with naming_unusable_places(f"{option}={os.fspath(path)}", "written"):
        if epath.Path(path).is_dir():
            raise OSError(errno.EISDIR, "it is a folder")
        if not is_device(path):
            _try_to_write(epath.Path(path).parent)


def _try_to_write(folder: epath.Path) -> None:
    if folder.is_file():
        raise OSError(errno.ENOTDIR, "it is a file")
    folder.mkdir(parents=True, exist_ok=True)
    trial = folder / f".trial.{uuid.uuid4().hex}.tmp"
    trial.write_bytes(b"x")
    trial.unlink()


@contextlib.contextmanager
def naming_unusable_places(where: epath.PathLike, done: str) -> Iterator[None]:
    """Turns what a file system or the client of a bucket raises into a UserError.

    Args:
        done: what could not be done: `read` or `written`.
    """
    try:
        with naming_full_disks(where):
            yield
    except (OSError, ImportError, KeyError, TypeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or f"{error}" or type(error).__name__
        raise UserError(
            f"The place cannot be {done} ({reason}).",
            where=where,
            remedy="check the path and its permissions"
            + ("; a bucket needs its client: pip install 'xt_jax[gcs]'" * (not is_local(where))),
        ) from error


@contextlib.contextmanager
def naming_full_disks(where: epath.PathLike) -> Iterator[None]:
    """Turns the error of a full disk inside the `with` block into a UserError with a remedy."""
    try:
        yield
    except Exception as error:
        if isinstance(error, UserError) or not _is_full(error):
            raise
        raise UserError(
            "There is no room left on the disk, or your quota is used up.",
            where=where,
            remedy="free some space and run the same command again: it resumes where it stopped",
        ) from error


def _is_full(error: BaseException | None) -> bool:
    """Whether an error means a full disk: Python's own, or a library's by its message."""
    if error is None:
        return False
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    words = ("No space left on device", "Disk quota exceeded")
    return any(text in str(error) for text in words) or _is_full(error.__cause__)


@contextlib.contextmanager
def literal_path(folder: epath.PathLike) -> Iterator[epath.Path]:
    """Gives a path to `folder` without wildcards, for libraries that expand those in all paths.

    It goes through a link in a temporary folder, if the folder's own path has wildcards.
    """
    path = epath.Path(os.path.abspath(folder)) if is_local(folder) else epath.Path(folder)
    if not is_local(path) or not glob.has_magic(os.fspath(path)):
        yield path
        return
    path.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        link = os.path.join(temporary, "folder")
        os.symlink(path, link)
        yield epath.Path(link)


def is_local(path: epath.PathLike) -> bool:
    """Whether the path is in a file system, and not in a bucket (`gs://`)."""
    return "://" not in os.fspath(path)


def is_device(path: epath.PathLike) -> bool:
    """Whether the path is `/dev/null`, a pipe or the like, which is written as it is."""
    return os.path.exists(path) and not os.path.isfile(path)
