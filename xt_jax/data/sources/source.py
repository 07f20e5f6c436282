"""What the rest of the program knows of a source of examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from xt_jax.data.examples import Example


@dataclass(frozen=True)
class Found:
    """One split of one task in one language that a source holds.

    Attributes:
        where: its first file or table, for messages.
        substitute: holds other examples than the official ones; taken only where data may be
            missing.
        read: all examples, given the allowed labels (() allows any); raises DataError at the
            first fault, with file and line (or table and row).
        digest: hex digest of the content, cheap beside reading it.
    """

    where: str
    language: str
    read: Callable[[Sequence[str]], list[Example]]
    digest: Callable[[], str]
    substitute: bool = False


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
