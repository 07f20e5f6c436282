"""Parallel sentences for retrieval, and comparable corpora for mining."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from random import Random
from typing import NamedTuple

from xt_jax.data.examples import MiningExample, SentenceExample
from xt_jax.mini.languages import LANGUAGES, ORDERS, Utterance, text
from xt_jax.mini.scenes import draw_scene, is_text, possible
from xt_jax.mini.tasks.drawing import distinct, draw_utterance
from xt_jax.mini.words import Language

ENGLISH = LANGUAGES["en"]


class Corpora(NamedTuple):
    """Sentences of a foreign and of the English corpus; None where a side has no translation.

    Half of the distractors differ from a pair in only one part.
    """

    lines: tuple[tuple[Utterance | None, Utterance | None], ...]


def parallel_examples(language: Language, said: Sequence[Utterance]) -> list[SentenceExample]:
    return [
        SentenceExample(str(i), text(ENGLISH, utterance), text(language, utterance), i)
        for i, utterance in enumerate(said)
    ]


def draw_corpora(seed: str, pairs: int, alone: int, splits: int) -> list[Corpora]:
    """Draws for each split `pairs` translated sentences, and `alone` without one on each side."""
    rng = Random(seed)
    drawn = distinct(_draw, seed, (pairs, 2 * alone) * splits, Utterance.meaning)
    taken: set[Hashable] = {utterance.meaning() for part in drawn for utterance in part}
    return [
        _corpora(rng, shared, others, taken)
        for shared, others in zip(drawn[::2], drawn[1::2], strict=True)
    ]


def mining_examples(language: Language, corpora: Corpora) -> list[MiningExample]:
    """Builds both corpora; ids count the lines of each from 1, as in the official files."""
    foreign: list[MiningExample] = []
    english: list[MiningExample] = []
    for one, two in corpora.lines:
        if two is not None:
            id_ = f"en-{len(english) + 1:09d}"
            english.append(MiningExample(id_, text(ENGLISH, two), True, None))
        if one is not None:
            partners = (english[-1].id,) if two is not None else ()
            id_ = f"{language.code}-{len(foreign) + 1:09d}"
            foreign.append(MiningExample(id_, text(language, one), False, partners))
    return [*english, *foreign]


def _draw(rng: Random, turn: int) -> Utterance:
    utterance = draw_utterance(rng)
    return utterance if not utterance.asked else Utterance(utterance.scenes, utterance.order)


def _corpora(
    rng: Random, shared: Sequence[Utterance], others: Sequence[Utterance], taken: set[Hashable]
) -> Corpora:
    """Replaces half of `others` by near copies of `shared` that are not `taken`, and shuffles."""
    lines: list[tuple[Utterance | None, Utterance | None]] = [(one, one) for one in shared]
    for i, other in enumerate(others):
        if rng.random() < 0.5:
            near = _near(rng, rng.choice(shared))
            if near.meaning() not in taken:
                taken.add(near.meaning())
                other = near
        lines.append((other, None) if i % 2 else (None, other))
    rng.shuffle(lines)
    return Corpora(tuple(lines))


def _near(rng: Random, utterance: Utterance) -> Utterance:
    """Returns the utterance with one part of its first scene replaced by another scene's."""
    first, *rest = utterance.scenes
    while True:
        other = draw_scene(rng, without=[s.agent for s in utterance.scenes])
        part = rng.choice(("agent",) if first.verb == "live" else ("agent", "place", "time"))
        own, value = getattr(first, part), getattr(other, part)
        changed = first._replace(**{part: value})
        fits = possible(changed) and not is_text(changed)
        if fits and None not in (own, value) and own != value:
            return Utterance((changed, *rest), rng.choice(ORDERS))
