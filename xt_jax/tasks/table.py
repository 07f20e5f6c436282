"""The tasks: one row each, and the family of functions that serves a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from flax import nnx

from xt_jax import languages
from xt_jax.errors import ConfigError
from xt_jax.model.config import EncoderConfig
from xt_jax.model.heads import (
    ChoiceHead,
    ClassificationHead,
    Head,
    MlmHead,
    SpanHead,
    TaggingHead,
)
from xt_jax.tasks import choices, mining, mlm, pairs, recipes, retrieval, spans, tags
from xt_jax.tasks.recipes import Recipe


@dataclass(frozen=True)
class Task:
    """One row of the table.

    Attributes:
        family: key of FAMILIES.
        recipe: how it is trained and cut into features.
        languages: the official list, ISO 639-1; English alone for intermediate tasks.
        labels: names in the order of the head's outputs; () where spans or texts need none, and
            for tags that the training split decides (see `min_count`).
        metrics: names in `xt_jax.evaluate.score`; the first selects the checkpoint.
        train: the tasks whose training and dev splits it uses, joined; () for one only scored.
        role: intermediate, target (XTREME scores it), or extra (a target only where asked for).
        min_count: a tag seen less often in training is no label: it is not learnt, and is wrong
            whatever is predicted.
    """

    name: str
    family: str
    recipe: Recipe
    languages: tuple[str, ...]
    metrics: tuple[str, ...]
    labels: tuple[str, ...] = ()
    train: tuple[str, ...] = ()
    role: str = "target"
    min_count: int = 0


def _alone(labels: Sequence[str]) -> int:
    return 1


class Family(NamedTuple):
    """What tasks of one shape share; see the functions of `xt_jax.tasks.pairs`.

    `group(labels)` is the number of consecutive features that training must keep in one row.
    """

    tokenize: Callable[..., Any]
    predict: Callable[..., Any]
    decode: Callable[..., Any] | None
    loss: Callable[..., Any] | None
    head: Callable[[EncoderConfig, int, nnx.Rngs], Head] | None
    group: Callable[[Sequence[str]], int] = _alone


FAMILIES = {
    "pairs": Family(
        pairs.tokenize,
        pairs.predict,
        pairs.decode,
        pairs.loss,
        lambda c, labels, rngs: ClassificationHead(c.hidden_size, labels, c.dropout, rngs=rngs),
    ),
    "choices": Family(
        choices.tokenize,
        choices.predict,
        choices.decode,
        choices.loss,
        lambda c, labels, rngs: ChoiceHead(c.hidden_size, c.dropout, rngs=rngs),
        choices.group,
    ),
    "tags": Family(
        tags.tokenize,
        tags.predict,
        tags.decode,
        tags.loss,
        lambda c, labels, rngs: TaggingHead(c.hidden_size, labels, c.dropout, rngs=rngs),
    ),
    "spans": Family(
        spans.tokenize,
        spans.predict,
        spans.decode,
        spans.loss,
        lambda c, labels, rngs: SpanHead(c.hidden_size, rngs=rngs),
    ),
    "spans_or_none": Family(
        spans.tokenize,
        spans.predict,
        spans.decode_or_none,
        spans.loss,
        lambda c, labels, rngs: SpanHead(c.hidden_size, rngs=rngs),
    ),
    "retrieval": Family(retrieval.tokenize, retrieval.predict, None, None, None),
    "mining": Family(mining.tokenize, mining.predict, None, None, None),
    "mlm": Family(
        mlm.tokenize,
        mlm.predict,
        mlm.decode,
        mlm.loss,
        lambda c, labels, rngs: MlmHead(c.hidden_size, c.vocab_size, c.layer_norm_eps, rngs=rngs),
    ),
}

NLI = ("entailment", "neutral", "contradiction")
UPOS = tuple(
    "ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X".split()
)
ENTITIES = ("B-LOC", "B-ORG", "B-PER", "I-LOC", "I-ORG", "I-PER", "O")

_EN = ("en",)
_BINARY = ("0", "1")
_ACCURACY = ("accuracy",)
_QA = ("f1", "exact_match")
_QA_OR_NONE = ("best_f1", "best_exact")  # at the null threshold that suits dev best
_ANLI = ("anli_r1", "anli_r2", "anli_r3")
_MID = "intermediate"
# Clark and Curran (2007) keep the lexical categories seen ten times or more in training.
_RARE = 10

_ROWS = (
    Task("mnli", "pairs", recipes.NLI, _EN, _ACCURACY, NLI, ("mnli",), _MID),
    Task("snli", "pairs", recipes.NLI, _EN, _ACCURACY, NLI, ("snli",), _MID),
    *(Task(name, "pairs", recipes.NLI, _EN, _ACCURACY, NLI, (name,), _MID) for name in _ANLI),
    Task("anli_plus", "pairs", recipes.NLI, _EN, _ACCURACY, NLI, ("mnli", "snli", *_ANLI), _MID),
    Task("qqp", "pairs", recipes.QQP, _EN, ("accuracy", "f1"), _BINARY, ("qqp",), _MID),
    Task("squad", "spans", recipes.SQUAD, _EN, _QA, (), ("squad",), _MID),
    Task("squad_v2", "spans_or_none", recipes.SQUAD, _EN, _QA_OR_NONE, (), ("squad_v2",), _MID),
    Task(
        "hellaswag",
        "choices",
        recipes.HELLASWAG,
        _EN,
        _ACCURACY,
        tuple("0123"),
        ("hellaswag",),
        _MID,
    ),
    Task(
        "cosmos_qa",
        "choices",
        recipes.COSMOS_QA,
        _EN,
        _ACCURACY,
        tuple("0123"),
        ("cosmos_qa",),
        _MID,
    ),
    Task(
        "commonsense_qa",
        "choices",
        recipes.COMMONSENSE_QA,
        _EN,
        _ACCURACY,
        tuple("01234"),
        ("commonsense_qa",),
        _MID,
    ),
    Task("ccg", "tags", recipes.CCG, _EN, _ACCURACY, (), ("ccg",), _MID, min_count=_RARE),
    Task("mlm", "mlm", recipes.MLM, (), ("neg_loss",), (), ("mlm",), _MID),
    Task("xnli", "pairs", recipes.XNLI, languages.XNLI, _ACCURACY, NLI, ("xnli",)),
    Task("pawsx", "pairs", recipes.PAWSX, languages.PAWSX, _ACCURACY, _BINARY, ("pawsx",)),
    Task("udpos", "tags", recipes.TAGS, languages.UDPOS, ("f1", "accuracy"), UPOS, ("udpos",)),
    Task("panx", "tags", recipes.TAGS, languages.PANX, ("f1",), ENTITIES, ("panx",)),
    Task("xquad", "spans", recipes.SQUAD, languages.XQUAD, _QA, (), ("squad",)),
    Task("mlqa", "spans", recipes.SQUAD, languages.MLQA, _QA, (), ("squad",)),
    Task("tydiqa", "spans", recipes.SQUAD, languages.TYDIQA, _QA, (), ("tydiqa",)),
    Task("bucc", "mining", recipes.RETRIEVAL, languages.BUCC, ("f1", "precision", "recall")),
    Task("tatoeba", "retrieval", recipes.RETRIEVAL, languages.TATOEBA, _ACCURACY),
    Task("mlqa_cross", "spans", recipes.SQUAD, languages.MLQA_CROSS, _QA, (), ("squad",), "extra"),
)

TASKS = {task.name: task for task in _ROWS}
TARGETS = tuple(task.name for task in _ROWS if task.role == "target")
EXTRA_TARGETS = tuple(task.name for task in _ROWS if task.role == "extra")
DIRECT = "direct"  # the intermediate phase that is left out
NONE = "none"  # in place of the targets: the intermediate phases only
INTERMEDIATES = (DIRECT, *(task.name for task in _ROWS if task.role == _MID))


def per_example(task: Task) -> int:
    """Features of an example that training keeps in one row: its choices; 1 in other families."""
    return FAMILIES[task.family].group(task.labels)


def get(name: str, allowed: tuple[str, ...], where: str) -> Task:
    """The row of a task that may stand in `where`.

    Raises:
        ConfigError: an unknown name, or one that does not belong there.
    """
    if name not in allowed or name not in TASKS:
        raise ConfigError(
            f"There is no task `{name}` here.",
            where=where,
            remedy=f"use one of: {', '.join(allowed)}",
        )
    return TASKS[name]
