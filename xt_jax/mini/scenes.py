"""Meanings (scenes): who did what to whom, where and when; every language expresses the same ones.

What each agent likes, owns and does, where and with whom, is concentrated on a few habits, the same
for all languages and all seeds: in a small world this is what lets an encoder align languages.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from random import Random
from typing import NamedTuple

from xt_jax.mini import concepts as world
from xt_jax.mini.concepts import KIND_OF, KINDS, ORGANISATIONS, TRANSFERS

ROLES = ("agent", "thing", "number", "person", "place", "time")  # what a question can ask for


class Scene(NamedTuple):
    """One event or state, or with `negated` the statement that there was none; None is unspecified.

    `person` is the receiver if there is a `thing`, else the object of the verb. `number` None is a
    plural of unknown size, in a negated scene any number. `place` is where it happened, with a verb
    of `MOVES` the destination. `thing` may be a kind of `HYPERNYMS`.
    """

    agent: str
    verb: str
    thing: str | None = None
    number: int | None = None
    look: str | None = None
    person: str | None = None
    place: str | None = None
    time: str | None = None
    negated: bool = False


class Habits(NamedTuple):
    """The places, things, people, actions and times that are usual for one agent."""

    places: list[str]
    things: list[str]
    friends: list[str]
    social: list[str]
    activities: list[str]
    times: list[str]
    home: str


_WORDED = tuple(time for time in world.TIMES if time not in (*world.CLOCK, *world.YEARS))


def _habits(agent: str) -> Habits:
    rng = Random(f"habits of {agent}")
    goods = world.THINGS
    if agent in ORGANISATIONS:
        goods = tuple(thing for thing in goods if "sell" in KINDS[KIND_OF[thing]][2])
    return Habits(
        places=rng.sample(world.PLACES, 2),
        things=rng.sample(goods, 3),
        friends=rng.sample([h for h in world.HUMANS if h != agent], 3),
        social=rng.sample(world.SOCIAL, 2),
        activities=rng.sample(world.ACTIVITIES, 1),
        times=[rng.choice(world.CLOCK), rng.choice(_WORDED)],
        home=rng.choice(world.CITIES),
    )


def _usual(purpose: str, of: Sequence[str], among: Mapping[str, Sequence]) -> dict[str, list]:
    rng = Random(purpose)
    return {key: rng.sample(among[KIND_OF.get(key, key)], 2) for key in of}


HABITS = {agent: _habits(agent) for agent in world.AGENTS}
USES = _usual("uses", world.THINGS, {kind: uses for kind, (_, _, uses) in KINDS.items()})
LOOKS = _usual("looks", world.THINGS, {kind: looks for kind, (_, looks, _) in KINDS.items()})
STOCK = _usual("stock", world.PLACES, dict.fromkeys(world.PLACES, world.THINGS))
YEARS = _usual("years", world.PLACES, dict.fromkeys(world.PLACES, world.YEARS))
AMOUNTS = _usual("amounts", world.THINGS, dict.fromkeys(world.KINDS, world.GREAT_NUMBERS))


def is_text(scene: Scene) -> bool:
    """Whether the scene is reserved for plain text; all other scenes belong to the tasks.

    Each gets one half; numbers, looks and negation make no difference.
    """
    parts = (scene.agent, scene.verb, scene.thing, scene.person, scene.place, scene.time)
    return zlib.crc32(repr(parts).encode()) % 2 == 0


def draw_scene(
    rng: Random,
    *,
    among: Sequence[str] = world.AGENTS,
    without: Sequence[str] = (),
    for_text: bool = False,
) -> Scene:
    """Draws an affirmed scene with an agent that is in `among` and not in `without`."""
    while True:
        agent = rng.choice(among)
        if agent not in without:
            scene = _scene_of(rng, agent)
            if is_text(scene) == for_text:
                return scene


def draw_number(rng: Random, thing: str) -> int:
    """Draws a number of things: one, a few, or one of the usual amounts of such things."""
    way = rng.random()
    if way < 0.3:
        return 1
    return rng.choice(world.SMALL_NUMBERS if way < 0.55 else AMOUNTS.get(thing, world.NUMBERS))


def draw_time(rng: Random, agent: str, place: str | None) -> str:
    """Draws one of the agent's usual times, or a year that is usual for the place."""
    return rng.choice(YEARS[place] if place and rng.random() < 0.5 else HABITS[agent].times)


def negate(scene: Scene) -> Scene:
    return scene._replace(negated=True, number=None)


def is_usually_denied(scene: Scene) -> bool:
    """Whether such scenes are usually negated, by agent and verb or by time.

    One scene in five is. This ties the words of negation, in every language, to people and times.
    """
    habits = (scene.agent, scene.verb), scene.time
    return any(zlib.crc32(repr(habit).encode()) % 6 == 0 for habit in habits if habit)


def swap_roles(scene: Scene) -> Scene:
    """Returns the scene with agent and person exchanged; it must have a person."""
    assert scene.person is not None
    return scene._replace(agent=scene.person, person=scene.agent)


def possible(scene: Scene) -> bool:
    """Whether such a scene can occur: organisations only trade, and nobody acts on themselves."""
    if scene.agent == scene.person:
        return False
    if scene.agent in ORGANISATIONS:
        return scene.verb in (*world.TRADE_VERBS, "have") and scene.thing is not None
    return scene.person not in ORGANISATIONS or scene.verb == "sell"


def _scene_of(rng: Random, agent: str) -> Scene:
    habits = HABITS[agent]
    place = rng.choice(habits.places) if rng.random() < 0.75 else None
    time = draw_time(rng, agent, place) if rng.random() < 0.5 else None
    if agent in ORGANISATIONS:
        return _trade(rng, agent, place, time)
    frame = rng.random()
    if frame < 0.15:
        verb = rng.choice(habits.social)
        return Scene(agent, verb, person=rng.choice(habits.friends), place=place, time=time)
    if frame < 0.23:
        return Scene(agent, rng.choice(world.MOVES), place=rng.choice(habits.places), time=time)
    if frame < 0.31:
        return Scene(agent, rng.choice(habits.activities), place=place, time=time)
    if frame < 0.41:
        return _state(rng, agent)
    goods = STOCK[place] if place and rng.random() < 0.4 else habits.things
    thing = rng.choice(goods)
    verb = rng.choice(USES[thing])
    person = rng.choice(habits.friends) if verb in TRANSFERS else None
    return Scene(agent, verb, *_described(rng, thing), person, place, time)


def _trade(rng: Random, agent: str, place: str | None, time: str | None) -> Scene:
    thing = rng.choice(HABITS[agent].things)
    if rng.random() < 0.2:
        return Scene(agent, "have", *_described(rng, thing))
    verb = rng.choice(world.TRADE_VERBS)
    person = None
    if verb == "sell":
        others = [o for o in ORGANISATIONS if o != agent]
        person = rng.choice(others if rng.random() < 0.3 else HABITS[agent].friends)
    return Scene(agent, verb, *_described(rng, thing), person, place, time)


def _state(rng: Random, agent: str) -> Scene:
    habits, verb = HABITS[agent], rng.choice(world.STATES)
    if verb == "live":
        return Scene(agent, verb, place=habits.home)
    thing = rng.choice(habits.things)
    if verb == "like":
        return Scene(agent, verb, thing)
    return Scene(agent, verb, *_described(rng, thing))


def _described(rng: Random, thing: str) -> tuple[str, int | None, str | None]:
    number = draw_number(rng, thing) if rng.random() < 0.8 else None
    return thing, number, rng.choice(LOOKS[thing]) if rng.random() < 0.5 else None
