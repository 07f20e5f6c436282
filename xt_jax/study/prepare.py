"""Every example a study needs, read, checked and tokenised before the first step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from absl import logging

from xt_jax.config import Config, apply_overrides, digest
from xt_jax.data.examples import Example
from xt_jax.data.sources import Found
from xt_jax.errors import ConfigError, DataError
from xt_jax.languages import components
from xt_jax.study.reader import Dataset, Reader, has_labels, with_labels
from xt_jax.tasks import recipes
from xt_jax.tasks.family import INTERMEDIATE, TARGET, Task
from xt_jax.tasks.recipes import Recipe
from xt_jax.tasks.table import DIRECT, FAMILIES, NONE, TARGETS, TASKS, get, names

MLM = "mlm"


@dataclass(frozen=True)
class TaskData:
    """What one task trains on (None: it is only scored), selects by, and is scored on.

    Attributes:
        scored: one labelled split per language.
        submitted: the test splits that are not scored; predicted and written.
        fitted: by language, the split on which a mining threshold is fitted.
        all_layers: mine at every layer.
    """

    task: Task
    recipe: Recipe
    train: Dataset | None
    dev: Dataset | None
    scored: tuple[Dataset, ...] = ()
    submitted: tuple[Dataset, ...] = ()
    fitted: dict[str, Dataset] = field(default_factory=dict)
    all_layers: bool = False


@dataclass(frozen=True)
class Phase:
    """What one phase of training consists of: one task, or several by turns.

    Attributes:
        recipe: of the optimizer and the evaluations; batches and lengths are each task's own.
        role: intermediate or target; changes nothing in what is trained.
    """

    name: str
    parts: tuple[TaskData, ...]
    recipe: Recipe
    role: str = "intermediate"


def prepare(reader: Reader) -> tuple[dict[str, Phase], dict[str, TaskData]]:
    """(intermediate phases, target tasks) by name; with `allow_missing`, only those that can run.

    Raises:
        ConfigError: an unknown task, language or split, or a recipe that cannot run.
        DataError: a file that is missing (unless allowed) or faulty.
    """
    config = reader.config
    _check_languages(config)
    intermediates = {
        name: _intermediate(reader, name) for name in config.intermediates if name != DIRECT
    }
    targets = {}
    for name in _targets(config):
        task = get(name, names(TARGET), "--config.targets")
        recipe = apply_overrides(task.recipe, config.target)
        _check_recipe(task, recipe, reader.longest, "target")
        targets[name] = _target(reader, task, recipe)
    return (
        {name: phase for name, phase in intermediates.items() if phase is not None},
        {name: data for name, data in targets.items() if data is not None},
    )


def _targets(config: Config) -> Sequence[str]:
    if NONE not in config.targets:
        return config.targets or TARGETS
    if len(config.targets) > 1 or not set(config.intermediates) - {DIRECT}:
        raise ConfigError(
            f"No target is to be trained, but the targets are {', '.join(config.targets)} and the "
            f"intermediate tasks {', '.join(config.intermediates) or 'none either'}.",
            where="--config.targets, --config.intermediates",
            remedy=f"with --config.targets={NONE} name no other target, and at least one "
            f"intermediate task that is not {DIRECT}",
        )
    return ()


def _intermediate(reader: Reader, name: str) -> Phase | None:
    """One task, or the tasks of `a+b+c`."""
    config = reader.config
    phase_tasks = name.split("+")
    if len(set(phase_tasks)) < len(phase_tasks):
        raise ConfigError(
            f"`{name}` names a task twice.",
            where="--config.intermediates",
            remedy="name each task once",
        )
    parts: list[TaskData] = []
    for part in phase_tasks:
        known = names(INTERMEDIATE)
        allowed = (DIRECT, *known) if len(phase_tasks) == 1 else known
        task = get(part, allowed, "--config.intermediates")
        recipe = apply_overrides(task.recipe, config.intermediate)
        _check_recipe(task, recipe, reader.longest, "intermediate")
        if part == MLM:
            data = _plain_text(reader, task, recipe, alone=len(phase_tasks) == 1)
        else:
            data = _trained(reader, task, recipe, config.data.intermediate_languages)
        if data is None:
            logging.warning("%s is left out: no train or dev data of %s", name, part)
            return None
        parts.append(data)
    if len(parts) == 1:
        return Phase(name, tuple(parts), parts[0].recipe)
    return Phase(name, tuple(parts), apply_overrides(recipes.MIXTURE, config.intermediate))


def _target(reader: Reader, task: Task, recipe: Recipe) -> TaskData | None:
    data = TaskData(task, recipe, None, None)
    if task.train:
        trained = _trained(reader, task, recipe, ("en",))
        if trained is None:
            logging.warning("%s is left out: no English train or dev data", task.name)
            return None
        data = trained
    scored, submitted = _evaluated(reader, task, recipe)
    if FAMILIES[task.family].fit is not None:
        scored, submitted, fitted = _fitted(reader, task, recipe, scored, submitted)
        data = replace(data, fitted=fitted, all_layers=reader.config.mine_all_layers)
    if not scored and not submitted:
        logging.warning("%s is left out: nothing to score", task.name)
        return None
    return replace(data, scored=scored, submitted=submitted)


def _trained(
    reader: Reader, task: Task, recipe: Recipe, languages: Sequence[str]
) -> TaskData | None:
    """The training data of `languages` and English dev; None where some is missing and may be."""
    train = [_files(reader, task, recipe, "train", lang) for lang in languages]
    dev = _files(reader, task, recipe, "dev", "en")
    if dev is None or None in train:
        return None
    files = [found for some in train for found in some or ()]
    task = with_labels(task, files)
    most = reader.config.data.max_train_examples
    return TaskData(
        task,
        recipe,
        reader.dataset(task, recipe, "train", files, most),
        reader.dataset(task, recipe, "dev", dev, recipe.eval_examples),
    )


def _files(
    reader: Reader, task: Task, recipe: Recipe, split: str, language: str
) -> list[Found] | None:
    """One for each task whose data is joined; None where one is missing and may be."""
    chosen = []
    for source in task.train:
        found = reader.find(source, split, language)
        if not found:
            _missing(reader, task, source, split, [language])
            return None
        first = found[0]
        if split == "train" and found[-1].substitute and not first.substitute:
            rows = len(first.read(task.labels))
            if rows < recipe.batch_size:
                logging.warning("%s has %d rows, not one batch", first.where, rows)
                first = found[-1]
        if first.substitute:
            logging.warning("%s: %s is a substitute: %s", task.name, split, first.where)
        chosen.append(first)
    return chosen


def _plain_text(reader: Reader, task: Task, recipe: Recipe, *, alone: bool) -> TaskData | None:
    """Text of all languages; dev text only where there is nothing else to select by."""
    splits = {}
    for split in ("train", "dev") if alone else ("train",):
        wanted = reader.config.mixture.mlm_languages or reader.source.languages(MLM, split)
        found = {lang: reader.find(MLM, split, lang) for lang in wanted}
        missing = [lang for lang, some in found.items() if not some]
        if missing or not found:
            _missing(reader, task, MLM, split, missing or ["en"])
        files = [some[0] for some in found.values() if some]
        if not files:
            return None
        most = reader.config.data.max_train_examples if split == "train" else recipe.eval_examples
        splits[split] = reader.dataset(task, recipe, split, files, most)
    return TaskData(task, recipe, splits["train"], splits.get("dev"))


def _evaluated(
    reader: Reader, task: Task, recipe: Recipe
) -> tuple[tuple[Dataset, ...], tuple[Dataset, ...]]:
    """(one labelled split per language, test splits that are only predicted).

    With `eval_split=auto` a task is scored on test if at least as many languages have a labelled
    test as a labelled dev split, else on dev; a language without that split on the other one.
    """
    config = reader.config
    # Of two corpora that are narrowed, hardly a pair is left.
    most = 0 if FAMILIES[task.family].whole else config.data.max_eval_examples
    languages = [lang for lang in task.languages if _is_wanted(lang, config.languages)]
    read = {
        split: {lang: _read_best(reader, task, split, lang) for lang in languages}
        for split in ("test", "dev")
    }
    order = _order(read, config.data.eval_split)
    scored: list[Dataset] = []
    submitted: list[Dataset] = []
    unscored: list[str] = []
    for language in languages:
        split, best = next(
            ((s, best) for s in order if (best := read[s][language]) and best.labelled), ("", None)
        )
        if best is None:
            unscored.append(language)
        else:
            scored.append(reader.given(task, recipe, split, best.found, best.examples, most))
            if best.found.substitute:
                where = best.found.where
                logging.warning("%s, %s: a substitute is scored: %s", task.name, language, where)
        test = read["test"][language]
        if config.submission and test and split != "test" and not test.found.substitute:
            dataset = reader.given(task, recipe, "test", test.found, test.examples)
            submitted.append(replace(dataset, labelled=False))
    without = {lang for lang, test in read["test"].items() if test and not test.labelled}
    predicted = {dataset.language for dataset in submitted} & without
    if unlabelled := [lang for lang in unscored if lang in predicted]:
        logging.warning("%s: no labels for %s: only predicted", task.name, ", ".join(unlabelled))
    if missing := [lang for lang in unscored if lang not in predicted]:
        _missing(reader, task, task.name, order[0], missing)
    return tuple(scored), tuple(submitted)


class _Read(NamedTuple):
    """One file of examples."""

    found: Found
    examples: list[Example]
    labelled: bool


def _order(read: dict[str, dict[str, _Read | None]], asked: str) -> list[str]:
    """The splits to score, the preferred one first."""
    if asked != "auto":
        return [asked]
    labelled = {
        split: sum(best is not None and best.labelled for best in by_language.values())
        for split, by_language in read.items()
    }
    return sorted(labelled, key=lambda split: -labelled[split])  # test before dev where equal


def _is_wanted(language: str, wanted: Sequence[str]) -> bool:
    """All where none are named; `de` names every pair that German is part of too."""
    return not wanted or language in wanted or any(part in wanted for part in components(language))


def _read_best(reader: Reader, task: Task, split: str, language: str) -> _Read | None:
    """The first file with labels, else the first."""
    key = task.name, split, language
    if key not in reader.files:
        reader.files[key] = _first_labelled(reader, task, *key[1:])
    return reader.files[key]


def _first_labelled(reader: Reader, task: Task, split: str, language: str) -> _Read | None:
    first = None
    for found in reader.find(task.name, split, language):
        examples = found.read(task.labels)
        read = _Read(found, examples, has_labels(task, found, examples))
        if read.labelled:
            return read
        first = first or read
    return first


def _fitted(
    reader: Reader,
    task: Task,
    recipe: Recipe,
    scored: Sequence[Dataset],
    submitted: Sequence[Dataset],
) -> tuple[tuple[Dataset, ...], tuple[Dataset, ...], dict[str, Dataset]]:
    """(scored, submitted, by language the labelled dev split of each), those with a dev split.

    What is mined depends on both splits, and so do the keys.
    """
    fitted = {d.language: d for d in scored if d.split == "dev"}
    for language in dict.fromkeys(d.language for d in [*scored, *submitted]):
        dev = _read_best(reader, task, "dev", language) if language not in fitted else None
        if dev and dev.labelled:
            fitted[language] = reader.given(task, recipe, "dev", dev.found, dev.examples)
    unfitted = [d.language for d in [*scored, *submitted] if d.language not in fitted]
    if unfitted:
        _missing(reader, task, task.name, "dev", unfitted)

    def keyed(datasets: Sequence[Dataset]) -> tuple[Dataset, ...]:
        return tuple(
            d if fitted[d.language] is d else replace(d, key=digest(d.key, fitted[d.language].key))
            for d in datasets
            if d.language in fitted
        )

    return keyed(scored), keyed(submitted), fitted


def _check_recipe(task: Task, recipe: Recipe, longest: int, phase: str) -> None:
    least = FAMILIES[task.family].min_length
    limits = {
        "max_length": (least, longest),
        "batch_size": (1, math.inf),
        "eval_every": (1, math.inf),
        "adam_b2": (0, 1 - 1e-9),
        "warmup_ratio": (0, 1),
        **dict.fromkeys(
            (
                *("epochs", "steps", "learning_rate", "weight_decay", "clip_norm"),
                *("batch_tokens", "eval_examples", "patience"),
            ),
            (0, math.inf),
        ),
    }
    for name, (low, high) in limits.items():
        value = getattr(recipe, name)
        if not low <= value <= high:
            raise ConfigError(
                f"{task.name} cannot run with {name} {value}.",
                where=f"--config.{phase}.{name}",
                remedy=f"use a value from {low} to {high}",
            )


def _missing(reader: Reader, task: Task, source: str, split: str, languages: Sequence[str]) -> None:
    files = [reader.source.expected(source, split, lang) for lang in languages]
    problem = f"{task.name}: no labelled {split} data for {', '.join(languages)}."
    if not reader.config.allow_missing:
        substitutes = [
            found.where
            for lang in languages
            for found in reader.source.find(source, split, lang, substitutes=True)
            if found.substitute
        ]
        without = (
            f"go on with {substitutes[0]} and its like" if substitutes else "go on without them"
        )
        remedy = f"put the files there, or {without}: --config.allow_missing=true"
        if not any(files):
            remedy = "leave the task out, or use --config.data.eval_split=auto"
        raise DataError(
            problem,
            where=", ".join(file or f"({split} is not part of the task)" for file in files),
            remedy=remedy,
        )
    logging.warning("%s Going on without: %s", problem, ", ".join(files))


def _check_languages(config: Config) -> None:
    if not config.data.intermediate_languages:
        raise ConfigError(
            "No language was given for the intermediate tasks.",
            where="--config.data.intermediate_languages",
            remedy="use en, or leave the field out",
        )
    if config.data.eval_split not in ("auto", "dev", "test"):
        raise ConfigError(
            f"There is no split `{config.data.eval_split}` to score.",
            where="--config.data.eval_split",
            remedy="use auto, dev or test",
        )
    known = {lang for task in TASKS.values() for lang in task.languages}
    unknown = [lang for lang in config.languages if lang not in known]
    if unknown:
        raise ConfigError(
            f"No task has the languages {', '.join(unknown)}.",
            where="--config.languages",
            remedy="repeat the flag for each ISO 639-1 code, out of: " + " ".join(sorted(known)),
        )
