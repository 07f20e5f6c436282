"""What a study found: gaps to direct fine-tuning and how they change with model size."""

from __future__ import annotations

from dataclasses import dataclass

from xt_jax.study.bootstrap import Estimate


@dataclass(frozen=True)
class Gap:
    """What an intermediate task adds to direct fine-tuning, paired by seed.

    Attributes:
        language: "" for the mean over languages.
        collapsed: seeds of which either side is at chance on English.
        without_collapsed: the estimate from the other seeds; None where `collapsed` is empty or
            nothing is left.
    """

    model: str
    encoder_params: int
    total_params: int
    intermediate: str
    target: str
    metric: str
    language: str
    estimate: Estimate
    collapsed: tuple[int, ...] = ()
    without_collapsed: Estimate | None = None


@dataclass(frozen=True)
class Slope:
    """How a gap (mean over languages) changes with the logarithm of the number of parameters.

    Attributes:
        family: of models, as `plots.family_of` names it.
        intermediate, target: "" for the mean over all that every size has.
        parameters: `encoder` (without embeddings) or `total`.
        sizes: how many there are.
        without_collapsed: as in `Gap`.
    """

    family: str
    intermediate: str
    target: str
    parameters: str
    sizes: int
    estimate: Estimate
    without_collapsed: Estimate | None = None


@dataclass(frozen=True)
class Findings:
    gaps: tuple[Gap, ...]
    slopes: tuple[Slope, ...]
