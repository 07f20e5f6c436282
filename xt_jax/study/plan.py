"""The graph of a study: which encoder is trained on what, each phase once."""

from __future__ import annotations

from dataclasses import dataclass

from xt_jax.config import Config
from xt_jax.tasks.table import DIRECT


@dataclass(frozen=True)
class Branch:
    """One intermediate task (or `direct`) with one seed, and the targets that follow it."""

    intermediate: str
    seed: int
    targets: tuple[str, ...]

    @property
    def has_intermediate(self) -> bool:
        return self.intermediate != DIRECT


def branches(config: Config, intermediates: set[str], targets: tuple[str, ...]) -> list[Branch]:
    """Seeds outermost, so that the first results cover every comparison.

    Args:
        intermediates: the intermediate tasks that have data.
        targets: the target tasks that have data.
    """
    return [
        Branch(name, seed, targets)
        for seed in range(config.seed, config.seed + config.seeds)
        for name in config.intermediates
        if name == DIRECT or name in intermediates
    ]
