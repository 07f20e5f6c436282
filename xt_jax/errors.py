"""Errors that are meant for the user: what is wrong, where, and what to do."""

from __future__ import annotations

import os


class UserError(Exception):
    """A fault in the input or the configuration; `run.py` prints it without a traceback.

    Of long quotations the middle is cut.

    Args:
        problem: what is wrong, one sentence.
        where: file, `file:line`, field or tensor name.
        remedy: what the user can do about it.
    """

    def __init__(self, problem: str, *, where: str | os.PathLike = "", remedy: str = ""):
        self.problem, self.where, self.remedy = _shortened(problem), str(where), _shortened(remedy)
        lines = [self.problem]
        if where:
            lines.append(f"  where: {_shortened(self.where)}")
        if remedy:
            lines.append(f"  what to do: {self.remedy}")
        super().__init__("\n".join(lines))


def _shortened(text: str, half: int = 750) -> str:
    return text if len(text) <= 2 * half else f"{text[:half]} ... {text[-half:]}"


class DataError(UserError):
    """A data file is unreadable or contradictory."""


class ConfigError(UserError):
    """A configuration field, preset or combination of settings cannot run."""


class DivergedError(UserError):
    """A loss, a parameter or a moment is not finite."""


class WeightsError(UserError):
    """A weights folder does not match the model."""
