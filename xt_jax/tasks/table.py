"""The table of tasks, one row each, and the table of the families that implement them.

Both are plain dicts: `register` adds to them from outside the package.
"""

from __future__ import annotations

from collections.abc import Sequence

from xt_jax import languages
from xt_jax.errors import ConfigError
from xt_jax.tasks import (
    choices,
    mining,
    mlm,
    pairs,
    recipes,
    retrieval,
    spans,
    spans_or_none,
    tags,
)
from xt_jax.tasks.benchmarks import XTREME
from xt_jax.tasks.family import INTERMEDIATE, Family, Task
from xt_jax.tasks.metrics import mlqa
from xt_jax.tasks.recipes import Recipe

FAMILIES = {
    module.FAMILY.name: module.FAMILY
    for module in (pairs, choices, tags, spans, spans_or_none, retrieval, mining, mlm)
}

NLI = ("entailment", "neutral", "contradiction")
UPOS = tuple(
    "ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X".split()
)
ENTITIES = ("B-LOC", "B-ORG", "B-PER", "I-LOC", "I-ORG", "I-PER", "O")

_BINARY = ("0", "1")
_FOUR, _FIVE = tuple("0123"), tuple("01234")
_ACCURACY = ("accuracy",)
_QA = ("f1", "exact_match")
_QA_OR_NONE = ("best_f1", "best_exact")  # at the null threshold that suits dev best
_ANLI = ("anli_r1", "anli_r2", "anli_r3")
# Clark and Curran (2007) keep the lexical categories seen ten times or more in training.
_RARE = 10


def _english(
    name: str,
    family: str,
    recipe: Recipe,
    labels: tuple[str, ...] = (),
    metrics: tuple[str, ...] = _ACCURACY,
    train: tuple[str, ...] = (),
    min_count: int = 0,
) -> Task:
    """Returns an intermediate task, trained on its own English files unless others are named."""
    train = train or (name,)
    return Task(
        name, family, recipe, ("en",), metrics, labels, train, INTERMEDIATE, min_count=min_count
    )


_ROWS = (
    *(_english(name, "pairs", recipes.NLI, NLI) for name in ("mnli", "snli", *_ANLI)),
    _english("anli_plus", "pairs", recipes.NLI, NLI, train=("mnli", "snli", *_ANLI)),
    _english("qqp", "pairs", recipes.QQP, _BINARY, ("accuracy", "f1")),
    _english("squad", "spans", recipes.SQUAD, (), _QA),
    _english("squad_v2", "spans_or_none", recipes.SQUAD, (), _QA_OR_NONE),
    _english("hellaswag", "choices", recipes.HELLASWAG, _FOUR),
    _english("cosmos_qa", "choices", recipes.COSMOS_QA, _FOUR),
    _english("commonsense_qa", "choices", recipes.COMMONSENSE_QA, _FIVE),
    _english("ccg", "tags", recipes.CCG, min_count=_RARE),
    Task("mlm", "mlm", recipes.MLM, (), ("neg_loss",), (), ("mlm",), INTERMEDIATE),
    Task("xnli", "pairs", recipes.XNLI, languages.XNLI, _ACCURACY, NLI, ("xnli",)),
    # 54.7 % of the English test pairs are no paraphrases.
    Task(
        "pawsx", "pairs", recipes.PAWSX, languages.PAWSX, _ACCURACY, _BINARY, ("pawsx",),
        majority=55.0,
    ),
    Task("udpos", "tags", recipes.TAGS, languages.UDPOS, ("f1", "accuracy"), UPOS, ("udpos",)),
    Task("panx", "tags", recipes.TAGS, languages.PANX, ("f1",), ENTITIES, ("panx",)),
    Task("xquad", "spans", recipes.SQUAD, languages.XQUAD, _QA, (), ("squad",)),
    Task(
        "mlqa", "spans", recipes.SQUAD, languages.MLQA, _QA, (), ("squad",),
        normaliser=mlqa.normaliser,
    ),
    Task("tydiqa", "spans", recipes.SQUAD, languages.TYDIQA, _QA, (), ("tydiqa",)),
    Task("bucc", "mining", recipes.RETRIEVAL, languages.BUCC, ("f1", "precision", "recall")),
    Task("tatoeba", "retrieval", recipes.RETRIEVAL, languages.TATOEBA, _ACCURACY),
    Task(
        "mlqa_cross", "spans", recipes.SQUAD, languages.MLQA_CROSS, _QA, (), ("squad",),
        normaliser=mlqa.normaliser,
    ),
)  # fmt: skip

TASKS = {task.name: task for task in _ROWS}
TARGETS = tuple(name for name in TASKS if name in XTREME.tasks)  # where none are named
DIRECT = "direct"  # the intermediate phase that is left out
NONE = "none"  # in place of the targets: the intermediate phases only


def register(family: Family, *tasks: Task) -> None:
    """Adds a family, or replaces the one of that name, and tasks of it.

    Raises:
        ConfigError: a task of another family.
    """
    for task in tasks:
        if task.family != family.name:
            raise ConfigError(
                f"The task `{task.name}` is of the family `{task.family}`.",
                where=f"register({family.name})",
                remedy="register each family with its own tasks",
            )
    FAMILIES[family.name] = family
    TASKS.update({task.name: task for task in tasks})


def names(role: str) -> tuple[str, ...]:
    """Returns the names of the tasks with a role, INTERMEDIATE or TARGET."""
    return tuple(task.name for task in TASKS.values() if task.role == role)


def per_example(task: Task) -> int:
    """Returns how many features of an example training keeps in one row: its choices, or 1."""
    return FAMILIES[task.family].group(task.labels)


def get(name: str, allowed: Sequence[str], where: str) -> Task:
    """Returns a task by name; `where` is the setting that may name one of the `allowed`.

    Raises:
        ConfigError: an unknown name, or one that does not belong there.
    """
    if name not in allowed or name not in TASKS:
        raise ConfigError(
            f"`{name}` is not a task that can be used here.",
            where=where,
            remedy=f"use one of: {', '.join(allowed)}",
        )
    return TASKS[name]
