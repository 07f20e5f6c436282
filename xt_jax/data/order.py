"""The seeded order of training: which units each step holds; every epoch is an exact permutation.

A unit is what must be in one row together; only its length matters. Steps are balanced: within a
window of steps, units are dealt longest first, each to the step with the fewest tokens so far.
Windows are balanced as well: each gets its share of every length.
"""

from __future__ import annotations

import heapq

import numpy as np

WINDOW = 256  # steps among which lengths are balanced, ...
WINDOW_UNITS = 8192  # ... or as many steps as hold this number of units, if that is more


Seed = int | tuple[int, ...]


def step_order(lengths: np.ndarray, batch_size: int, epochs: float, seed: Seed) -> list[np.ndarray]:
    """Returns the units of each step, `batch_size` a step; the last step may be short.

    A step that straddles two epochs takes an evenly spaced sample of the lengths of each, those of
    the earlier epoch first.
    """
    count = len(lengths)
    total = max(1, round(epochs * count))
    steps: list[np.ndarray] = []
    carried = np.empty(0, np.int32)
    for epoch in range(-(-total // count)):
        rng = _generator(seed, epoch)
        order = _share(rng, _by_length(rng, lengths), min(count, total - epoch * count))
        head, order = _spaced_sample(order, min(len(order), -len(carried) % batch_size))
        carried = np.concatenate([carried, head])
        if len(carried) == batch_size:
            steps.append(carried)
            carried = np.empty(0, np.int32)
        tail, order = _spaced_sample(order, len(order) % batch_size)
        steps.extend(_balanced(rng, order, lengths, len(order) // batch_size, batch_size))
        carried = np.concatenate([carried, tail])
    if len(carried):
        steps.append(carried)
    return steps


def token_order(
    lengths: np.ndarray, steps_per_epoch: int, steps: int, seed: Seed
) -> list[np.ndarray]:
    """Returns the units of each step, with about the same number of tokens in every step.

    Each epoch is `steps_per_epoch` steps; if `steps` cuts the last one short, it has its share of
    the epoch's units, evenly spaced in length.
    """
    ordered: list[np.ndarray] = []
    for epoch in range(-(-steps // steps_per_epoch)):
        rng = _generator(seed, epoch)
        count = min(steps_per_epoch, steps - len(ordered))
        share = max(count, round(len(lengths) * count / steps_per_epoch))
        order = _share(rng, _by_length(rng, lengths), min(len(lengths), share))
        ordered.extend(_balanced(rng, order, lengths, count, len(order)))
    return ordered


def evenly_spaced(lengths: np.ndarray, count: int) -> np.ndarray:
    """Returns at most `count` lengths, evenly spaced in rank, with the shortest and the longest."""
    if len(lengths) <= count:
        return lengths
    ranks = np.linspace(0, len(lengths) - 1, count).round().astype(int)
    return np.sort(lengths, kind="stable")[ranks]


def _generator(seed: Seed, epoch: int) -> np.random.Generator:
    return np.random.default_rng((*(seed if isinstance(seed, tuple) else (seed,)), epoch))


def _by_length(rng: np.random.Generator, lengths: np.ndarray) -> np.ndarray:
    """Returns all units from the shortest to the longest, ties in random order."""
    order = rng.permutation(len(lengths)).astype(np.int32)
    return order[np.argsort(lengths[order], kind="stable")]


def _share(rng: np.random.Generator, ranked: np.ndarray, count: int) -> np.ndarray:
    """Draws `count` of `ranked`, one from each of `count` equal ranges of ranks."""
    edges = np.arange(count + 1) * len(ranked) // max(1, count)
    return ranked[rng.integers(edges[:-1], edges[1:])]


def _spaced_sample(ranked: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Splits `ranked` into `count` units at evenly spaced ranks and the rest, in order."""
    taken = ((np.arange(count) + 0.5) * len(ranked) / max(1, count)).astype(int)
    rest = np.ones(len(ranked), bool)
    rest[taken] = False
    return ranked[taken], ranked[rest]


def _balanced(
    rng: np.random.Generator, ranked: np.ndarray, lengths: np.ndarray, steps: int, most: int
) -> list[np.ndarray]:
    """Deals `ranked` into `steps` steps of at most `most` units, in random order."""
    if not steps:
        return []
    size = max(WINDOW, WINDOW_UNITS * steps // len(ranked))
    windows = -(-steps // size)
    edges = np.arange(windows + 1) * steps // windows
    sizes = np.diff(edges * len(ranked) // steps)
    # The ranks of a window are evenly spaced, each shifted at random within its interval.
    key = np.concatenate([(np.arange(n) + rng.random(n)) / n for n in sizes])
    window_of_rank = np.repeat(np.arange(windows), sizes)[np.argsort(key, kind="stable")]
    ordered: list[np.ndarray] = []
    for window in range(windows):
        units = ranked[window_of_rank == window][::-1]
        dealt = _deal(units, lengths, edges[window + 1] - edges[window], most)
        ordered.extend(dealt[i] for i in rng.permutation(len(dealt)))
    return ordered


def _deal(
    longest_first: np.ndarray, lengths: np.ndarray, count: int, most: int
) -> list[np.ndarray]:
    steps: list[list[int]] = [[] for _ in range(count)]
    lightest = [(0, step) for step in range(count)]
    weights = lengths[longest_first]
    if most * count == len(weights):
        # All steps get equally many units, so subtracting a constant changes no comparison of full
        # steps, and a step with a very long unit now waits for the shortest units.
        weights = weights - weights[-1]
    for unit, weight in zip(longest_first.tolist(), weights.tolist(), strict=True):
        load, step = lightest[0]
        steps[step].append(unit)
        if len(steps[step]) < most:
            heapq.heapreplace(lightest, (load + weight, step))
        else:
            heapq.heappop(lightest)
    return [np.array(step, np.int32) for step in steps]
