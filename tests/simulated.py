"""Simulates studies with known gaps: scores of test examples, or the gaps of runs and seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xt_jax.report.statistics.bootstrap import (
    RUNS,
    SEEDS,
    Paired,
    Term,
    estimate,
    shifts,
    slope_weights,
)
from xt_jax.report.statistics.findings import Estimate

GAPS = np.array([6.0, 5.0, 3.0, 2.5, 1.0])  # true, in points, of five sizes
SIZES = np.log10([1e5, 3e5, 1e6, 4e6, 2e7])
SLOPE = float(slope_weights(SIZES) @ GAPS)

PARAMS = (14_448, 25_536, 56_448, 149_952, 335_808)  # of the sizes of a study of runs
X = np.log10(PARAMS)
NOISE = 1.0  # of fine-tuning seeds there, in points

_TIMES = {"binary": 1, "fraction": 3, "ratio": 4}  # largest number of decisions in an example


@dataclass(frozen=True)
class Design:
    """The design of a simulated study; gaps and standard deviations are in points.

    Attributes:
        seeds: the number of seeds of each size.
        seed: standard deviation of either side over seeds.
        helped: how much the effect of the intermediate task differs between examples, at every
            size alike and in addition at each size.
        kind: what an example contributes: right or wrong, a fraction, or counts of a ratio.
        intermediates: how many there are, with the same gaps against the same direct runs.
        lost: how many seeds of the last intermediate task are missing.
        same_direct: direct is one run whatever the seed, as in retrieval.
        agreement: the probability that a run decides an example as all runs with its chance of
            being right do, else independently; None: runs score their chances, without noise.
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
    """Returns scores [side, seed, language, example, 2] of each size, direct first."""
    n, languages = design.examples, design.languages
    sets = 1 if design.parallel else languages

    def uniform(spread: float) -> np.ndarray:
        return spread / 100 * np.sqrt(3) * rng.uniform(-1, 1, (sets, n))

    tasks = range(design.intermediates)
    difficulty, helped = uniform(8), [uniform(design.helped[0]) for _ in tasks]
    counts = rng.integers(1, 5, (sets, n)) if design.kind == "ratio" else np.ones((sets, n), int)
    counts = np.broadcast_to(counts, (languages, n))
    common = rng.random((max(_TIMES.values()), sets, n), np.float32)
    sizes = []
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
                one_run = _drawn(p[:1] - luck[0, 0], counts, common, design, rng)
                sides.append(np.broadcast_to(one_run, (*p.shape, 2)))
            else:
                sides.append(_drawn(p, counts, common, design, rng))
        sizes.append(np.stack(sides))
    return sizes


def gaps(study: list[np.ndarray], lost: int = 0, draws: int = 200) -> list[list[Paired]]:
    """Returns the gap of each size and intermediate task, over languages as in `findings`."""
    flat = [size.reshape(-1, *size.shape[-2:]) for size in study]
    moved = shifts(np.concatenate(flat), draws)
    of_sizes, first = [], 0
    for size, runs in zip(study, flat, strict=True):
        score = 100 * np.divide(*np.moveaxis(size.sum(axis=-2, dtype=np.float64), -1, 0))
        drawn = moved[first : first + len(runs)].reshape(*score.shape, -1)
        first += len(runs)
        values, shifted = ((x[1:] - x[0]).mean(axis=2) for x in (score, drawn))
        seeds = tuple(range(size.shape[1]))
        paired = [Paired(seeds, *two, size.shape[-2]) for two in zip(values, shifted, strict=True)]
        of_sizes.append([*paired[:-1], paired[-1].of(seeds[lost:])])
    return of_sizes


def gap_of(paired: list[Paired]) -> Estimate:
    return estimate([Term(1 / len(paired), "model", gap) for gap in paired])


def slope_of(sizes: list[list[Paired]]) -> Estimate:
    return estimate(
        [
            Term(weight / len(paired), f"{i}", gap)
            for i, (weight, paired) in enumerate(zip(slope_weights(SIZES), sizes, strict=True))
            for gap in paired
        ]
    )


def _drawn(
    p: np.ndarray,
    counts: np.ndarray,
    common: np.ndarray,
    design: Design,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draws the scores [seed, language, example, 2] of one side, float32."""
    if design.agreement is None:
        right = p * counts
    else:
        right = np.zeros(p.shape, np.float32)
        for i in range(_TIMES[design.kind]):
            independent = rng.random(p.shape, np.float32)
            alike = rng.random(p.shape, np.float32) < design.agreement
            hit = np.where(alike, common[i], independent) < p
            right += (
                hit & (i < counts)
                if design.kind == "ratio"
                else hit / np.float32(_TIMES[design.kind])
            )
    return np.stack([right, np.broadcast_to(counts, p.shape)], axis=-1).astype(np.float32)


def gaps_of_runs(
    rng: np.random.Generator, runs: int, deviation: float, slope: float, seeds: int, line: float = 0
) -> np.ndarray:
    """Draws gaps [size, run, seed]: a line, and deviations of sizes, of runs and of seeds."""
    of_sizes = slope * (X - X.mean()) + line * rng.standard_normal(len(X))
    of_runs = of_sizes[:, None] + deviation * rng.standard_normal((len(X), runs))
    return of_runs[:, :, None] + NOISE * rng.standard_normal((len(X), runs, seeds))


def study(
    rng: np.random.Generator,
    runs: int,
    deviation: float,
    slope: float,
    seeds: int = 2,
    line: float = 0,
) -> list[Paired]:
    """Draws the gaps of each size by run, or by seed of the only run."""
    made = []
    for size in gaps_of_runs(rng, runs, deviation, slope, seeds, line):
        one = size.mean(axis=1) if runs > 1 else size[0]
        unit = RUNS if runs > 1 else SEEDS
        made.append(Paired(tuple(range(len(one))), one, None, 300, unit))
    return made
