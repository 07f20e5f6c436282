"""The languages of the world, and functions that express utterances in them."""

from __future__ import annotations

from typing import Any, NamedTuple

from xt_jax.mini.languages.arabic import ARABIC
from xt_jax.mini.languages.chinese import CHINESE
from xt_jax.mini.languages.english import ENGLISH
from xt_jax.mini.languages.german import GERMAN
from xt_jax.mini.languages.hindi import HINDI
from xt_jax.mini.languages.russian import RUSSIAN
from xt_jax.mini.languages.spanish import SPANISH
from xt_jax.mini.languages.turkish import TURKISH
from xt_jax.mini.scenes import Scene
from xt_jax.mini.words import Language, Word, Words, write

LANGUAGES = {
    language.code: language
    for language in (ENGLISH, GERMAN, SPANISH, RUSSIAN, ARABIC, TURKISH, HINDI, CHINESE)
}
ORDERS = ("plain", "front", "shift")


class Utterance(NamedTuple):
    """One sentence before it is put into a language: one or two scenes, or a question.

    `asked` is the role that a question about the (affirmed) scene asks for, or empty;
    `exclaimed` gives a statement an exclamation mark.
    """

    scenes: tuple[Scene, ...]
    order: str = "plain"
    asked: str = ""
    exclaimed: bool = False

    def meaning(self) -> tuple[tuple[Scene, ...], str]:
        """Returns the meaning of the utterance, without word order and exclamation."""
        if not self.asked:
            return self.scenes, ""
        unsaid = ("thing", "number", "look") if self.asked == "thing" else (self.asked,)
        nothing: dict[str, Any] = dict.fromkeys(unsaid)
        return (self.scenes[0]._replace(**nothing),), self.asked


def say(language: Language, utterance: Utterance) -> Words:
    """Expresses an utterance in a language, as words with their tags."""
    first, *rest = utterance.scenes
    if utterance.asked:
        words = language.question(first, utterance.asked, utterance.order)
    else:
        words = language.clause(first, "plain" if rest else utterance.order)
    for scene in rest:
        conjunction = language.conjunctions[scene.negated != first.negated]
        words += language.conjoined(conjunction, language.clause(scene, "plain"))
    head = words[0]._replace(text=language.capital(words[0].text))
    before, after = _marks(language, utterance)
    mark = (Word(before, "PUNCT", glued=True),) if before else ()
    return (*mark, head, *words[1:], Word(after, "PUNCT"))


def _marks(language: Language, utterance: Utterance) -> tuple[str, str]:
    if utterance.asked:
        return language.asking
    return language.exclaiming if utterance.exclaimed else ("", language.stop)


def text(language: Language, utterance: Utterance) -> str:
    """Expresses an utterance in a language, as running text."""
    return write(say(language, utterance), language.spaces)[0]
