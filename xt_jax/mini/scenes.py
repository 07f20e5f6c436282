"""Meanings: who did what to what or whom, where. Every language says the same ones.

Which things, verbs, places and friends go with a person is concentrated and the same for all
languages and all seeds: in a small world this is what lets an encoder align languages.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

PEOPLE = (
    *("Peter", "Maria", "Thomas", "Clara", "Nora", "Felix", "Oscar", "Lena", "Hugo", "Eva"),
    *("Marco", "Olga", "Max", "Sofia", "Victor", "Rosa", "Leyla", "Emre", "Selin", "Murat"),
    *("Deniz", "Umut", "Gül", "Ayşe", "Emma Wolf", "Paul Keller", "Julia Brandt", "Elif Kaya"),
    *("Kerem Aydın", "Sara Novak", "Martin Weber", "Lukas Demir"),
)
TRADES = ("teacher", "doctor", "cook", "driver")
ORGANISATIONS = ("Orion", "Atlas", "Delta Soft", "Nova Invest", "Vega Motors", "Terra Film")
CITIES = (
    *("Berlin", "Ankara", "Madrid", "London", "Vienna", "Athens", "Cairo", "Moscow"),
    *("New York", "Hong Kong", "Buenos Aires", "San Diego", "Kuala Lumpur", "Cape Town"),
    *("Rio de Janeiro", "Addis Ababa"),
)
SITES = (
    *("park", "market", "kitchen", "garden", "station", "school"),
    *("library", "museum", "hotel", "office", "forest", "village"),
)
# kind -> things of the kind, their usual adjectives, what is done with them
KINDS = {
    "food": (
        ("apple", "lemon", "tomato", "onion", "pear", "egg"),
        ("big", "small", "fresh", "cheap"),
        ("buy", "find", "eat", "wash", "carry", "sell", "give", "show"),
    ),
    "household": (
        ("cup", "lamp", "chair", "table", "bag", "clock"),
        ("red", "green", "black", "white", "yellow", "old", "new", "heavy", "cheap"),
        ("buy", "find", "carry", "draw", "lose", "sell", "give", "show"),
    ),
    "reading": (
        ("book", "letter", "newspaper", "map"),
        ("old", "new", "small", "big"),
        ("buy", "find", "read", "lose", "sell", "give", "show"),
    ),
    "animal": (
        ("dog", "cat", "horse", "bird", "cow", "goat"),
        ("black", "white", "big", "small"),
        ("buy", "find", "see", "draw", "wash", "sell", "give"),
    ),
    "vehicle": (
        ("car", "bicycle", "boat", "bus"),
        ("red", "green", "black", "white", "yellow", "old", "new"),
        ("buy", "see", "wash", "draw", "sell", "show"),
    ),
}
TRANSFERS = ("sell", "give", "show")
PERSON_VERBS = ("see", "help", "wait", "look", "greet", "find")
TRADE_VERBS = ("buy", "sell")
TRADED = ("household", "reading", "vehicle")

HUMANS = PEOPLE + TRADES
AGENTS = HUMANS + ORGANISATIONS
PLACES = CITIES + SITES
THINGS = tuple(thing for things, _, _ in KINDS.values() for thing in things)
KIND_OF = {thing: kind for kind, (things, _, _) in KINDS.items() for thing in things}


class Scene(NamedTuple):
    """One event, or with `negated` that there was none such; fields that are None are left open.

    `person` is the receiver where there is a `thing`, else whom the verb is about. `number` None
    is a plural of unknown size, in a negated scene any number.
    """

    agent: str
    verb: str
    thing: str | None = None
    number: int | None = None
    adjective: str | None = None
    person: str | None = None
    place: str | None = None
    negated: bool = False


def _affinities() -> dict[str, dict[str, list[str]]]:
    rng = Random("affinities")

    def verbs(agent: str) -> tuple[str, ...]:
        return TRADE_VERBS if agent in ORGANISATIONS else PERSON_VERBS

    traded = [thing for thing in THINGS if KIND_OF[thing] in TRADED]
    return {
        "places": {a: rng.sample(PLACES, 3) for a in AGENTS},
        "things": {a: rng.sample(traded if a in ORGANISATIONS else THINGS, 4) for a in AGENTS},
        "friends": {a: rng.sample([h for h in HUMANS if h != a], 4) for a in AGENTS},
        "habits": {a: rng.sample(verbs(a), min(3, len(verbs(a)))) for a in AGENTS},
        "stock": {p: rng.sample(THINGS, 4) for p in PLACES},
        "uses": {t: rng.sample(KINDS[KIND_OF[t]][2], 4) for t in THINGS},
        "looks": {t: rng.sample(KINDS[KIND_OF[t]][1], 3) for t in THINGS},
    }


AFFINITIES = _affinities()


def draw_scene(rng: Random, *, without: tuple[str, ...] = ()) -> Scene:
    """Draws an affirmed scene whose agent is not in `without`."""
    agent = rng.choice([a for a in AGENTS if a not in without])
    place = rng.choice(AFFINITIES["places"][agent]) if rng.random() < 0.8 else None
    organisation = agent in ORGANISATIONS
    if not organisation and rng.random() < 0.3:
        verb = rng.choice(AFFINITIES["habits"][agent])
        return Scene(agent, verb, person=draw_person(rng, agent, verb), place=place)
    at_hand = AFFINITIES["things"][agent]
    if place and not organisation and rng.random() < 0.5:
        at_hand = AFFINITIES["stock"][place]
    thing = rng.choice(at_hand)
    verb = rng.choice(TRADE_VERBS if organisation else AFFINITIES["uses"][thing])
    return Scene(
        agent,
        verb,
        thing,
        draw_number(rng) if rng.random() < 0.8 else None,
        rng.choice(AFFINITIES["looks"][thing]) if rng.random() < 0.6 else None,
        draw_person(rng, agent, verb) if verb in TRANSFERS else None,
        place,
    )


def draw_number(rng: Random) -> int:
    return rng.choice((1, 1, 2, 3, 4, 5, 6))


def draw_person(rng: Random, agent: str, verb: str) -> str:
    """Whom the agent deals with: a friend; goods are also sold to organisations."""
    if verb == "sell" and rng.random() < 0.3:
        return rng.choice([o for o in ORGANISATIONS if o != agent])
    return rng.choice(AFFINITIES["friends"][agent])


def negate(scene: Scene) -> Scene:
    return scene._replace(negated=True, number=None)


def swap_roles(scene: Scene) -> Scene:
    """The same scene with agent and person exchanged; it must have a person."""
    assert scene.person is not None
    return scene._replace(agent=scene.person, person=scene.agent)


def possible(scene: Scene) -> bool:
    """Whether the world has such a scene: organisations only trade, nobody acts on themselves."""
    if scene.agent == scene.person:
        return False
    if scene.agent in ORGANISATIONS and (scene.verb not in TRADE_VERBS or scene.thing is None):
        return False
    return scene.person not in ORGANISATIONS or scene.verb == "sell"
