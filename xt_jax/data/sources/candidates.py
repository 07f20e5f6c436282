"""Candidate files for one split of one task: patterns of file names with the language in them.

Patterns are relative paths with `*` and `[...]` as in a shell, and with the fields of
`xt_jax.data.sources.source.fill`. A file whose pattern has no field is in English.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from xt_jax.data.formats import Read
from xt_jax.languages import ISO3, TYDIQA_NAMES, Pair, is_code, pair

ENGLISH = "en"


class Candidate(NamedTuple):
    """Files that together hold one split, and their reader.

    Attributes:
        patterns: each must match a file; the reader gets the matches in this order.
        read: (paths, language, allowed labels) -> examples.
        substitute: the files hold other examples than the official ones.
        optional: a further pattern, for a file that may be missing.
        mixed: the languages of a file that holds several.
        translated: machine translations from English, in any other language.
    """

    patterns: tuple[str, ...]
    read: Read
    substitute: bool = False
    optional: str = ""
    mixed: tuple[str, ...] = ()
    translated: bool = False


def serves(candidate: Candidate, language: str) -> bool:
    """Whether the candidate can hold that language; a pattern without a field means English."""
    if candidate.mixed:
        return language in candidate.mixed
    first = candidate.patterns[0]
    if "{context}" in first:
        both = pair(language)
        return both is not None and both.context != both.question
    if "{iso3}" in first:
        return language in ISO3
    if "{tydiqa}" in first:
        return language in TYDIQA_NAMES
    if "{lang}" in first:
        return is_code(language) and not (candidate.translated and language == ENGLISH)
    return language == ENGLISH


def first_field(pattern: str) -> tuple[str, str]:
    """Splits a pattern into (folders before the first component with a field, that component)."""
    components = pattern.split("/")
    for index, component in enumerate(components):
        if "{" in component:
            return "/".join(components[:index]), component
    return pattern, ""


def language_of(component: str, name: str) -> str:
    """Returns the language for which a pattern's component matches `name`; "" if there is none."""
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
    fields = match.groupdict()
    if "context" in fields:
        return str(Pair(fields["context"], fields["question"]))
    for key, names in (("iso3", ISO3), ("tydiqa", TYDIQA_NAMES)):
        if key in fields:
            return next((code for code, called in names.items() if called == fields[key]), "")
    return fields["lang"] if is_code(fields["lang"]) else ""
