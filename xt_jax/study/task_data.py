"""Reads what each task of a study trains on, selects by and is scored on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from absl import logging

from xt_jax.config import Config, RecipeOverrides, apply_overrides, digest
from xt_jax.data.sources import Found
from xt_jax.errors import ConfigError, DataError
from xt_jax.languages import components
from xt_jax.study.datasets import Dataset, Reader, ReadFile, has_labels, with_labels
from xt_jax.tasks import recipes
from xt_jax.tasks.family import INTERMEDIATE, TARGET, Task
from xt_jax.tasks.recipes import Recipe
from xt_jax.tasks.table import DIRECT, FAMILIES, NONE, TARGETS, get, names


@dataclass(frozen=True)
class TaskData:
    """The data that one task trains on (None: only scored), selects by and is scored on.

    Attributes:
        scored: one labelled split per language.
        submitted: the test splits that are not scored; predicted and written.
        fitted: by language, the split on which a mining threshold is fitted.
        all_layers: whether to mine at every layer.
    """

    task: Task
    recipe: Recipe
    train: Dataset | None
    dev: Dataset | None
    scored: tuple[Dataset, ...] = ()
    submitted: tuple[Dataset, ...] = ()
    fitted: dict[str, Dataset] = field(default_factory=dict)
    all_layers: bool = False

    @property
    def is_text(self) -> bool:
        """Whether the task trains on plain text (`Family.plain_text`)."""
        return FAMILIES[self.task.family].plain_text


@dataclass(frozen=True)
class Phase:
    """The tasks of one phase of training: one task, or several interleaved.

    Attributes:
        recipe: settings of optimizer and evaluations; each task has its own batches and lengths.
        role: intermediate or target; training does not depend on it.
    """

    name: str
    parts: tuple[TaskData, ...]
    recipe: Recipe
    role: str = "intermediate"


def target_phase(data: TaskData) -> Phase:
    """Returns the phase that trains a target, named by its data as XQuAD and MLQA share one."""
    return Phase("+".join(data.task.train), (data,), data.recipe, "target")


def prepare(
    config: Config, reader: Reader, longest: int
) -> tuple[dict[str, Phase], dict[str, TaskData]]:
    """Returns (intermediate phases, targets) by name; with `allow_missing`, only the possible ones.

    Args:
        longest: the number of tokens that the encoder takes at most.

    Raises:
        ConfigError: an unknown task, or a recipe that cannot run.
        DataError: a file that is missing (unless allowed) or faulty.
    """
    wanted = _targets(config)
    preparation = _Preparation(config, reader, longest)
    trained = [name for name in config.intermediates if name != DIRECT]
    intermediates = {name: preparation.intermediate(name) for name in trained}
    targets = {name: preparation.target(name) for name in wanted}
    return (
        {name: phase for name, phase in intermediates.items() if phase is not None},
        {name: data for name, data in targets.items() if data is not None},
    )


@dataclass(frozen=True)
class _Preparation:
    """Chooses and reads the files of each task; see `prepare`."""

    config: Config
    reader: Reader
    longest: int

    def intermediate(self, name: str) -> Phase | None:
        """Returns the phase of one task, or of the tasks of `a+b+c`."""
        tasks, overrides = name.split("+"), self.config.intermediate
        if len(set(tasks)) < len(tasks):
            raise ConfigError(
                f"`{name}` names a task twice.",
                where="--config.intermediates",
                remedy="name each task once",
            )
        parts: list[TaskData] = []
        for part in tasks:
            allowed = (DIRECT, *names(INTERMEDIATE)) if len(tasks) == 1 else names(INTERMEDIATE)
            task = get(part, allowed, "--config.intermediates")
            recipe = self._recipe(task, overrides, "intermediate")
            if FAMILIES[task.family].plain_text:
                data = self._plain_text(task, recipe, alone=len(tasks) == 1)
            else:
                data = self._trained(task, recipe, self.config.data.intermediate_languages)
            if data is None:
                logging.warning("%s is left out: no train or dev data of %s", name, part)
                return None
            parts.append(data)
        recipe = parts[0].recipe
        if len(parts) > 1:
            recipe = apply_overrides(recipes.MIXTURE, overrides)
        return Phase(name, tuple(parts), recipe)

    def target(self, name: str) -> TaskData | None:
        """Returns the data that the target is trained and scored on."""
        task = get(name, names(TARGET), "--config.targets")
        recipe = self._recipe(task, self.config.target, "target")
        data: TaskData | None = TaskData(task, recipe, None, None)
        if task.train:
            data = self._trained(task, recipe, ("en",))
        if data is None:
            logging.warning("%s is left out: no English train or dev data", task.name)
            return None
        scored, submitted = self._evaluated(task, recipe)
        if FAMILIES[task.family].fit is not None:
            scored, submitted, fitted = self._fitted(task, recipe, scored, submitted)
            data = replace(data, fitted=fitted, all_layers=self.config.mine_all_layers)
        if not scored and not submitted:
            logging.warning("%s is left out: nothing to score", task.name)
            return None
        return replace(data, scored=scored, submitted=submitted)

    def _recipe(self, task: Task, overrides: RecipeOverrides, phase: str) -> Recipe:
        recipe = apply_overrides(task.recipe, overrides)
        least = FAMILIES[task.family].min_length
        limits = {
            "max_length": (least, self.longest),
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
        return recipe

    def _trained(self, task: Task, recipe: Recipe, languages: Sequence[str]) -> TaskData | None:
        """Reads the training data of `languages` and English dev; None if data is missing."""
        train = [self._training_files(task, recipe, "train", language) for language in languages]
        dev = self._training_files(task, recipe, "dev", "en")
        if dev is None or None in train:
            return None
        files = [found for of_language in train for found in of_language or ()]
        task = with_labels(task, files)
        most = self.config.data.max_train_examples
        return TaskData(
            task,
            recipe,
            self.reader.dataset(task, recipe, "train", files, most),
            self.reader.dataset(task, recipe, "dev", dev, recipe.eval_examples),
        )

    def _training_files(
        self, task: Task, recipe: Recipe, split: str, language: str
    ) -> list[Found] | None:
        """Returns a file for each task whose data is joined; None if one is missing."""
        chosen = []
        for source in task.train:
            found = self.reader.find(source, split, language)
            if not found:
                self._missing(task, source, split, [language])
                return None
            first = found[0]
            if split == "train" and found[-1].substitute and not first.substitute:
                rows = len(first.read(task.labels))
                if rows < recipe.batch_size:
                    logging.warning("%s has %d rows, less than one batch", first.where, rows)
                    first = found[-1]
            if first.substitute:
                logging.warning("%s: %s is a substitute: %s", task.name, split, first.where)
            chosen.append(first)
        return chosen

    def _plain_text(self, task: Task, recipe: Recipe, *, alone: bool) -> TaskData | None:
        """Reads text of all languages, and dev text only where no other task selects."""
        splits = {}
        for split in ("train", "dev") if alone else ("train",):
            available = self.reader.source.languages(task.name, split)
            languages = self.config.mixture.mlm_languages or available
            by_language = {lang: self.reader.find(task.name, split, lang) for lang in languages}
            missing = [lang for lang, files in by_language.items() if not files]
            if missing or not by_language:
                self._missing(task, task.name, split, missing or ["en"])
            files = [of_language[0] for of_language in by_language.values() if of_language]
            if not files:
                return None
            most = self.config.data.max_train_examples if split == "train" else recipe.eval_examples
            splits[split] = self.reader.dataset(task, recipe, split, files, most)
        return TaskData(task, recipe, splits["train"], splits.get("dev"))

    def _evaluated(
        self, task: Task, recipe: Recipe
    ) -> tuple[tuple[Dataset, ...], tuple[Dataset, ...]]:
        """Returns (a labelled split per language, test splits that are only predicted).

        With `eval_split=auto` a task is scored on test if at least as many languages have a
        labelled test as a labelled dev split, else on dev; a language without that split on the
        other one.
        """
        # Two corpora that are both cut down to few sentences have hardly any pair left.
        most = 0 if FAMILIES[task.family].whole else self.config.data.max_eval_examples
        languages = [lang for lang in task.languages if _is_wanted(lang, self.config.languages)]
        read = {
            split: {lang: self._best_file(task, split, lang) for lang in languages}
            for split in ("test", "dev")
        }
        order = _order(read, self.config.data.eval_split)
        scored: list[Dataset] = []
        submitted: list[Dataset] = []
        unscored: list[str] = []
        predicted: set[str] = set()  # languages whose test split has no labels
        for language in languages:
            best = ""  # the split that is scored
            for split in order:
                file = read[split][language]
                if file is not None and file.labelled:
                    best, (found, examples, _) = split, file
                    scored.append(self.reader.given(task, recipe, split, found, examples, most))
                    if found.substitute:
                        name = f"{task.name}, {language}"
                        logging.warning("%s: scored on a substitute: %s", name, found.where)
                    break
            else:
                unscored.append(language)
            test = read["test"][language]
            if self.config.submission and test and best != "test" and not test.found.substitute:
                dataset = self.reader.given(task, recipe, "test", test.found, test.examples)
                submitted.append(replace(dataset, labelled=False))
                if not test.labelled:
                    predicted.add(language)
        if unlabelled := [lang for lang in unscored if lang in predicted]:
            logging.warning(
                "%s: no labels for %s: predicted but not scored", task.name, ", ".join(unlabelled)
            )
        if missing := [lang for lang in unscored if lang not in predicted]:
            self._missing(task, task.name, order[0], missing)
        return tuple(scored), tuple(submitted)

    def _best_file(self, task: Task, split: str, language: str) -> ReadFile | None:
        """Returns the first file with labels, or else the first file."""
        scored, key = self.reader.files.scored, (task.name, split, language)
        if key not in scored:
            scored[key] = None
            for found in self.reader.find(*key):
                examples = found.read(task.labels)
                read = ReadFile(found, examples, has_labels(task, found, examples))
                if read.labelled or scored[key] is None:
                    scored[key] = read
                if read.labelled:
                    break
        return scored[key]

    def _fitted(
        self,
        task: Task,
        recipe: Recipe,
        scored: Sequence[Dataset],
        submitted: Sequence[Dataset],
    ) -> tuple[tuple[Dataset, ...], tuple[Dataset, ...], dict[str, Dataset]]:
        """Returns (scored, submitted, dev split by language) of languages with a labelled dev.

        Mining depends on both splits, so the keys name both.
        """
        fitted = {d.language: d for d in scored if d.split == "dev"}
        for language in dict.fromkeys(d.language for d in [*scored, *submitted]):
            dev = self._best_file(task, "dev", language) if language not in fitted else None
            if dev and dev.labelled:
                fitted[language] = self.reader.given(task, recipe, "dev", dev.found, dev.examples)
        unfitted = [d.language for d in [*scored, *submitted] if d.language not in fitted]
        if unfitted:
            self._missing(task, task.name, "dev", unfitted)
        keyed = [
            tuple(
                d
                if fitted[d.language] is d
                else replace(d, key=digest(d.key, fitted[d.language].key))
                for d in datasets
                if d.language in fitted
            )
            for datasets in (scored, submitted)
        ]
        return keyed[0], keyed[1], fitted

    def _missing(self, task: Task, source: str, split: str, languages: Sequence[str]) -> None:
        """Logs the files that are missing, or raises an error where none may be.

        Raises:
            DataError: without `allow_missing`.
        """
        origin = self.reader.source
        files = [origin.expected(source, split, language) for language in languages]
        problem = f"{task.name}: no labelled {split} data for {', '.join(languages)}."
        if self.config.allow_missing:
            logging.warning("%s Continuing without: %s", problem, ", ".join(files))
            return
        substitutes = [
            found.where
            for language in languages
            for found in origin.find(source, split, language, substitutes=True)
            if found.substitute
        ]
        without = (
            f"use substitutes such as {substitutes[0]}" if substitutes else "continue without them"
        )
        remedy = f"put the files there, or {without}: --config.allow_missing=true"
        if not any(files):
            remedy = "leave the task out, or use --config.data.eval_split=auto"
        raise DataError(
            problem,
            where=", ".join(file or f"({split} is not part of the task)" for file in files),
            remedy=remedy,
        )


def _order(read: dict[str, dict[str, ReadFile | None]], eval_split: str) -> list[str]:
    """Returns the splits to score, the preferred one first."""
    if eval_split != "auto":
        return [eval_split]
    labelled = {
        split: sum(file is not None and file.labelled for file in by_language.values())
        for split, by_language in read.items()
    }
    return sorted(labelled, key=lambda split: -labelled[split])  # test before dev where equal


def _is_wanted(language: str, wanted: Sequence[str]) -> bool:
    """Returns whether a language is requested; `de` requests its pairs, and no list everything."""
    return not wanted or language in wanted or any(part in wanted for part in components(language))


def _targets(config: Config) -> Sequence[str]:
    if NONE not in config.targets:
        return config.targets or TARGETS
    if len(config.targets) > 1 or not set(config.intermediates) - {DIRECT}:
        raise ConfigError(
            f"No target is to be trained, but the targets are {', '.join(config.targets)} and the "
            f"intermediate tasks are {', '.join(config.intermediates) or 'none'}.",
            where="--config.targets, --config.intermediates",
            remedy=f"with --config.targets={NONE} name no other target, and at least one "
            f"intermediate task that is not {DIRECT}",
        )
    return ()
