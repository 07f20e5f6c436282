"""Reads every split of every task that a source holds, counts it and looks for mistakes."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tqdm import tqdm

from xt_jax.data.examples import (
    Example,
    MiningExample,
    counted,
    is_labelled,
    own_texts,
    takes_label,
)
from xt_jax.data.lengths import Lengths, Ruler, lengths
from xt_jax.data.sources import Found, Source
from xt_jax.errors import ConfigError, DataError, UserError
from xt_jax.files import read_lines
from xt_jax.languages import letter_names
from xt_jax.tasks.family import INTERMEDIATE, Task
from xt_jax.tasks.table import FAMILIES, TASKS

SPLITS = ("train", "dev", "test")

# Where not every language of the official list has a dev split: UD 2.5 has none for these, and
# TyDiQA-GoldP's dev sets are XTREME's test sets, except for choosing a checkpoint in English.
_NO_DEV = {"udpos": "kk th tl yo", "tydiqa": "ar bn fi id ko ru sw te"}
# Row i of every language translates row i of every other.
_PARALLEL = ("xnli", "pawsx", "xquad")
_SAMPLE = 300  # examples whose script is looked at
_LEAST_SCRIPT = 0.2  # of the letters; names and loans in Latin letters are frequent


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
    lengths: Lengths


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
    """The result of a check; a file that two tasks read has its faults listed once."""

    unit: str
    rows: list[Row] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    faults: list[Remark] = field(default_factory=list)
    warnings: list[Remark] = field(default_factory=list)


def check(
    source: Source, ruler: Ruler, tasks: Sequence[str] = (), languages: Sequence[str] = ()
) -> Report:
    """Reads all that the source holds of these tasks, with those that they train on, and languages.

    Args:
        tasks: names; () takes all.
        languages: codes, or pairs of them for mlqa_cross; () takes all.

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
            found = source.find(task.name, split, language, substitutes=True)
        except UserError as error:
            report.faults.append(Remark(error.where, error.problem, error.remedy))
            continue
        if language in _official(source, task, split) and all(f.substitute for f in found):
            absent.setdefault((task.name, split), []).append(language)
        for place in found:
            _check_split(report, earlier, ruler, task, split, place)
    for (name, split), lacking in absent.items():
        expected = source.expected(name, split, lacking[0])
        report.missing.append(Missing(name, split, tuple(lacking), expected))
    report.warnings += _unequal_sizes(report.rows)
    report.faults = list(dict.fromkeys(report.faults))
    report.warnings = list(dict.fromkeys(report.warnings))
    return report


@dataclass
class _EarlierTexts:
    """The texts of the splits read so far, with which later ones are compared.

    Attributes:
        training: hashes of the training examples by task and language, for each file.
        places: the language and file that first had a list of texts.
    """

    training: dict[tuple[str, str], list[tuple[Found, set[int]]]] = field(default_factory=dict)
    places: dict[tuple[str, str, int], tuple[str, str]] = field(default_factory=dict)


def _check_split(
    report: Report, earlier: _EarlierTexts, ruler: Ruler, task: Task, split: str, found: Found
) -> None:
    """Adds the row of one file, or its fault, and its warnings."""
    try:
        examples = found.read(task.labels)
        if not examples:
            raise DataError("it holds no example", where=found.where, remedy="fetch it again")
    except UserError as error:
        report.faults.append(Remark(error.where or found.where, error.problem, error.remedy))
        return
    report.faults += _faults(examples, split, found.where)
    counts = label_counts(examples)
    report.warnings += [
        Remark(found.where, problem, remedy)
        for problem, remedy in (
            *_suspicions(examples, counts, task, split, found.language),
            *_repetitions(examples, earlier, task, split, found),
        )
    ]
    report.rows.append(
        Row(
            task.name,
            split,
            found.language,
            found.where,
            found.substitute,
            len(examples),
            any(takes_label(example) and is_labelled(example) for example in examples),
            counts,
            lengths(examples, ruler, task.recipe.max_length),
        )
    )


def label_counts(examples: Sequence[Example]) -> dict[str, int]:
    """How often each label occurs (see `examples.counted`), the most frequent first."""
    counts = Counter(label for example in examples for label in counted(example))
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _faults(examples: Sequence[Example], split: str, where: str) -> Iterator[Remark]:
    """What the reader leaves to those that use the examples."""
    judged = [example for example in examples if takes_label(example)]
    bare = [example for example in judged if not is_labelled(example)]
    if bare and len(bare) < len(judged):
        yield Remark(
            f"{where}{_line_of(where, bare[0].id)}",
            f"{len(bare)} of {len(examples)} examples have no label, the first is {bare[0].id!r}",
            "use the labelled official file, or one without any label",
        )
    elif bare and split == "train":
        remedy = "put the labelled official file there"
        yield Remark(where, "training data without labels", remedy)
    for foreign, english in unknown_partners(examples)[:1]:
        yield Remark(
            f"{where}{_line_of(where, foreign)}",
            f"the gold pair {foreign} {english} names an English sentence that is not there",
            "fetch the three files of the language again",
        )


