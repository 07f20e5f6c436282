"""Mixes several data sets: which task each step trains, and how often each language is drawn.

Shares are apportioned and not sampled: after any number of steps every task has had its share to
within one window. So seeds change the order of the steps, but not how many each task gets.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xt_jax.data.packing import Features

SAMPLERS = ("capped", "proportional", "uniform", "temperature", "given")
CAP = 2**17  # recalled from the paper, not checked against it
WINDOW = 64  # steps that are shuffled together


def task_shares(
    sizes: Sequence[int],
    sampler: str,
    *,
    cap: int = CAP,
    temperature: float = 1.0,
    given: Sequence[float] = (),
) -> np.ndarray:
    """Returns [tasks], the share of the steps that each task gets; the shares sum to 1.

    Args:
        sizes: training examples of each task.
        sampler: `uniform`; `proportional` to size; `capped`: to min(size, cap); `temperature`: to
            size ** (1 / temperature); `given`: to the weights `given`.
    """
    size = np.asarray(sizes, np.float64)
    weights = {
        "uniform": np.ones_like(size),
        "proportional": size,
        "capped": np.minimum(size, cap),
        "temperature": (size / size.max()) ** (1 / temperature),
        "given": np.asarray(given, np.float64) if sampler == "given" else size,
    }[sampler]
    return weights / weights.sum()


def task_order(shares: np.ndarray, steps: int, seed: int) -> np.ndarray:
    """Returns [steps], the index of the task that each step trains.

    Each step goes to the task that lags furthest behind its share; then every `WINDOW` steps are
    shuffled. At the end of a window every task is within one step of its share.
    """
    order = np.empty(steps, np.int32)
    lag = np.zeros(len(shares))
    for step in range(steps):
        lag += shares
        order[step] = task = int(np.argmax(lag))
        lag[task] -= 1
    rng = np.random.default_rng((seed, 0))
    for first in range(0, steps, WINDOW):
        rng.shuffle(order[first : first + WINDOW])
    return order


def turns(order: np.ndarray) -> np.ndarray:
    """Returns [steps], the number of earlier steps that trained the same task."""
    turn = np.empty_like(order)
    for task in np.unique(order):
        chosen = order == task
        turn[chosen] = np.arange(chosen.sum())
    return turn


def smoothed_draws(sizes: Sequence[int], exponent: float, count: int, seed: int) -> np.ndarray:
    """Returns [count] line indices into concatenated data sets, drawn by smoothed language shares.

    A language with n of all N lines gets a share proportional to (n / N) ** exponent (Conneau and
    Lample, 2019; XLM-R uses 0.3), rounded to whole draws. Within a language every line is drawn
    once before any is drawn again. The result is sorted by language, not shuffled.
    """
    size = np.asarray(sizes, np.float64)
    weights = np.where(size > 0, (size / size.sum()) ** exponent, 0.0)
    starts = np.cumsum([0, *sizes[:-1]])
    drawn = []
    for language, share in enumerate(_apportion(weights / weights.sum(), count)):
        rng = np.random.default_rng((seed, 1, language))
        passes = -(-int(share) // max(1, sizes[language]))
        lines = [rng.permutation(sizes[language]) for _ in range(passes)]
        drawn.append(starts[language] + np.concatenate([np.empty(0, np.int64), *lines])[:share])
    return np.concatenate(drawn).astype(np.int32)


def joined(parts: Sequence[Features], examples: Sequence[int]) -> Features:
    """Concatenates features into one data set and renumbers their examples.

    Args:
        examples: number of examples in each part (it may have more features than that).
    """
    if len(parts) == 1:
        return parts[0]
    first = np.cumsum([0, *examples[:-1]])
    fields = {name: [p.fields[name] for p in parts] for name in parts[0].fields}
    fields["example"] = [e + f for e, f in zip(fields["example"], first, strict=True)]

    def flat(arrays: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(arrays).astype(np.int32)

    return Features(
        flat([p.lengths for p in parts]),
        {name: flat([p.tokens[name] for p in parts]) for name in parts[0].tokens},
        {name: flat(arrays) for name, arrays in fields.items()},
        {name: flat([p.host[name] for p in parts]) for name in parts[0].host},
    )


def _apportion(shares: np.ndarray, count: int) -> np.ndarray:
    """Rounds the shares to whole numbers that sum to `count`, by largest remainder."""
    exact = shares * count
    rounded = np.floor(exact).astype(int)
    missing = count - int(rounded.sum())
    rounded[np.argsort(rounded - exact, kind="stable")[:missing]] += 1
    return rounded
