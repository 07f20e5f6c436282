"""xt_jax: English intermediate-task training of XLM-R, zero-shot on XTREME, in JAX."""

__version__ = "0.1.0"
