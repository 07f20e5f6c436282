"""Which hidden state retrieval compares, and how many are embedded at a time.

`dev` chooses a layer for each checkpoint and language on labelled pairs that are not scored in that
language. Its own dev split decides by the best F1 where the task has one that is not scored itself
(BUCC scored on test: the split on which the threshold is fitted too). Else the other languages
decide, by the mean of their scores at each layer: the accuracies of all that are scored (Tatoeba),
or the F1 on their dev splits (BUCC scored on dev). Of equal layers the lowest is chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

import numpy as np
from absl import logging

from xt_jax.config import RetrievalConfig
from xt_jax.data.packing import Features
from xt_jax.data.tokenize import Tokenizer
from xt_jax.errors import ConfigError
from xt_jax.model.pretrained import architecture_of
from xt_jax.retrieval.embed import tatoeba_layer
from xt_jax.study.datasets import Dataset

PUBLISHED, DEV, FIXED = "published", "dev", "fixed"
FIELD = "--config.retrieval.layer"
HELD = 2**30  # bytes of embeddings in memory at a time, or one layer of a split if that is more

ByLanguage = Mapping[str, Sequence[Dataset]]


def how_chosen(config: RetrievalConfig) -> str:
    """Returns `published`, `dev` or `fixed`, as rows say it."""
    return config.layer if config.layer in (PUBLISHED, DEV) else FIXED


def known_layer(config: RetrievalConfig, num_layers: int) -> int | None:
    """Returns the layer of all languages; None where `dev` chooses one for each."""
    if config.layer == DEV:
        return None
    return tatoeba_layer(num_layers) if config.layer == PUBLISHED else int(config.layer)


def embedded(config: RetrievalConfig, num_layers: int) -> range:
    """Returns the layers that are embedded: all, or the one that is known."""
    layer = known_layer(config, num_layers)
    if config.all_layers or layer is None:
        return range(num_layers + 1)
    return range(layer, layer + 1)


def check_layers(config: RetrievalConfig, models: Sequence[str]) -> None:
    """Raises a ConfigError where one of the models has no such hidden state."""
    if how_chosen(config) != FIXED:
        return
    counts = {model: architecture_of(model).num_layers for model in models}
    lacking = [f"{model} ({count})" for model, count in counts.items() if count < int(config.layer)]
    if lacking:
        raise ConfigError(
            f"There is no hidden state {int(config.layer)} in {', '.join(lacking)}.",
            where=FIELD,
            remedy=f"use a number up to {min(counts.values())}, {PUBLISHED} or {DEV}",
        )


def best_layer(scores: Sequence[Mapping[int, float]]) -> int:
    """Returns the layer with the highest mean score to nine decimals; of equals the lowest."""
    means = {layer: round(fmean(each[layer] for each in scores), 9) for layer in scores[0]}
    return min(means, key=lambda layer: (-means[layer], layer))


def deciding(
    task: str, datasets: Sequence[Dataset], scored: Sequence[Dataset], fitted: Mapping[str, Dataset]
) -> dict[str, tuple[Dataset, ...]]:
    """Returns by language the splits that choose the layer of `datasets`, see the module.

    Args:
        fitted: the dev split of each language, of a task that has one.

    Raises:
        ConfigError: a language is the only one, so nothing can choose its layer.
    """
    splits = fitted or {d.language: d for d in scored}
    chosen: dict[str, tuple[Dataset, ...]] = {}
    for language in dict.fromkeys(d.language for d in datasets):
        own = fitted.get(language)
        others = tuple(d for other, d in splits.items() if other != language)
        if own is not None and own not in scored:
            chosen[language] = (own,)
        elif others:
            chosen[language] = others
        elif own is not None:
            chosen[language] = (own,)
            logging.warning(
                "%s, %s: without another language the layer is chosen on the split that is scored, "
                "as the threshold is",
                task,
                language,
            )
        else:
            raise ConfigError(
                f"{task} has no other labelled language than {language} to choose its layer by.",
                where=f"{FIELD}={DEV}",
                remedy=f"score more languages, or use {PUBLISHED} or a number",
            )
    return chosen


def parts(layers: range, sets: Sequence[Features], dim: int) -> list[range]:
    """Cuts `layers` into parts that are embedded one after the other, each by a further pass.

    The embeddings of one split at the layers of a part take at most `HELD` bytes, or are of a
    single layer. Mining takes a copy of one layer beside them.
    """
    most = max(map(len, sets), default=0)
    length = max(1, HELD // max(1, 4 * dim * most))
    return [layers[i : i + length] for i in range(0, len(layers), length)]


def counting_own(features: Features, tokenizer: Tokenizer) -> Features:
    """Returns features that mark as `counted` the tokens that are not special ones at the ends."""
    special = tokenizer("a", return_special_tokens_mask=True)["special_tokens_mask"]
    before, after = special.index(0), special[::-1].index(0)
    first, last = features.splits[:-1, None], features.splits[1:, None]
    counted = np.ones(len(features.tokens["input_ids"]), np.int32)
    counted[(first + np.arange(before)).ravel()] = 0
    counted[(last - 1 - np.arange(after)).ravel()] = 0
    tokens = {**features.tokens, "counted": counted}
    return Features(features.lengths, tokens, features.fields, features.host)
