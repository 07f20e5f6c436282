"""Plain text for masked language modelling: little stories, a line each."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from random import Random

from xt_jax.data.examples import TextExample
from xt_jax.mini import concepts as world
from xt_jax.mini.languages import ORDERS, Utterance
from xt_jax.mini.scenes import (
    HABITS,
    Scene,
    draw_scene,
    is_text,
    is_usually_denied,
    negate,
    possible,
)
from xt_jax.mini.tasks.drawing import roles_of
from xt_jax.mini.tasks.passages import passage_text
from xt_jax.mini.words import Language

Story = tuple[Utterance, ...]


def draw_story(rng: Random, turn: int = 0) -> Story:
    """Two to four events, mostly of people who know each other, some of them told again.

    Again in fewer words, as question and answer, or as what another one did not do. Half of the
    denials are exclaimed: the mark is the same in all languages, and ties their words of denial.
    No scene is one that the tasks have.
    """
    said: list[Utterance] = []
    known: Sequence[str] = world.AGENTS
    for _ in range(rng.choice((2, 3, 4))):
        scene = draw_scene(rng, among=known, for_text=True)
        friends = (scene.agent, *HABITS[scene.agent].friends)
        known = friends if rng.random() < 0.7 else world.AGENTS
        if rng.random() < (0.9 if is_usually_denied(scene) else 0.05):
            scene = negate(scene)
        said += _again(rng, scene) if rng.random() < 0.4 else [_in_some_order(rng, scene)]
    return tuple(_joined(rng, said))


def meanings(story: Story) -> Hashable:
    return tuple(utterance.meaning() for utterance in story)


def text_examples(language: Language, stories: Sequence[Story]) -> list[TextExample]:
    return [TextExample(str(i), passage_text(language, story)) for i, story in enumerate(stories)]


def _in_some_order(rng: Random, scene: Scene, asked: str = "") -> Utterance:
    exclaimed = scene.negated and rng.random() < 0.5
    return Utterance((scene,), rng.choice(ORDERS), asked, exclaimed)


def _again(rng: Random, scene: Scene) -> list[Utterance]:
    """The scene told twice; where it cannot be in the way that was drawn, once."""
    first, way = _in_some_order(rng, scene), rng.random()
    if way < 0.4 and not scene.negated:
        return [_in_some_order(rng, scene, rng.choice(roles_of(scene))), first]
    second = _shorter(rng, scene) if way < 0.75 else _contrast(rng, scene)
    if second == scene or not is_text(second) or not possible(second):
        return [first]
    return [first, _in_some_order(rng, second)]


def _shorter(rng: Random, scene: Scene) -> Scene:
    """What follows from an affirmed scene; a denied one is left as it is."""
    if scene.negated:
        return scene
    if scene.verb not in (*world.MOVES, "live") and rng.random() < 0.5:
        scene = scene._replace(place=None)
    if rng.random() < 0.5:
        scene = scene._replace(time=None, look=None)
    if (scene.number or 1) > 1 and rng.random() < 0.3:
        scene = scene._replace(number=None)
    kind = world.KIND_OF.get(scene.thing or "")
    if kind in world.HYPERNYMS and scene.verb != "like" and rng.random() < 0.4:
        scene = scene._replace(thing=kind)
    return scene


def _contrast(rng: Random, scene: Scene) -> Scene:
    """The same of someone else, denied where it was affirmed."""
    other = draw_scene(rng, for_text=True, without=(scene.agent, scene.person or "")).agent
    changed = scene._replace(agent=other)
    return changed._replace(negated=False) if scene.negated else negate(changed)


def _joined(rng: Random, said: list[Utterance]) -> list[Utterance]:
    """Now and then the first two statements as one sentence, where they are of two agents."""
    if len(said) < 2 or rng.random() < 0.7 or said[0].asked or said[1].asked:
        return said
    first, second, *rest = said
    if first.scenes[0].agent == second.scenes[0].agent:
        return said
    return [Utterance(first.scenes + second.scenes), *rest]
