"""Every split of every task that a source holds, read and looked at for mistakes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tqdm import tqdm

from xt_jax.data import survey
from xt_jax.data.examples import Example
from xt_jax.data.sources import Found, Source
from xt_jax.errors import ConfigError, DataError, UserError
from xt_jax.tasks.family import Task
from xt_jax.tasks.table import FAMILIES, TASKS

SPLITS = ("train", "dev", "test")

# Where not every language of the official list has a dev split: UD 2.5 has none for these, and
# TyDiQA-GoldP's dev sets are XTREME's test sets, except for choosing a checkpoint in English.
_NO_DEV = {"udpos": "kk th tl yo", "tydiqa": "ar bn fi id ko ru sw te"}
# Row i of every language translates row i of every other.
_PARALLEL = ("xnli", "pawsx", "xquad")


@dataclass(frozen=True)
class Row:
    """What one file (or table) of a split holds; `labels` are counts, {} where there are none."""

    task: str
    split: str
    language: str
    file: str
    substitute: bool
    examples: int
    labelled: bool
    labels: dict[str, int]
    lengths: survey.Lengths


@dataclass(frozen=True)
class Missing:
    """Languages of the official list without a split, and the first place that was looked at."""

    task: str
    split: str
    languages: tuple[str, ...]
    expected: str


@dataclass(frozen=True)
class Remark:
    """A fault or a warning: `where` is `file:line` as far as it is known."""

    where: str
    problem: str
    remedy: str


@dataclass
class Report:
    """All that a check found; a file read for two tasks has its faults told once."""

    unit: str
    rows: list[Row] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    faults: list[Remark] = field(default_factory=list)
    warnings: list[Remark] = field(default_factory=list)


def check(
    source: Source, ruler: survey.Ruler, tasks: Sequence[str] = (), languages: Sequence[str] = ()
) -> Report:
    """Reads all that the source holds of these tasks, with those that they train on, and languages.

    Args:
        tasks: names; () takes all.
        languages: codes, or pairs of them for mlqa_cross; () takes all.

    Raises:
        ConfigError: a language that no task has.
    """
    report = Report(ruler.unit)
    chosen = {part for name in tasks for part in (name, *TASKS[name].train)}
    pieces = [
        (task, split, language)
        for task in TASKS.values()
        if not tasks or task.name in chosen
        for split in SPLITS
        for language in _languages(source, task, split)
    ]
    _check_languages(languages, {language for _, _, language in pieces})
    pieces = [piece for piece in pieces if not languages or piece[2] in languages]
    seen = _Seen()
    absent: dict[tuple[str, str], list[str]] = {}
    bar = tqdm(pieces, disable=None, leave=False, unit="split")
    for task, split, language in bar:
        bar.set_description(f"{task.name} {split} {language}")
        try:
            found = source.find(task.name, split, language, substitutes=True)
        except UserError as error:
            _add(report.faults, error.where, error.problem, error.remedy)
            continue
        if language in _official(source, task, split) and all(f.substitute for f in found):
            absent.setdefault((task.name, split), []).append(language)
        for place in found:
            _read(report, seen, ruler, task, split, place)
    for (name, split), lacking in absent.items():
        expected = source.expected(name, split, lacking[0])
        report.missing.append(Missing(name, split, tuple(lacking), expected))
    _compare_sizes(report)
    return report


@dataclass
class _Seen:
    """What later files are compared with: the training texts, by task and language, of each
    file, and the place of all texts of a file.
    """

    trained: dict[tuple[str, str], list[tuple[Found, set[int]]]] = field(default_factory=dict)
    texts: dict[tuple[str, str, int], tuple[str, str]] = field(default_factory=dict)


def _read(
    report: Report, seen: _Seen, ruler: survey.Ruler, task: Task, split: str, found: Found
) -> None:
    """Adds the row of one file, or its fault, and its warnings."""
    try:
        examples = found.read(task.labels)
        if not examples:
            raise DataError("it holds no example", where=found.where, remedy="fetch it again")
    except UserError as error:
        _add(report.faults, error.where or found.where, error.problem, error.remedy)
        return
    for where, problem, remedy in _faults(examples, task, split, found):
        _add(report.faults, where, problem, remedy)
    counts = survey.label_counts(examples)
    for problem, remedy in _warnings(examples, counts, seen, task, split, found):
        _add(report.warnings, found.where, problem, remedy)
    report.rows.append(
        Row(
            task.name,
            split,
            found.language,
            found.where,
            found.substitute,
            len(examples),
            bool(survey.labelled(examples)),
            counts,
            survey.lengths(examples, ruler, task.recipe.max_length),
        )
    )


def _faults(
    examples: Sequence[Example], task: Task, split: str, found: Found
) -> Iterator[tuple[str, str, str]]:
    """(where, problem, remedy) of what the reader leaves to those that use the examples."""
    bare = survey.unlabelled(examples)
    if bare and survey.labelled(examples):
        yield (
            f"{found.where}{survey.line_of(found.where, bare[0].id)}",
            f"{len(bare)} of {len(examples)} examples have no label, the first is {bare[0].id!r}",
            "use the labelled official file, or one without any label",
        )
    elif bare and split == "train":
        yield (
            found.where,
            "training data without labels",
            "put the labelled official file there",
        )
    for foreign, english in survey.unknown_partners(examples)[:1]:
        yield (
            f"{found.where}{survey.line_of(found.where, foreign)}",
            f"the gold pair {foreign} {english} names an English sentence that is not there",
            "fetch the three files of the language again",
        )


def _warnings(
    examples: Sequence[Example],
    counts: dict[str, int],
    seen: _Seen,
    task: Task,
    split: str,
    found: Found,
) -> Iterator[tuple[str, str]]:
    """(problem, remedy) of what is readable and looks like a mistake."""
    if repeated := survey.repeated_ids(examples):
        yield (
            f"ids that occur more than once: {len(repeated)}, the first is {repeated[0]!r}",
            "make ids unique: predictions are told apart by them",
        )
    if split == "dev" and not survey.labelled(examples):
        yield "a dev split without labels", "put the labelled official file there"
    lacking = [label for label in _labels(task) if label not in counts]
    used = split == "train" and (found.language == "en" or task.role == "intermediate")
    if used and counts and lacking:
        yield (
            f"no training example has the label {', '.join(lacking)}",
            "it can never be predicted; look whether the file is whole",
        )
    if script := survey.wrong_script(examples, found.language):
        yield (
            f"most letters are {script.capitalize()}, which is not the script of {found.language}",
            "look whether the file is another language's",
        )
    key = (task.name, split, survey.fingerprint(examples))
    language, where = seen.texts.setdefault(key, (found.language, found.where))
    if language != found.language:
        yield f"the same texts as those of {language}, {where}", "one is a copy; fetch it again"
    hashes = survey.text_hashes(examples)
    if split == "train":
        seen.trained.setdefault((task.name, found.language), []).append((found, set(hashes)))
        return
    for name in task.train:
        training = seen.trained.get((name, found.language), [])
        official = [pair for pair in training if not pair[0].substitute]
        for trained, texts in official or training:
            leaked = sum(text in texts for text in hashes)
            if leaked:
                substitute = " (a substitute)" if trained.substitute else ""
                yield (
                    f"{leaked} of {len(examples)} examples are also in the training data "
                    f"{trained.where}{substitute}",
                    "scores on them are too good; look whether both are the official files",
                )


def _compare_sizes(report: Report) -> None:
    """Warns of a language whose file has another number of rows than the parallel ones."""
    for task in _PARALLEL:
        for split in SPLITS[1:]:
            first = {
                row.language: row
                for row in reversed(report.rows)
                if (row.task, row.split, row.substitute) == (task, split, False)
            }
            sizes = Counter(row.examples for row in first.values())
            usual = max(sizes, key=lambda size: (sizes[size], size), default=0)
            for _, row in sorted(first.items()):
                if row.examples != usual:
                    _add(
                        report.warnings,
                        row.file,
                        f"{row.examples} examples, {usual} in other languages",
                        "row i translates row i of every language; look whether it is whole",
                    )


def _labels(task: Task) -> tuple[str, ...]:
    """The labels that its training data should show; () where nothing is known."""
    return FAMILIES[task.family].kinds or task.labels


def _add(remarks: list[Remark], where: str, problem: str, remedy: str) -> None:
    remark = Remark(where, problem, remedy)
    if remark not in remarks:
        remarks.append(remark)


def _official(source: Source, task: Task, split: str) -> list[str]:
    """The languages of the official list that have this split; training is in English."""
    if split == "train" or task.role == "intermediate":
        languages = ["en"] if task.languages else []
    elif split == "dev":
        without = _NO_DEV.get(task.name, "").split()
        languages = [language for language in task.languages if language not in without]
    else:
        languages = list(task.languages)
    return [language for language in languages if source.expected(task.name, split, language)]


def _languages(source: Source, task: Task, split: str) -> list[str]:
    """The official ones, then others that the source holds."""
    return list(
        dict.fromkeys([*_official(source, task, split), *source.languages(task.name, split)])
    )


def _check_languages(wanted: Sequence[str], found: set[str]) -> None:
    known = found.union(*(task.languages for task in TASKS.values()))
    if unknown := [language for language in wanted if language not in known]:
        raise ConfigError(
            f"There is no language {', '.join(unknown)}.",
            where="--language",
            remedy="use ISO 639-1 codes, out of: " + " ".join(sorted(known)),
        )
