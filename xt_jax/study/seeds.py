"""Chooses how many seeds of a phase are trained as one program."""

from __future__ import annotations

import jax

from xt_jax.model.config import EncoderConfig

# Number of weights in the layers below which one seed leaves an accelerator idle, an estimate: base
# (85 M) at 32 examples a step is bound by kernel launches. A CPU is never idle: three seeds of
# mini-48 (55 k) take 1.3 times as long together as one by one.
IDLE_BELOW = 100_000_000
MOST = 8
SHARE = 1 / 3  # of the device's memory that parameters, gradients and moments may take
BYTES = 16  # per parameter, with its gradient and moments


def sensible_seeds(config: EncoderConfig) -> int:
    """Returns how many seeds of this model fit one program and are faster that way."""
    if jax.default_backend() == "cpu":
        return 1
    return seeds_within(config, (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit"))


def seeds_within(config: EncoderConfig, room: float | None) -> int:
    """Returns `sensible_seeds` for an accelerator with `room` bytes (None: unknown)."""
    dim = config.hidden_size
    layers = config.num_layers * dim * (4 * dim + 2 * config.intermediate_size)
    if layers > IDLE_BELOW:
        return 1
    if room is None:
        return MOST
    return max(1, min(MOST, int(room * SHARE / (BYTES * (layers + config.vocab_size * dim)))))
