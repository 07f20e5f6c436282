"""A small parser of combinatory categorial grammar, to test whether a sentence parses.

Application, composition (also crossed) of verbs with what modifies or completes them, coordination,
a noun as a noun phrase, and prepositional phrases raised over the verb (Steedman, 2000).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple


class Category(NamedTuple):
    """An atom (`slash` empty), or a function from `argument` at its slash's side to `result`.

    The feature of an atom is empty where any will do.
    """

    name: str = ""
    feature: str = ""
    slash: str = ""
    result: Category | None = None
    argument: Category | None = None


@cache
def read(text: str) -> Category:
    r"""Returns the category that is written like (S[dcl]\NP)/NP."""
    depth = 0
    for i in range(len(text) - 1, -1, -1):
        depth += (text[i] == ")") - (text[i] == "(")
        if depth == 0 and text[i] in "/\\":
            left, right = (read(_bare(part)) for part in (text[:i], text[i + 1 :]))
            return Category(slash=text[i], result=left, argument=right)
    found = re.fullmatch(r"([A-Z]+|conj|[.,?])(?:\[(\w+)\])?", text)
    if found is None:
        raise ValueError(text)
    return Category(found[1], "" if found[1] == "NP" else found[2] or "")


def parses(categories: Sequence[str]) -> set[Category]:
    """Returns the categories that the whole sentence can have."""
    n = len(categories)
    chart: dict[tuple[int, int], set[Category]] = {}
    for i, text in enumerate(categories):
        chart[i, i + 1] = set(_raised(read(text)))
    for width in range(2, n + 1):
        for i in range(n - width + 1):
            chart[i, i + width] = {
                raised
                for k in range(i + 1, i + width)
                for left in chart[i, k]
                for right in chart[k, i + width]
                for made in _combined(left, right)
                for raised in _raised(made)
            }
    return chart[0, n]


def _bare(text: str) -> str:
    return text[1:-1] if text[0] == "(" else text


_N, _PP, _VERB_PHRASE = read("N"), read("PP"), read(r"S\NP")
_RAISED_PP = read(r"(S\NP)\((S\NP)/PP)")


def _raised(category: Category) -> Iterator[Category]:
    yield category
    if category == _N:
        yield read("NP")
    if category == _PP:
        yield _RAISED_PP


def _combined(left: Category, right: Category) -> Iterator[Category]:
    if right.name in (".", ","):
        yield left
    if left.name == ",":
        yield right
    if left.name == "conj" and right.name == "S":
        yield Category(slash="\\", result=right, argument=right)
    for function, other, slash in ((left, right, "/"), (right, left, "\\")):
        if function.slash == slash:
            yield from _applied(function, other)
            if other.slash == "/":
                yield from _composed(function, other)


def _applied(function: Category, argument: Category) -> Iterator[Category]:
    feature = _match(function.argument, argument)
    if feature is not None:
        yield _with(function.result, feature)


def _composed(function: Category, other: Category) -> Iterator[Category]:
    """Composes with `other`; the result lacks on its right what `other` lacks."""
    for inner in _combined_inside(function, other):
        yield Category(slash="/", result=inner, argument=other.argument)


def _combined_inside(function: Category, other: Category) -> Iterator[Category]:
    yield from _applied(function, other.result)
    if other.result.slash == "/":
        yield from _composed(function, other.result)


def _match(wanted: Category, found: Category) -> str | None:
    """Returns the feature that fills the open ones of `wanted`, or None where they do not match."""
    if wanted.slash != found.slash:
        return None
    if wanted.slash:
        one = _match(wanted.result, found.result)
        two = _match(wanted.argument, found.argument)
        return None if one is None or two is None else one or two
    if wanted.name != found.name or (wanted.feature and wanted.feature != found.feature):
        return None
    return "" if wanted.feature else found.feature


def _with(category: Category, feature: str) -> Category:
    """Returns the category with `feature` in all open places of sentences."""
    if category.slash:
        result, argument = (_with(c, feature) for c in (category.result, category.argument))
        return category._replace(result=result, argument=argument)
    open_ = category.name == "S" and not category.feature
    return category._replace(feature=feature) if open_ else category
