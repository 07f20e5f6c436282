"""Runs a command's `main`: a user error becomes one message, a closed output pipe is no error."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from xt_jax.errors import UserError


def run(main: Callable[[], int | None]) -> NoReturn:
    """Calls `main` and exits with the status that it returns.

    Raises:
        SystemExit: always; with status 1 after a user error, and with the status of a program
            ended by SIGPIPE if the reader of the output has gone (`| head`).
    """
    try:
        status = main()
        sys.stdout.flush()
    except UserError as error:
        sys.exit(f"error: {error}")
    except BrokenPipeError:
        # Python flushes standard output once more as it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 128 + signal.SIGPIPE
    sys.exit(status)
