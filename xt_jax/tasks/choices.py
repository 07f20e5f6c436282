"""Multiple choice: which of several texts follows or answers a text (HellaSwag, Cosmos QA).

Features are one segment per choice, the choices of an example one after the other; they must be
packed as one group (`group` of `xt_jax.data.packing.plan_training`), since the softmax runs over
the example's choices in one row.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from xt_jax.data.examples import ChoiceExample
from xt_jax.data.packing import Features
from xt_jax.data.tokenize import Tokenizer, ragged
from xt_jax.errors import DataError
from xt_jax.model.batch import Batch, Sums
from xt_jax.model.heads import ChoiceHead, Model, take_tokens
from xt_jax.model.layers import split_key
from xt_jax.tasks import pairs
from xt_jax.tasks.family import Family, Labels, Outputs
from xt_jax.tasks.packed import encode, run_encoder


def tokenize(
    examples: Sequence[ChoiceExample], tokenizer: Tokenizer, labels: Labels, **limits: int
) -> Features:
    """Makes one feature per choice, cutting the longer text first to fit `max_length`.

    Raises:
        DataError: an example that has not as many choices as there are labels.
    """
    for example in examples:
        if len(example.choices) != len(labels):
            raise DataError(
                f"{len(example.choices)} choices, {len(labels)} are expected.",
                where=f"example {example.id}",
                remedy="leave the example out, or complete it",
            )
    texts = [e.text for e in examples for _ in e.choices]
    each_choice = [choice for e in examples for choice in e.choices]
    index = {label: i for i, label in enumerate(labels)}
    gold = [index[e.label] if e.label is not None else -1 for e in examples]
    return ragged(
        encode(tokenizer, limits["max_length"], texts, each_choice),
        {
            "example": (i for i in range(len(examples)) for _ in labels),
            "choice": (c for _ in examples for c in range(len(labels))),
            "label": (label for label in gold for _ in labels),
        },
    )


def loss(model: Model, batch: Batch, key: jax.Array | None) -> Sums:
    """Returns the cross-entropy over choices, summed over examples; weight = their number."""
    encoder_key, head_key = split_key(key, 2)
    hidden = run_encoder(model.encoder, batch, encoder_key)
    scores = model.head(take_tokens(hidden, batch["starts"]), key=head_key)[..., 0]
    among = jnp.where(_same_example(batch["choice"]), scores[:, None, :], -jnp.inf)
    right = (batch["feature"] >= 0) & (batch["choice"] == batch["label"])
    each = jax.nn.logsumexp(among, axis=-1) - scores
    return {"loss": (jnp.sum(each * right), jnp.sum(right))}


def predict(model: Model, batch: Batch) -> dict[str, dict[str, jax.Array]]:
    """Returns the fp32 score of each segment's choice."""
    hidden = run_encoder(model.encoder, batch, None)
    return {
        "fields": {"score": model.head(take_tokens(hidden, batch["starts"]))[..., 0]},
        "tokens": {},
    }


def decode(outputs: Outputs, features: Features, examples: Sequence, labels: Labels) -> list[str]:
    """Returns the choice with the highest score for each example."""
    scores = np.empty((len(examples), len(labels)), np.float32)
    scores[features.fields["example"], features.fields["choice"]] = outputs["score"]
    return [labels[choice] for choice in np.argmax(scores, axis=1)]


def _same_example(choice: jax.Array) -> jax.Array:
    """Marks slots with choices of the same example: choice indices [R, S] to [R, S, S].

    Each slot with a first choice begins an example, and so does each empty slot. Example indices
    are no help, since a row may hold an example twice, from two epochs.
    """
    example = jnp.cumsum(choice == 0, axis=1)
    return example[:, :, None] == example[:, None, :]


FAMILY = Family(
    "choices",
    ChoiceExample,
    tokenize,
    predict,
    pairs.score,
    head=ChoiceHead,
    loss=loss,
    decode=decode,
    example_scores=pairs.example_scores,
    chance=pairs.chance,
    chance_loss=pairs.chance_loss,
    group=len,
)
