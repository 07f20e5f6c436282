"""The interface of a data source, and helpers that all sources share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from etils import epath

from xt_jax.data.examples import Example, is_labelled, takes_label
from xt_jax.errors import DataError
from xt_jax.files import read_lines
from xt_jax.languages import ISO3, TYDIQA_NAMES, UD_NAMES, pair

_SWAPPED = {"ta": "tl", "tl": "ta"}
_CHUNK = 1 << 20  # bytes hashed at a time


@dataclass(frozen=True)
class Found:
    """One split of one task in one language, as a source holds it.

    Attributes:
        where: the first file or table of the split, for messages.
        substitute: the split holds other examples than the official ones, and is used only where
            data may be missing.
        read: from the allowed labels, () for any, to all examples of the split; raises a DataError
            at the first fault, with file and line (or table and row).
        digest: returns a hex digest of the content, which costs little compared with `read`.
    """

    where: str
    language: str
    substitute: bool
    read: Callable[[Sequence[str]], list[Example]]
    digest: Callable[[], str]


class Source(Protocol):
    """The interface through which the rest of the program uses a data source."""

    def find(
        self, task: str, split: str, language: str, *, substitutes: bool = False
    ) -> list[Found]:
        """Returns all forms of a split that the source holds, official ones first; may be []."""

    def expected(self, task: str, split: str, language: str) -> str:
        """Returns where `find` looks first, for messages; "" if the task has no such split."""

    def languages(self, task: str, split: str) -> list[str]:
        """Returns the languages in which the source holds a split, sorted, without substitutes."""


def has_labels(found: Found, examples: Sequence[Example]) -> bool:
    """Returns whether all examples of a split have labels, so that it can be trained on or scored.

    Raises:
        DataError: some examples have a label and some have not.
    """
    labelable = [example for example in examples if takes_label(example)]
    bare = [example for example in labelable if not is_labelled(example)]
    if bare and len(bare) < len(labelable):
        raise DataError(
            f"{len(bare)} of {len(labelable)} examples have no label, the first is {bare[0].id!r}",
            where=f"{found.where}{_line_of(found.where, bare[0].id)}",
            remedy="use the labelled official file, or one without any label",
        )
    return bool(examples) and not bare


def _line_of(where: str, id_: str) -> str:
    """Returns ":line" of the first line that holds the id in quotes or as a column, else ""."""
    try:
        lines = read_lines(where)
    except DataError:  # not a file, but a table of another source
        return ""
    quoted = json.dumps(id_, ensure_ascii=False)
    for number, line in enumerate(lines, start=1):
        if quoted in line or id_ in line.split("\t"):
            return f":{number}"
    return ""


def fill(pattern: str, language: str, **more: str) -> str:
    """Replaces the fields of a pattern, which are those named in `more` and of the language.

    These are `{lang}`, the code; `{iso3}`, Tatoeba's code; `{ud}` and `{tydiqa}`, the name in
    Universal Dependencies and in TyDiQA; `{swapped}`, the code, with Tamil and Tagalog each under
    the other's; for a pair such as `de-en`, `{context}` (de) and `{question}` (en). A field that
    the language does not have becomes empty.
    """
    context, question = pair(language) or ("", "")
    return pattern.format(
        lang=language,
        iso3=ISO3.get(language, ""),
        ud=UD_NAMES.get(language, ""),
        tydiqa=TYDIQA_NAMES.get(language, ""),
        swapped=_SWAPPED.get(language, language),
        context=context,
        question=question,
        **more,
    )


def content_digest(paths: Iterable[epath.Path], part: str) -> str:
    """Returns the hex SHA-256 of the files' names and contents and of the part that is read."""
    content = hashlib.sha256(part.encode())
    for path in paths:
        content.update(path.name.encode() + b"\0")
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                content.update(chunk)
    return content.hexdigest()


def check_complete(paths: Sequence[epath.Path], count: int, where: object, remedy: str) -> None:
    """Raises a DataError unless there are exactly `count` files."""
    if len(paths) != count:
        problem = f"{len(paths)} of the {count} files exist"
        raise DataError(problem, where=str(where), remedy=remedy)
