"""Keeps compiled programs on disk, so that no process compiles what an earlier one compiled."""

from __future__ import annotations

import jax


def keep_programs(folder: str) -> None:
    """Turns on JAX's compilation cache in `folder`; has no effect with several CPU devices."""
    if jax.default_backend() != "cpu" or jax.device_count() == 1:
        # Programs for several CPU devices crash when loaded from the cache (jaxlib 0.10.2).
        jax.config.update("jax_compilation_cache_dir", folder)
