"""Normalises MLQA's answers before they are compared, by the rules of each language.

The rules of the MLQA scorer (Lewis et al., arXiv 1910.07475): all Unicode punctuation goes, then
the articles of the answer's language; Chinese is compared character by character.
"""

from __future__ import annotations

import functools
import re
import string
import sys
import unicodedata

from xt_jax.languages import MLQA, components
from xt_jax.tasks.metrics.squad import Normalise

_ARTICLES = {
    "en": "a an the",
    "es": "un una unos unas el la los las",
    "vi": "của là cái chiếc những",
    "de": "ein eine einen einem eines einer der die das den dem des",
}
_ARTICLE = {
    **{
        language: re.compile(rf"\b(?:{'|'.join(words.split())})\b")
        for language, words in _ARTICLES.items()
    },
    "ar": re.compile("ال"),  # wherever the two letters stand, not the prefix alone
}
_HAN = re.compile("([\u4e00-\u9fa5])")


def normalise(text: str, language: str) -> str:
    """Lower-cases, deletes punctuation, then the language's articles, joins words by one space."""
    text = text.lower().translate(_punctuation())
    if language in _ARTICLE:
        text = _ARTICLE[language].sub(" ", text)
    if language == "zh":
        text = _HAN.sub(r" \1 ", text)
    return " ".join(text.split())


def normaliser(language: str) -> Normalise:
    """Returns `normalise` for one language, or for the context's language of a pair.

    Raises:
        ValueError: a language that MLQA does not have.
    """
    context = components(language)[0]
    if context not in MLQA:
        raise ValueError(f"MLQA has no language {language!r}; it has {', '.join(MLQA)}")
    return functools.partial(normalise, language=context)


@functools.cache
def _punctuation() -> dict[int, None]:
    """Returns every character of a Unicode category P, and ASCII's symbols."""
    marks = (c for c in range(sys.maxunicode) if unicodedata.category(chr(c)).startswith("P"))
    return dict.fromkeys([*marks, *map(ord, string.punctuation)])
