"""Ends a run in good order when its machine is taken away: SIGTERM, or a TPU's preemption service.

Everything that is written is written as a whole, so the run may end anywhere; where training would
lose the steps since its last save, it asks (`is_asked`) and saves first. Several processes end
together, where they ask: between steps of training and of prediction, and between pieces.
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

_asked = threading.Event()
_deferred = False
_turn = itertools.count()


class Preempted(SystemExit):
    """The run was asked to end; the same command carries on."""

    def __init__(self) -> None:
        super().__init__(EXIT_STATUS)


def watch() -> None:
    """From now on SIGTERM raises `Preempted` in the main thread, unless it is deferred.

    With several processes JAX itself watches for the signal, on all hosts for that of any.
    """
    if jax.process_count() == 1:
        signal.signal(signal.SIGTERM, _on_signal)


@contextlib.contextmanager
def deferred(is_deferred: bool = True) -> Iterator[None]:
    """Within, the signal is only noted; or, nested with False, raised at once again."""
    global _deferred
    before, _deferred = _deferred, is_deferred
    try:
        yield
    finally:
        _deferred = before


def is_asked() -> bool:
    """Whether to save and end now.

    Several processes must ask equally often: JAX tells all of them at the same turn, soon after the
    notice, and at no other.
    """
    if jax.process_count() > 1:
        return multihost_utils.reached_preemption_sync_point(next(_turn))
    return _asked.is_set()


def end_if_asked() -> None:
    """Where nothing need be saved; else as `is_asked`.

    Raises:
        Preempted: the run was asked to end.
    """
    if is_asked():
        raise Preempted


def _on_signal(*_: Any) -> None:
    _asked.set()
    if not _deferred:
        raise Preempted
