"""Makes the inputs of both sides of a benchmark: random weights and tokenised examples."""

from __future__ import annotations

import dataclasses
from typing import Any

from flax import nnx
from work import TASKS, Ragged, Work

from xt_jax import model as models
from xt_jax.data import formats
from xt_jax.data.tokenize import load_tokenizer
from xt_jax.tasks.table import FAMILIES, NLI

LABELS: dict[str, tuple[str, ...]] = {"pairs": NLI, "spans": ()}


def prepare(
    work: Work,
    data: dict[str, str],
    *,
    tokenizer: str,
    size: str,
    layers: int,
    max_length: int,
    gain: float = 0.0,
    max_examples: int = 0,
) -> dict[str, Any]:
    """Writes random weights of a preset (`layers` 0: all its layers) and tokenised examples.

    `gain` makes the weights so large that the output follows the input; 0: the usual ones.
    """
    loaded = load_tokenizer(tokenizer)
    config = models.preset(size, len(loaded)).config
    config = dataclasses.replace(config, num_layers=layers or config.num_layers)
    if gain:
        deviation = gain / config.hidden_size**0.5
        config = dataclasses.replace(config, initializer_range=deviation)
    family = FAMILIES[TASKS[work.task]]
    assert family.head is not None
    labels = LABELS[TASKS[work.task]]
    rngs = nnx.Rngs(work.seed)
    model = models.Model(models.Encoder(config, rngs=rngs), family.head(config, len(labels), rngs))
    models.save(model, work.model, labels=labels or None)
    work.save()
    lengths = {}
    for name, path in data.items():
        examples = read_examples(work.task, path)
        if max_examples:
            examples = examples[:max_examples]
        features = family.tokenize(examples, loaded, labels, max_length=max_length, doc_stride=128)
        Ragged(features.lengths, features.tokens, features.fields).save(work.folder, name)
        lengths[name] = [len(features), int(features.lengths.sum())]
    return {
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "layers": config.num_layers,
        "parameters": models.count_params(model.encoder)[1],
        "features": lengths,
    }


def read_examples(task: str, path: str) -> list:
    """Reads the examples of an official file."""
    if task == "squad":
        return formats.squad([path], "en", ())
    if task == "xnli":
        return formats.xtreme_pairs([path], "en", NLI)
    return formats.mnli([path], "en", NLI)
