"""Errors that are meant for the user: what is wrong, where, and what to do."""

from __future__ import annotations

import os

_MOST_CHARACTERS = 1500


class UserError(Exception):
    """A fault in the input or the configuration; `run.py` prints it without a traceback.

    Args:
        problem: what is wrong, one sentence.
        where: file, `file:line`, field or tensor name.
        remedy: what the user can do about it.
    """

    def __init__(self, problem: str, *, where: str | os.PathLike = "", remedy: str = ""):
        self.problem, self.where, self.remedy = problem, str(where), remedy
        lines = [_shortened(problem)]
        if where:
            lines.append(f"  where: {_shortened(self.where)}")
        if remedy:
            lines.append(f"  what to do: {_shortened(remedy)}")
        super().__init__("\n".join(lines))


def _shortened(text: str) -> str:
    """Returns the text without its middle if it is too long to be read in a message."""
    half = _MOST_CHARACTERS // 2
    return text if len(text) <= 2 * half else f"{text[:half]} ... {text[-half:]}"


class DataError(UserError):
    """A data file is unreadable or contradictory; of what it quotes, the middle may be cut."""

    def __init__(self, problem: str, *, where: str | os.PathLike = "", remedy: str = ""):
        super().__init__(_shortened(problem), where=where, remedy=_shortened(remedy))


def _shortened(text: str, half: int = 1000) -> str:
    return text if len(text) <= 2 * half else f"{text[:half]} ... {text[-half:]}"


class ConfigError(UserError):
    """A configuration field, preset or combination of settings cannot run."""


class WeightsError(UserError):
    """A weights folder does not match the model."""
