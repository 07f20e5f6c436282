"""Studies whose gaps are known: what every test example would do is drawn, not trained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xt_jax.report.statistics.bootstrap import Paired, Term, estimate, shifts, slope_weights
from xt_jax.report.statistics.findings import Estimate

GAPS = np.array([6.0, 5.0, 3.0, 2.5, 1.0])  # true, in points, of five sizes
SIZES = np.log10([1e5, 3e5, 1e6, 4e6, 2e7])
SLOPE = float(slope_weights(SIZES) @ GAPS)

_TIMES = {"binary": 1, "fraction": 3, "ratio": 4}  # decisions in an example, at most


@dataclass(frozen=True)
class Design:
    """Standard deviations are in points, as are gaps.

    Attributes:
        seeds: of each size.
        seed: standard deviation of either side over seeds.
        helped: how much examples differ in what the intermediate task does for them, at every
            size alike and at each size besides.
        kind: what an example contributes: right or wrong, a fraction, or counts of a ratio.
        intermediates: with the same gaps, compared with the same direct runs.
        lost: so many of the last intermediate task's seeds are not there.
        same_direct: direct is one run whatever the seed, as in retrieval.
        agreement: with this probability a run decides an example as all others with its chance of
            being right would, else for itself; None leaves chance out: a run earns its chances.
        parallel: whether the languages' examples are translations of each other.
    """

    seeds: tuple[int, ...] = (5, 5, 5, 5, 5)
    examples: int = 200
    languages: int = 3
    seed: float = 2.0
    helped: tuple[float, float] = (6.0, 6.0)
    kind: str = "binary"
    intermediates: int = 1
    lost: int = 0
    same_direct: bool = False
    agreement: float | None = 0.7
    parallel: bool = True


def simulate(design: Design, rng: np.random.Generator) -> list[list[np.ndarray]]:
    """Outcomes [side, seed, language, example, 2] of each size, direct first."""
    n, languages = design.examples, design.languages
    sets = 1 if design.parallel else languages

    def uniform(spread: float) -> np.ndarray:
        return spread / 100 * np.sqrt(3) * rng.uniform(-1, 1, (sets, n))

    tasks = range(design.intermediates)
    difficulty, helped = uniform(8), [uniform(design.helped[0]) for _ in tasks]
    counts = rng.integers(1, 5, (sets, n)) if design.kind == "ratio" else np.ones((sets, n), int)
    counts = np.broadcast_to(counts, (languages, n))
    common = rng.random((max(_TIMES.values()), sets, n), np.float32)
    found = []
    for gap, seeds in zip(GAPS / 100, design.seeds, strict=True):
        luck = design.seed / 100 * rng.standard_normal((1 + len(tasks), seeds, 1, 1))
        chances = [0.5 + difficulty + luck[0]]
        chances += [
            0.5 + difficulty + gap + helped[i] + uniform(design.helped[1]) + luck[1 + i]
            for i in tasks
        ]
        sides = []
        for side, p in enumerate(chances):
            p = np.broadcast_to(p, (seeds, languages, n))
            if design.same_direct and side == 0:
                one = _drawn(p[:1] - luck[0, 0], counts, common, design, rng)
                sides.append(np.broadcast_to(one, (*p.shape, 2)))
            else:
                sides.append(_drawn(p, counts, common, design, rng))
        found.append(np.stack(sides))
    return found


def gaps(study: list[np.ndarray], lost: int = 0, draws: int = 200) -> list[list[Paired]]:
    """Of each size and intermediate task, the mean over languages, as `findings` has it."""
    flat = [size.reshape(-1, *size.shape[-2:]) for size in study]
    moved = shifts(np.concatenate(flat), draws)
    found, first = [], 0
    for size, runs in zip(study, flat, strict=True):
        score = 100 * np.divide(*np.moveaxis(size.sum(axis=-2, dtype=np.float64), -1, 0))
        drawn = moved[first : first + len(runs)].reshape(*score.shape, -1)
        first += len(runs)
        values, shifted = ((x[1:] - x[0]).mean(axis=2) for x in (score, drawn))
        seeds = tuple(range(size.shape[1]))
        paired = [Paired(seeds, *two, size.shape[-2]) for two in zip(values, shifted, strict=True)]
        found.append([*paired[:-1], paired[-1].of(seeds[lost:])])
    return found


def gap_of(paired: list[Paired]) -> Estimate:
    return estimate([Term(1 / len(paired), "model", one) for one in paired])


def slope_of(sizes: list[list[Paired]]) -> Estimate:
    return estimate(
        [
            Term(weight / len(paired), f"{i}", one)
            for i, (weight, paired) in enumerate(zip(slope_weights(SIZES), sizes, strict=True))
            for one in paired
        ]
    )


def _drawn(
    p: np.ndarray,
    counts: np.ndarray,
    common: np.ndarray,
    design: Design,
    rng: np.random.Generator,
) -> np.ndarray:
    """[seed, language, example, 2] of a side, float32."""
    if design.agreement is None:
        right = p * counts
    else:
        right = np.zeros(p.shape, np.float32)
        for i in range(_TIMES[design.kind]):
            own = rng.random(p.shape, np.float32)
            alike = rng.random(p.shape, np.float32) < design.agreement
            hit = np.where(alike, common[i], own) < p
            right += (
                hit & (i < counts)
                if design.kind == "ratio"
                else hit / np.float32(_TIMES[design.kind])
            )
    return np.stack([right, np.broadcast_to(counts, p.shape)], axis=-1).astype(np.float32)
