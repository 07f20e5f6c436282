"""The names of the files that one shard of a study writes, beside those of the others."""

from __future__ import annotations

import re

from xt_jax.errors import ConfigError


def shard_file(name: str, shard: str) -> str:
    """`results.jsonl` of the whole study, or `results-3-of-16.jsonl` of the shard `3/16`."""
    if not shard:
        return name
    stem, dot, suffix = name.partition(".")
    return "{}-{}-of-{}{}{}".format(stem, *parse_shard(shard), dot, suffix)


def parse_shard(shard: str) -> tuple[int, int]:
    """(3, 16) of `3/16`.

    Raises:
        ConfigError: `shard` has another form, or names no shard from 1 to the last.
    """
    match = re.fullmatch(r"(\d+)/(\d+)", shard)
    index, count = map(int, match.groups()) if match else (0, 0)
    if not 1 <= index <= count:
        raise ConfigError(
            f"`{shard}` is no part of a study.",
            where="--config.shard",
            remedy="use 1/16 to 16/16 for sixteen parts",
        )
    return index, count
