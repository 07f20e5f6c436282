"""A study on a local Ray cluster of two nodes, one of which is lost, and as two shards."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import SMALL, Run, finish

from xt_jax.config import RayConfig
from xt_jax.errors import ConfigError
from xt_jax.records.progress import time_left
from xt_jax.study import cluster as ray_cluster

STUDY = (
    *SMALL,
    *("--config.models=mini-48", "--config.models=mini-32", "--config.model.random_init=true"),
    *("--config.intermediates=direct", "--config.intermediates=mnli"),
    *("--config.targets=xnli", "--config.targets=panx", "--config.targets=tatoeba"),
)


def rows(workdir: Path) -> list[bytes]:
    files = sorted(workdir.glob("results*.jsonl"))
    return sorted(line for file in files for line in file.read_bytes().splitlines())


def read_status(workdir: Path, name: str = "status.json") -> dict:
    return json.loads((workdir / name).read_text())


@pytest.fixture(scope="module")
def serial(tmp_path_factory) -> Path:
    workdir = tmp_path_factory.mktemp("serial")
    finish(*STUDY, f"--workdir={workdir}")
    assert len(rows(workdir)) > 20
    return workdir


@pytest.mark.slow
def test_shards_have_the_rows_of_the_whole_and_share_no_phase(serial, tmp_path):
    for i in (1, 2):
        finish(*STUDY, f"--config.shard={i}/2", f"--workdir={tmp_path}")
    assert rows(tmp_path) == rows(serial)
    names = [
        {job["name"] for job in read_status(tmp_path, f"status-{i}-of-2.json")["jobs"]}
        for i in (1, 2)
    ]
    assert not names[0] & names[1]
    assert names[0] | names[1] == {job["name"] for job in read_status(serial)["jobs"]}
    phases = [path.name for path in (tmp_path / "phases").iterdir()]
    assert sorted(phases) == sorted(path.name for path in (serial / "phases").iterdir())


@pytest.mark.slow
def test_a_lost_worker_and_a_lost_node_change_nothing(serial, tmp_path):
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    nodes = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    second = nodes.add_node(num_cpus=1)
    run = Run(*STUDY, f"--config.ray.address={nodes.address}", f"--workdir={tmp_path}")
    try:
        _until(run, lambda: _done(tmp_path) >= 1)
        _until(run, _kill_a_worker)
        _until(run, lambda: _done(tmp_path) >= 4)
        nodes.remove_node(second, allow_graceful=False)
        assert _done(tmp_path) < len(read_status(tmp_path)["jobs"])
        status, output = run.end()
        assert status == 0, output[-3000:]
    finally:
        run.process.kill()
        ray.shutdown()
        nodes.shutdown()
    assert rows(tmp_path) == rows(serial)
    assert {job["state"] for job in read_status(tmp_path)["jobs"]} == {"done"}
    assert time_left(read_status(tmp_path)).share == 0


def test_without_ray_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match="Ray is not installed") as error:
        ray_cluster._connected(RayConfig(address="auto"))
    assert "pip install 'xt_jax[ray]'" in error.value.remedy


@pytest.mark.parametrize("resources", ["TPU", "{'TPU': 'four'}", "[4]", "{"])
def test_resources_that_are_none(resources):
    with pytest.raises(ConfigError) as error:
        ray_cluster._options(RayConfig(resources=resources))
    assert error.value.where == "--config.ray.resources"


def _done(workdir: Path) -> int:
    if not (workdir / "status.json").exists():
        return 0
    return sum(job["state"] == "done" for job in read_status(workdir)["jobs"])


def _kill_a_worker() -> bool:
    """Kills a process that runs a job (SIGKILL); returns False where none does."""
    for folder in Path("/proc").iterdir():
        try:
            title = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if folder.name.isdigit() and title.startswith(b"ray::mini"):
            os.kill(int(folder.name), signal.SIGKILL)
            return True
    return False


def _until(run: Run, moment: Callable[[], bool]) -> None:
    while not moment():
        assert run.process.is_alive(), run.output[-3000:]
        time.sleep(0.01)
