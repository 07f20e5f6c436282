"""Builds a small model of any task, and packed batches of its features."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from xt_jax.data.packing import Features, materialise, plan_training
from xt_jax.model import Encoder, EncoderConfig
from xt_jax.model.heads import Model
from xt_jax.tasks.table import FAMILIES, TASKS


def small_model(task: str, vocab_size: int, scale: float = 0.2, dim: int = 32) -> Model:
    """Returns a model of two layers, whose choices get different scores."""
    config = EncoderConfig(
        "xlm-roberta", vocab_size, dim, 2, 4, 2 * dim, 514, 1, 1e-5, 1, initializer_range=scale
    )
    row = TASKS[task]
    head = FAMILIES[row.family].head(config, len(row.labels), nnx.Rngs(1))
    if row.family == "choices":
        for layer in (head.dense, head.out_proj):
            layer.kernel[...] = 20 * layer.kernel[...]
    return Model(Encoder(config, rngs=nnx.Rngs(0)), head)


def batch_of(features: Features, size: int, **options) -> dict[str, jax.Array]:
    """Returns the first step of `size` examples; `options` are those of `plan_training`."""
    plan = plan_training(features.lengths, size, 1, 0, **options)
    return jax.tree.map(jnp.asarray, materialise(plan, features, 0, 1))


def assert_close(found, expected, tolerance: float = 1e-5) -> None:
    """Compares two trees leaf by leaf."""
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)


def poisoned(model: Model, batch: dict, where: jax.Array) -> dict:
    """Puts the vocabulary's last word at `where`, with an enormous embedding."""
    table = model.encoder.embeddings.word.embedding
    word = table.shape[0] - 1
    assert not (batch["input_ids"] == word).any()
    table[...] = table[...].at[word].set(1e4)
    return {**batch, "input_ids": jnp.where(where, word, batch["input_ids"])}
