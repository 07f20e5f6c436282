"""The benchmarks end to end at tiny sizes, and the quantities that they count."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import readers

from xt_jax.mini import formats as mini_formats

pytestmark = pytest.mark.slow


@pytest.fixture
def benchmarks(repository, monkeypatch):
    """The folder of the scripts, whose modules can be imported by their names."""
    monkeypatch.syspath_prepend(str(repository / "benchmarks"))
    return repository / "benchmarks"


@pytest.fixture
def run(benchmarks, repository):
    """Runs a script; returns its last line as JSON."""

    def run(script: str, *flags: str) -> dict:
        path = os.pathsep.join([str(repository), os.environ.get("PYTHONPATH", "")])
        done = subprocess.run(
            [sys.executable, str(benchmarks / script), *flags],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": path, "JAX_PLATFORMS": "cpu"},
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    return run


@pytest.fixture
def inputs(world, tmp_path, mini_tokenizer_folder):
    """(an MNLI file, a folder of XNLI in two languages, the tokenizer), all of the mini world."""
    rows = readers.mnli(world / "mnli" / "train.tsv")[:80]
    for start, language in enumerate(("en", "de")):
        mini_formats.write_xtreme_pairs(
            tmp_path / f"dev-{language}.tsv", rows[40 * start : 40 * start + 40]
        )
    return str(world / "mnli" / "train.tsv"), str(tmp_path), str(mini_tokenizer_folder)


@pytest.fixture
def needs_torch():
    if importlib.util.find_spec("torch") is None:
        pytest.skip("the other side of the benchmarks is PyTorch (extra `bench`)")


def small_finetune(inputs) -> list[str]:
    mnli, _, tokenizer = inputs
    sizes = "--size=tiny --layers=1 --batch_size=8 --max_examples=64 --steps=1"
    return [f"--mnli={mnli}", f"--tokenizer={tokenizer}", *sizes.split()]


@pytest.mark.parity
def test_finetune_trains_both_sides_from_the_same_loss(run, inputs, needs_torch):
    flags = ("--repeats=2", "--breakdown", "--threads=1", "--peers=plain,grouped")
    result = run("finetune.py", *small_finetune(inputs), *flags)
    assert result["equal_losses"]
    assert set(result["peers"]) == {"plain", "grouped"}
    assert result["ratio"] == result["peers"]["plain"]["ratio"]
    for side in (result["ours"], *result["peers"].values(), *result["variants"].values()):
        assert side["examples_per_second"] > 0
        assert side["tokens_per_second"] >= side["real_tokens_per_second"] > 0
        assert side["peak_gib"] > 0.05
        assert 0 < side["mfu"] < 5
        assert 0 <= side["wait_share"] < 1
    for peer in result["peers"].values():
        assert peer["loss_difference"] <= 1e-4
        assert peer["ratio_least"] <= peer["ratio"] <= peer["ratio_greatest"]
    assert np.prod([result["breakdown"][n] for n in ("folding", "packing", "compiler")]) > 0
    assert result["variants"]["no folding, no packing"]["fill"] < result["ours"]["fill"]
    assert result["ours"]["examples_per_step"] == 8
    assert result["ours"]["words_trained"] < result["ours"]["words"]
    assert set(result["variants"]) == {"no folding", "no folding, no packing"}


def test_finetune_says_where_the_time_goes(run, inputs, tmp_path):
    flags = ("--repeats=1", "--peers=none", f"--profile={tmp_path / 'trace'}")
    result = run("finetune.py", *small_finetune(inputs), *flags)
    assert result["peers"] == {}
    assert result["ratio"] is None
    parts = result["profile_seconds"]
    assert {"other products", "attention products", "optimizer and clipping"} <= set(parts)
    assert all(seconds > 0 for seconds in parts.values())


@pytest.mark.parity
def test_evaluate_gives_the_labels_of_transformers(run, inputs, needs_torch):
    _, xnli, tokenizer = inputs
    flags = ("--size=tiny", "--repeats=2", "--peer_batches=4,16", "--threads=1")
    result = run("evaluate.py", f"--xnli_dir={xnli}", f"--tokenizer={tokenizer}", *flags)
    assert result["equal_labels"] >= 0.999
    assert result["languages"] == ["de", "en"]
    assert result["examples"] == 80
    for side in (result["ours"], *result["peers"].values()):
        assert side["examples_per_second"] > 0
    assert {peer["batch_size"] for peer in result["peers"].values()} <= {4, 16}
    assert result["ratio"] > 0


def test_scaling_counts_what_devices_compute_and_send(run, tmp_path):
    flags = "--base=512,2,64 --tokens=512,1024 --layers= --hidden= --devices=1,2 --steps=1"
    result = run("scaling.py", f"--output={tmp_path}", *flags.split())
    one, two = result["points"]["devices"]
    assert one["collective_bytes"] == 0
    # The gradient of every parameter, in float32: the embeddings and two layers of width 64.
    assert two["collective_bytes"] > 4 * 8192 * 64
    share = two["compiled_flops_per_device"] / one["compiled_flops_per_device"]
    assert 0.45 < share < 0.6
    few, many = result["points"]["tokens"]
    assert many["flops"] == 2 * few["flops"]
    assert {path.name for path in tmp_path.glob("*.png")} == {"devices.png", "tokens.png"}


def test_precision_trains_both_from_the_same_start(run, tmp_path):
    path = tmp_path / "precision.png"
    flags = "--size=mini-48 --steps=2 --seeds=2 --window=1"
    result = run("precision.py", *flags.split(), f"--output={path}")
    assert 1.05 < result["final_float32"] < 1.15  # log 3: nothing is learnt in two steps
    assert 0 < abs(result["final_difference"]) < 0.01
    assert result["final_noise"] > 0
    assert path.exists()


def test_prepare_gives_the_same_features_from_its_cache(run, inputs):
    mnli, _, tokenizer = inputs
    result = run("prepare.py", f"--mnli={mnli}", f"--tokenizer={tokenizer}", "--examples=2000")
    for start in result.values():
        assert start["features_seconds"] > 0
        assert start["examples"] == 2000
    assert result["first"]["mean_tokens"] == result["second"]["mean_tokens"]


def test_the_order_turns_round_from_one_round_to_the_next(benchmarks):
    from duel import alternate

    order = []
    sides = {name: lambda name=name: order.append(name) or {"turn": len(order)} for name in "ab"}
    results = alternate(sides, 3)
    assert order == list("abbaab")
    assert [result["turn"] for result in results["a"]] == [1, 4, 5]
    assert [result["turn"] for result in results["b"]] == [2, 3, 6]


def test_the_ratio_is_the_median_over_rounds(benchmarks):
    from duel import median_ratio

    # Both sides are slowed in the second round: the ratio of the totals would be another.
    assert median_ratio([2.0, 0.2, 9.0], [1.0, 0.1, 3.0]) == (2.0, pytest.approx(2.0), 3.0)


def test_a_failure_of_the_other_process_is_raised_here(benchmarks, tmp_path):
    from duel import Worker, WorkerError

    script = tmp_path / "service.py"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(benchmarks)!r})\n"
        "import duel\n"
        "class Service:\n"
        "    def double(self, n):\n"
        "        print('on standard error')\n"
        "        return 2 * n\n"
        "    def fail(self):\n"
        "        raise ValueError('no such thing')\n"
        "    def leave(self):\n"
        "        raise SystemExit(3)\n"
        "duel.serve(Service())\n"
    )
    with Worker(script) as worker:
        assert worker.call("double", n=21) == 42
        with pytest.raises(WorkerError, match="no such thing"):
            worker.call("fail")
        assert worker.call("double", n=1) == 2
        with pytest.raises(WorkerError, match="ended during `leave`"):
            worker.call("leave")


def test_padding_is_counted_over_batches(benchmarks):
    from work import padded_slots

    assert padded_slots(np.array([4, 4, 4]), 2) == 1
    assert padded_slots(np.array([1, 5]), 2) == pytest.approx(10 / 6)
    assert padded_slots(np.array([1, 5]), 2, multiple=8) == pytest.approx(16 / 6)


def test_features_are_read_back_as_records(benchmarks, tmp_path):
    from work import Ragged

    tokens = {"input_ids": np.array([5, 6, 7, 8, 9])}
    Ragged(np.array([2, 3]), tokens, {"label": np.array([1, 0])}).save(str(tmp_path), "train")
    rows = Ragged.load(str(tmp_path), "train").rows()
    assert rows == [{"input_ids": [5, 6], "label": 1}, {"input_ids": [7, 8, 9], "label": 0}]


def test_collectives_are_counted_in_bytes(benchmarks):
    from steps import collective_bytes

    text = """
  %a = f32[10,4]{1,0} all-reduce(%x), to_apply=%add
  %b = (bf16[8]{0}, /*index=1*/f32[2]{0}) all-reduce(%x, %y), to_apply=%add
  %c = f32[100]{0} add(%x, %all-reduce.1)
