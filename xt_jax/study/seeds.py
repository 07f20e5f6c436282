"""How many seeds of a phase are trained as one program."""

from __future__ import annotations

import jax

from xt_jax.model.config import EncoderConfig

# Weights of the layers up to which one seed leaves an accelerator idle, an estimate: base (85 M) at
# 32 examples a step is bound by the launches of its kernels. Not so a CPU: three seeds of mini-48
# (55 k) together take 1.3 times as long as one by one.
IDLE_BELOW = 100_000_000
MOST = 8
SHARE = 1 / 3  # of the device's memory may be parameters, gradients and moments
BYTES = 16  # a parameter, its gradient and moments


def sensible_seeds(config: EncoderConfig) -> int:
    """How many seeds of this model as one program are faster than one by one, and fit."""
    if jax.default_backend() == "cpu":
        return 1
    return seeds_within(config, (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit"))


def seeds_within(config: EncoderConfig, room: float | None) -> int:
    """As `sensible_seeds` on an accelerator with `room` bytes of memory (None: not known)."""
    dim = config.hidden_size
    layers = config.num_layers * dim * (4 * dim + 2 * config.intermediate_size)
    if layers > IDLE_BELOW:
        return 1
    if room is None:
        return MOST
    return max(1, min(MOST, int(room * SHARE / (BYTES * (layers + config.vocab_size * dim)))))
