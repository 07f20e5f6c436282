"""Vocabulary pruning: trains only the word embeddings that occur, with the same result.

A row of the table that no batch reads has no gradient, so Adam's moments of it stay zero and only
the decoupled weight decay moves it: by a factor known beforehand. XLM-R's table is 192 M of the
278 M parameters of base; the rest of it stays on the host meanwhile.

Legend: V words, K of them kept, D hidden size.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import jax.numpy as jnp
import numpy as np

from xt_jax.data.packing import Features
from xt_jax.tasks.recipes import Recipe
from xt_jax.train.optim import learning_rates


def occurring_words(features: Iterable[Features], pad_id: int) -> np.ndarray:
    """Returns the ids [K] that occur, ascending, and all up to `pad_id`, which keeps its number."""
    arrays = [f.tokens["input_ids"] for f in features]
    seen = np.zeros(1 + max([pad_id, *(int(ids.max(initial=0)) for ids in arrays)]), bool)
    seen[: pad_id + 1] = True
    for ids in arrays:
        seen[ids] = True
    return np.flatnonzero(seen).astype(np.int32)


def renumber(features: Features, words: np.ndarray) -> Features:
    """Returns the features with tokens as indices into `words` [K].

    Raises:
        ValueError: a token that is not among them.
    """
    ids = features.tokens["input_ids"]
    index = np.full(max(int(ids.max(initial=0)), int(words[-1])) + 1, -1, np.int32)
    index[words] = np.arange(len(words), dtype=np.int32)
    renumbered = index[ids]
    if renumbered.min(initial=0) < 0:
        raise ValueError(f"token {int(ids[renumbered.argmin()])} is not among the words kept")
    return dataclasses.replace(features, tokens={**features.tokens, "input_ids": renumbered})


def whole_table(
    table: np.ndarray, words: np.ndarray, trained: np.ndarray, decay: float
) -> np.ndarray:
    """Returns the whole table [V, D]: `trained` rows [K, D], and the others, which only decayed.

    Args:
        table: [V, D] before the first update.
        decay: of the rows that were not trained, from `decayed`.
    """
    result = table * np.float32(decay)
    result[words] = trained
    return result


def decayed(recipe: Recipe, steps: int, done: int) -> float:
    """Returns the factor prod(1 - rate decay) of a weight without gradient after `done` updates."""
    rates = np.asarray(learning_rates(recipe, steps)(jnp.arange(done)), np.float64)
    return float(np.prod(1 - rates * recipe.weight_decay))
