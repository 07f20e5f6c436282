"""The one error meant for the person at the keyboard: what is wrong, where, what to do."""

from __future__ import annotations

import os


class UserError(Exception):
    """A fault in the input or the configuration; `run.py` prints it without a traceback.

    Args:
        problem: what is wrong, one sentence.
        where: file, `file:line`, field or tensor name.
        remedy: what the user can do about it.
    """

    def __init__(self, problem: str, *, where: str | os.PathLike = "", remedy: str = ""):
        self.problem, self.where, self.remedy = problem, str(where), remedy
        lines = [problem]
        if where:
            lines.append(f"  where: {self.where}")
        if remedy:
            lines.append(f"  what to do: {remedy}")
        super().__init__("\n".join(lines))


class DataError(UserError):
    """An unreadable or contradictory data file."""


class ConfigError(UserError):
    """A field, preset or combination of settings that cannot run."""


class WeightsError(UserError):
    """A weights folder that does not fit the model."""
