"""XTREME in miniature: a small world described in eight languages, in the official file formats."""

from xt_jax.mini.languages import LANGUAGES
from xt_jax.mini.official import Sizes
from xt_jax.mini.write import write_world

__all__ = ["LANGUAGES", "Sizes", "write_world"]
