"""The tasks: one row each, and the family of functions that serves a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from flax import nnx

from xt_jax.errors import ConfigError
from xt_jax.model.config import EncoderConfig
from xt_jax.model.heads import ClassificationHead, Head, SpanHead, TaggingHead
from xt_jax.tasks import pairs, recipes, retrieval, spans, tags
from xt_jax.tasks.recipes import Recipe


@dataclass(frozen=True)
class Task:
    """One row of the table.

    Attributes:
        family: key of FAMILIES.
        recipe: how it is trained and cut into features.
        languages: the official list, ISO 639-1; English alone for intermediate tasks.
        labels: names in the order of the head's outputs.
        metrics: names in `xt_jax.evaluate.score`; the first selects the checkpoint.
        train: whose training data it uses; "" for a task that is only scored.
        target: whether XTREME scores it.
    """

    name: str
    family: str
    recipe: Recipe
    languages: tuple[str, ...]
    metrics: tuple[str, ...]
    labels: tuple[str, ...] = ()
    train: str = ""
    target: bool = True


class Family(NamedTuple):
    """What tasks of one shape share; see the functions of `xt_jax.tasks.pairs`."""

    tokenize: Callable[..., Any]
    predict: Callable[..., Any]
    decode: Callable[..., Any] | None
    loss: Callable[..., Any] | None
    head: Callable[[EncoderConfig, int, nnx.Rngs], Head] | None


FAMILIES = {
    "pairs": Family(
        pairs.tokenize,
        pairs.predict,
        pairs.decode,
        pairs.loss,
        lambda c, labels, rngs: ClassificationHead(c.hidden_size, labels, c.dropout, rngs=rngs),
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
    "retrieval": Family(retrieval.tokenize, retrieval.predict, None, None, None),
}

NLI = ("entailment", "neutral", "contradiction")
UPOS = tuple(
    "ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X".split()
)
ENTITIES = ("B-LOC", "B-ORG", "B-PER", "I-LOC", "I-ORG", "I-PER", "O")

# The official lists: google-research/xtreme, evaluate.py.
_XNLI = tuple("ar bg de el en es fr hi ru sw th tr ur vi zh".split())
_PAWSX = tuple("de en es fr ja ko zh".split())
_UDPOS = tuple(
    "af ar bg de el en es et eu fa fi fr he hi hu id it ja kk ko mr nl pt ru ta te th tl tr ur vi "
    "yo zh".split()
)
_PANX = tuple(
    "af ar bg bn de el en es et eu fa fi fr he hi hu id it ja jv ka kk ko ml mr ms my nl pt ru sw "
    "ta te th tl tr ur vi yo zh".split()
)
_XQUAD = tuple("ar de el en es hi ru th tr vi zh".split())
_TATOEBA = tuple(lang for lang in _PANX if lang not in ("en", "ms", "my", "yo"))
_QA = ("f1", "exact_match")

_ROWS = (
    Task("mnli", "pairs", recipes.MNLI, ("en",), ("accuracy",), NLI, "mnli", target=False),
    Task(
        "squad", "spans", recipes.SQUAD, ("en",), ("f1", "exact_match"), (), "squad", target=False
    ),
    Task("xnli", "pairs", recipes.XNLI, _XNLI, ("accuracy",), NLI, "xnli"),
    Task("pawsx", "pairs", recipes.PAWSX, _PAWSX, ("accuracy",), ("0", "1"), "pawsx"),
    Task("udpos", "tags", recipes.TAGS, _UDPOS, ("f1", "accuracy"), UPOS, "udpos"),
    Task("panx", "tags", recipes.TAGS, _PANX, ("f1",), ENTITIES, "panx"),
    Task("xquad", "spans", recipes.SQUAD, _XQUAD, _QA, (), "squad"),
    Task("tatoeba", "retrieval", recipes.RETRIEVAL, _TATOEBA, ("accuracy",)),
)

TASKS = {task.name: task for task in _ROWS}
TARGETS = tuple(task.name for task in _ROWS if task.target)
DIRECT = "direct"  # the intermediate phase that is left out
INTERMEDIATES = (DIRECT, *(task.name for task in _ROWS if not task.target))


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
