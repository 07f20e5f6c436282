"""Examples in official files on disk; `layout` says which."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass

from etils import epath

from xt_jax.data.examples import Example
from xt_jax.data.sources.candidates import (
    ENGLISH,
    Candidate,
    ReadFiles,
    fill,
    first_field,
    language_of,
    serves,
)
from xt_jax.data.sources.layout import candidates
from xt_jax.data.sources.source import Found, content_digest
from xt_jax.errors import ConfigError


class FileSource:
    """The files below a folder, found by the patterns of `layout`; see `Source`.

    A folder is listed once, when something in it is first looked for.
    """

    def __init__(self, directory: str):
        if not directory or not epath.Path(directory).is_dir():
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
            FileSplit(str(paths[0]), language, candidate.substitute, candidate, paths)
            for candidate in candidates(task, split)
            if substitutes or not candidate.substitute
            if (paths := self._paths(candidate, language))
        ]

    def expected(self, task: str, split: str, language: str) -> str:
        """The first place of the first two formats."""
        places: dict[ReadFiles, str] = {}
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
        """The files of a candidate in one language; () unless all that it needs are there."""
        if not serves(candidate, language):
            return ()
        names = [self._match(fill(p, language)) for p in candidate.patterns]
        if not all(names):
            return ()
        if candidate.optional:
            names.append(self._match(fill(candidate.optional, language)))
        return tuple(self._root / name for matched in names for name in matched)

    def _languages(self, candidate: Candidate) -> list[str]:
        """The languages that a candidate's first pattern, or its file, may hold."""
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
        """The paths below the root that match, sorted by their last part."""
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
        """The names in a folder below the root; [] for a file."""
        if folder not in self._listed:
            path = self._root / folder
            names = [entry.name for entry in path.iterdir()] if path.is_dir() else []
            self._listed[folder] = sorted(names)
        return self._listed[folder]


@dataclass(frozen=True)
class FileSplit(Found):
    """The files that together hold a split, read as their candidate says."""

    candidate: Candidate
    paths: tuple[epath.Path, ...]

    def read(self, labels: Sequence[str]) -> list[Example]:
        return self.candidate.read(self.paths, self.language, labels)

    def digest(self) -> str:
        return content_digest(self.paths, self.language if self.candidate.mixed else "")
