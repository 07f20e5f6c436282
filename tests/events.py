"""Decides what is true by enumerating what can have happened, without comparing two scenes.

An event has a value for every part; a scene describes some events. Affirmed it says that one of
these happened, denied that none of them did.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from xt_jax.mini.concepts import KINDS
from xt_jax.mini.scenes import Scene

OTHER = "something else"


class Event(NamedTuple):
    """Something that happened, with a value for every part."""

    agent: str
    verb: str
    thing: str | None
    number: int
    look: str
    person: str | None
    place: str
    time: str


def describes(scene: Scene, event: Event, *, exactly: bool = True) -> bool:
    """Returns whether the words of the scene, apart from a negation, fit the event.

    `exactly`: three are three, and not three or more. A plural is more than one; in a denied scene
    it is any number.
    """
    return any(_fits(scene, told, exactly) for told in _tellings(event))


def verdict(premise: Sequence[Scene], hypothesis: Scene, *, exactly: bool = True) -> str:
    """Returns whether the hypothesis is true in every, some or no world where the premise is.

    The smallest such worlds have one event for each affirmed scene; the others have more events,
    as long as no denied scene describes one.
    """
    denied = [scene for scene in premise if scene.negated]

    def possible(scene: Scene) -> list[Event]:
        return [
            event
            for event in _events((*premise, hypothesis), scene)
            if describes(scene, event, exactly=exactly)
            and not any(describes(no, event, exactly=exactly) for no in denied)
        ]

    affirmed = [possible(scene) for scene in premise if not scene.negated]
    assert all(affirmed), "the premise contradicts itself"
    must = any(
        all(describes(hypothesis, event, exactly=exactly) for event in events)
        for events in affirmed
    )
    cannot = not possible(hypothesis)
    if hypothesis.negated:
        must, cannot = cannot, must
    return "entailment" if must else "contradiction" if cannot else "neutral"


def could_answer(question: Scene, asked: str, sentence: Scene) -> bool:
    """Returns whether the event of an affirmed sentence may be what a question is about."""
    unsaid = ("thing", "number", "look") if asked == "thing" else (asked,)
    return any(
        _fits(question._replace(**{part: getattr(told, part) for part in unsaid}), told)
        for event in _events((question, sentence), sentence)
        if describes(sentence, event)
        for told in _tellings(event)
    )


def _fits(scene: Scene, event: Event, exactly: bool = True) -> bool:
    if scene.thing and scene.verb != "like" and not scene.negated:
        least = scene.number or 2
        if event.number < least or (exactly and scene.number and event.number > least):
            return False
    things = {scene.thing}
    if scene.thing in KINDS and scene.verb != "like":  # to like apples is not to like fruit
        things |= {*KINDS[scene.thing][0], OTHER + scene.thing}
    same = (scene.agent, scene.verb, scene.person) == (event.agent, event.verb, event.person)
    return (
        same
        and event.thing in things
        and all(getattr(scene, p) in (None, getattr(event, p)) for p in ("look", "place", "time"))
    )


def _events(mentioned: Sequence[Scene], scene: Scene) -> Iterator[Event]:
    """Returns events with the scene's verb; each part is a mentioned value or something else."""

    def named(part: str) -> list:
        return [*sorted({getattr(one, part) for one in mentioned} - {None}), OTHER]

    kinds = [thing for one in mentioned if (thing := one.thing) in KINDS]
    things = [one.thing for one in mentioned] + [OTHER + kind for kind in kinds if kind]
    largest = max((one.number or 0 for one in mentioned), default=0)
    numbers = {1, 2, 3, largest + 1, *(one.number or 1 for one in mentioned)}
    for thing, number, look, place, time in itertools.product(
        set(things), numbers, named("look"), named("place"), named("time")
    ):
        yield Event(scene.agent, scene.verb, thing, number, look, scene.person, place, time)


def _tellings(event: Event) -> Iterator[Event]:
    """Returns the event and what a reader can infer from it.

    Who is met meets, who is sold something buys it, and all who travel go.
    """
    yield event
    if event.verb == "meet" and event.person:
        yield event._replace(agent=event.person, person=event.agent)
    if event.verb == "sell" and event.person:
        yield event._replace(agent=event.person, verb="buy", person=None)
    if event.verb in ("travel", "return"):
        yield event._replace(verb="go")
