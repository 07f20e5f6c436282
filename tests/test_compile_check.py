"""The check of TPU slices: a small compile for real, verdicts and the sweep."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import pytest
from conftest import ROOT
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from tpu_compiler import compile_for_tpu

from configs import mnli_to_xtreme
from tpu import compile_check, hlo, slices
from tpu.compile_check import Figures
from tpu.largest import largest
from tpu.programs import Program, programs
from xt_jax.errors import ConfigError
from xt_jax.model.sharding import make_mesh

SMALL = (
    "--config=configs/mnli_to_xtreme.py:size=small",
    "--config.train.sharding=fsdp",
    "--topology=v5e-4",
    "--only=train mnli",
)


def check(tmp_path: Path, *arguments: str) -> tuple[subprocess.CompletedProcess, dict]:
    """Runs the command and returns its output; skips where there is no libtpu."""
    if importlib.util.find_spec("libtpu") is None:
        pytest.skip("needs libtpu (pip install 'xt_jax[tpu]'), no TPU")
    path = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, "tpu/compile_check.py", f"--json={path}", *SMALL, *arguments],
        cwd=ROOT,
        env={**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "0"},
        capture_output=True,
        text=True,
    )
    return done, json.loads(path.read_text()) if path.exists() else {}


@pytest.mark.slow
def test_a_small_study_compiles_for_a_slice(tmp_path):
    done, found = check(tmp_path, "--only=embed tatoeba")
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
        time = each["time"]
        assert 0 < time["peak"] < time["step"]
        assert {"products", "attention"} <= set(time["ms"])
    assert train["examples"] == 32
    assert train["time"]["ms"]["optimizer"] > 0
    assert train["time"]["links"]
    assert set(train["collectives"]) & {"all-gather", "reduce-scatter", "all-reduce"}
    assert "fits" in done.stdout
    assert "estimated, not measured" in done.stdout


@pytest.mark.slow
def test_what_does_not_fit_is_said_and_the_exit_status_is_1(tmp_path):
    done, found = check(tmp_path, "--config.intermediate.batch_size=60000")
    assert done.returncode == 1
    assert "DOES NOT FIT" in done.stdout
    assert not found["programs"][0]["fits"]


CHIP = slices.CHIPS["v5e"]
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
    with pytest.raises(ConfigError, match="fit on no slice of"):
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
    assert len(tried) == len(set(tried)) <= 6
    assert found.tokens <= most
    assert found.tokens >= 0.95 * most - 1024 or (gives_up == 1 and found.tokens > most / 2)


def passing(*shapes: tuple[int, ...], kind: str = "all-gather", source: str = "dot") -> hlo.Counts:
    return hlo.Counts(passed={hlo.Passed(kind, hlo.Shape("bf16", dims), source) for dims in shapes})


def program_of(*params: tuple[int, ...], data: int = 8, model: int = 1) -> Program:
    mesh = SimpleNamespace(shape={"data": data, "model": model})
    return Program("train", "8 x 512", 4096, 32.0, None, list(params), mesh, 64, True)


LARGE = ((24, 1024, 1024), (24, 1024, 4096), (24, 4096, 1024), (9000, 1024), (24, 4096))


def test_a_parameter_is_passed_on_whole_by_layer_by_head_and_in_parts():
    counts = passing((1, 1024, 4096), (16, 64, 1024), (128, 4096), (24, 1024, 1024))
    assert compile_check._moved(counts, program_of(*LARGE)) == []
    seeds = [(3, *shape) for shape in LARGE]
    assert compile_check._moved(passing((3, 1024, 4096)), program_of(*seeds)) == []


def test_activations_of_as_many_elements_as_a_parameter_are_a_fault():
    """8 x 512 x 1024 and 16 x 256 x 1024 are 4096 x 1024, the size of a layer's kernel."""
    for dims in ((8, 512, 1024), (16, 256, 1024), (8, 128, 4096)):
        for kind in hlo.COLLECTIVES:
            moved = compile_check._moved(passing(dims, kind=kind), program_of(*LARGE))
            assert moved == [f"{kind} bf16{list(dims)} of dot"]
            assert not FIT._replace(moved=moved).is_good
    assert not FIT._replace(float32={"dot": 0.2}).is_good
    assert FIT.is_good


