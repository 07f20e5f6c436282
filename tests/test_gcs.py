"""A whole run in a bucket of a fake Google Cloud Storage."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from commands import SMALL, finish
from conftest import ROOT

pytestmark = pytest.mark.slow

ARGUMENTS = (*SMALL, "--config.intermediates=mnli", "--config.targets=panx")


@pytest.fixture(scope="module")
def bucket() -> Iterator[dict[str, str]]:
    """The environment in which `gs://bucket` is there."""
    pytest.importorskip("gcsfs")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, str(ROOT / "tests" / "fake_gcs.py"), str(port)])
    address = f"http://localhost:{port}"
    try:
        for _ in range(200):
            time.sleep(0.1)
            with socket.socket() as client:
                if client.connect_ex(("localhost", port)) == 0:
                    break
        yield {
            **{k: v for k, v in os.environ.items() if k != "XLA_FLAGS"},
            "EPATH_USE_TF": "false",  # TensorFlow's own client, where it is installed, asks Google
            "STORAGE_EMULATOR_HOST": address,
            "TENSORSTORE_GCS_HTTP_URL": address,
            "NO_GCE_CHECK": "true",
        }
    finally:
        server.kill()


READ = """
from etils import epath
from xt_jax import status
for name in ("results.jsonl", "report.md"):
    print(epath.Path("gs://bucket/run", name).read_text(), end="\\0")
status.main(["--workdir=gs://bucket/run"])
"""


def output_of(environment: dict[str, str], *command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_a_run_in_a_bucket_writes_what_one_on_disk_writes(bucket, tmp_path):
    finish(*ARGUMENTS, f"--workdir={tmp_path}")
    output_of(bucket, "run.py", *ARGUMENTS, "--workdir=gs://bucket/run")
    rows, report, status = output_of(bucket, "-c", READ).split("\0")
    assert rows == (tmp_path / "results.jsonl").read_text()
    assert len(rows.splitlines()) == 2
    assert report.startswith("`python run.py")
    assert "2 done" in status
