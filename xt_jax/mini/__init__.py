"""The embedded world: scenes said in three languages, in the official file formats."""

from xt_jax.mini.languages import LANGUAGES
from xt_jax.mini.tokenizer import build_tokenizer
from xt_jax.mini.write import write_world

__all__ = ["LANGUAGES", "build_tokenizer", "write_world"]
