"""The types of a batch on the device and of the sums that a loss returns."""

from __future__ import annotations

import jax

# Packed rows, by name: token arrays [R, T], one value per segment [R, S].
Batch = dict[str, jax.Array]
# Losses and metrics by name: (sum over examples or tokens, weight of them).
Sums = dict[str, tuple[jax.Array, jax.Array]]
