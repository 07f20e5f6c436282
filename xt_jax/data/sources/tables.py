"""Sources whose splits are tables of rows: what TFDS and the Hugging Face hub have in common."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from xt_jax.data.examples import Example
from xt_jax.data.sources.records import Convert, Rows
from xt_jax.data.sources.source import Found
from xt_jax.errors import DataError
from xt_jax.languages import ISO3, UD_NAMES, pair

# Our splits by the names that published data sets give them.
SPLITS = {"train": "train", "dev": "validation", "test": "test"}
HELD_OUT = {"dev": "validation", "test": "test"}
TRAIN_AND_DEV = {"train": "train", "dev": "validation"}
MNLI_SPLITS = {"train": "train", "dev": "validation_matched"}
OUR_NAMES = {"train": "train", "dev": "dev", "test": "test"}
ENGLISH = ("en",)
_SWAPPED = {"ta": "tl", "tl": "ta"}


class Table(NamedTuple):
    """The tables of one data set that hold splits of one task in the same columns.

    `place` and the names of splits may hold the fields `{split}` (the published name) and, of the
    language, `{lang}` (the code), `{iso3}`, `{name}` (English), `{swapped}` (Tamil and Tagalog each
    under the other's code), `{context}` and `{question}` (of a pair).

    Attributes:
        place: on the hub the repository, `/` and a pattern of parquet files; of TFDS `name/config`.
        convert: makes examples of rows.
        splits: the published name of each of our splits that is there.
        substitute: the rows are other examples than the official ones; see `Found`.
        order: what the release's order follows from in a set that TFDS has shuffled: a column, or
            the number with which TFDS's keys begin; None where it does not.
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
        """`text` (the place, or a split's name) with its fields replaced."""
        context, question = pair(language) or ("", "")
        return text.format(
            split=self.splits[split],
            lang=language,
            iso3=ISO3.get(language, language),
            name=UD_NAMES.get(language, language),
            swapped=_SWAPPED.get(language, language),
            context=context,
            question=question,
        )

    def examples(
        self, rows: Rows, language: str, labels: Sequence[str], where: object
    ) -> list[Example]:
        """The examples that the rows hold, of which there must be one."""
        examples = self.convert(rows, language, labels)
        if not examples:
            problem = f"the table holds no example in {language!r}"
            raise DataError(problem, where=str(where), remedy="fetch or prepare it again")
        return examples


class TableSource(abc.ABC):
    """A source that a layout describes: the tables of each task, official ones first.

    See `Source` for the public methods.
    """

    def __init__(self, layout: Mapping[str, Sequence[Table]]):
        self._layout = layout

    def find(
        self, task: str, split: str, language: str, *, substitutes: bool = False
    ) -> list[Found]:
        found = (
            self._locate(table, split, language)
            for table in self._tables(task, split, language)
            if substitutes or not table.substitute
        )
        return [place for place in found if place is not None]

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
        """The split of a table in one language, None where it is not there."""

    @abc.abstractmethod
    def _describe(self, table: Table, split: str, language: str) -> str:
        """Where the split should be, for messages."""
