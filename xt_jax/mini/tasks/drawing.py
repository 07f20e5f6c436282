"""Draws utterances and splits without repetition, for all tasks."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from random import Random
from typing import Any, TypeVar

from xt_jax.mini import concepts as world
from xt_jax.mini.languages import ORDERS, Utterance
from xt_jax.mini.scenes import (
    LOOKS,
    ROLES,
    Scene,
    draw_scene,
    is_text,
    negate,
    possible,
    swap_roles,
)

Meaning = TypeVar("Meaning")


def distinct(
    draw: Callable[[Random, int], Meaning],
    seed: str,
    counts: Sequence[int],
    key: Callable[[Meaning], Hashable],
) -> list[list[Meaning]]:
    """Draws splits of `counts` meanings; all keys differ, also between splits."""
    rng, drawn, splits = Random(seed), set(), []
    for count in counts:
        split: list[Meaning] = []
        while len(split) < count:
            meaning = draw(rng, len(split))
            if key(meaning) not in drawn:
                drawn.add(key(meaning))
                split.append(meaning)
        splits.append(split)
    return splits


def draw_scenes(rng: Random, count: int, without: Sequence[str] = ()) -> tuple[Scene, ...]:
    """Draws scenes with different agents, none in `without`; they mostly alternate in negation."""
    scenes: list[Scene] = []
    denied = rng.random() < 0.5
    for _ in range(count):
        scene = draw_scene(rng, without=[*without, *(s.agent for s in scenes)])
        scenes.append(negate(scene) if denied else scene)
        denied = denied != (rng.random() < 0.75)
    return tuple(scenes)


def draw_statement(rng: Random, turn: int = 0) -> Utterance:
    """Draws a statement of one or two scenes, affirmed or negated."""
    return Utterance(draw_scenes(rng, rng.choice((1, 1, 2))), rng.choice(ORDERS))


def draw_utterance(rng: Random, turn: int = 0) -> Utterance:
    """Draws a statement, or one time in five a question."""
    if rng.random() < 0.2:
        scene = draw_scene(rng)
        return Utterance((scene,), rng.choice(ORDERS), rng.choice(roles_of(scene)))
    return draw_statement(rng)


def roles_of(scene: Scene) -> list[str]:
    """Returns the roles a question can ask for; a number only from 3, since some have a dual."""
    roles = [role for role in ROLES if getattr(scene, role) is not None]
    if scene.number is not None and scene.number < 3:
        roles.remove("number")
    return roles


def knowable(scene: Scene, other: Scene, asked: str) -> bool:
    """Whether `other` could answer a question about `scene` that asks for `asked`.

    It could unless every retelling of `other` differs in a part that the question names.
    """
    unknown = ("thing", "number", "look") if asked == "thing" else (asked,)
    named = [part for part in Scene._fields if part not in unknown]
    return any(_agree(scene, version, named) for version in retold(other))


def retold(scene: Scene) -> list[Scene]:
    """Returns the scene and the other scenes that describe the same event.

    Meeting is mutual, who is sold something buys it, and a journey can have several verbs.
    """
    if scene.verb == "meet":
        return [scene, swap_roles(scene)]
    if scene.verb == "sell" and scene.person:
        return [scene, scene._replace(agent=scene.person, verb="buy", person=None)]
    if scene.verb in world.MOVES:
        return [scene._replace(verb=verb) for verb in world.MOVES]
    return [scene]


def exchanges(one: Scene, two: Scene, parts: Sequence[str]) -> list[tuple[Scene, Scene]]:
    """Returns all ways to exchange one of `parts` between two scenes that leave both plausible.

    The words stay the same, but the meaning changes.
    """
    options = []
    for part in parts:
        a, b = getattr(one, part), getattr(two, part)
        if a is None or b is None or a == b or (part == "number" and 1 in (a, b)):
            continue
        if part == "place" and not _keep_place(one, two):
            continue
        if part == "look" and not _keep_looks(one, two):
            continue
        changes: list[dict[str, Any]] = [{part: b}, {part: a}]
        changed = one._replace(**changes[0]), two._replace(**changes[1])
        if set(changed) != {one, two} and all(possible(s) and not is_text(s) for s in changed):
            options.append(changed)
    return options


def usual_looks(thing: str) -> Sequence[str]:
    return LOOKS.get(thing) or world.KINDS[thing][1]


def _agree(one: Scene, two: Scene, parts: Sequence[str]) -> bool:
    pairs = ((getattr(one, part), getattr(two, part)) for part in parts)
    return all(a == b or None in (a, b) for a, b in pairs)


def _keep_place(one: Scene, two: Scene) -> bool:
    """Whether the scenes can exchange places: destinations stay destinations, and homes cities."""
    if (one.verb in world.MOVES) != (two.verb in world.MOVES):
        return False
    homes = [s.place for s in (one, two) if s.verb == "live"]
    return not homes or all(s.place in world.CITIES for s in (one, two))


def _keep_looks(one: Scene, two: Scene) -> bool:
    """Whether each thing can have the other's look, with the same article (an old car)."""
    looks = [world.KINDS[world.KIND_OF[s.thing or ""]][1] for s in (one, two)]
    alike = (one.number == 1) == (two.number == 1)
    return alike and one.look in looks[1] and two.look in looks[0]
