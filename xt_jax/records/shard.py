"""Names the files that each shard of a study writes."""

from __future__ import annotations

import re

from xt_jax.errors import ConfigError


def shard_file(name: str, shard: str) -> str:
    """Returns the shard's own file name, such as `results-3-of-16.jsonl`; "" keeps the name."""
    if not shard:
        return name
    stem, dot, suffix = name.partition(".")
    return "{}-{}-of-{}{}{}".format(stem, *parse_shard(shard), dot, suffix)


def parse_shard(shard: str) -> tuple[int, int]:
    """Parses `3/16` to (3, 16).

    Raises:
        ConfigError: `shard` has another form, or its number is not from 1 to the last.
    """
    match = re.fullmatch(r"(\d+)/(\d+)", shard)
    index, count = map(int, match.groups()) if match else (0, 0)
    if not 1 <= index <= count:
        raise ConfigError(
            f"`{shard}` is not a shard of a study.",
            where="--config.shard",
            remedy="use 1/16 to 16/16 for sixteen shards",
        )
    return index, count
