"""The example types that readers return: one plain record per example, one type per task family.

Everything that depends on the type is defined here, so that no other module has to check the type.
A type from outside the package has an `id` and

- `texts`: the texts to tokenise, one by one;
- `lengths(sizes, single, pair)`: the tokens of each model input, given those of `texts`, the
  special tokens around one text, and those around and between two;
- where they differ from the defaults in the functions below: `label` (None: unlabelled),
  `own_texts`, `counted`, `takes_label`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

ANSWERABLE, UNANSWERABLE = "answerable", "unanswerable"
GOLD, FOREIGN, ENGLISH = "gold pairs", "foreign", "English"


class PairExample(NamedTuple):
    """Two texts and their relation; `label` is None where the split is unlabelled."""

    id: str
    text_a: str
    text_b: str
    label: str | None

    @property
    def texts(self) -> tuple[str, ...]:
        return self.text_a, self.text_b

    def lengths(self, sizes: Sequence[int], single: int, pair: int) -> list[int]:
        return [sum(sizes) + pair]


class ChoiceExample(NamedTuple):
    """A text and its possible continuations; `label` is the correct index ("0", "1", ...)."""

    id: str
    text: str
    choices: tuple[str, ...]
    label: str | None

    @property
    def texts(self) -> tuple[str, ...]:
        return self.text, *self.choices

    def lengths(self, sizes: Sequence[int], single: int, pair: int) -> list[int]:
        return [sizes[0] + max(sizes[1:]) + pair]


class SpanExample(NamedTuple):
    """A question about a context; `answers` are (text, index of its first character).

    () means that the context holds no answer, None that the split is unlabelled.
    """

    id: str
    question: str
    context: str
    answers: tuple[tuple[str, int], ...] | None

    @property
    def texts(self) -> tuple[str, ...]:
        return self.question, self.context

    @property
    def own_texts(self) -> tuple[str, ...]:
        return self.context, self.question

    @property
    def counted(self) -> tuple[str, ...]:
        return () if self.answers is None else (ANSWERABLE if self.answers else UNANSWERABLE,)

    def lengths(self, sizes: Sequence[int], single: int, pair: int) -> list[int]:
        return [sum(sizes) + pair]


class TagExample(NamedTuple):
    """A sentence as words with one tag each; `tags` is None where the split is unlabelled."""

    id: str
    words: tuple[str, ...]
    tags: tuple[str, ...] | None

    @property
    def texts(self) -> tuple[str, ...]:
        return self.words

    @property
    def own_texts(self) -> tuple[str, ...]:
        return (" ".join(self.words),)

    @property
    def counted(self) -> tuple[str, ...]:
        return self.tags or ()

    def lengths(self, sizes: Sequence[int], single: int, pair: int) -> list[int]:
        return [sum(max(1, size) for size in sizes) + single]  # an empty word becomes <unk>


class SentenceExample(NamedTuple):
    """An English sentence and the foreign sentence on the same line of the other file.

    `match` is the line of the foreign sentence that translates the English one, None where the
    split is unlabelled.
    """

    id: str
    english: str
    translation: str
    match: int | None

    @property
    def texts(self) -> tuple[str, ...]:
        return self.english, self.translation

    @property
    def own_texts(self) -> tuple[str, ...]:
        return (self.translation,)

    def lengths(self, sizes: Sequence[int], single: int, pair: int) -> list[int]:
        return [size + single for size in sizes]


class MiningExample(NamedTuple):
    """A sentence of one of the two corpora in which translations are mined.

    `partners` are the ids of a foreign sentence's English translations, usually (); None on the
    English side, and on both sides where the split is unlabelled.
    """

    id: str
    text: str
    english: bool
    partners: tuple[str, ...] | None

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.text,)

    @property
    def own_texts(self) -> tuple[str, ...]:
        return () if self.english else (self.text,)

    @property
    def counted(self) -> tuple[str, ...]:
        return ENGLISH if self.english else FOREIGN, *[GOLD] * len(self.partners or ())

    @property
    def takes_label(self) -> bool:
        return not self.english

    def lengths(self, sizes: Sequence[int], single: int, pair: int) -> list[int]:
        return [sum(sizes) + single]


class TextExample(NamedTuple):
    """A line of plain text."""

    id: str
    text: str

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.text,)

    def lengths(self, sizes: Sequence[int], single: int, pair: int) -> list[int]:
        return [sum(sizes) + single]


Example = (
    PairExample
    | ChoiceExample
    | SpanExample
    | TagExample
    | SentenceExample
    | MiningExample
    | TextExample
)


_LABELS = ("label", "tags", "answers", "match", "partners")


def is_labelled(example: Any) -> bool:
    """Whether the example can be trained on or scored; True if its type takes no label."""
    if not takes_label(example):
        return True
    return all(getattr(example, name) is not None for name in _LABELS if hasattr(example, name))


def takes_label(example: Any) -> bool:
    """Whether the example can have a label, which English sentences of a mining task cannot."""
    return getattr(example, "takes_label", True)


def own_texts(example: Any) -> tuple[str, ...]:
    """Returns the texts that are in the split's own language, the context before the question."""
    return getattr(example, "own_texts", example.texts)


def counted(example: Any) -> tuple[str, ...]:
    """Returns the items that label statistics count: the label, every tag, or answerability."""
    label = getattr(example, "label", None)
    return getattr(example, "counted", () if label is None else (label,))
