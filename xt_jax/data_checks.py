"""Reads every split of every task in a source, counts examples and labels and finds mistakes."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tqdm import tqdm

from xt_jax.data.examples import (
    Example,
    counted,
    own_texts,
)
from xt_jax.data.lengths import Lengths, Ruler, lengths
from xt_jax.data.sources import Found, Source, has_labels
from xt_jax.errors import ConfigError, DataError, UserError
from xt_jax.languages import letter_names
from xt_jax.tasks.family import INTERMEDIATE, Task
from xt_jax.tasks.table import FAMILIES, TASKS

SPLITS = ("train", "dev", "test")

# Official languages without a dev split: UD 2.5 has none for these, and TyDiQA-GoldP's dev sets are
# XTREME's test sets, except that the English one also selects the checkpoint.
_NO_DEV = {"udpos": "kk th tl yo", "tydiqa": "ar bn fi id ko ru sw te"}
# Row i of every language translates row i of every other.
_PARALLEL = ("xnli", "pawsx", "xquad")
_SAMPLE = 300  # examples whose script is checked
_LEAST_SCRIPT = 0.2  # share of the letters; names and loan words in Latin letters are frequent


@dataclass(frozen=True)
class Row:
    """The content of one file (or table) of a split; `labels` are counts, {} if there are none."""

    task: str
    split: str
    language: str
    file: str
    substitute: bool
    examples: int
    labelled: bool
    labels: dict[str, int]
    lengths: Lengths


@dataclass(frozen=True)
class Missing:
    """Official languages of a split that the source lacks, and the path that was expected."""

    task: str
    split: str
    languages: tuple[str, ...]
    expected: str


@dataclass(frozen=True)
class Remark:
    """A fault or a warning; `where` is `file:line`, as far as known."""

    where: str
    problem: str
    remedy: str


@dataclass
class Report:
    """The result of a check; a file that two tasks read has its faults listed once."""

    unit: str
    rows: list[Row] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    faults: list[Remark] = field(default_factory=list)
    warnings: list[Remark] = field(default_factory=list)


def check(
    source: Source, ruler: Ruler, tasks: Sequence[str] = (), languages: Sequence[str] = ()
) -> Report:
    """Checks all splits that a source holds of the given tasks and their training tasks.

    Args:
        tasks: names of tasks; () checks all.
        languages: codes, or pairs of them for mlqa_cross; () checks all.

    Raises:
        ConfigError: a language that no task has.
    """
    chosen = {part for name in tasks for part in (name, *TASKS[name].train)} or {*TASKS}
    splits = [
        (task, split, language)
        for task in TASKS.values()
        if task.name in chosen
        for split in SPLITS
        for language in dict.fromkeys(
            [*_official(source, task, split), *source.languages(task.name, split)]
        )
    ]
    _check_languages(languages, {language for _, _, language in splits})
    report, earlier = Report(ruler.unit), _EarlierTexts()
    absent: dict[tuple[str, str], list[str]] = {}
    bar = tqdm(
        [place for place in splits if not languages or place[2] in languages],
        disable=None,
        leave=False,
        unit="split",
    )
    for task, split, language in bar:
        bar.set_description(f"{task.name} {split} {language}")
        try:
            sets = source.find(task.name, split, language, substitutes=True)
        except UserError as error:
            report.faults.append(Remark(error.where, error.problem, error.remedy))
            continue
        if language in _official(source, task, split) and all(data.substitute for data in sets):
            absent.setdefault((task.name, split), []).append(language)
        for data in sets:
            _check_split(report, earlier, ruler, task, split, data)
    for (name, split), lacking in absent.items():
        expected = source.expected(name, split, lacking[0])
        report.missing.append(Missing(name, split, tuple(lacking), expected))
    report.warnings += _unequal_sizes(report.rows)
    report.faults = list(dict.fromkeys(report.faults))
    report.warnings = list(dict.fromkeys(report.warnings))
    return report


@dataclass
class _EarlierTexts:
    """The texts of the splits read so far, with which later splits are compared.

    Attributes:
        training: hashes of the training examples by task and language, for each file.
        places: the language and file in which a list of texts first occurred.
    """

    training: dict[tuple[str, str], list[tuple[Found, set[int]]]] = field(default_factory=dict)
    places: dict[tuple[str, str, int], tuple[str, str]] = field(default_factory=dict)


def _check_split(
    report: Report, earlier: _EarlierTexts, ruler: Ruler, task: Task, split: str, data: Found
) -> None:
    """Adds one file's row, faults and warnings to the report."""
    try:
        examples = data.read(task.labels)
        if not examples:
            raise DataError("the file holds no example", where=data.where, remedy="fetch it again")
    except UserError as error:
        report.faults.append(Remark(error.where or data.where, error.problem, error.remedy))
        return
    labelled = True
    try:
        labelled = has_labels(data, examples)
        if split == "train" and not labelled:
            remedy = "put the labelled official file there"
            raise DataError("training data without labels", where=data.where, remedy=remedy)
    except DataError as error:
        report.faults.append(Remark(error.where, error.problem, error.remedy))
    counts = label_counts(examples)
    report.warnings += [
        Remark(data.where, problem, remedy)
        for problem, remedy in (
            *_suspicions(examples, labelled, counts, task, split, data.language),
            *_repetitions(examples, earlier, task, split, data),
        )
    ]
    report.rows.append(
        Row(
            task.name,
            split,
            data.language,
            data.where,
            data.substitute,
            len(examples),
            labelled,
            counts,
            lengths(examples, ruler, task.recipe.max_length),
        )
    )


