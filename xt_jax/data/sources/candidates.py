"""What may hold one split of one task: patterns of file names, and the language in them.

Patterns are relative paths with `*` and `[...]` as in a shell, and these fields of a language:
`{lang}` its code, `{iso3}` Tatoeba's code, `{name}` the English name, and for the language
`de-en` of a pair `{context}` de and `{question}` en. Without any field a file is in English.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from etils import epath

from xt_jax.data.examples import Example
from xt_jax.languages import ISO3, TYDIQA_NAMES, Pair, is_code, pair

ReadFiles = Callable[[Sequence[epath.Path], str, Sequence[str]], list[Example]]

ENGLISH = "en"


class Candidate(NamedTuple):
    """Files that together hold one split, and their reader.

    Attributes:
        patterns: each must be there; the reader gets what they match, in this order.
        read: (paths, language, allowed labels) -> examples.
        substitute: the files hold other examples than the official ones.
        optional: a further pattern, for a file that may be missing.
        mixed: the languages of a file that holds several.
        translated: machine translations from English, in any other language.
    """

    patterns: tuple[str, ...]
    read: ReadFiles
    substitute: bool = False
    optional: str = ""
    mixed: tuple[str, ...] = ()
    translated: bool = False


def serves(candidate: Candidate, language: str) -> bool:
    """Whether the candidate can hold that language; without any field it is in English."""
    if candidate.mixed:
        return language in candidate.mixed
    first = candidate.patterns[0]
    if "{context}" in first:
        both = pair(language)
        return both is not None and both.context != both.question
    if "{iso3}" in first:
        return language in ISO3
    if "{name}" in first:
        return language in TYDIQA_NAMES
    if "{lang}" in first:
        return is_code(language) and not (candidate.translated and language == ENGLISH)
    return language == ENGLISH


def fill(pattern: str, language: str) -> str:
    """The pattern with its fields replaced."""
    context, question = pair(language) or ("", "")
    return pattern.format(
        lang=language,
        iso3=ISO3.get(language, ""),
        name=TYDIQA_NAMES.get(language, ""),
        context=context,
        question=question,
    )


def first_field(pattern: str) -> tuple[str, str]:
    """(the folders before the first component with a field, that component); "" where none is."""
    components = pattern.split("/")
    for index, component in enumerate(components):
        if "{" in component:
            return "/".join(components[:index]), component
    return pattern, ""


def language_of(component: str, name: str) -> str:
    """The language for which a component of a pattern, with fields, becomes `name`; "" for none."""
    parts: list[str] = []
    for part in re.split(r"(\{\w+\}|\*)", component):
        if part == "*":
            parts.append(".*")
        elif not part.startswith("{"):
            parts.append(re.escape(part))
        elif f"(?P<{part[1:-1]}>" in "".join(parts):
            parts.append(f"(?P={part[1:-1]})")
        else:
            parts.append(f"(?P<{part[1:-1]}>[a-z]{{2,}}(?:[-_][A-Z0-9]\\w+)*)")
    match = re.fullmatch("".join(parts), name)
    if not match:
        return ""
    found = match.groupdict()
    if "context" in found:
        return str(Pair(found["context"], found["question"]))
    for key, names in (("iso3", ISO3), ("name", TYDIQA_NAMES)):
        if key in found:
            return next((code for code, called in names.items() if called == found[key]), "")
    return found["lang"] if is_code(found["lang"]) else ""