def unknown_partners(examples: Sequence[Example]) -> list[tuple[str, str]]:
    """Gold pairs (foreign id, English id) whose English sentence is not there."""
    mined = [example for example in examples if isinstance(example, MiningExample)]
    english = {example.id for example in mined if example.english}
    return [
        (e.id, partner) for e in mined for partner in e.partners or () if partner not in english
    ]


def _suspicions(
    examples: Sequence[Example], counts: dict[str, int], task: Task, split: str, language: str
) -> Iterator[tuple[str, str]]:
    """(problem, remedy) of what is readable and looks like a mistake, seen by itself."""
    ids = Counter((getattr(example, "english", None), example.id) for example in examples)
    if repeated := [id_ for (_, id_), count in ids.items() if count > 1]:
        yield (
            f"ids that occur more than once: {len(repeated)}, the first is {repeated[0]!r}",
            "make ids unique: predictions are told apart by them",
        )
    if split == "dev" and not any(takes_label(e) and is_labelled(e) for e in examples):
        yield "a dev split without labels", "put the labelled official file there"
    expected = FAMILIES[task.family].kinds or task.labels
    lacking = [label for label in expected if label not in counts]
    used = split == "train" and (language == "en" or task.role == INTERMEDIATE)
    if used and counts and lacking:
        yield (
            f"no training example has the label {', '.join(lacking)}",
            "it can never be predicted; look whether the file is whole",
        )
    if script := wrong_script(examples, language):
        yield (
            f"most letters are {script.capitalize()}, which is not the script of {language}",
            "look whether the file is another language's",
        )


def wrong_script(examples: Sequence[Example], language: str) -> str:
    """The script that most letters belong to where the language's own is rare, else "".

    For a language whose script is not known, "". Of a pair of languages (`de-en`) the first
    decides: it is the one of the context.
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
    examples: Sequence[Example], earlier: _EarlierTexts, task: Task, split: str, found: Found
) -> Iterator[tuple[str, str]]:
    """(problem, remedy) of texts that an earlier split holds as well; remembers those of this."""
    key = (task.name, split, hash(tuple(own_texts(example) for example in examples)))
    language, where = earlier.places.setdefault(key, (found.language, found.where))
    if language != found.language:
        yield f"the same texts as those of {language}, {where}", "one is a copy; fetch it again"
    hashes = [hash(example.texts) for example in examples]
    if split == "train":
        training = earlier.training.setdefault((task.name, found.language), [])
        training.append((found, set(hashes)))
        return
    for name in task.train:
        training = earlier.training.get((name, found.language), [])
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


def _unequal_sizes(rows: Sequence[Row]) -> Iterator[Remark]:
    """Warnings of a language whose file has another number of rows than the parallel ones."""
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
                        "row i translates row i of every language; look whether it is whole",
                    )


def _official(source: Source, task: Task, split: str) -> list[str]:
    """The languages of the official list that have this split; training is in English."""
    if split == "train" or task.role == INTERMEDIATE:
        languages = ["en"] if task.languages else []
    else:
        without = _NO_DEV.get(task.name, "").split() if split == "dev" else []
        languages = [language for language in task.languages if language not in without]
    return [language for language in languages if source.expected(task.name, split, language)]


def _check_languages(wanted: Sequence[str], found: set[str]) -> None:
    known = found.union(*(task.languages for task in TASKS.values()))
    if unknown := [language for language in wanted if language not in known]:
        raise ConfigError(
            f"There is no language {', '.join(unknown)}.",
            where="--language",
            remedy="use ISO 639-1 codes, out of: " + " ".join(sorted(known)),
        )


def _line_of(where: str, id_: str) -> str:
    """ ":line" of the first place of a text file that holds the id in quotes or as a column."""
    try:
        lines = read_lines(where)
    except DataError:  # a table of another source
        return ""
    quoted = json.dumps(id_, ensure_ascii=False)
    for number, line in enumerate(lines, start=1):
        if quoted in line or id_ in line.split("\t"):
            return f":{number}"
    return ""
