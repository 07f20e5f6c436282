"""Words with their labels, and how a list of them is written as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from xt_jax.mini.scenes import CITIES, ORGANISATIONS, PEOPLE, Scene

CLOSING = frozenset(",.?")


class Word(NamedTuple):
    """A written word, its universal POS tag, its entity tag, and the part it plays in the scene.

    `role` is "agent", "thing" or "place" (what a question can ask for), or empty.
    """

    text: str
    upos: str
    ner: str = "O"
    role: str = ""


class Language(NamedTuple):
    """One language: how it says a scene, and the word parts that its tokenizer needs.

    `clause(scene, order)`: order is "plain", "front" (place first) or "shift" (another order that
    the language allows); `question(scene, asked)`: asked is a role; both without closing mark.
    `stems` may hold several words each, `endings` attach to a word.
    """

    code: str
    iso639_3: str
    clause: Callable[[Scene, str], list[Word]]
    question: Callable[[Scene, str], list[Word]]
    conjunctions: tuple[list[Word], list[Word]]  # of like, of unlike clauses
    capital: Callable[[str], str]
    stems: tuple[str, ...]
    endings: tuple[str, ...]


def phrase(text: str, upos: str, role: str = "") -> list[Word]:
    """Words and as many tags, both separated by spaces."""
    return [Word(w, u, role=role) for w, u in zip(text.split(), upos.split(), strict=True)]


def name(text: str, concept: str, role: str = "", ending: str = "") -> list[Word]:
    """A proper name as an entity; `concept` says of which type, `ending` joins the last word."""
    kind = next(k for k, group in ENTITIES.items() if concept in group)
    parts = (text + ending).split()
    return [Word(p, "PROPN", ("I-" if i else "B-") + kind, role) for i, p in enumerate(parts)]


def glossary(text: str) -> dict[str, str]:
    """`concept form; concept form; ...` as a dict; `_` stands for a space inside either."""
    return {key: forms[0] for key, forms in table(text).items()}


def table(text: str) -> dict[str, list[str]]:
    """`concept form form ...; concept form ...` as a dict; `_` as in `glossary`."""
    rows = [[cell.replace("_", " ") for cell in row.split()] for row in text.split(";")]
    return {row[0]: row[1:] for row in rows}


def write(words: Sequence[Word]) -> tuple[str, list[tuple[int, int]]]:
    """The words as running text, and (first, past the last) character of each."""
    text, spans = "", []
    for word in words:
        if text and word.text not in CLOSING:
            text += " "
        spans.append((len(text), len(text) + len(word.text)))
        text += word.text
    return text, spans


ENTITIES = {"PER": PEOPLE, "ORG": ORGANISATIONS, "LOC": CITIES}
