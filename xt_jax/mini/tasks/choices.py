"""Multiple-choice tasks: how a story goes on, what a passage says, what everybody knows."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from random import Random
from typing import Any, NamedTuple

from xt_jax.data.examples import ChoiceExample
from xt_jax.mini import concepts as world
from xt_jax.mini.languages import ORDERS, Utterance, say, text
from xt_jax.mini.scenes import HABITS, STOCK, USES, Scene, draw_scene, possible
from xt_jax.mini.tasks.passages import draw_passage, passage_text
from xt_jax.mini.words import Language, write


class Choice(NamedTuple):
    """A context, an optional question about it, the choices and the index of the right one.

    Choices are whole sentences, or with a `question` the answers that these scenes give to it.
    """

    context: tuple[Utterance, ...]
    question: Utterance | None
    choices: tuple[Scene, ...]
    label: int

    def meanings(self) -> Hashable:
        return self.context, self.question, frozenset(self.choices)


def draw_ending(rng: Random, turn: int) -> Choice:
    """Draws a HellaSwag-like choice: only one of four endings is something the agent does.

    In the right ending the agent does something usual with one of its usual things; in a wrong one
    with a thing that others use, but this agent never.
    """
    while True:
        start = draw_scene(rng)
        if start.agent in world.ORGANISATIONS or start.thing is None:
            continue
        endings = [_deed(rng, start.agent, start.agent)]
        while len(endings) < 4:
            other = rng.choice(list(world.HUMANS))
            wrong = _deed(rng, start.agent, other)
            if wrong.thing not in {*_handled(start.agent), *(e.thing for e in endings)}:
                endings.append(wrong)
        if endings[0].thing != start.thing:
            return _shuffled(rng, turn, (Utterance((start,), rng.choice(ORDERS)),), None, endings)


def draw_reading(rng: Random, turn: int) -> Choice:
    """Draws a Cosmos QA-like choice: a passage, a question about it, four plausible answers."""
    while True:
        passage = draw_passage(rng)
        asked, k = passage.questions[0]
        (right,) = passage.sentences[k or 0].scenes
        role = asked.asked
        others = [s for u in passage.sentences for s in u.scenes] + [
            draw_scene(rng) for _ in range(12)
        ]
        answers = _different(right, others, role, 4)
        if answers:
            return _shuffled(rng, turn, passage.sentences, asked, answers)


def draw_knowledge(rng: Random, turn: int) -> Choice:
    """Draws a CommonsenseQA-like choice: what someone likes or where they live; five answers."""
    while True:
        agent = rng.choice(list(world.HUMANS))
        habits = HABITS[agent]
        if rng.random() < 0.8:
            verb, role, right = "like", "thing", rng.choice(habits.things)
            wrong = [t for t in world.THINGS if t not in habits.things]
        else:
            verb, role, right = "live", "place", habits.home
            wrong = [city for city in world.CITIES if city != habits.home]
        changes: list[dict[str, Any]] = [{role: v} for v in (right, *rng.sample(wrong, 4))]
        scenes = [Scene(agent, verb)._replace(**change) for change in changes]
        asked = Utterance((scenes[0],), rng.choice(ORDERS), role)
        return _shuffled(rng, turn, (), asked, scenes)


def choice_examples(language: Language, choices: Sequence[Choice]) -> list[ChoiceExample]:
    """Builds the examples; with a context, a question precedes each answer, else it is the text."""
    examples = []
    for i, (context, question, scenes, label) in enumerate(choices):
        start = passage_text(language, context)
        if question is None:
            options = [text(language, Utterance((scene,))) for scene in scenes]
        else:
            options = [answer(language, scene, question.asked) for scene in scenes]
            asked = text(language, question)
            if context:
                options = [f"{asked} {option}" for option in options]
            else:
                start = asked
        examples.append(ChoiceExample(str(i), start, tuple(options), str(label)))
    return examples


def answer(language: Language, scene: Scene, role: str) -> str:
    """Returns the words of the scene that answer a question for its `role`."""
    roles = ("thing", "number") if role == "thing" else (role,)
    words = [word for word in say(language, Utterance((scene,))) if word.role in roles]
    return write(words, language.spaces)[0]


def _handled(agent: str) -> set[str]:
    """Returns all things that an agent ever uses: its own, and those of the places it visits."""
    places = HABITS[agent].places
    return {*HABITS[agent].things, *(thing for place in places for thing in STOCK[place])}


def _deed(rng: Random, agent: str, like: str) -> Scene:
    """Draws a scene in which `agent` uses one of the usual things of `like`."""
    while True:
        thing = rng.choice(HABITS[like].things)
        verb = rng.choice(USES[thing])
        person = rng.choice(HABITS[agent].friends) if verb in world.TRANSFERS else None
        scene = Scene(agent, verb, thing, rng.choice((1, 2, 3, 4)), None, person)
        if possible(scene):
            return scene


def _different(right: Scene, others: Sequence[Scene], role: str, count: int) -> list[Scene]:
    """Returns `count` scenes with different answers, `right` first; [] if there are too few."""
    chosen = [right]
    for other in others:
        usable = not other.negated and getattr(other, role) is not None
        if not usable or not _same_kind(right, other, role):
            continue
        if all(_differ(one, other, role) for one in chosen):
            chosen.append(other)
    return chosen[:count] if len(chosen) >= count else []


def _differ(one: Scene, two: Scene, role: str) -> bool:
    """Whether neither answer includes the other, as "apples" includes red or three apples."""
    if role != "thing" or one.thing != two.thing:
        return getattr(one, role) != getattr(two, role)
    pairs = ((one.number, two.number), (one.look, two.look))
    return any(None not in pair and pair[0] != pair[1] for pair in pairs)


def _same_kind(right: Scene, other: Scene, role: str) -> bool:
    """Whether the answers have the same form: both destinations, or both numbers above 2."""
    moves = (right.verb in world.MOVES) == (other.verb in world.MOVES)
    numbers = role != "number" or (other.number or 0) > 2
    return numbers and (role != "place" or moves)


def _shuffled(
    rng: Random,
    turn: int,
    context: tuple[Utterance, ...],
    question: Utterance | None,
    scenes: Sequence[Scene],
) -> Choice:
    """Shuffles the choices; the first scene is the right one and moves to index `turn`."""
    label = turn % len(scenes)
    wrong = list(scenes[1:])
    rng.shuffle(wrong)
    return Choice(context, question, (*wrong[:label], scenes[0], *wrong[label:]), label)
