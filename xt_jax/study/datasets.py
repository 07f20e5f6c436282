"""Examples of a source as features, tokenised once and kept."""

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
FORMAT = 3  # raise it when the features of the same examples change


@dataclass(frozen=True, eq=False)
class Dataset:
    """The tokenised examples of one split; `key` names all that decides them.

    Attributes:
        language: of its examples; joined by "+" where there are several.
        sizes: features of each of the files that were joined.
        load: reads the examples; what trains needs none.
        labelled: whether it can be scored.
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
    """One file of examples."""

    found: Found
    examples: list[Example]
    labelled: bool


@dataclass(frozen=True)
class Files:
    """What was read, so that no file is read again for the next model of a study.

    Attributes:
        scored: the file of each (task, split, language) that is scored; None where there is none.
        narrowed: of files of which few examples are used, how many each has and those used.
    """

    scored: dict[tuple[str, str, str], ReadFile | None] = field(default_factory=dict)
    narrowed: dict[tuple, tuple[list[int], list[list[Example]]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Reader:
    """Where examples come from and what turns them into features.

    Attributes:
        tokenizer_key: names all that the tokenizer does.
        cache: the folder of tokenised examples.
        substitutes: whether files of substitute data are found too.
        files: what was read before, for another model too.
    """

    tokenizer: Tokenizer
    tokenizer_key: str
    source: Source
    cache: epath.Path
    substitutes: bool = False
    files: Files = field(default_factory=Files)

    def find(self, task: str, split: str, language: str) -> list[Found]:
        """The files of a split that are there, official ones first."""
        return self.source.find(task, split, language, substitutes=self.substitutes)

    def dataset(
        self, task: Task, recipe: Recipe, split: str, found: Sequence[Found], most: int = 0
    ) -> Dataset:
        """All labelled examples of `found`, one after the other; at most `most`, evenly spaced.

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
        """How many labelled examples each file has, and at most `most` of all, evenly spaced."""
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
        """As `dataset`, of one file that was read before and need not be labelled."""
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
    """Some examples at a time: a tokenizer's own record of a text is far larger than its ids."""
    chunks = [examples[i : i + CHUNK] for i in range(0, len(examples), CHUNK)] or [examples]
    tokenize = FAMILIES[task.family].tokenize
    parts = [tokenize(chunk, tokenizer, task.labels, **limits) for chunk in chunks]
    return joined(parts, [len(chunk) for chunk in chunks])


def labelled_examples(task: Task, found: Found) -> list[Example]:
    """All examples of a file that must have labels.

    Raises:
        DataError: an example without a label, no example, or a fault in the file.
    """
    examples = found.read(() if task.min_count else task.labels)
    if not has_labels(task, found, examples):
        raise DataError(
            f"{task.name} cannot use this file: no example has a label.",
            where=found.where,
            remedy="put the labelled official file there",
        )
    return examples


def has_labels(task: Task, found: Found, examples: Sequence[Example]) -> bool:
    """Whether the examples can be scored.

    Raises:
        DataError: some examples have a label and some have not.
    """
    able = [example for example in examples if takes_label(example)]
    bare = [example for example in able if not is_labelled(example)]
    if bare and len(bare) < len(able):
        raise DataError(
            f"{task.name}: {len(bare)} of {len(able)} examples have no label, "
            f"the first is {bare[0].id}.",
            where=found.where,
            remedy="use the labelled official file, or one without any label",
        )
    return bool(examples) and not bare


def with_labels(task: Task, found: Sequence[Found]) -> Task:
    """The task with the labels that its training split decides: the tags seen `min_count` times."""
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
    """At most `most` of all, evenly spaced: files are often sorted by label."""
    total = sum(len(part) for part in parts)
    if total <= most:
        return list(parts)
    picks = np.linspace(0, total - 1, most).round().astype(int)
    narrowed, first = [], 0
    for part in parts:
        here = picks[(picks >= first) & (picks < first + len(part))] - first
        narrowed.append(_among([part[i] for i in here], here.tolist()))
        first += len(part)
    return narrowed


def _among(examples: list[Example], lines: list[int]) -> list[Example]:
    """What is left of a file: a translation's line is its place among `lines`."""
    place = {line: i for i, line in enumerate(lines)}
    return [
        e._replace(match=place[e.match])
        if isinstance(e, SentenceExample) and e.match is not None
        else e
        for e in examples
    ]
