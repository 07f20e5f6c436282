"""Makes items in a thread before they are needed."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Sequence
from typing import TypeVar

from xt_jax.errors import DataError

T = TypeVar("T")

AHEAD = 8
PATIENCE = 600.0  # seconds; what is read lies in memory or in a mapped file


def made_ahead(
    make: Callable[[int], T], steps: Sequence[int], *, patience: float = PATIENCE
) -> Generator[T, None, None]:
    """Yields `make(step)` for each of `steps` in order, made up to `AHEAD` steps in advance.

    Raises:
        DataError: an item is not ready `patience` seconds after it was asked for.
        Exception: what `make` raised, when that step's item is asked for.
    """
    ready: queue.Queue[T | Exception] = queue.Queue(AHEAD)
    closed = threading.Event()

    def work() -> None:
        for step in steps:
            try:
                item: T | Exception = make(step)
            except Exception as error:
                item = error
            _put(ready, item, closed)
            if closed.is_set() or isinstance(item, Exception):
                return

    # A daemon: a thread that hangs must not keep the process from ending.
    threading.Thread(target=work, name="feed", daemon=True).start()
    try:
        for step in steps:
            item = _get(ready, step, patience)
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        closed.set()


def _put(ready: queue.Queue, item: object, closed: threading.Event) -> None:
    while not closed.is_set():
        try:
            ready.put(item, timeout=0.5)
        except queue.Full:
            continue
        return


def _get(ready: queue.Queue[T], step: int, patience: float) -> T:
    try:
        return ready.get(timeout=patience)
    except queue.Empty:
        raise DataError(
            f"The batch of step {step} was not ready after {patience:g} seconds.",
            where="the thread that makes batches",
            remedy="check that the disk or the network folder of --config.data.cache_dir still "
            "responds, then run the same command again: it resumes from the last saved state",
        ) from None
