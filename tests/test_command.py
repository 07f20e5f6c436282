"""How commands end."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from xt_jax import command
from xt_jax.command_line import command_line
from xt_jax.errors import ConfigError

# Interrupts are ignored in a shell's background jobs, and so in the commands that they start.
HEARD = "command.signal.signal(2, command.signal.default_int_handler)"


@pytest.mark.parametrize("status", [None, 0, 3])
def test_the_status_is_that_of_main(status):
    with pytest.raises(SystemExit) as ended:
        command.run(lambda: status)
    assert ended.value.code == status


def test_an_error_of_the_user_is_one_message():
    def main():
        raise ConfigError("No such thing.", where="--thing", remedy="use another")

    with pytest.raises(SystemExit) as ended:
        command.run(main)
    assert ended.value.code == (
        "error: No such thing.\n  where: --thing\n  what to do: use another"
    )


def test_a_reader_that_goes_away_is_no_error():
    program = "from xt_jax import command; command.run(lambda: print('line\\n' * 10**6))"
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "line\n"
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 141


def ended(program: str, **options) -> tuple[int, str]:
    """Runs `command.run` with a statement in a process; returns its status and error output."""
    program = f"from xt_jax import command; command.run(lambda: {program})"
    process = subprocess.run([sys.executable, "-c", program], stderr=subprocess.PIPE, **options)
    return process.returncode, process.stderr.decode()


@pytest.mark.parametrize("length", [1, 10**6])
def test_a_full_standard_output_is_one_message(length):
    with Path("/dev/full").open("w") as full:
        status, errors = ended(f"print('x' * {length})", stdout=full)
    assert status == 1
    assert errors.startswith("error: There is no room left on the disk")
    assert len(errors.splitlines()) == 3


def test_a_closed_standard_output_is_no_error():
    program = "from xt_jax import command; command.run(lambda: print('x'))"
    shell = f'"{sys.executable}" -c "{program}" >&-'
    done = subprocess.run(shell, shell=True, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_interrupt_is_one_line():
    assert ended(f"({HEARD}, command.signal.raise_signal(2))") == (130, "interrupted\n")


def test_an_interrupt_of_the_imports_is_one_line():
    program = f"from xt_jax import command; {HEARD}; command.signal.raise_signal(2)"
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert process.stderr == "interrupted\n"
    assert process.returncode == -signal.SIGINT  # which a shell calls 130


def test_an_ascii_terminal_gets_escapes():
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    program = "from xt_jax import command; command.run(lambda: print('d\\u00fcnn \\u2013'))"
    process = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment
    )
    assert (process.returncode, process.stdout) == (0, "d\\xfcnn \\u2013\n")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(30, "Read-only file system", "/x/y"), "(Read-only file system).\n  where: /x/y"),
        (OSError(24, "Too many open files"), "(Too many open files)."),
        (OSError(28, "No space left on device"), "no room left on the disk"),
        (MemoryError(), "not enough memory"),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating"), "not enough memory"),
    ],
)
def test_what_a_machine_lacks_is_one_message(error, message):
    def main():
        raise error

    with pytest.raises(SystemExit) as caught:
        command.run(main)
    assert message in str(caught.value.code)


def test_the_command_is_shown_as_text_whatever_the_locale(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["run.py", "--workdir=d\udcc3\udcbcnn\udcff"])
    assert command_line() == r"python run.py '--workdir=dünn\xff'"


def test_a_value_of_two_dashes_is_refused(capsys):
    """argparse gives an empty list in place of a text."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workdir")
    with pytest.raises(SystemExit) as ended:
        command.parsed(parser, ["--workdir=--"])
    assert ended.value.code == 2
    assert "value of --workdir" in capsys.readouterr().err
    assert command.parsed(parser, ["--workdir=a--"]).workdir == "a--"
