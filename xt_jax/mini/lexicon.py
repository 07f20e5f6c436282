"""Finds each language's word for a concept by describing a minimal scene that contains it."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from xt_jax.mini import concepts as world
from xt_jax.mini.scenes import Scene
from xt_jax.mini.words import Language, write

CONTENT = frozenset(("NOUN", "PROPN", "ADJ", "ADV", "VERB", "NUM"))


class Entry(NamedTuple):
    """A concept, a scene that names it, and its role in the scene.

    `role` is empty for verbs. `without` is the scene without the concept, needed if other words
    have the same role.
    """

    concept: str
    scene: Scene
    role: str
    without: Scene | None = None


def entries() -> tuple[Entry, ...]:
    """Returns entries of all concepts; one that is a verb and something else too has two."""
    who, thing = "Anna", "dog"
    return (
        *(Entry(c, Scene(who, "like", c), "thing") for c in (*world.THINGS, *world.HYPERNYMS)),
        *(_look(who, c) for c in world.LOOKS),
        *(Entry(c, Scene(who, "work", place=c), "place") for c in world.PLACES),
        *(Entry(c, Scene(c, "rest"), "agent") for c in world.HUMANS),
        *(Entry(str(n), Scene(who, "have", thing, n), "number") for n in world.NUMBERS),
        *(Entry(c, Scene(who, "work", time=c), "time") for c in world.TIMES),
        *(Entry(c, _deed(who, c), "") for c in world.VERBS),
    )


@cache
def word(language: Language, entry: Entry) -> str:
    """Returns a concept's content words, inflected as in the scene; "" if there are none.

    Usually this is a single word; Turkish and Hindi have verbs of two.
    """
    clause = language.clause(entry.scene, "plain")
    known = set(language.clause(entry.without, "plain")) if entry.without else set()
    words = [w for w in clause if w.role == entry.role and w.upos in CONTENT and w not in known]
    return write(words, language.spaces)[0]


def _look(who: str, look: str) -> Entry:
    thing = next(t for t, kind in world.KIND_OF.items() if look in world.KINDS[kind][1])
    plain = Scene(who, "have", thing)
    return Entry(look, plain._replace(look=look), "thing", plain)


def _deed(who: str, verb: str) -> Scene:
    scene = Scene(who, verb)
    if verb in world.SOCIAL:
        return scene._replace(person="Peter")
    if verb in world.MOVES or verb == "live":
        return scene._replace(place="Berlin")
    if verb in world.ACTIVITIES:
        return scene
    if verb in ("like", "have"):
        return scene._replace(thing="apple")
    thing = next(t for t, kind in world.KIND_OF.items() if verb in world.KINDS[kind][2])
    person = "Peter" if verb in world.TRANSFERS else None
    return scene._replace(thing=thing, number=1, person=person)
