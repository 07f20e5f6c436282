"""Ends a run cleanly: at SIGTERM or Ctrl-C, or a notice of a TPU's preemption service.

All files are written atomically, so the run may end anywhere; training, which would lose the steps
since its last save, checks for a request (`is_asked`) and saves first. Several processes end
together where they check: between steps of training and of prediction, and between jobs.
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

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Preempted(SystemExit):
    """The run was asked to end; the same command resumes it.

    The exit status is a shell's for a process that the signal ended, 143 or 130.
    """

    def __init__(self, number: int = signal.SIGTERM) -> None:
        super().__init__(128 + number)
        self.signal = signal.Signals(number).name


class Request:
    """The state of this process's request to end.

    Attributes:
        asked: set by the signal.
        number: of the signal.
        deferred: the signal only sets `asked`; otherwise it raises `Preempted` at once.
        turns: counts the checks; the processes of a mesh must check equally often.
    """

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.number: int = signal.SIGTERM
        self.deferred = False
        self.turns = itertools.count()

    def on_signal(self, number: int, _: Any) -> None:
        """Handles the signal: notes the request, and raises `Preempted` unless deferred.

        A second Ctrl-C does not wait.
        """
        if self.asked.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.number = number
        self.asked.set()
        if not self.deferred:
            raise Preempted(number)


# The only state of this module: a process has one handler per signal, so it has one request.
REQUEST = Request()


def watch() -> None:
    """Makes SIGTERM and SIGINT raise `Preempted` in the main thread, unless deferred.

    SIGINT stays ignored where it is, as in a shell's background jobs.
    With several processes JAX itself watches for SIGTERM and passes it on to all hosts.
    """
    if jax.process_count() == 1:
        for number in SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, REQUEST.on_signal)


@contextlib.contextmanager
def deferred(is_deferred: bool = True) -> Iterator[None]:
    """Defers the signal inside the `with` block; with False, a nested block raises it at once."""
    before, REQUEST.deferred = REQUEST.deferred, is_deferred
    try:
        yield
    finally:
        REQUEST.deferred = before


def is_asked() -> bool:
    """Whether the run was asked to end and should save and end now.

    Several processes must call this equally often: JAX answers yes to all of them at the same call,
    soon after the notice, and at no other.
    """
    if jax.process_count() > 1:
        return multihost_utils.reached_preemption_sync_point(next(REQUEST.turns))
    return REQUEST.asked.is_set()


def end_if_asked() -> None:
    """Ends the run if it was asked to end; for places where nothing needs to be saved.

    Raises:
        Preempted: the run was asked to end.
    """
    if is_asked():
        raise Preempted(REQUEST.number)
