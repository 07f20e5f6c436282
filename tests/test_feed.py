"""What is made ahead in a thread: in order, with its errors, and not waited for without end."""

from __future__ import annotations

import threading
import time

import pytest

from xt_jax.errors import DataError
from xt_jax.train.batches import AHEAD, made_ahead


def test_everything_comes_in_order():
    assert list(made_ahead(lambda step: step**2, range(3, 40))) == [s**2 for s in range(3, 40)]


def test_an_error_comes_when_its_step_is_asked_for():
    def make(step: int) -> int:
        if step == 3:
            raise KeyError("lost")
        return step

    batches = made_ahead(make, range(10))
    assert [next(batches) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError, match="lost"):
        next(batches)


def test_no_more_is_made_ahead_than_there_is_room_for_and_none_once_closed():
    made = []
    batches = made_ahead(lambda step: made.append(step) or step, range(1000))
    next(batches)
    deadline = time.monotonic() + 20
    while len(made) < AHEAD + 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert len(made) == AHEAD + 2  # one was taken, one waits for room
    batches.close()
    while any(thread.name == "feed" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert len(made) == AHEAD + 2


def test_a_thread_that_hangs_is_named_with_its_step():
    released = threading.Event()

    def make(step: int) -> int:
        if step == 2:
            released.wait(60)
        return step

    batches = made_ahead(make, range(5), patience=0.3)
    assert [next(batches), next(batches)] == [0, 1]
    with pytest.raises(DataError, match=r"batch of step 2 was not ready after 0\.3 seconds"):
        next(batches)
    released.set()
