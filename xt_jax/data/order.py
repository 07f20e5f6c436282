"""The seeded order: which unit is in which step, every epoch an exact permutation.

A unit is what must stand together in one row; only its length matters. Steps are balanced: within a
window of them units are dealt longest first, each to the step with the fewest tokens. Windows are
alike too: each gets its share of every length.
"""

from __future__ import annotations

import heapq

import numpy as np

WINDOW = 256  # steps among which lengths are balanced, or
WINDOW_UNITS = 8192  # as many steps as have so many units, where that is more


Seed = int | tuple[int, ...]


def step_order(lengths: np.ndarray, batch_size: int, epochs: float, seed: Seed) -> list[np.ndarray]:
    """The units of each step, `batch_size` of them; the last step may be short.

    A step that straddles two epochs takes from each an evenly spaced sample of its lengths, first
    those of the earlier one.
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
    """The units of each step, about as many tokens in each.

    Each epoch is `steps_per_epoch` steps; what `steps` leaves of the last one has its share of an
    epoch's units, evenly spaced in length.
    """
    found: list[np.ndarray] = []
    for epoch in range(-(-steps // steps_per_epoch)):
        rng = _generator(seed, epoch)
        now = min(steps_per_epoch, steps - len(found))
        share = max(now, round(len(lengths) * now / steps_per_epoch))
        order = _share(rng, _by_length(rng, lengths), min(len(lengths), share))
        found.extend(_balanced(rng, order, lengths, now, len(order)))
    return found


def evenly_spaced(lengths: np.ndarray, count: int) -> np.ndarray:
    """At most `count` of the lengths, evenly spaced in rank, the shortest and the longest too."""
    if len(lengths) <= count:
        return lengths
    ranks = np.linspace(0, len(lengths) - 1, count).round().astype(int)
    return np.sort(lengths, kind="stable")[ranks]


def _generator(seed: Seed, epoch: int) -> np.random.Generator:
    return np.random.default_rng((*(seed if isinstance(seed, tuple) else (seed,)), epoch))


def _by_length(rng: np.random.Generator, lengths: np.ndarray) -> np.ndarray:
    """All units from the shortest to the longest, equally long ones in random order."""
    order = rng.permutation(len(lengths)).astype(np.int32)
    return order[np.argsort(lengths[order], kind="stable")]


def _share(rng: np.random.Generator, ranked: np.ndarray, count: int) -> np.ndarray:
    """`count` of `ranked`, one from each of as many equal ranges of ranks."""
    edges = np.arange(count + 1) * len(ranked) // max(1, count)
    return ranked[rng.integers(edges[:-1], edges[1:])]


def _spaced_sample(ranked: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """`count` of `ranked` at evenly spaced ranks, and the rest, both in their order."""
    taken = ((np.arange(count) + 0.5) * len(ranked) / max(1, count)).astype(int)
    rest = np.ones(len(ranked), bool)
    rest[taken] = False
    return ranked[taken], ranked[rest]


def _balanced(
    rng: np.random.Generator, ranked: np.ndarray, lengths: np.ndarray, steps: int, most: int
) -> list[np.ndarray]:
    """`ranked` as `steps` steps of at most `most` units, in random order."""
    if not steps:
        return []
    size = max(WINDOW, WINDOW_UNITS * steps // len(ranked))
    windows = -(-steps // size)
    edges = np.arange(windows + 1) * steps // windows
    sizes = np.diff(edges * len(ranked) // steps)
    # A window's ranks are evenly spaced but for a random shift of each within its space.
    key = np.concatenate([(np.arange(n) + rng.random(n)) / n for n in sizes])
    window_of_rank = np.repeat(np.arange(windows), sizes)[np.argsort(key, kind="stable")]
    found: list[np.ndarray] = []
    for window in range(windows):
        units = ranked[window_of_rank == window][::-1]
        dealt = _deal(units, lengths, edges[window + 1] - edges[window], most)
        found.extend(dealt[i] for i in rng.permutation(len(dealt)))
    return found


def _deal(
    longest_first: np.ndarray, lengths: np.ndarray, count: int, most: int
) -> list[np.ndarray]:
    steps: list[list[int]] = [[] for _ in range(count)]
    lightest = [(0, step) for step in range(count)]
    weights = lengths[longest_first]
    if most * count == len(weights):
        # As all get equally many, a constant less makes no step lighter than others in the end;
        # a step with a very long unit now waits for the shortest ones.
        weights = weights - weights[-1]
    for unit, weight in zip(longest_first.tolist(), weights.tolist(), strict=True):
        load, step = lightest[0]
        steps[step].append(unit)
        if len(steps[step]) < most:
            heapq.heapreplace(lightest, (load + weight, step))
        else:
            heapq.heappop(lightest)
    return [np.array(step, np.int32) for step in steps]
