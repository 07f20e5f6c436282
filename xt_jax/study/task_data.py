"""Reads what each task of a study trains on, selects by and is scored on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from absl import logging

from xt_jax.config import Config, RetrievalConfig, apply_overrides, digest
from xt_jax.data.sources import Found
from xt_jax.languages import components
from xt_jax.study import layers
from xt_jax.study.check import check_recipe, wanted_targets
from xt_jax.study.datasets import Dataset, Reader, ReadFile, with_labels
from xt_jax.tasks import recipes
from xt_jax.tasks.family import INTERMEDIATE, TARGET, Task
from xt_jax.tasks.recipes import Recipe
from xt_jax.tasks.table import DIRECT, FAMILIES, get, names


@dataclass(frozen=True)
class TaskData:
    """The data that one task trains on (None: only scored), selects by and is scored on.

    Attributes:
        scored: one labelled split per language.
        submitted: the test splits that are not scored; predicted and written.
        fitted: by language, the split on which a mining threshold is fitted.
        deciding: by language, the splits that choose its layer, where `dev` chooses.
        retrieval: how embeddings are made; `all_layers` is set where every layer is scored.
    """

    task: Task
    recipe: Recipe
    train: Dataset | None
    dev: Dataset | None
    scored: tuple[Dataset, ...] = ()
    submitted: tuple[Dataset, ...] = ()
    fitted: dict[str, Dataset] = field(default_factory=dict)
    deciding: dict[str, tuple[Dataset, ...]] = field(default_factory=dict)
    retrieval: RetrievalConfig = field(default_factory=RetrievalConfig)

    @property
    def retrieval_key(self) -> str:
        """A digest of all that embeddings and the choice of a layer depend on but the checkpoint.

        It is "" for the published layer and the mean, as there was nothing else at first.
        """
        config = self.retrieval
        if not self.compares or (config.layer, config.pooling) == (layers.PUBLISHED, "mean"):
            return ""
        keys = {d.key for splits in self.deciding.values() for d in splits}
        return digest(config.layer, config.pooling, sorted(keys))

    @property
    def compares(self) -> bool:
        """Whether the task compares embeddings."""
        return FAMILIES[self.task.family].layer_scores is not None

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
    wanted = wanted_targets(config)
    trained = [name for name in config.intermediates if name != DIRECT]
    intermediates = {name: _intermediate(name, config, reader, longest) for name in trained}
    targets = {name: _target(name, config, reader, longest) for name in wanted}
    return (
        {name: phase for name, phase in intermediates.items() if phase is not None},
        {name: data for name, data in targets.items() if data is not None},
    )


def _intermediate(name: str, config: Config, reader: Reader, longest: int) -> Phase | None:
    """Returns the phase of one task, or of the tasks of `a+b+c`; None if data is missing."""
    tasks = name.split("+")
    parts: list[TaskData] = []
    for part in tasks:
        allowed = (DIRECT, *names(INTERMEDIATE)) if len(tasks) == 1 else names(INTERMEDIATE)
        task = get(part, allowed, "--config.intermediates")
        recipe = apply_overrides(task.recipe, config.intermediate)
        check_recipe(task, recipe, "intermediate", longest)
        if FAMILIES[task.family].plain_text:
            data = _plain_text(reader, task, recipe, config, alone=len(tasks) == 1)
        else:
            languages = config.data.intermediate_languages
            data = _trained(reader, task, recipe, languages, config.data.max_train_examples)
        if data is None:
            logging.warning("%s is left out: no train or dev data of %s", name, part)
            return None
        parts.append(data)
    recipe = parts[0].recipe
    if len(parts) > 1:
        recipe = apply_overrides(recipes.MIXTURE, config.intermediate)
    return Phase(name, tuple(parts), recipe)


def _target(name: str, config: Config, reader: Reader, longest: int) -> TaskData | None:
    """Returns the data that a target is trained and scored on; None if data is missing."""
    task = get(name, names(TARGET), "--config.targets")
    recipe = apply_overrides(task.recipe, config.target)
    check_recipe(task, recipe, "target", longest)
    data: TaskData | None = TaskData(task, recipe, None, None)
    if task.train:
        data = _trained(reader, task, recipe, ("en",), config.data.max_train_examples)
    if data is None:
        logging.warning("%s is left out: no English train or dev data", task.name)
        return None
    scored, submitted = _evaluated(reader, task, recipe, config)
    if FAMILIES[task.family].fit is not None:
        scored, submitted, fitted = _fitted(reader, task, recipe, scored, submitted)
        data = replace(data, fitted=fitted)
    if not scored and not submitted:
        logging.warning("%s is left out: nothing to score", task.name)
        return None
    data = replace(data, scored=scored, submitted=submitted)
    return _with_layers(data, config.retrieval) if data.compares else data


def _with_layers(data: TaskData, config: RetrievalConfig) -> TaskData:
    """Returns the data of a retrieval task with what chooses the layer of each language.

    Every layer is scored where it chooses, and where that takes no mining.
    """
    by_dev = config.layer == layers.DEV
    every = config.all_layers or by_dev or not FAMILIES[data.task.family].whole
    data = replace(data, retrieval=replace(config, all_layers=every))
    if not by_dev:
        return data
    datasets = data.scored + data.submitted
    return replace(
        data, deciding=layers.deciding(data.task.name, datasets, data.scored, data.fitted)
    )


def _trained(
    reader: Reader, task: Task, recipe: Recipe, languages: Sequence[str], most: int
) -> TaskData | None:
    """Reads the training data of `languages` and English dev; None if data is missing."""
    train = [_training_files(reader, task, recipe, "train", language) for language in languages]
    dev = _training_files(reader, task, recipe, "dev", "en")
    if dev is None or None in train:
        return None
    files = [found for of_language in train for found in of_language or ()]
    task = with_labels(task, files)
    return TaskData(
        task,
        recipe,
        reader.dataset(task, recipe, "train", files, most),
        reader.dataset(task, recipe, "dev", dev, recipe.eval_examples),
    )


def _training_files(
    reader: Reader, task: Task, recipe: Recipe, split: str, language: str
) -> list[Found] | None:
    """Returns a file for each task whose data is joined; None if one is missing."""
    chosen = []
    for source in task.train:
        found = reader.find(source, split, language)
        if not found:
            reader.missing(task, source, split, [language])
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


def _plain_text(
    reader: Reader, task: Task, recipe: Recipe, config: Config, *, alone: bool
) -> TaskData | None:
    """Reads text of all languages, and dev text only where no other task selects."""
    splits = {}
    for split in ("train", "dev") if alone else ("train",):
        languages = config.mixture.mlm_languages or reader.source.languages(task.name, split)
        by_language = {lang: reader.find(task.name, split, lang) for lang in languages}
        missing = [lang for lang, files in by_language.items() if not files]
        if missing or not by_language:
            reader.missing(task, task.name, split, missing or ["en"])
        files = [of_language[0] for of_language in by_language.values() if of_language]
        if not files:
            return None
        most = config.data.max_train_examples if split == "train" else recipe.eval_examples
        splits[split] = reader.dataset(task, recipe, split, files, most)
    return TaskData(task, recipe, splits["train"], splits.get("dev"))


def _evaluated(
    reader: Reader, task: Task, recipe: Recipe, config: Config
) -> tuple[tuple[Dataset, ...], tuple[Dataset, ...]]:
    """Returns (a labelled split per language, test splits that are only predicted).

    With `eval_split=auto` a task is scored on test if at least as many languages have a labelled
    test as a labelled dev split, else on dev; a language without that split on the other one.
    """
    # Two corpora that are both cut down to few sentences have hardly any pair left.
    most = 0 if FAMILIES[task.family].whole else config.data.max_eval_examples
    languages = [lang for lang in task.languages if _is_wanted(lang, config.languages)]
    read = {
        split: {lang: file for lang in languages if (file := reader.best(task, split, lang))}
        for split in ("test", "dev")
    }
    order = _order(read, config.data.eval_split)
    scored: list[Dataset] = []
    submitted: list[Dataset] = []
    unscored: list[str] = []
    predicted: set[str] = set()  # languages whose test split has no labels
    for language in languages:
        best = next((s for s in order if language in read[s] and read[s][language].labelled), "")
        if best:
            file = read[best][language]
            scored.append(reader.given(task, recipe, best, file, most))
            if file.found.substitute:
                name = f"{task.name}, {language}"
                logging.warning("%s: scored on a substitute: %s", name, file.found.where)
        else:
            unscored.append(language)
        test = read["test"].get(language)
        if config.submission and test and best != "test" and not test.found.substitute:
            submitted.append(replace(reader.given(task, recipe, "test", test), labelled=False))
            if not test.labelled:
                predicted.add(language)
    if unlabelled := [lang for lang in unscored if lang in predicted]:
        logging.warning(
            "%s: no labels for %s: predicted but not scored", task.name, ", ".join(unlabelled)
        )
    if missing := [lang for lang in unscored if lang not in predicted]:
        reader.missing(task, task.name, order[0], missing)
    return tuple(scored), tuple(submitted)


def _fitted(
    reader: Reader,
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
        dev = reader.best(task, "dev", language) if language not in fitted else None
        if dev and dev.labelled:
            fitted[language] = reader.given(task, recipe, "dev", dev)
    unfitted = [d.language for d in [*scored, *submitted] if d.language not in fitted]
    if unfitted:
        reader.missing(task, task.name, "dev", unfitted)

    def keyed(datasets: Sequence[Dataset]) -> tuple[Dataset, ...]:
        pairs = [(d, fitted[d.language]) for d in datasets if d.language in fitted]
        return tuple(d if d is dev else replace(d, key=digest(d.key, dev.key)) for d, dev in pairs)

    return keyed(scored), keyed(submitted), fitted


def _order(read: dict[str, dict[str, ReadFile]], eval_split: str) -> list[str]:
    """Returns the splits to score, the preferred one first."""
    if eval_split != "auto":
        return [eval_split]
    labelled = {split: sum(f.labelled for f in files.values()) for split, files in read.items()}
    return sorted(labelled, key=lambda split: -labelled[split])  # test before dev where equal


def _is_wanted(language: str, wanted: Sequence[str]) -> bool:
    """Returns whether a language is requested; `de` requests its pairs, and no list everything."""
    return not wanted or language in wanted or any(part in wanted for part in components(language))
