"""Question answering by a span of the context: SQuAD, XQuAD, MLQA, TyDiQA.

Windows, labels and decoding follow the SQuAD baseline of BERT, which XTREME runs too
(google-research/xtreme, third_party/run_squad.py): a context longer than a row's room is cut into
windows that begin every `doc_stride` tokens; a start counts only in the window that gives it most
context; the best of `N_BEST` starts times `N_BEST` ends wins over all windows.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from xt_jax.data.examples import SpanExample
from xt_jax.data.packing import Features
from xt_jax.data.tokenize import Template, Tokenizer, ragged, subwords, token_types
from xt_jax.model.batch import Batch, Sums
from xt_jax.model.heads import Model, SpanHead, segment_mask
from xt_jax.model.layers import split_key
from xt_jax.tasks.family import Array, Family, Labels, Metrics, Outputs, Task
from xt_jax.tasks.metrics import squad
from xt_jax.tasks.metrics.basic import over_one
from xt_jax.tasks.packed import run_encoder

MAX_QUESTION = 64  # tokens
MAX_ANSWER = 30  # tokens
N_BEST = 20
MIN_LENGTH = MAX_QUESTION + 16
_MARKS = ("Mn", "Me", "Cf")  # Unicode's combining marks, and joiners and the like
_CHANCE = 15.0  # percent F1 of a span somewhere in the passage


class _Cut(NamedTuple):
    """Context tokens [first, first + length); `owned` marks those with the most context here."""

    first: int
    length: int
    owned: np.ndarray


def tokenize(
    examples: Sequence[SpanExample], tokenizer: Tokenizer, labels: Labels, **limits: int
) -> Features:
    """Makes every window of every context; host arrays hold each context token's characters.

    A window that does not hold the whole answer is labelled with its first token, `<s>`.
    """
    template = Template.of(tokenizer)
    questions, _ = subwords(tokenizer, [e.question for e in examples])
    contexts, offsets = subwords(tokenizer, [e.context for e in examples], offsets=True)
    tokens: dict[str, list[list[int]]] = {"input_ids": []}
    fields: dict[str, list[int]] = {"example": [], "start": [], "end": []}
    host: dict[str, list[list[int]]] = {"begin": [], "end": [], "max_context": []}
    for i, example in enumerate(examples):
        prefix = template.before + questions[i][:MAX_QUESTION] + template.between
        before, after = [-1] * len(prefix), [-1] * len(template.after)
        room = limits["max_length"] - len(prefix) - len(template.after)
        answer = _answer_tokens(example, offsets[i])
        reach = _with_marks(example.context, offsets[i])
        for cut in _cuts(len(contexts[i]), room, limits["doc_stride"]):
            span = slice(cut.first, cut.first + cut.length)
            tokens["input_ids"].append(prefix + contexts[i][span] + template.after)
            types = token_types(tokenizer, len(prefix), cut.length + len(template.after))
            if types is not None:
                tokens.setdefault("token_type_ids", []).append(types)
            start, end = _answer_in(cut, answer, len(prefix))
            for name, value in (("example", i), ("start", start), ("end", end)):
                fields[name].append(value)
            begins, ends = zip(*reach[span], strict=True) if cut.length else ((), ())
            owned = cut.owned.astype(int).tolist()
            for name, values in (("begin", begins), ("end", ends), ("max_context", owned)):
                host[name].append([*before, *values, *after])
    return ragged(tokens, fields, host)


def loss(model: Model, batch: Batch, key: jax.Array | None) -> Sums:
    """Returns the mean of start and end cross-entropy, summed over windows; weight = windows."""
    encoder_key, _ = split_key(key, 2)
    logits = model.head(run_encoder(model.encoder, batch, encoder_key)).astype(jnp.float32)
    valid = batch["feature"] >= 0
    mask = segment_mask(batch["segment_ids"], batch["starts"].shape[1])
    start = _cross_entropy(logits[..., 0], mask, batch["starts"] + batch["start"])
    end = _cross_entropy(logits[..., 1], mask, batch["starts"] + batch["end"])
    return {"loss": (jnp.sum(jnp.where(valid, (start + end) / 2, 0.0)), jnp.sum(valid))}


def predict(model: Model, batch: Batch) -> dict[str, dict[str, jax.Array]]:
    """Returns the fp32 start and end logits of every token."""
    logits = model.head(run_encoder(model.encoder, batch, None)).astype(jnp.float32)
    return {"fields": {}, "tokens": {"start": logits[..., 0], "end": logits[..., 1]}}


def decode(outputs: Outputs, features: Features, examples: Sequence, labels: Labels) -> list[str]:
    """Returns each example's best answer as text of its context; "" where none is valid."""
    return [text for _, text in best_answers(outputs, features, examples)]


def best_span(
    start: np.ndarray,
    end_logits: np.ndarray,
    *,
    begin: np.ndarray,
    end: np.ndarray,
    max_context: np.ndarray,
) -> tuple[float, int, int] | None:
    """Returns (score, first character, last + 1) of the best valid span of one window.

    Args:
        start, end_logits: [T] logits.
        begin, end: [T] characters of each context token, -1 elsewhere.
        max_context: [T] 1 where this window gives the token most context.
    """
    starts = np.argsort(-start, kind="stable")[:N_BEST]
    ends = np.argsort(-end_logits, kind="stable")[:N_BEST]
    starts = starts[(begin[starts] >= 0) & (max_context[starts] == 1)]
    ends = ends[begin[ends] >= 0]
    span = ends[None, :] - starts[:, None]
    scores = start[starts][:, None] + end_logits[ends][None, :]
    scores = np.where((span >= 0) & (span < MAX_ANSWER), scores, -np.inf)
    if not np.isfinite(scores).any():
        return None
    s, e = np.unravel_index(np.argmax(scores), scores.shape)
    return float(scores[s, e]), int(begin[starts[s]]), int(end[ends[e]])


