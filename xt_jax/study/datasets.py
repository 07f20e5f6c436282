"""Turns the examples of a source into features, tokenised once and cached."""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from absl import logging
from etils import epath

from xt_jax.config import digest
from xt_jax.data.examples import Example, SentenceExample, counted
from xt_jax.data.mixture import joined
from xt_jax.data.packing import Features
from xt_jax.data.sources import Found, Source, has_labels
from xt_jax.data.tokenize import Tokenizer, cached
from xt_jax.errors import DataError
from xt_jax.tasks.recipes import Recipe
from xt_jax.tasks.table import FAMILIES, Task

CHUNK = 10_000  # examples tokenised at a time
FORMAT = 4  # raise it when the same examples give other features than before


@dataclass(frozen=True, eq=False)
class Dataset:
    """The tokenised examples of one split; `key` identifies everything that determines them.

    Attributes:
        language: the language of its examples; joined by "+" where there are several.
        sizes: the number of features of each file that was joined.
        load: reads the examples, which only scoring needs.
        labelled: whether all examples have labels, so that it can be scored.
        official: all examples of an official file, so that predictions can be submitted.
        substitute: whether other examples stand in for official ones.
    """

    split: str
    language: str
    features: Features
    key: str
    sizes: tuple[int, ...]
    load: Callable[[], list[Any]]
    labelled: bool = True
    official: bool = True
    substitute: bool = False

    @functools.cached_property
    def examples(self) -> list[Any]:
        return self.load()


class ReadFile(NamedTuple):
    """One file of examples that has been read."""

    found: Found
    examples: list[Example]
    labelled: bool


