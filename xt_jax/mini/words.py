"""Words with their labels, the interface of a language, and writing words as running text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

from xt_jax.mini.concepts import CITIES, ORGANISATIONS, PEOPLE
from xt_jax.mini.scenes import Scene

CLOSING = frozenset(",.?!،؟।，。？！")  # no space before these
ENTITIES = {"PER": PEOPLE, "ORG": ORGANISATIONS, "LOC": CITIES}


class Word(NamedTuple):
    """A word of a sentence with its labels, segmented as in Universal Dependencies.

    `role` is the part of the scene to which it belongs (a name of `scenes.ROLES`), or empty.
    `glued`: no space before the next word, in a language with spaces.
    """

    text: str
    upos: str
    ner: str = "O"
    role: str = ""
    glued: bool = False


Words = tuple[Word, ...]


class Language(NamedTuple):
    """One language of the world: its grammar as functions that express a scene.

    `clause(scene, order)`: `order` is "plain", "front" (time or place first) or "shift" (another
    word order or expression that the language allows). `question(scene, asked, order)`: an affirmed
    scene with the question word for the role `asked` in place of that role's words. Neither adds an
    end mark or a capital at the beginning. `conjunctions` join two clauses that are both affirmed
    or both denied (and), or one of each (but); `conjoined` is a conjunction with the clause after
    it.
    """

    code: str
    iso639_3: str
    name: str
    clause: Callable[[Scene, str], Words]
    question: Callable[[Scene, str, str], Words]
    conjunctions: tuple[Words, Words]
    stop: str = "."
    asking: tuple[str, str] = ("", "?")  # before and after a question
    exclaiming: tuple[str, str] = ("", "!")
    spaces: bool = True
    capital: Callable[[str], str] = lambda text: text[0].upper() + text[1:]
    conjoined: Callable[[Words, Words], Words] = lambda conjunction, clause: conjunction + clause


@cache
def phrase(text: str, upos: str, role: str = "") -> Words:
    """Builds words from a text and as many tags, both separated by spaces."""
    return tuple(Word(w, u, role=role) for w, u in zip(text.split(), upos.split(), strict=True))


@cache
def name(text: str, concept: str, role: str = "", ending: str = "") -> Words:
    """Builds a proper name as an entity of the type of `concept`; `ending` joins the last word."""
    kind = next(k for k, group in ENTITIES.items() if concept in group)
    parts = (text + ending).split()
    return tuple(Word(p, "PROPN", ("I-" if i else "B-") + kind, role) for i, p in enumerate(parts))


def glossary(text: str) -> dict[str, str]:
    """Parses `concept form; concept form; ...` to a dict; `_` means a space inside either."""
    return {key: forms[0] for key, forms in table(text).items()}


def table(text: str) -> dict[str, list[str]]:
    """Parses `concept form form ...; concept form ...` to a dict; `_` is as in `glossary`."""
    rows = [[cell.replace("_", " ") for cell in row.split()] for row in text.split(";")]
    return {row[0]: row[1:] for row in rows if row}


def write(words: Sequence[Word], spaces: bool = True) -> tuple[str, list[tuple[int, int]]]:
    """Writes words as running text; returns the text and the (start, end) offsets of each word.

    Without `spaces` only two words that meet in Latin letters or digits are separated.
    """
    parts: list[str] = []
    spans, end, before = [], 0, None
    for word in words:
        if before and word.text not in CLOSING and _apart(before, word, spaces):
            parts.append(" ")
            end += 1
        parts.append(word.text)
        spans.append((end, end + len(word.text)))
        end += len(word.text)
        before = word
    return "".join(parts), spans


def _apart(before: Word, word: Word, spaces: bool) -> bool:
    if spaces:
        return not before.glued
    last, first = before.text[-1], word.text[0]
    return last.isascii() and last.isalnum() and first.isascii() and first.isalnum()
