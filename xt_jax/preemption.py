"""Ends a run in good order when its machine is taken away: SIGTERM, or a TPU's preemption service.

Everything that is written is written as a whole, so the run may end anywhere; where training would
lose the steps since its last save, it asks (`is_asked`) and saves first. Several processes end
together, where they ask: between steps of training and of prediction, and between jobs.
"""

from __future__ import annotations

import contextlib
import itertools
import signal
import threading
from collections.abc import Iterator
from typing import Any

import jax
from jax.experimental import multihost_utils

EXIT_STATUS = 128 + signal.SIGTERM  # what a shell says of a process that the signal ended


class Preempted(SystemExit):
    """The run was asked to end; the same command carries on."""

    def __init__(self) -> None:
        super().__init__(EXIT_STATUS)


class Request:
    """Whether this process has been asked to end.

    Attributes:
        asked: set by the signal.
        deferred: the signal is only noted; otherwise it raises `Preempted` at once.
        turns: counts the questions; the processes of a mesh must ask equally often.
    """

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.deferred = False
        self.turns = itertools.count()

    def on_signal(self, *_: Any) -> None:
        """The signal's handler."""
        self.asked.set()
        if not self.deferred:
            raise Preempted


# The one state of this module: a process has one handler of a signal, so it has one request.
REQUEST = Request()


def watch() -> None:
    """From now on SIGTERM raises `Preempted` in the main thread, unless it is deferred.

    With several processes JAX itself watches for the signal, on all hosts for that of any.
    """
    if jax.process_count() == 1:
        signal.signal(signal.SIGTERM, REQUEST.on_signal)


@contextlib.contextmanager
def deferred(is_deferred: bool = True) -> Iterator[None]:
    """Within, the signal is only noted; or, nested with False, raised at once again."""
    before, REQUEST.deferred = REQUEST.deferred, is_deferred
    try:
        yield
    finally:
        REQUEST.deferred = before


def is_asked() -> bool:
    """Whether to save and end now.

    Several processes must ask equally often: JAX tells all of them at the same turn, soon after the
    notice, and at no other.
    """
    if jax.process_count() > 1:
        return multihost_utils.reached_preemption_sync_point(next(REQUEST.turns))
    return REQUEST.asked.is_set()


def end_if_asked() -> None:
    """Ends the run if that was asked, where nothing need be saved; else as `is_asked`.

    Raises:
        Preempted: the run was asked to end.
    """
    if is_asked():
        raise Preempted