def label_counts(examples: Sequence[Example]) -> dict[str, int]:
    """Counts each label (see `examples.counted`); the most frequent comes first."""
    counts = Counter(label for example in examples for label in counted(example))
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _suspicions(
    examples: Sequence[Example],
    labelled: bool,
    counts: dict[str, int],
    task: Task,
    split: str,
    language: str,
) -> Iterator[tuple[str, str]]:
    """Yields (problem, remedy) of probable mistakes that one split shows by itself."""
    ids = Counter((getattr(example, "english", None), example.id) for example in examples)
    if repeated := [id_ for (_, id_), count in ids.items() if count > 1]:
        yield (
            f"ids that occur more than once: {len(repeated)}, the first is {repeated[0]!r}",
            "make ids unique: they identify the predictions",
        )
    if split == "dev" and not labelled:
        yield "a dev split without labels", "put the labelled official file there"
    expected = FAMILIES[task.family].kinds or task.labels
    lacking = [label for label in expected if label not in counts]
    used = split == "train" and (language == "en" or task.role == INTERMEDIATE)
    if used and counts and lacking:
        yield (
            f"no training example has the label {', '.join(lacking)}",
            "it can never be predicted; check that the file is complete",
        )
    if script := wrong_script(examples, language):
        yield (
            f"most letters are {script.capitalize()}, which is not the script of {language}",
            "check whether the file belongs to another language",
        )


def wrong_script(examples: Sequence[Example], language: str) -> str:
    """Returns the script of most letters if the language's own script is rare, else "".

    Returns "" for a language whose script is unknown. For a pair of languages (`de-en`) the first
    decides, which is that of the context.
    """
    expected = letter_names(language)
    step = max(1, len(examples) // _SAMPLE)
    letters = Counter("".join(text for e in examples[::step] for text in own_texts(e)[:1]))
    scripts: Counter[str] = Counter()
    for letter, count in letters.items():
        if letter.isalpha():  # the Unicode name of a letter begins with its script
            scripts[unicodedata.name(letter, "UNKNOWN").split()[0]] += count
    share = sum(scripts[script] for script in expected) / max(1, scripts.total())
    return scripts.most_common(1)[0][0] if expected and scripts and share < _LEAST_SCRIPT else ""


def _repetitions(
    examples: Sequence[Example], earlier: _EarlierTexts, task: Task, split: str, data: Found
) -> Iterator[tuple[str, str]]:
    """Yields (problem, remedy) of texts that an earlier split also holds; remembers these texts."""
    key = (task.name, split, hash(tuple(own_texts(example) for example in examples)))
    language, where = earlier.places.setdefault(key, (data.language, data.where))
    if language != data.language:
        yield f"the same texts as those of {language}, {where}", "one is a copy; fetch it again"
    hashes = [hash(example.texts) for example in examples]
    if split == "train":
        training = earlier.training.setdefault((task.name, data.language), [])
        training.append((data, set(hashes)))
        return
    for name in task.train:
        training = earlier.training.get((name, data.language), [])
        official = [pair for pair in training if not pair[0].substitute]
        for trained, texts in official or training:
            leaked = sum(text in texts for text in hashes)
            if leaked:
                substitute = " (a substitute)" if trained.substitute else ""
                yield (
                    f"{leaked} of {len(examples)} examples are also in the training data "
                    f"{trained.where}{substitute}",
                    "scores on them are too high; check that both are the official files",
                )


def _unequal_sizes(rows: Sequence[Row]) -> Iterator[Remark]:
    """Yields a warning for each language whose file has another size than the parallel files."""
    for task in _PARALLEL:
        for split in SPLITS[1:]:
            first = {
                row.language: row
                for row in reversed(rows)
                if (row.task, row.split, row.substitute) == (task, split, False)
            }
            sizes = Counter(row.examples for row in first.values())
            usual = max(sizes, key=lambda size: (sizes[size], size), default=0)
            for _, row in sorted(first.items()):
                if row.examples != usual:
                    yield Remark(
                        row.file,
                        f"{row.examples} examples, {usual} in other languages",
                        "row i translates row i of every language; check that it is complete",
                    )


def _official(source: Source, task: Task, split: str) -> list[str]:
    """Returns the official languages that have this split; training sets are in English."""
    if split == "train" or task.role == INTERMEDIATE:
        languages = ["en"] if task.languages else []
    else:
        without = _NO_DEV.get(task.name, "").split() if split == "dev" else []
        languages = [language for language in task.languages if language not in without]
    return [language for language in languages if source.expected(task.name, split, language)]


def _check_languages(wanted: Sequence[str], existing: set[str]) -> None:
    known = existing.union(*(task.languages for task in TASKS.values()))
    if unknown := [language for language in wanted if language not in known]:
        raise ConfigError(
            f"There is no language {', '.join(unknown)}.",
            where="--language",
            remedy="use ISO 639-1 codes, out of: " + " ".join(sorted(known)),
        )
