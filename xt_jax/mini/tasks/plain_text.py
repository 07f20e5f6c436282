"""Plain text for masked language modelling: short stories, one per line."""

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
    """Draws a story of two to four events, mostly of people who know each other.

    Some events are told again: in fewer words, as question and answer, or as what someone else did
    not do. Half of the negated sentences end in an exclamation mark, which all languages share and
    which ties their words of negation. The tasks use none of these scenes.
    """
    utterances: list[Utterance] = []
    known: Sequence[str] = world.AGENTS
    for _ in range(rng.choice((2, 3, 4))):
        scene = draw_scene(rng, among=known, for_text=True)
        friends = (scene.agent, *HABITS[scene.agent].friends)
        known = friends if rng.random() < 0.7 else world.AGENTS
        if rng.random() < (0.9 if is_usually_denied(scene) else 0.05):
            scene = negate(scene)
        utterances += _again(rng, scene) if rng.random() < 0.4 else [_in_some_order(rng, scene)]
    return tuple(_joined(rng, utterances))


def meanings(story: Story) -> Hashable:
    return tuple(utterance.meaning() for utterance in story)


def text_examples(language: Language, stories: Sequence[Story]) -> list[TextExample]:
    return [TextExample(str(i), passage_text(language, story)) for i, story in enumerate(stories)]


def _in_some_order(rng: Random, scene: Scene, asked: str = "") -> Utterance:
    exclaimed = scene.negated and rng.random() < 0.5
    return Utterance((scene,), rng.choice(ORDERS), asked, exclaimed)


def _again(rng: Random, scene: Scene) -> list[Utterance]:
    """Tells the scene twice, or once if the way drawn to repeat it is impossible."""
    first, way = _in_some_order(rng, scene), rng.random()
    if way < 0.4 and not scene.negated:
        return [_in_some_order(rng, scene, rng.choice(roles_of(scene))), first]
    second = _shorter(rng, scene) if way < 0.75 else _contrast(rng, scene)
    if second == scene or not is_text(second) or not possible(second):
        return [first]
    return [first, _in_some_order(rng, second)]


def _shorter(rng: Random, scene: Scene) -> Scene:
    """Returns an affirmed scene with less detail, which it entails; a negated one unchanged."""
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
    """Returns the scene with another agent and the opposite negation."""
    other = draw_scene(rng, for_text=True, without=(scene.agent, scene.person or "")).agent
    changed = scene._replace(agent=other)
    return changed._replace(negated=False) if scene.negated else negate(changed)


def _joined(rng: Random, utterances: list[Utterance]) -> list[Utterance]:
    """Sometimes joins the first two statements to one sentence, if their agents differ."""
    if len(utterances) < 2 or rng.random() < 0.7 or utterances[0].asked or utterances[1].asked:
        return utterances
    first, second, *rest = utterances
    if first.scenes[0].agent == second.scenes[0].agent:
        return utterances
    return [Utterance(first.scenes + second.scenes), *rest]
