"""Extractive question answering: questions that a span of a passage answers, or nothing does."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from random import Random
from typing import NamedTuple

from xt_jax.data.examples import SpanExample
from xt_jax.mini.languages import ORDERS, Utterance, say, text
from xt_jax.mini.scenes import Scene, draw_scene, is_text, negate, possible
from xt_jax.mini.tasks.drawing import exchanges, knowable, roles_of
from xt_jax.mini.words import Language, Word, write

ECHOED = ("verb", "thing", "number", "look", "person", "place", "time")


class Question(NamedTuple):
    """A question; `answer` is the index of the sentence that answers it, or None."""

    said: Utterance
    answer: int | None


class Passage(NamedTuple):
    """The sentences of a passage and the questions about them."""

    sentences: tuple[Utterance, ...]
    questions: tuple[Question, ...]

    def meanings(self) -> Hashable:
        return tuple(sentence.meaning() for sentence in self.sentences)


def draw_passage(rng: Random, turn: int = 0) -> Passage:
    """Draws three to five sentences that partly resemble each other, and two questions."""
    while True:
        scenes = draw_similar_scenes(rng, rng.randint(3, 5))
        questions = _questions(rng, scenes)
        if len(questions) >= 2:
            return Passage(_sentences(rng, scenes), tuple(rng.sample(questions, 2)))


def draw_passage_or_none(rng: Random, turn: int = 0) -> Passage:
    """Draws a passage with one question that it answers and one that it does not.

    All that the latter names occurs in the passage, but not in one event.
    """
    while True:
        passage = draw_passage(rng)
        unanswered = _unanswered(rng, [s for u in passage.sentences for s in u.scenes])
        if unanswered:
            return passage._replace(questions=(passage.questions[0], rng.choice(unanswered)))


def draw_similar_scenes(rng: Random, count: int) -> list[Scene]:
    """Draws scenes with different agents, many of which share most of their parts."""
    scenes: list[Scene] = []
    while len(scenes) < count:
        scene = draw_scene(rng, without=[s.agent for s in scenes])
        if scenes and rng.random() < 0.6:
            model = rng.choice(scenes)
            parts = rng.sample(ECHOED, 6)
            echo = model._replace(agent=scene.agent, negated=False)
            for part in ("look", "number", "place", "time"):
                if part not in parts[:4] and getattr(model, part) and getattr(scene, part):
                    echo = echo._replace(**{part: getattr(scene, part)})
            if possible(echo) and not is_text(echo):
                scene = echo
        scenes.append(negate(scene) if rng.random() < 0.2 else scene)
    return scenes


def span_examples(
    language: Language, passages: Sequence[Passage], asking: Language | None = None
) -> list[SpanExample]:
    """Builds one example per question; `asking` is the questions' language if not `language`.

    The answer consists of the words of the role asked for, with prepositions and particles.
    """
    examples = []
    for i, passage in enumerate(passages):
        context, spans = _written(language, passage)
        for j, (asked, k) in enumerate(passage.questions):
            answers: tuple[tuple[str, int], ...] = ()
            if k is not None:
                first, last = _answer(spans[k], asked.asked)
                answers = ((context[first:last], first),)
            question = text(asking or language, asked)
            examples.append(SpanExample(f"{i}-{j}", question, context, answers))
    return examples


def passage_text(language: Language, sentences: Sequence[Utterance]) -> str:
    """Joins the sentences to one text."""
    return (" " if language.spaces else "").join(text(language, s) for s in sentences)


Placed = list[tuple[Word, int, int]]  # words with their start and end offsets


def _written(language: Language, passage: Passage) -> tuple[str, list[Placed]]:
    """Returns the passage as text, and the words of each sentence with their offsets."""
    context, placed = "", []
    for sentence in passage.sentences:
        if context and language.spaces:
            context += " "
        words = say(language, sentence)
        written, spans = write(words, language.spaces)
        start = len(context)
        placed.append([(w, start + a, start + b) for w, (a, b) in zip(words, spans, strict=True)])
        context += written
    return context, placed


def _answer(words: Placed, role: str) -> tuple[int, int]:
    roles = ("thing", "number") if role == "thing" else (role,)
    part = [(first, last) for word, first, last in words if word.role in roles]
    return part[0][0], part[-1][1]


def _sentences(rng: Random, scenes: Sequence[Scene]) -> tuple[Utterance, ...]:
    return tuple(Utterance((scene,), rng.choice(ORDERS)) for scene in scenes)


def _questions(rng: Random, scenes: Sequence[Scene]) -> list[Question]:
    """Returns all questions that exactly one of the scenes can answer."""
    return [
        Question(Utterance((scene,), rng.choice(ORDERS), role), i)
        for i, scene in enumerate(scenes)
        if not scene.negated
        for role in roles_of(scene)
        if not any(knowable(scene, other, role) for other in (*scenes[:i], *scenes[i + 1 :]))
    ]


def _unanswered(rng: Random, scenes: Sequence[Scene]) -> list[Question]:
    """Returns questions about mixtures of two scenes that no scene answers."""
    parts = ("agent", "person", "thing", "place", "time")
    mixed = [
        new
        for i, one in enumerate(scenes)
        for two in scenes[:i]
        if not one.negated and not two.negated
        for pair in exchanges(one, two, parts)
        for new in pair
    ]
    return [
        Question(Utterance((scene,), rng.choice(ORDERS), role), None)
        for scene in mixed
        for role in roles_of(scene)
        if not any(knowable(scene, other, role) for other in scenes)
    ]
