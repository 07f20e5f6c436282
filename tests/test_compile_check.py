"""The check of TPU slices: a small compile for real, verdicts, the sweep, the scripts beside it."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from tpu_compiler import compile_for_tpu

from tpu import compile_check, hlo, slices
from tpu.compile_check import Figures
from tpu.largest import largest
from xt_jax.errors import ConfigError


def check(tmp_path: Path, *arguments: str) -> tuple[subprocess.CompletedProcess, dict]:
    """The command, and what it wrote; skips where there is no libtpu."""
    if importlib.util.find_spec("libtpu") is None:
        pytest.skip("needs libtpu (pip install 'xt_jax[tpu]'), no TPU")
    path = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, "tpu/compile_check.py", f"--json={path}", *arguments],
        cwd=ROOT,
        env={**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "0"},
        capture_output=True,
        text=True,
    )
    return done, json.loads(path.read_text()) if path.exists() else {}


def test_a_small_study_compiles_for_a_slice(tmp_path):
    done, found = check(
        tmp_path,
        "--config=configs/mnli_to_xtreme.py:size=small",
        "--config.train.sharding=fsdp",
        "--topology=v5e-4",
        "--only=train mnli",
        "--only=embed tatoeba",
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    train, embed = found["programs"]
    assert (train["name"], embed["name"]) == ("train mnli", "embed tatoeba")
    assert found["mesh"] == {"data": 4, "model": 1}
    for each in (train, embed):
        assert each["fits"]
        assert 0 < each["hbm"] < 4
        assert each["tflop"] > 0
        assert not each["moved"]
        assert not each["float32"]
    assert set(train["collectives"]) & {"all-gather", "reduce-scatter", "all-reduce"}
    assert "fits" in done.stdout


def test_what_does_not_fit_is_said_and_the_exit_status_is_1(tmp_path):
    done, found = check(
        tmp_path,
        "--config=configs/mnli_to_xtreme.py:size=small",
        "--config.intermediate.batch_size=60000",
        "--topology=v5e-4",
        "--only=train mnli",
    )
    assert done.returncode == 1
    assert "DOES NOT FIT" in done.stdout
    assert not found["programs"][0]["fits"]


FIT = Figures("train", "8 x 128", 1024, True, 3.0, 1.0, {}, {}, [], 0)


def test_a_sweep_stops_at_the_first_slice_on_which_all_fits(monkeypatch, capsys):
    tried = []

    def check_slice(config, topology, only):
        tried.append(topology)
        return mesh, [FIT._replace(fits=len(tried) > 2)]

    mesh = type("Mesh", (), {"devices": type("D", (), {"size": 4}), "shape": {"data": 4}})
    monkeypatch.setattr(compile_check, "check_slice", check_slice)
    topology, _, _ = compile_check.sweep(None, "v5p", [])
    assert tried == ["v5p-8", "v5p-16", "v5p-32"]
    assert topology == "v5p-32"
    assert "DOES NOT FIT" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="fits none of"):
        compile_check.sweep(None, "v3", [])


@pytest.mark.parametrize("room", [2.3, 3.0, 9.5, 15.5, 94.5])
@pytest.mark.parametrize("gives_up", [1.0, 1.5, 100.0])
def test_the_largest_batch_is_found_in_a_few_compilations(room, gives_up):
    """Memory 2 GiB and a quarter MiB a token; the compiler gives up above some multiple of it."""
    tried = []

    def measure(tokens):
        tried.append(tokens)
        tokens = tokens // 1024 * 1024
        hbm = 2 + tokens / 4096
        hbm = hbm if hbm <= room * gives_up else float("nan")
        return FIT._replace(tokens=tokens, hbm=hbm, fits=hbm <= room)

    found = largest(measure, measure(1024), room)
    most = (room - 2) * 4096 // 1024 * 1024
    assert found.fits
    assert len(tried) <= 6
    assert found.tokens <= most
    assert found.tokens >= 0.95 * most - 1024 or (gives_up == 1 and found.tokens > most / 2)


def test_a_gather_of_anything_but_a_parameter_is_a_fault():
    counts = hlo.Counts(
        gathered={
            "a": hlo.Shape("bf16", (1, 512, 256)),  # a layer of a stacked kernel
            "b": hlo.Shape("f32", (8, 128, 256)),
            "c": hlo.Shape("s32", (8,)),
        }
    )
    moved = compile_check._moved(counts, [(12, 512, 256), (1000, 256)])
    assert moved == ["b f32[8, 128, 256]"]
    assert not FIT._replace(moved=moved).is_good
    assert not FIT._replace(float32={"dot": 0.2}).is_good
    assert FIT.is_good


def test_slices_by_both_names():
    assert slices.topology_of("v5e-8") == slices.topology_of("v5e:2x4") == "v5e:2x4"
    assert slices.chip_of("v4-32").hbm == 32
    with pytest.raises(ConfigError, match="no slice `v9-8`"):
        slices.topology_of("v9-8")
    with pytest.raises(ConfigError, match="no slice `v5e:2by4`"):
        slices.topology_of("v5e:2by4")


def test_a_slice_has_a_device_for_every_chip():
    program = """
        import sys
        from tpu.slices import devices_of
        print(*(len(devices_of(name)) for name in sys.argv[1:]))
    """
    counts = compile_for_tpu(
        program, "v5e-1", "v5e:2x1", "v5e-8", "v4-8", "v4-32", "v5p-8", "v6e-8"
    )
    assert counts.split() == ["1", "2", "8", "4", "16", "4", "8"]


COMMANDS = ("create", "wait", "setup", "run", "logs", "status", "stop", "keep", "delete")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_script_prints_what_it_would_do(command):
    done = subprocess.run(
        [
            *("tpu/slice.sh", command, "one", "--zone=us-west4-a", "--type=v5litepod-8", "--spot"),
            *("--workdir=gs://bucket/run", "--dry_run", "--", "--config=configs/quickstart.py"),
        ],
        cwd=ROOT,
        env={**os.environ, "XT_JAX_REPOSITORY": "https://example.org/xt_jax"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert all(line.startswith(("+ gcloud", " ")) for line in done.stdout.splitlines())
    assert "--zone=us-west4-a" in done.stdout or command == "wait"
    if command in ("run", "keep"):
        assert "--coordinator=auto" in done.stdout
        assert "quickstart" in done.stdout


def test_the_script_says_what_it_lacks():
    for arguments, missing in ((["create", "one"], "--zone"), (["fly", "one", "--zone=a"], "fly")):
        done = subprocess.run(
            ["tpu/slice.sh", *arguments], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 1
        assert missing in done.stderr


def test_the_script_is_clean():
    if shutil.which("shellcheck") is None:
        pytest.skip("needs shellcheck")
    done = subprocess.run(["shellcheck", "tpu/slice.sh"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
