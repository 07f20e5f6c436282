"""The graph of a study: which encoder is trained on what, each phase once."""

from __future__ import annotations

from dataclasses import dataclass

from xt_jax.config import Config
from xt_jax.tasks.table import DIRECT


@dataclass(frozen=True)
class Branch:
    """One intermediate task (or `direct`) with some seeds, and the targets that follow it."""

    intermediate: str
    seeds: tuple[int, ...]
    targets: tuple[str, ...]

    @property
    def has_intermediate(self) -> bool:
        return self.intermediate != DIRECT


def branches(
    config: Config, intermediates: set[str], targets: tuple[str, ...], seeds_at_once: int = 1
) -> list[Branch]:
    """Seeds outermost, so that the first results cover every comparison.

    Args:
        intermediates: the intermediate tasks that have data.
        targets: the target tasks that have data.
        seeds_at_once: so many are one branch.
    """
    end = config.seed + config.seeds
    return [
        Branch(name, tuple(range(first, min(first + seeds_at_once, end))), targets)
        for first in range(config.seed, end, seeds_at_once)
        for name in config.intermediates
        if name == DIRECT or name in intermediates
    ]
