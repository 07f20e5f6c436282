"""Reads examples from official files on disk, which `layout` describes."""

from __future__ import annotations

import fnmatch
from functools import partial

from etils import epath

from xt_jax.data.formats import Read
from xt_jax.data.sources.candidates import (
    ENGLISH,
    Candidate,
    first_field,
    language_of,
    serves,
)
from xt_jax.data.sources.layout import candidates
from xt_jax.data.sources.source import Found, content_digest, fill
from xt_jax.errors import ConfigError
from xt_jax.files import is_folder


class FileSource:
    """Official files below a folder, found by the patterns of `layout`; see `Source`.

    Each folder is listed only once, on first use.
    """

    def __init__(self, directory: str):
        if not directory or not is_folder(directory):
            raise ConfigError(
                f"The data folder `{directory}` does not exist."
                if directory
                else "No data folder was given.",
                where="--config.data.dir",
                remedy="name the folder that holds mnli/, xnli/, ..., "
                "or use --config.data.source=mini",
            )
        self._root = epath.Path(directory)
        self._listed: dict[str, list[str]] = {}

    def find(
        self, task: str, split: str, language: str, *, substitutes: bool = False
    ) -> list[Found]:
        return [
            Found(
                str(paths[0]),
                language,
                candidate.substitute,
                partial(candidate.read, paths, language),
                partial(content_digest, paths, language if candidate.mixed else ""),
            )
            for candidate in candidates(task, split)
            if substitutes or not candidate.substitute
            if (paths := self._paths(candidate, language))
        ]

    def expected(self, task: str, split: str, language: str) -> str:
        """Returns the first expected path of each of the first two formats, for messages."""
        places: dict[Read, str] = {}
        for candidate in candidates(task, split):
            if serves(candidate, language) and not candidate.substitute:
                place = self._root / fill(candidate.patterns[0], language)
                places.setdefault(candidate.read, str(place))
        return " or ".join(list(places.values())[:2])

    def languages(self, task: str, split: str) -> list[str]:
        return sorted(
            {
                language
                for candidate in candidates(task, split)
                if not candidate.substitute
                for language in self._languages(candidate)
                if self._paths(candidate, language)
            }
        )

    def _paths(self, candidate: Candidate, language: str) -> tuple[epath.Path, ...]:
        """Returns the files of a candidate in one language, or () if a required one is missing."""
        if not serves(candidate, language):
            return ()
        names = [self._match(fill(p, language)) for p in candidate.patterns]
        if not all(names):
            return ()
        if candidate.optional:
            names.append(self._match(fill(candidate.optional, language)))
        return tuple(self._root / name for matched in names for name in matched)

    def _languages(self, candidate: Candidate) -> list[str]:
        """Returns the languages that may exist for a candidate: by its file names, or `mixed`."""
        before, component = first_field(candidate.patterns[0])
        if not component:
            return list(candidate.mixed) or [ENGLISH]
        languages = (
            language_of(component, name)
            for folder in (self._match(before) if before else [""])
            for name in self._list(folder)
        )
        return [language for language in languages if language]

    def _match(self, pattern: str) -> list[str]:
        """Returns the paths below the root that match a pattern, sorted by file name."""
        paths = [""]
        for component in pattern.split("/"):
            wild = "*" in component or "[" in component
            paths = [
                f"{folder}/{name}" if folder else name
                for folder in paths
                for name in self._list(folder)
                if name == component or (wild and fnmatch.fnmatchcase(name, component))
            ]
        return sorted(paths, key=lambda path: path.rpartition("/")[2])

    def _list(self, folder: str) -> list[str]:
        """Returns the sorted names in a folder below the root; [] for a file."""
        if folder not in self._listed:
            path = self._root / folder
            names = [entry.name for entry in path.iterdir()] if path.is_dir() else []
            self._listed[folder] = sorted(names)
        return self._listed[folder]
