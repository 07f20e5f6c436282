"""Runs a command's `main`: whatever a user or a disk does ends in one message, not a traceback."""

from __future__ import annotations

import argparse
import contextlib
import io
import logging as python_logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from absl import logging

from xt_jax.errors import UserError
from xt_jax.places import naming_full_disks

INTERRUPTED = 128 + signal.SIGINT  # a shell's exit status for a program ended by Ctrl-C
LOST_READER = 128 + signal.SIGPIPE


def run(main: Callable[[], int | None]) -> NoReturn:
    """Calls `main` and exits with the status that it returns.

    Raises:
        SystemExit: always; with status 1 after a message about an error of the user or of a disk,
            and with a shell's status for the signal after Ctrl-C or if the reader of the output
            has gone (`| head`).
    """
    _escape_foreign_characters()
    _log_plainly()
    status: Any
    try:
        status = _status_of(main)
    except UserError as error:
        status = f"error: {error}"
    except KeyboardInterrupt:
        status = INTERRUPTED
        print("interrupted", file=sys.stderr)
    except BrokenPipeError:
        status = LOST_READER
    except (MemoryError, RuntimeError) as error:
        if not _lacks_memory(error):
            raise
        status = f"error: {UserError('There is not enough memory.', remedy=_LESS)}"
    except OSError as error:
        reason = error.strerror or f"{type(error).__name__}: {error}"
        status = f"error: {UserError(f'A file cannot be used ({reason}).', where=_where(error))}"
    with contextlib.suppress(OSError):
        _close_output()
    sys.exit(status)


def parsed(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Parses a command line; refuses `--option=--`, which argparse takes for an empty list."""
    for argument in sys.argv[1:] if argv is None else argv:
        if argument.endswith("=--"):
            parser.error(f"`--` cannot be the value of {argument.removesuffix('=--')}")
    return parser.parse_args(argv)


def _status_of(main: Callable[[], int | None]) -> Any:
    """Calls `main`; returns its status, also where it exits with one."""
    try:
        with naming_full_disks("a file, or the standard output"):
            status: Any = main()
            if sys.stdout is not None:
                sys.stdout.flush()
    except SystemExit as ended:
        return ended.code
    return status


def _lacks_memory(error: BaseException) -> bool:
    """Returns whether an error says that the memory of the machine or of a device is full."""
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)


_LESS = "use a smaller model or batch, --config.target.accumulate, or --config.model.remat"


def _where(error: OSError) -> str:
    names = [name for name in (error.filename, error.filename2) if name is not None]
    return " -> ".join(os.fsdecode(name) for name in names if not isinstance(name, int))


def _close_output() -> None:
    """Writes what is left; if that fails, drops it, as Python would fail again when it exits."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _escape_foreign_characters() -> None:
    """Prints characters that the terminal's encoding lacks as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _log_plainly() -> None:
    """Logs the package's own messages, and warnings of libraries, with the time of day.

    Tracebacks that libraries log are left out: they raise the same error to their caller.
    """
    logging.use_absl_handler()
    handler = logging.get_absl_handler()
    handler.setFormatter(python_logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    handler.addFilter(
        lambda r: "xt_jax" in r.pathname or (r.levelno >= python_logging.WARNING and not r.exc_info)
    )


def _end_imports_quietly(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    if issubclass(kind, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _end_imports_quietly  # a command may be interrupted before `run` is called
