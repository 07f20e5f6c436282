"""What a reader returns: one plain record per example, a type per task family."""

from __future__ import annotations

from typing import NamedTuple


class PairExample(NamedTuple):
    """Two texts and their relation; `label` is None where the split is unlabelled."""

    id: str
    text_a: str
    text_b: str
    label: str | None


class SpanExample(NamedTuple):
    """A question on a context; `answers` are (text, first character there), () if unlabelled."""

    id: str
    question: str
    context: str
    answers: tuple[tuple[str, int], ...]


class TagExample(NamedTuple):
    """A sentence as words with one tag each; `tags` is None where the split is unlabelled."""

    id: str
    words: tuple[str, ...]
    tags: tuple[str, ...] | None


class SentenceExample(NamedTuple):
    """A sentence and its translation; retrieval must find `translation` among all of them."""

    id: str
    english: str
    translation: str


Example = PairExample | SpanExample | TagExample | SentenceExample
