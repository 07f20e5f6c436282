"""Defines benchmarks: their tasks, languages and files, groups and averages.

A task's score is the mean over its languages, then over the metrics that count (in question
answering exact match and F1); a group's is the mean over its tasks, and the benchmark's the mean
over all tasks. Lists, groups and names are those of google-research/xtreme at 838c13b69daa
(`evaluate.py`). XTREME-R's LAReQA is not scored there, so that XTREME-R has no score as a whole,
here as there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import fmean
from typing import NamedTuple

from etils import epath

from xt_jax import languages
from xt_jax.tasks.submission import formats
from xt_jax.tasks.submission.formats import FileFormat


@dataclass(frozen=True)
class Entry:
    """One task of a benchmark.

    Attributes:
        folder: its official name, also that of its folder in a submission.
        metrics: those whose mean is the task's score.
        task: our name for it; "" where we have no such task.
        layout: the format of its files.
        unofficial: metrics that are shown but enter no average.
    """

    folder: str
    languages: tuple[str, ...]
    metrics: tuple[str, ...]
    layout: FileFormat
    task: str = ""
    unofficial: tuple[str, ...] = ()

    def file(self, folder: epath.PathLike, language: str) -> epath.Path:
        """Returns the file of one language in a folder of predictions or of labels."""
        return epath.Path(folder) / self.folder / f"test-{language}.{self.layout.suffix}"


class Group(NamedTuple):
    """A group of tasks to average: its official name, its title in reports, the tasks' folders."""

    name: str
    title: str
    folders: tuple[str, ...]


@dataclass(frozen=True)
class Benchmark:
    """Tasks that are scored together; the entries are in the order of the official output."""

    name: str
    entries: tuple[Entry, ...]
    groups: tuple[Group, ...]

    @property
    def tasks(self) -> dict[str, Entry]:
        """The entries of our tasks that the benchmark scores, by our names."""
        return {entry.task: entry for entry in self.entries if entry.task}

    @property
    def languages(self) -> dict[str, tuple[str, ...]]:
        """The languages of each task, by the tasks' folders."""
        return {entry.folder: entry.languages for entry in self.entries}

    @property
    def titled_groups(self) -> dict[str, tuple[str, ...]]:
        """Our names for the tasks of each group, by the groups' titles."""
        names = {entry.folder: entry.task for entry in self.entries}
        return {g.title: tuple(names[folder] for folder in g.folders) for g in self.groups}

    def averages(self, scores: Mapping[str, float]) -> dict[str, float]:
        """Averages `scores` (by folder) over all tasks, and over each group that has all scores."""
        groups = {"all_task": tuple(self.languages), **{g.name: g.folders for g in self.groups}}
        return {
            name: fmean(scores[folder] for folder in folders)
            for name, folders in groups.items()
            if set(folders) <= scores.keys()
        }


_ACCURACY, _F1, _QA = ("accuracy",), ("f1",), ("exact_match", "f1")

XTREME = Benchmark(
    "XTREME",
    (
        Entry("pawsx", languages.PAWSX, _ACCURACY, formats.LABELS, "pawsx"),
        Entry("xnli", languages.XNLI, _ACCURACY, formats.LABELS, "xnli"),
        Entry("panx", languages.PANX, _F1, formats.TAGS, "panx"),
        Entry("udpos", languages.UDPOS, _F1, formats.TAGS, "udpos", unofficial=_ACCURACY),
        Entry("bucc2018", languages.BUCC, _F1, formats.PAIRS, "bucc"),
        Entry("tatoeba", languages.TATOEBA, _ACCURACY, formats.NEAREST, "tatoeba"),
        Entry("xquad", languages.XQUAD, _QA, formats.ANSWERS, "xquad"),
        Entry("mlqa", languages.MLQA, _QA, formats.ANSWERS, "mlqa"),
        Entry("tydiqa", languages.TYDIQA, _QA, formats.ANSWERS, "tydiqa"),
    ),
    (
        Group("classification", "sentence pairs", ("xnli", "pawsx")),
        Group("tagging", "structured", ("udpos", "panx")),
        Group("qa", "QA", ("xquad", "mlqa", "tydiqa")),
        Group("retrieval", "retrieval", ("bucc2018", "tatoeba")),
    ),
)


def _again(folder: str, more: str = "") -> Entry:
    """Returns XTREME's entry with more languages."""
    (entry,) = (entry for entry in XTREME.entries if entry.folder == folder)
    return replace(entry, languages=(*entry.languages, *more.split()))


XTREME_R = Benchmark(
    "XTREME-R",
    (
        _again("xnli"),
        _again("panx", "qu pl uk az lt pa gu ro"),
        _again("udpos", "lt pl uk wo ro"),
        _again("tatoeba", "az lt pl uk ro"),
        Entry("xcopa", languages.XCOPA, _ACCURACY, formats.JSON_LABELS),
        Entry("lareqa", (), (), formats.RANKINGS),
        Entry("mewslix", languages.MEWSLIX, ("map@20",), formats.RANKINGS),
        _again("xquad", "ro"),
        _again("mlqa"),
        _again("tydiqa"),
    ),
    (
        Group("classification", "sentence pairs", ("xnli", "xcopa")),
        Group("tagging", "structured", ("udpos", "panx")),
        Group("qa", "QA", ("xquad", "mlqa", "tydiqa")),
        Group("retrieval", "retrieval", ("tatoeba", "mewslix")),
        Group("multi_choice", "choices", ("xcopa",)),
    ),
)

BENCHMARKS = {"xtreme": XTREME, "xtreme-r": XTREME_R}
