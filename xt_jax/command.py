"""How a command ends: an error of the user's is one message, a reader gone is no error."""

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
        SystemExit: always; with 1 after an error of the user's, and with the status of a program
            that SIGPIPE ended where the output's reader has gone (`| head`).
    """
    try:
        status = main()
        sys.stdout.flush()
    except UserError as error:
        sys.exit(f"error: {error}")
    except BrokenPipeError:
        # Python writes what is left once more as it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 128 + signal.SIGPIPE
    sys.exit(status)
