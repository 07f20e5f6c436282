"""Logs how far a long loop has come, for those who see no progress bar."""

from __future__ import annotations

import time

from absl import logging

SILENCE = 30.0  # seconds after which a line is due


class Ticker:
    """Counts what a loop has done and logs the count, at most every 30 seconds.

    Args:
        what: what is done and counted, for example "predicted batches".
        total: the count at the end.
    """

    def __init__(self, what: str, total: int):
        self._what, self._total, self._done = what, total, 0
        self._said_at = time.monotonic()

    def advance(self, count: int = 1) -> None:
        """Counts `count` more."""
        self._done += count
        if time.monotonic() - self._said_at >= SILENCE:
            logging.info("%s: %s of %s", self._what, f"{self._done:,}", f"{self._total:,}")
            self._said_at = time.monotonic()
