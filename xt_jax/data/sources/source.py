"""The interface of a source of examples, and what all sources share."""

from __future__ import annotations

import abc
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from etils import epath

from xt_jax.data.examples import Example
from xt_jax.errors import DataError

_CHUNK = 1 << 20  # bytes that are hashed together


@dataclass(frozen=True)
class Found(abc.ABC):
    """One split of one task in one language that a source holds.

    Attributes:
        where: its first file or table, for messages.
        substitute: it holds other examples than the official ones, and is taken only where data may
            be missing.
    """

    where: str
    language: str
    substitute: bool

    @abc.abstractmethod
    def read(self, labels: Sequence[str]) -> list[Example]:
        """Returns all examples; `labels` are the allowed ones, () allows any.

        Raises:
            DataError: at the first fault, with file and line (or table and row).
        """

    @abc.abstractmethod
    def digest(self) -> str:
        """Returns the hex digest of the content, which is cheap beside reading it."""


class Source(Protocol):
    """What the rest of the program knows of a source."""

    def find(
        self, task: str, split: str, language: str, *, substitutes: bool = False
    ) -> list[Found]:
        """What is there of this split, the official form first; [] where there is nothing."""

    def expected(self, task: str, split: str, language: str) -> str:
        """Where `find` looks first, for messages; "" for a split that the task does not have."""

    def languages(self, task: str, split: str) -> list[str]:
        """The languages that are there of this split, sorted; substitutes do not count."""


def content_digest(paths: Iterable[epath.Path], part: str) -> str:
    """Hex SHA-256 of files' names and contents, and of the part that is read of them."""
    content = hashlib.sha256(part.encode())
    for path in paths:
        content.update(path.name.encode() + b"\0")
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                content.update(chunk)
    return content.hexdigest()


def check_complete(paths: Sequence[epath.Path], count: int, where: object, remedy: str) -> None:
    """Raises a DataError unless there are `count` files."""
    if len(paths) != count:
        problem = f"{len(paths)} of the {count} files are there"
        raise DataError(problem, where=str(where), remedy=remedy)
