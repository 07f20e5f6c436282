"""Paraphrase tasks: pairs of the same words with the same or with another meaning."""

from __future__ import annotations

from random import Random

from xt_jax.mini.languages import ORDERS, Utterance
from xt_jax.mini.scenes import Scene, draw_scene, is_text, possible, swap_roles
from xt_jax.mini.tasks.drawing import exchanges, roles_of
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
    """Draws two questions of the same words: with the same answer ("1") or people exchanged."""
    label = PARAPHRASE[turn % 2]
    while True:
        scene = draw_scene(rng)
        swap = _swapped(scene)
        if not swap or not (scene.place or scene.time):
            continue
        asked = rng.choice([r for r in roles_of(scene) if r not in ("agent", "person")])
        if not any(getattr(scene, part) for part in ("place", "time") if part != asked):
            continue
        orders = rng.sample(ORDERS[:2], 2)
        other = scene if label == "1" else swap
        first = Utterance((scene,), orders[0], asked)
        return Pair(first, Utterance((other,), orders[1], asked), label)


def _swapped(scene: Scene) -> Scene | None:
    """Returns the scene with its people exchanged, or None if tasks may not have that scene."""
    if scene.person is None or scene.verb == "meet":
        return None
    swap = swap_roles(scene)
    return swap if possible(swap) and not is_text(swap) else None
