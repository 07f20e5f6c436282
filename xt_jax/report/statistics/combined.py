"""Combines the gaps of each size into the contrasts that answer a study's question."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import NamedTuple

import numpy as np

from xt_jax.report.statistics.bootstrap import RUNS, SEEDS, Estimate, Paired, Term, estimate
from xt_jax.report.statistics.contrasts import Contrast
from xt_jax.tasks.table import TASKS

TRAINED = "trained targets"
RETRIEVAL = "retrieval"
BEST = "best intermediate task per target"
LAYERS = {
    "published": ", published layer",
    "dev": ", layer chosen on dev",
    "fixed": ", one layer",
}

Sizes = Sequence[Sequence[Contrast]]  # the comparisons of each size
Wanted = Callable[[str], bool]  # of a target
Combining = Callable[[list[Contrast]], Paired | None]  # of one size


class Combined(NamedTuple):
    """The gaps of several model sizes, each averaged over the same intermediate tasks and targets.

    Attributes:
        contrast: TRAINED, RETRIEVAL (with its layer) or BEST; means over all languages but English.
        keys: the pairs of intermediate task and target.
        sizes: one comparison of each size, which names the size.
        gaps: the combined gap of each size.
        by_seed: the same gaps [size, run, seed]; of BEST, which takes all seeds of a run, [.., 1].
    """

    contrast: str
    keys: list[tuple[str, str]]
    sizes: list[Contrast]
    gaps: list[Paired]
    by_seed: tuple[tuple[tuple[float, ...], ...], ...]

    @property
    def intermediates(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for name, _ in self.keys))

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(target for _, target in self.keys))

    @property
    def means(self) -> tuple[Estimate, ...]:
        """The mean of each size over its units."""
        return tuple(estimate([Term(1.0, "", gap)]) for gap in self.gaps)


def combined(
    sizes: Sizes, by_layer: Mapping[str, Sizes], not_learnt: Collection[str]
) -> Iterator[Combined]:
    """Yields the contrasts that have an intermediate task and a target which every size has.

    Args:
        by_layer: the comparisons of retrieval for each way in which its layer was chosen
            (`published`, `dev`, `fixed`); {} where rows do not say, which then count as they are.
        not_learnt: intermediate tasks that a size has not learnt, which are left out of all.
    """
    retrieval = {LAYERS[how]: of_sizes for how, of_sizes in by_layer.items()}
    wanted: list[tuple[str, Sizes, Wanted, Combining]] = [
        (TRAINED, sizes, is_trained, mean_over),
        *(
            (f"{RETRIEVAL}{layer}", of_sizes, lambda target: not is_trained(target), mean_over)
            for layer, of_sizes in (retrieval or {"": sizes}).items()
        ),
        (BEST, sizes, lambda target: True, best_on_other_seeds),
    ]
    for contrast, of_sizes, is_wanted, combining in wanted:
        every = [{c.key: c for c in size if c.mean is not None} for size in of_sizes]
        by_key = [of_size for of_size in every if of_size]
        keys = [
            key
            for key in (by_key[0] if by_key else ())
            if key[0] not in not_learnt
            and is_wanted(key[1])
            and all(key in of_size for of_size in by_key)
        ]
        paired = [combining([of_size[key] for key in keys]) for of_size in by_key if keys]
        known = [of_size for of_size in paired if of_size is not None]
        if known and len(known) == len(by_key):
            by_seed = (
                tuple(tuple((value,) for value in of_size.values.tolist()) for of_size in known)
                if combining is best_on_other_seeds
                else tuple(_by_seed([of_size[key] for key in keys]) for of_size in by_key)
            )
            ladder = [next(iter(of_size.values())) for of_size in by_key]
            yield Combined(contrast, keys, ladder, known, by_seed)


def is_trained(target: str) -> bool:
    """Returns whether an encoder is trained on the target before it is scored."""
    return target in TASKS and bool(TASKS[target].train)


def _by_seed(contrasts: Sequence[Contrast]) -> tuple[tuple[float, ...], ...]:
    """Returns the mean of the contrasts of one size by run and seed, where all of them have it."""
    common = sorted(set.intersection(*(set(contrast.by_seed) for contrast in contrasts)))
    return tuple(
        tuple(fmean(c.by_seed[key] for c in contrasts) for key in common if key[0] == run)
        for run in dict.fromkeys(run for run, _ in common)
    )


def mean_over(contrasts: Sequence[Contrast]) -> Paired | None:
    """Returns the mean of the contrasts of one size, by the units that all of them have."""
    return averaged([c.mean for c in contrasts if c.mean is not None])


def averaged(parts: Sequence[Paired]) -> Paired | None:
    """Returns the mean of paired differences, by the units that all have; None without such."""
    units = sorted(set.intersection(*(set(part.units) for part in parts)))
    if not units:
        return None
    same = [part.of(units) for part in parts]
    shifts = [part.shifts for part in same if part.shifts is not None]
    return Paired(
        tuple(units),
        np.mean([part.values for part in same], axis=0),
        np.mean(shifts, axis=0) if len(shifts) == len(same) else None,
        min(part.examples for part in same),
        same[0].unit,
    )


def best_on_other_seeds(contrasts: Sequence[Contrast]) -> Paired | None:
    """Returns the gap of the best intermediate task of each target, mean over targets, by run.

    For each seed of a run the task is the one with the largest mean gap in the run's other seeds:
    no score chooses the task by which it is counted, and runs stay independent of each other. The
    seeds of one run do not, so a size with a single run has no interval. None where a run has a
    single seed.
    """
    by_target: dict[str, list[Contrast]] = {}
    for contrast in contrasts:
        by_target.setdefault(contrast.target, []).append(contrast)
    of_targets = []
    for of_target in by_target.values():
        runs = sorted(set.intersection(*(set(contrast.runs) for contrast in of_target)))
        chosen = [chosen_on_others([c.of_run(run) for c in of_target]) for run in runs]
        known = [mean_of_units(paired) for paired in chosen if paired is not None]
        if not known or len(known) < len(runs):
            return None
        shifts = [shift for _, shift in known if shift is not None]
        of_targets.append(
            Paired(
                tuple(runs),
                np.array([value for value, _ in known]),
                np.stack(shifts) if len(shifts) == len(known) else None,
                min(paired.examples for paired in chosen if paired is not None),
                RUNS if len(runs) > 1 else SEEDS,
            )
        )
    return averaged(of_targets) if of_targets else None


def chosen_on_others(parts: Sequence[Paired]) -> Paired | None:
    """Returns for each unit the value of the part that is largest in the mean of the other units.

    None with a single unit.
    """
    units = sorted(set.intersection(*(set(part.units) for part in parts)))
    if len(units) < 2:
        return None
    same = [part.of(units) for part in parts]
    values = np.stack([part.values for part in same])
    best = (values.sum(axis=1, keepdims=True) - values).argmax(axis=0)
    every = np.arange(len(units))
    shifts = [part.shifts for part in same if part.shifts is not None]
    return replace(
        same[0],
        values=values[best, every],
        shifts=np.stack(shifts)[best, every] if len(shifts) == len(same) else None,
        examples=min(part.examples for part in same),
    )


def mean_of_units(paired: Paired) -> tuple[float, np.ndarray | None]:
    """Returns the mean over units of the values and of their shifts."""
    shift = None if paired.shifts is None else paired.shifts.mean(axis=0)
    return float(paired.values.mean()), shift
