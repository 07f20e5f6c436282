"""Compiled programs kept on disk, so that no process compiles what an earlier one did."""

from __future__ import annotations

import jax


def keep_programs(folder: str) -> None:
    """Keeps them in `folder` and takes them from there; without effect on several CPU devices."""
    if jax.default_backend() != "cpu" or jax.device_count() == 1:
        # Programs for several CPU devices crash when they come from the cache (jaxlib 0.10.2).
        jax.config.update("jax_compilation_cache_dir", folder)
