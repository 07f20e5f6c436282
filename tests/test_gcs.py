"""A whole run in a bucket of a fake Google Cloud Storage."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT

pytestmark = pytest.mark.slow

ARGUMENTS = (
    "--config=configs/quickstart.py:size=mini-32,seeds=1,random=True",
    "--config.languages=en",
    "--config.data.max_train_examples=120",
    "--config.data.max_eval_examples=30",
    "--config.intermediates=mnli",
    "--config.targets=panx",
    "--config.intermediate.eval_every=4",
    "--config.target.eval_every=4",
    "--config.train.save_every_steps=4",
    "--compilation_cache=",
)


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


def run(workdir: str, environment: dict[str, str], *more: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "run.py", *ARGUMENTS, f"--workdir={workdir}", *more]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )


def read(path: str, environment: dict[str, str]) -> str:
    program = f"from etils import epath; print(epath.Path({path!r}).read_text(), end='')"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_a_run_in_a_bucket_writes_what_one_on_disk_writes(bucket, tmp_path):
    on_disk = run(str(tmp_path / "run"), bucket)
    assert on_disk.returncode == 0, on_disk.stderr[-3000:]
    done = run("gs://bucket/run", bucket)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = Path(tmp_path / "run" / "results.jsonl").read_text()
    assert len(rows.splitlines()) == 1
    assert read("gs://bucket/run/results.jsonl", bucket) == rows
    assert read("gs://bucket/run/report.md", bucket).startswith("`python run.py")
    status = subprocess.run(
        [sys.executable, "-m", "xt_jax.status", "--workdir=gs://bucket/run"],
        env=bucket,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert "2 done" in status.stdout, status.stderr[-2000:]