@dataclass(frozen=True)
class Files:
    """The files already read, so that none is read again for the next model of a study.

    Attributes:
        scored: the file of each (task, split, language) that is scored; None where there is none.
        narrowed: for files of which few examples are used, the number in each and those used.
    """

    scored: dict[tuple[str, str, str], ReadFile | None] = field(default_factory=dict)
    narrowed: dict[tuple, tuple[list[int], list[list[Example]]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Reader:
    """Finds and reads the examples of a source and turns them into features.

    Attributes:
        tokenizer_key: identifies the behaviour of the tokenizer.
        cache: the folder of tokenised examples.
        allow_missing: whether files may be missing, and files of substitute data are found too.
        files: the files read before, for other models too.
    """

    tokenizer: Tokenizer
    tokenizer_key: str
    source: Source
    cache: epath.Path
    allow_missing: bool = False
    files: Files = field(default_factory=Files)

    def find(self, task: str, split: str, language: str) -> list[Found]:
        """Returns the files of a split that exist, official ones first."""
        return self.source.find(task, split, language, substitutes=self.allow_missing)

    def best(self, task: Task, split: str, language: str) -> ReadFile | None:
        """Reads the first file of a split with labels, or else the first file."""
        scored, key = self.files.scored, (task.name, split, language)
        if key not in scored:
            scored[key] = None
            for found in self.find(*key):
                examples = found.read(task.labels)
                read = ReadFile(found, examples, has_labels(found, examples))
                if read.labelled or scored[key] is None:
                    scored[key] = read
                if read.labelled:
                    break
        return scored[key]

    def dataset(
        self, task: Task, recipe: Recipe, split: str, found: Sequence[Found], most: int = 0
    ) -> Dataset:
        """Returns all labelled examples of `found` joined; at most `most`, evenly spaced.

        Files whose features are in the cache are not read.

        Raises:
            DataError: an example without a label, or a fault in a file.
        """
        chosen = "all"
        loads: list[Callable[[], list[Example]]] = [
            functools.partial(labelled_examples, task, f) for f in found
        ]
        if most:
            key = (task.name, *(f.where for f in found), most)
            if key not in self.files.narrowed:
                read = [load() for load in loads]
                self.files.narrowed[key] = [len(examples) for examples in read], _spaced(read, most)
            counts, narrowed = self.files.narrowed[key]
            chosen = f"spaced {most}, {counts}"
            loads = [functools.partial(list, examples) for examples in narrowed]
        return _join(
            [
                self._part(task, recipe, split, f, load, chosen)
                for f, load in zip(found, loads, strict=True)
            ]
        )

    def given(
        self, task: Task, recipe: Recipe, split: str, file: ReadFile, most: int = 0
    ) -> Dataset:
        """Returns the data set of one file that is read already and may be unlabelled."""
        found, examples, labelled = file
        (narrowed,) = _spaced([examples], most) if most else (examples,)
        part = self._part(task, recipe, split, found, lambda: narrowed, f"spaced {most}")
        official = len(narrowed) == len(examples) and not found.substitute
        return dataclasses.replace(part, labelled=labelled, official=official)

    def missing(self, task: Task, source: str, split: str, languages: Sequence[str]) -> None:
        """Logs the files of `source` that a task lacks, or raises an error where none may be.

        Raises:
            DataError: without `allow_missing`.
        """
        files = [self.source.expected(source, split, language) for language in languages]
        problem = f"{task.name}: no labelled {split} data for {', '.join(languages)}."
        if self.allow_missing:
            logging.warning("%s Continuing without: %s", problem, ", ".join(files))
            return
        substitutes = [
            found.where
            for language in languages
            for found in self.source.find(source, split, language, substitutes=True)
            if found.substitute
        ]
        without = f"use substitutes such as {substitutes[0]}" if substitutes else "do without them"
        remedy = f"put the files there, or {without}: --config.allow_missing=true"
        if not any(files):
            remedy = "leave the task out, or use --config.data.eval_split=auto"
        raise DataError(
            problem,
            where=", ".join(file or f"({split} is not part of the task)" for file in files),
            remedy=remedy,
        )

    def _part(
        self,
        task: Task,
        recipe: Recipe,
        split: str,
        found: Found,
        load: Callable[[], list[Example]],
        chosen: str,
    ) -> Dataset:
        limits = {"max_length": recipe.max_length, "doc_stride": recipe.doc_stride}
        key = digest(
            FORMAT, found.digest(), self.tokenizer_key, task.family, task.labels, limits, chosen
        )
        features = cached(
            self.cache,
            f"{task.family}-{split}-{found.language}-{key[:16]}",
            lambda: tokenised(task, load(), self.tokenizer, **limits),
        )
        count = (len(features),)
        return Dataset(
            split, found.language, features, key, count, load, substitute=found.substitute
        )


def tokenised(
    task: Task, examples: Sequence[Example], tokenizer: Tokenizer, **limits: int
) -> Features:
    """Tokenises in chunks, as a tokenizer's record of a text is far larger than its ids."""
    chunks = [examples[i : i + CHUNK] for i in range(0, len(examples), CHUNK)] or [examples]
    tokenize = FAMILIES[task.family].tokenize
    parts = [tokenize(chunk, tokenizer, task.labels, **limits) for chunk in chunks]
    return joined(parts, [len(chunk) for chunk in chunks])


def labelled_examples(task: Task, found: Found) -> list[Example]:
    """Returns all examples of a file that must have labels.

    Raises:
        DataError: an example without a label, no example, or a fault in the file.
    """
    examples = found.read(() if task.min_count else task.labels)
    if not has_labels(found, examples):
        raise DataError(
            f"{task.name} cannot use this file: no example has a label.",
            where=found.where,
            remedy="put the labelled official file in its place",
        )
    return examples


def with_labels(task: Task, found: Sequence[Found]) -> Task:
    """Returns the task with the labels seen `min_count` times in its training split."""
    if task.labels or not task.min_count:
        return task
    counts = Counter(
        label for f in found for example in labelled_examples(task, f) for label in counted(example)
    )
    labels = tuple(sorted(tag for tag, count in counts.items() if count >= task.min_count))
    if not labels:
        raise DataError(
            f"{task.name}: no tag occurs {task.min_count} times.",
            where=found[0].where,
            remedy="train on more sentences",
        )
    return dataclasses.replace(task, labels=labels)


def _join(parts: Sequence[Dataset]) -> Dataset:
    if len(parts) == 1:
        return parts[0]
    filled = [p for p in parts if len(p.features)] or parts[:1]
    counts = [int(p.features.fields["example"].max(initial=-1)) + 1 for p in filled]
    return Dataset(
        parts[0].split,
        "+".join(dict.fromkeys(p.language for p in parts)),
        joined([p.features for p in filled], counts),
        digest([p.key for p in parts]),
        tuple(len(p.features) for p in parts),
        lambda: [example for p in filled for example in p.load()],
        substitute=any(p.substitute for p in parts),
    )


def _spaced(parts: Sequence[list[Example]], most: int) -> list[list[Example]]:
    """Returns at most `most` of all examples, evenly spaced as files are often sorted by label.

    The matches of sentences are renumbered: they count within the examples kept of their file.
    """
    total = sum(len(part) for part in parts)
    if total <= most:
        return list(parts)
    picks = np.linspace(0, total - 1, most).round().astype(int)
    narrowed, first = [], 0
    for part in parts:
        lines = (picks[(picks >= first) & (picks < first + len(part))] - first).tolist()
        place = {line: i for i, line in enumerate(lines)}
        narrowed.append(
            [
                e._replace(match=place[e.match])
                if isinstance(e, SentenceExample) and e.match is not None
                else e
                for e in (part[line] for line in lines)
            ]
        )
        first += len(part)
    return narrowed
