"""Runs programs that compile for a TPU without having one."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import textwrap

import pytest


def compile_for_tpu(program: str, *arguments: str) -> str:
    """Runs `program` in a new process; returns its output, or skips without libtpu."""
    if importlib.util.find_spec("libtpu") is None:
        pytest.skip("needs libtpu (pip install 'xt_jax[tpu]'), no TPU")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *arguments],
        env={
            **os.environ,
            "JAX_PLATFORMS": "cpu",
            "JAX_ENABLE_COMPILATION_CACHE": "0",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