def best_answers(
    outputs: dict[str, np.ndarray], features: Features, examples: Sequence[SpanExample]
) -> list[tuple[float, str]]:
    """Returns (score, text) of each example's best span over all windows, else (-inf, "")."""
    best = [(-np.inf, "")] * len(examples)
    splits = features.splits
    for i, example in enumerate(features.fields["example"].tolist()):
        window = slice(splits[i], splits[i + 1])
        host = {name: array[window] for name, array in features.host.items()}
        span = best_span(outputs["start"][window], outputs["end"][window], **host)
        if span is not None and span[0] > best[example][0]:
            score, begin, end = span
            best[example] = (score, examples[example].context[begin:end])
    return best


def _cuts(tokens: int, room: int, stride: int) -> list[_Cut]:
    """Cuts a context into windows of `room` tokens that begin every `stride` tokens."""
    firsts = [0]
    while firsts[-1] + room < tokens:
        firsts.append(firsts[-1] + min(room, stride))
    lengths = [min(room, tokens - first) for first in firsts]
    owner = _owner(tokens, firsts, lengths)
    return [
        _Cut(first, length, owner[first : first + length] == w)
        for w, (first, length) in enumerate(zip(firsts, lengths, strict=True))
    ]


def _owner(tokens: int, firsts: list[int], lengths: list[int]) -> np.ndarray:
    """Returns for each context token the window whose nearer edge is farthest away."""
    position = np.arange(tokens)
    scores = []
    for first, length in zip(firsts, lengths, strict=True):
        left, right = position - first, first + length - 1 - position
        nearer = np.minimum(left, right) + 0.01 * length
        scores.append(np.where((left >= 0) & (right >= 0), nearer, -np.inf))
    return np.argmax(np.array(scores), axis=0) if tokens else position


def _with_marks(text: str, offsets: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Returns the characters of each token with the marks beside it that no token covers.

    Tokenizers drop combining marks and joiners, or compose them with the letter before. Such a
    mark belongs to the token that it follows; after a space, to the token that it precedes.
    """
    if text.isascii():
        return offsets
    begins = [*(begin for begin, _ in offsets), len(text)]
    reach = []
    last = 0
    for (begin, end), following in zip(offsets, begins[1:], strict=True):
        while begin > last and unicodedata.category(text[begin - 1]) in _MARKS:
            begin -= 1
        while end < following and unicodedata.category(text[end]) in _MARKS:
            end += 1
        last = max(last, end)
        reach.append((begin, end))
    return reach


def _answer_tokens(example: SpanExample, offsets: list[tuple[int, int]]) -> tuple[int, int] | None:
    """Returns the first and last context token of the first answer; None if there is none."""
    if not example.answers:
        return None
    text, first_char = example.answers[0]
    last_char = first_char + len(text)
    touched = [i for i, (b, e) in enumerate(offsets) if b < last_char and e > first_char]
    return (touched[0], touched[-1]) if touched else None


def _answer_in(cut: _Cut, answer: tuple[int, int] | None, shift: int) -> tuple[int, int]:
    """Returns the answer's first and last token in the feature; (0, 0) if the cut lacks a part."""
    if answer is None or answer[0] < cut.first or answer[1] >= cut.first + cut.length:
        return 0, 0
    return answer[0] - cut.first + shift, answer[1] - cut.first + shift


def _cross_entropy(logits: jax.Array, mask: jax.Array, target: jax.Array) -> jax.Array:
    """Returns [R, S]: -log softmax at column `target` of logits [R, T] over each segment."""
    each = jnp.where(mask, logits[:, None, :], -jnp.inf)
    # An empty slot has no column: one finite logit keeps its value and gradient finite.
    each = jnp.where(mask.any(axis=-1, keepdims=True), each, 0.0)
    chosen = jnp.take_along_axis(logits, target, axis=1)
    return jax.nn.logsumexp(each, axis=-1) - chosen


def score(task: Task, examples: Sequence, predictions: Sequence, language: str) -> Metrics:
    """Returns exact match and F1, with answers normalised as the task's scorer does."""
    return squad.answer_scores(gold_answers(examples), predictions, task.normaliser(language))


def example_scores(task: Task, examples: Sequence, predictions: Sequence, language: str) -> Array:
    """Returns the F1 of each question, over 1."""
    each = squad.each_answer(gold_answers(examples), predictions, task.normaliser(language))
    return over_one([f1 / 100 for _, f1 in each])


def gold_answers(examples: Sequence[SpanExample]) -> list[list[str]]:
    """Returns the texts of each question's gold answers."""
    return [[text for text, _ in e.answers or ()] for e in examples]


FAMILY = Family(
    "spans",
    SpanExample,
    tokenize,
    predict,
    score,
    head=SpanHead,
    loss=loss,
    decode=decode,
    example_scores=example_scores,
    chance=lambda task, n: _CHANCE,
    min_length=MIN_LENGTH,
)
