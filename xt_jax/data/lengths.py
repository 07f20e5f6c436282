"""Measures the lengths of examples, in tokens or in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from xt_jax.data.examples import Example
from xt_jax.data.tokenize import Template, Tokenizer

_AT_ONCE = 1_000  # texts given to the tokenizer together


@dataclass(frozen=True)
class Ruler:
    """A way to measure texts, and the special tokens that a model adds to them.

    Attributes:
        unit: the unit of length, for messages.
        count: returns the length of each text, without special tokens.
        single: number of special tokens around one text.
        pair: number of special tokens around and between two texts.
    """

    unit: str
    count: Callable[[list[str]], list[int]]
    single: int = 0
    pair: int = 0


def words_ruler() -> Ruler:
    """Returns a ruler that counts the words between white space."""
    unit = "white-space words (tokens: --tokenizer=PATH_OR_ID)"
    return Ruler(unit, lambda texts: [len(text.split()) for text in texts])


def tokens_ruler(tokenizer: Tokenizer, name: str) -> Ruler:
    """Returns a ruler that counts the tokens of a fast tokenizer."""
    template = Template.of(tokenizer)
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()

    def count(texts: list[str]) -> list[int]:
        batches = (texts[i : i + _AT_ONCE] for i in range(0, len(texts), _AT_ONCE))
        return [
            len(encoding)
            for batch in batches
            for encoding in backend.encode_batch_fast(batch, add_special_tokens=False)
        ]

    pair = template.single + len(template.between)
    return Ruler(f"tokens of {name}, special ones too", count, template.single, pair)


@dataclass(frozen=True)
class Lengths:
    """Percentiles of example lengths with special tokens; `over` is the share above the limit."""

    p50: int
    p95: int
    max: int
    over: float


def lengths(examples: Sequence[Example], ruler: Ruler, limit: int) -> Lengths:
    """Measures what a model reads of each example, before anything is cut to the length limit.

    That is both texts of a pair, a question with its whole context, a text with its longest choice,
    or one sentence.

    Args:
        limit: the task's length limit; longer examples are cut, split or read in windows.
    """
    distinct = list(dict.fromkeys(text for example in examples for text in example.texts))
    size = dict(zip(distinct, ruler.count(distinct), strict=True))
    each = np.array(
        [
            length
            for example in examples
            for length in example.lengths(
                [size[text] for text in example.texts], ruler.single, ruler.pair
            )
        ]
    )
    p50, p95 = np.percentile(each, (50, 95), method="higher")
    return Lengths(int(p50), int(p95), int(each.max()), float(np.mean(each > limit)))