def test_word_vectors_are_looked_up_in_parts_and_a_model_axis_sums_activations():
    looked_up = passing((8, 512, 1024), kind="all-to-all", source="jvp(jit(_take))/gather")
    assert compile_check._moved(looked_up, program_of(*LARGE)) == []
    summed = passing((8, 512, 1024), kind="all-reduce")
    assert compile_check._moved(summed, program_of(*LARGE, data=4, model=2)) == []
    gathered = passing((8, 512, 1024))
    assert compile_check._moved(gathered, program_of(*LARGE, data=4, model=2))


def test_activations_that_a_compiler_moves_are_found():
    """Rows cut over the devices times a kernel that is not, with whole rows wanted."""
    mesh = make_mesh(devices=jax.devices()[:4])
    rows = NamedSharding(mesh, P("data"))
    x = jax.ShapeDtypeStruct((8, 128, 256), "float32", sharding=rows)
    kernel = jax.ShapeDtypeStruct((256, 512), "float32", sharding=NamedSharding(mesh, P()))
    program = program_of((256, 512), data=4)._replace(bf16=False, mesh=mesh)
    for out, moved in ((rows, []), (NamedSharding(mesh, P()), ["all-gather f32[8, 128, 512]"])):
        lowered = jax.jit(lambda x, k: x @ k, out_shardings=out).lower(x, kernel)
        found = compile_check.check(program._replace(lower=lambda each=lowered: each), CHIP)
        assert [each.partition(" of ")[0] for each in found.moved] == moved


@pytest.mark.slow
def test_every_model_of_a_page_and_as_many_seeds_as_are_one_program():
    config = mnli_to_xtreme.get_config("size=base")
    config.models, config.seeds = ("large", "base"), 5
    config.targets = ("panx",)
    config.intermediates = ("direct", "mnli+squad")
    found = list(programs(config, make_mesh(devices=jax.devices()[:4]), 32 * compile_check.GIB))
    names = ["train mnli", "train squad", "train panx", "predict panx"]
    assert [each.name for each in found] == [
        f"{name}, {model}" for model in config.models for name in names
    ]
    seeds = [each.shape.partition("tokens")[2] for each in found]
    assert seeds == ["", "", "", "", "", "", ", 2 seeds", ""]  # mixtures and large go one by one
    config.train.parallel_seeds = 3
    found = list(programs(config, make_mesh(devices=jax.devices()[:4]), 32 * compile_check.GIB))
    assert [each.shape.endswith("3 seeds") for each in found] == 2 * [False, False, True, False]


@pytest.mark.slow
def test_the_step_of_several_seeds_is_the_one_that_runs():
    """On one device of several it computes what that of one seed does, for each seed."""
    config = mnli_to_xtreme.get_config("size=tiny")
    config.seeds, config.targets = 3, ("panx",)
    mesh = make_mesh(devices=jax.devices()[:2])
    flops = []
    for seeds in (1, 3):
        config.train.parallel_seeds = seeds
        step = next(each for each in programs(config, mesh, 0) if each.name == "train mnli")
        flops.append(hlo.count(step.lower().compile().as_text()).flops)
    assert flops[1] == 3 * flops[0]


@pytest.mark.slow
def test_seeds_side_by_side_pass_nothing_from_chip_to_chip():
    """Compiles a step of MiniLM-L6 for eight seeds on a v5e-8: it holds no collective."""
    program = """
        from configs import mnli_to_xtreme
        from tpu.programs import programs
        from tpu import hlo, slices
        from xt_jax.model.sharding import make_mesh
        config = mnli_to_xtreme.get_config("size=minilm-l6")
        config.seeds, config.targets, config.train.member_chips = 5, ("panx",), 1
        mesh = make_mesh(devices=slices.devices_of("v5e-8"))
        step = next(each for each in programs(config, mesh, 0) if each.name == "train mnli")
        counts = hlo.count(step.lower().compile().as_text())
        print(step.shape.rpartition(", ")[2], counts.flops > 0, len(counts.collectives))
    """
    assert compile_for_tpu(program).split() == ["8", "seeds", "True", "0"]


def test_slices_by_both_names():
    assert slices.topology_of("v5e-8") == slices.topology_of("v5e:2x4") == "v5e:2x4"
    assert slices.chip_of("v4-32").hbm == 32
    with pytest.raises(ConfigError, match="no slice `v9-8`"):
        slices.topology_of("v9-8")
    with pytest.raises(ConfigError, match="no slice `v5e:2by4`"):
        slices.topology_of("v5e:2by4")


@pytest.mark.slow
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
