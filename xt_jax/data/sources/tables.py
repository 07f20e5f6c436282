"""Base class of the sources whose splits are tables of rows: TFDS and the Hugging Face hub."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from xt_jax.data.converters import Convert
from xt_jax.data.sources.source import Found, fill

# The names that published data sets give to our splits.
SPLITS = {"train": "train", "dev": "validation", "test": "test"}
HELD_OUT = {"dev": "validation", "test": "test"}
TRAIN_AND_DEV = {"train": "train", "dev": "validation"}
MNLI_SPLITS = {"train": "train", "dev": "validation_matched"}
OUR_NAMES = {"train": "train", "dev": "dev", "test": "test"}
ENGLISH = ("en",)


class Table(NamedTuple):
    """The tables of one data set that hold splits of one task in the same columns.

    `place` and the names of splits may contain the fields of `source.fill` and `{split}`, the
    published name.

    Attributes:
        place: on the hub the repository, `/` and a pattern of parquet files; in TFDS `name/config`.
        convert: converts rows to examples.
        splits: the published name of each of our splits that exists.
        substitute: the rows are other examples than the official ones; see `Found`.
        order: how to restore the release's order in a set that TFDS has shuffled: by a column, or
            by TFDS's keys, which count from this number; None if it cannot be restored.
        classes: class names by column, in the order of their indices, for parquet files that do
            not state them.
    """

    place: str
    convert: Convert
    splits: Mapping[str, str] = SPLITS
    languages: Sequence[str] = ENGLISH
    substitute: bool = False
    order: str | int | None = None
    classes: Mapping[str, Sequence[str]] = {}

    def filled(self, text: str, split: str, language: str) -> str:
        return fill(text, language, split=self.splits[split])


class TableSource(abc.ABC):
    """A source described by a layout, which lists the tables of each task, official ones first.

    See `Source` for the public methods.
    """

    def __init__(self, layout: Mapping[str, Sequence[Table]]):
        self._layout = layout

    def find(
        self, task: str, split: str, language: str, *, substitutes: bool = False
    ) -> list[Found]:
        located = (
            self._locate(table, split, language)
            for table in self._tables(task, split, language)
            if substitutes or not table.substitute
        )
        return [place for place in located if place is not None]

    def expected(self, task: str, split: str, language: str) -> str:
        tables = self._tables(task, split, language)
        return self._describe(tables[0], split, language) if tables else ""

    def languages(self, task: str, split: str) -> list[str]:
        known = {code for table in self._layout.get(task, ()) for code in table.languages}
        return sorted(language for language in known if self.find(task, split, language))

    def _tables(self, task: str, split: str, language: str) -> list[Table]:
        tables = self._layout.get(task, ())
        return [t for t in tables if split in t.splits and language in t.languages]

    @abc.abstractmethod
    def _locate(self, table: Table, split: str, language: str) -> Found | None:
        """Returns the split of a table in one language, or None if it does not exist."""

    @abc.abstractmethod
    def _describe(self, table: Table, split: str, language: str) -> str:
        """Returns where the split should be, for messages."""
