"""Turns the examples of a source into features, tokenised once and cached."""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from etils import epath

from xt_jax.config import digest
from xt_jax.data.examples import Example, SentenceExample, counted, is_labelled, takes_label
from xt_jax.data.mixture import joined
from xt_jax.data.packing import Features
from xt_jax.data.sources import Found, Source
from xt_jax.data.tokenize import Tokenizer, cached
from xt_jax.errors import DataError
from xt_jax.tasks.recipes import Recipe
from xt_jax.tasks.table import FAMILIES, Task

CHUNK = 10_000  # examples tokenised at a time
FORMAT = 3  # raise it when the same examples give other features than before


@dataclass(frozen=True, eq=False)
class Dataset:
    """The tokenised examples of one split; `key` identifies everything that determines them.

    Attributes:
        language: the language of its examples; joined by "+" where there are several.
        sizes: the number of features of each file that was joined.
        load: reads the examples, which only scoring needs.
        labelled: whether all examples have labels, so that it can be scored.
        official: all examples of an official file, so that predictions can be submitted.
    """

    split: str
    language: str
    features: Features
    key: str
    sizes: tuple[int, ...]
    load: Callable[[], list[Any]]
    labelled: bool = True
    official: bool = True

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
    """Reads examples from a source and turns them into features.

    Attributes:
        tokenizer_key: identifies the behaviour of the tokenizer.
        cache: the folder of tokenised examples.
        substitutes: whether files of substitute data are found too.
        files: the files read before, for other models too.
    """

    tokenizer: Tokenizer
    tokenizer_key: str
    source: Source
    cache: epath.Path
    substitutes: bool = False
    files: Files = field(default_factory=Files)

    def find(self, task: str, split: str, language: str) -> list[Found]:
        """Returns the files of a split that exist, official ones first."""
        return self.source.find(task, split, language, substitutes=self.substitutes)

    def dataset(
        self, task: Task, recipe: Recipe, split: str, found: Sequence[Found], most: int = 0
    ) -> Dataset:
        """Returns all labelled examples of `found` joined; at most `most`, evenly spaced.

        Files whose features are in the cache are not read.

        Raises:
            DataError: an example without a label, or a fault in a file.
        """
        if most:
            counts, narrowed = self._narrowed(task, found, most)
            chosen = [f"spaced {most}, {counts}"] * len(found)
            loads = [lambda examples=e: examples for e in narrowed]
        else:
            chosen = ["all"] * len(found)
            loads = [functools.partial(labelled_examples, task, f) for f in found]
        parts = [
            self._part(task, recipe, split, *part)
            for part in zip(found, loads, chosen, strict=True)
        ]
        return _join(parts)

    def _narrowed(
        self, task: Task, found: Sequence[Found], most: int
    ) -> tuple[list[int], list[list[Example]]]:
        """Returns each file's number of labelled examples, and at most `most`, evenly spaced."""
        key = (task.name, *(f.where for f in found), most)
        if key not in self.files.narrowed:
            read = [labelled_examples(task, f) for f in found]
            self.files.narrowed[key] = [len(examples) for examples in read], _spaced(read, most)
        return self.files.narrowed[key]

    def given(
        self,
        task: Task,
        recipe: Recipe,
        split: str,
        found: Found,
        examples: list[Example],
        most: int = 0,
    ) -> Dataset:
        """Returns the data set of one file that is read already and may be unlabelled."""
        (narrowed,) = _spaced([examples], most) if most else (examples,)
        part = self._part(task, recipe, split, found, lambda: narrowed, f"spaced {most}")
        return dataclasses.replace(
            part,
            labelled=has_labels(task, found, narrowed),
            official=len(narrowed) == len(examples) and not found.substitute,
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
        return Dataset(split, found.language, features, key, (len(features),), load)


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
    if not has_labels(task, found, examples):
        raise DataError(
            f"{task.name} cannot use this file: no example has a label.",
            where=found.where,
            remedy="put the labelled official file in its place",
        )
    return examples


def has_labels(task: Task, found: Found, examples: Sequence[Example]) -> bool:
    """Returns whether the examples can be scored.

    Raises:
        DataError: some examples have a label and some have not.
    """
    labelable = [example for example in examples if takes_label(example)]
    unlabelled = [example for example in labelable if not is_labelled(example)]
    if unlabelled and len(unlabelled) < len(labelable):
        raise DataError(
            f"{task.name}: {len(unlabelled)} of {len(labelable)} examples have no label, "
            f"the first is {unlabelled[0].id}.",
            where=found.where,
            remedy="use the labelled official file, or one without any label",
        )
    return bool(examples) and not unlabelled


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
    )


def _spaced(parts: Sequence[list[Example]], most: int) -> list[list[Example]]:
    """Returns at most `most` of all examples, evenly spaced as files are often sorted by label."""
    total = sum(len(part) for part in parts)
    if total <= most:
        return list(parts)
    picks = np.linspace(0, total - 1, most).round().astype(int)
    narrowed, first = [], 0
    for part in parts:
        lines = picks[(picks >= first) & (picks < first + len(part))] - first
        narrowed.append(_among([part[i] for i in lines], lines.tolist()))
        first += len(part)
    return narrowed


def _among(examples: list[Example], lines: list[int]) -> list[Example]:
    """Renumbers the matches of the examples kept of a file: lines count within `lines`."""
    place = {line: i for i, line in enumerate(lines)}
    return [
        e._replace(match=place[e.match])
        if isinstance(e, SentenceExample) and e.match is not None
        else e
        for e in examples
    ]
