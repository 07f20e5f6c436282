"""Paraphrase tasks: pairs of the same words with the same or with another meaning."""

from __future__ import annotations

from random import Random

from xt_jax.mini import concepts as world
from xt_jax.mini.languages import ORDERS, Utterance
from xt_jax.mini.scenes import Scene, draw_scene, is_text, possible, swap_roles
from xt_jax.mini.tasks.drawing import exchanges, knowable, roles_of
from xt_jax.mini.tasks.entailment import Pair

PARAPHRASE = ("0", "1")
EXCHANGED = ("agent", "person", "number", "look", "place", "time")


def draw_paraphrase(rng: Random, turn: int) -> Pair:
    """Draws two sentences of the same words in another order, with the same meaning ("1") or not.

    For "0" two parts are exchanged: agent and person, or a part of two scenes.
    """
    label = PARAPHRASE[turn % 2]
    while True:
        one = draw_scene(rng)
        if rng.random() < 0.4:
            if (scene := _swapped(one)) and (one.place or one.time):
                orders = rng.sample(("plain", "front"), 2)
                second = one if label == "1" else scene
                return Pair(Utterance((one,), orders[0]), Utterance((second,), orders[1]), label)
            continue
        two = draw_scene(rng, without=(one.agent,))
        if options := exchanges(one, two, EXCHANGED):
            first, second = (one, two) if label == "1" else rng.choice(options)
            return Pair(Utterance((one, two)), Utterance((second, first)), label)


def draw_duplicate(rng: Random, turn: int) -> Pair:
    """Draws a question, and the same in another order ("1") or one with another answer ("0").

    Three times in ten the latter has its people exchanged; else it is about another event, of the
    same agent unless that is asked for.
    """
    label, people = PARAPHRASE[turn % 2], rng.random() < 0.3
    while True:
        scene = draw_scene(rng)
        swap = _swapped(scene)
        roles = [role for role in _askable(scene) if not people or role not in ("agent", "person")]
        if not roles or (people and not swap):
            continue
        asked = rng.choice(roles)
        second: Scene | None = scene
        if label == "0":
            second = swap if people else _another_event(rng, scene, asked)
        if second:
            orders = rng.sample(ORDERS[:2], 2)
            first = Utterance((scene,), orders[0], asked)
            return Pair(first, Utterance((second,), orders[1], asked), label)


def _askable(scene: Scene) -> list[str]:
    """Returns the roles whose question has two orders: a time, or where it was, can stand first."""
    bound = scene.verb in (*world.MOVES, "live")  # to their place
    free = [part for part in ("time", "place")[: 1 if bound else 2] if getattr(scene, part)]
    return [role for role in roles_of(scene) if any(part != role for part in free)]


def _another_event(rng: Random, scene: Scene, asked: str) -> Scene | None:
    """Draws an event whose question for `asked` has another answer, or None if that is rare."""
    among = world.AGENTS if asked == "agent" else (scene.agent,)
    others = (draw_scene(rng, among=among) for _ in range(20))
    return next((other for other in others if _differ(scene, other, asked)), None)


def _differ(one: Scene, two: Scene, asked: str) -> bool:
    """Returns whether the question for the role `asked` has different answers in two scenes."""
    apart = not knowable(one, two, asked) and not knowable(two, one, asked)
    return apart and asked in _askable(two)


def _swapped(scene: Scene) -> Scene | None:
    """Returns the scene with its people exchanged, or None if tasks may not have that scene."""
    if scene.person is None or scene.verb == "meet":
        return None
    swap = swap_roles(scene)
    return swap if possible(swap) and not is_text(swap) else None
