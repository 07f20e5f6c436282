"""The languages of the world, and whole sentences in them."""

from __future__ import annotations

from typing import NamedTuple

from xt_jax.mini.english import ENGLISH
from xt_jax.mini.german import GERMAN
from xt_jax.mini.scenes import Scene
from xt_jax.mini.turkish import TURKISH
from xt_jax.mini.words import Language, Word

LANGUAGES = {language.code: language for language in (ENGLISH, GERMAN, TURKISH)}
ORDERS = ("plain", "front", "shift")
ROLES = ("agent", "thing", "place")


class Utterance(NamedTuple):
    """One sentence in no language yet: a scene in some order, two scenes, or a question.

    `asked` is the role that a question about the (affirmed) scene asks for, or empty.
    """

    scenes: tuple[Scene, ...]
    order: str = "plain"
    asked: str = ""

    def meaning(self) -> tuple[tuple[Scene, ...], str]:
        """All but the order."""
        return self.scenes, self.asked


def say(language: Language, utterance: Utterance) -> list[Word]:
    """The utterance as a sentence."""
    first, *rest = utterance.scenes
    if utterance.asked:
        words = language.question(first, utterance.asked)
    else:
        words = language.clause(first, "plain" if rest else utterance.order)
    for scene in rest:
        words += language.conjunctions[scene.negated != first.negated]
        words += language.clause(scene, "plain")
    capital = words[0]._replace(text=language.capital(words[0].text))
    return [capital, *words[1:], Word("?" if utterance.asked else ".", "PUNCT")]
