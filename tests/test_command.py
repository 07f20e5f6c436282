"""How commands end."""

from __future__ import annotations

import subprocess
import sys

import pytest

from xt_jax import command
from xt_jax.errors import ConfigError


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