"""
    assert collective_bytes(text) == 4 * 40 + 2 * 8 + 4 * 2


def test_time_is_put_down_to_the_parts_of_a_step(benchmarks):
    from profiles import by_part, parse

    text = """HloModule jit_step

%fused (p: f32[4]) -> f32[4] {
  %p = f32[4]{0} parameter(0)
  ROOT %e = f32[4]{0} erf(%p), metadata={op_name="jit(step)/jvp()/erf"}
}

%body (p: f32[4]) -> f32[4] {
  ROOT %dot.1 = f32[4]{0} dot(%p, %p), metadata={op_name="jit(step)/jvp()/bqnh,bknh->bnqk/dot"}
}

ENTRY %main (x: f32[4]) -> f32[4] {
  %x = f32[4]{0} parameter(0)
  %w = f32[4]{0} while(%x), condition=%cond, body=%body
  %gelu = f32[4]{0} fusion(%w), kind=kLoop, calls=%fused
  ROOT %add.7 = f32[4]{0} add(%gelu, %x), metadata={op_name="jit(step)/add"}
}
"""
    events = {"w": 9.0, "dot.1": 8.0, "gelu": 2.0, "add.7": 1.0, "something else": 5.0}
    assert by_part(events, parse(text), steps=2) == {
        "attention products": 4.0,  # the loop round it is not counted again
        "GELU": 1.0,
        "optimizer and clipping": 0.5,
    }
