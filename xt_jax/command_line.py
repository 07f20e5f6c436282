"""Tells with which command this process was started, for records and messages."""

from __future__ import annotations

import os
import shlex
import sys


def command_line() -> str:
    """Returns the command that runs, as one types it in a shell."""
    arguments = [os.fsencode(arg).decode("utf-8", "backslashreplace") for arg in sys.argv]
    return f"python {shlex.join(arguments)}"
