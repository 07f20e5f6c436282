"""Hugging Face folders: where weights are read from, in which order, and how they are saved."""

from __future__ import annotations

import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from encoders import new_encoder, small_config
from flax import nnx
from safetensors.numpy import load_file, save_file
from test_hf import assert_equal_params
from test_model import highest_precision, write_folder  # noqa: F401

from xt_jax import model as xm
from xt_jax.errors import DataError, UserError, WeightsError
from xt_jax.model import hf_files


def test_shards(tmp_path):
    write_folder(tmp_path / "whole", "xlm-roberta")
    write_folder(tmp_path / "m", "xlm-roberta")
    weights = load_file(tmp_path / "m/model.safetensors")
    (tmp_path / "m/model.safetensors").unlink()
    weight_map = {}
    for i in range(3):
        names = sorted(weights)[i::3]
        file = f"model-0000{i + 1}-of-00003.safetensors"
        save_file({name: weights[name] for name in names}, tmp_path / "m" / file)
        weight_map |= dict.fromkeys(names, file)
    index = tmp_path / "m/model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    assert_equal_params(xm.load(tmp_path / "m"), xm.load(tmp_path / "whole"))

    save_file(weights, tmp_path / "m/model-00003-of-00003.safetensors")
    with pytest.raises(WeightsError, match="also in another shard"):
        xm.load(tmp_path / "m")
    (tmp_path / "m/model-00003-of-00003.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"not there: model-00003-of-00003\.safetensors"):
        xm.load(tmp_path / "m")


@pytest.mark.parametrize(
    "weight_map",
    [None, [], {}, {"a": 3}, {"a": ["b"]}, {"a": "../b.bin"}, {"a": "x\0.bin"}, {"a": "b" * 9999}],
)
def test_an_index_that_cannot_be(tmp_path, weight_map):
    write_folder(tmp_path / "m", "xlm-roberta")
    (tmp_path / "m/model.safetensors").unlink()
    index = tmp_path / "m/model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(WeightsError, match="weight_map names") as error:
        xm.check(tmp_path / "m")
    assert error.value.where == str(index)
    assert len(str(error.value)) < 1000


def test_folders_in_the_place_of_files(tmp_path):
    write_folder(tmp_path / "m", "xlm-roberta")
    for name in ("model.safetensors", "config.json"):
        (tmp_path / "m" / name).unlink()
        (tmp_path / "m" / name).mkdir()
        with pytest.raises(UserError, match="cannot be opened") as error:
            xm.load(tmp_path / "m")
        assert error.value.where == str(tmp_path / "m" / name)


def test_unreadable_folders(tmp_path):
    write_folder(tmp_path / "m", "xlm-roberta")
    weights = tmp_path / "m/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="not readable as safetensors"):
        xm.load(tmp_path / "m")
    weights.unlink()
    with pytest.raises(WeightsError, match=r"neither model\.safetensors nor"):
        xm.load(tmp_path / "m")
    (tmp_path / "m/config.json").write_text("{")
    with pytest.raises(DataError, match=r"broken JSON: .*\n.*config\.json:1:2"):
        xm.load(tmp_path / "m")
    (tmp_path / "m/config.json").unlink()
    with pytest.raises(WeightsError, match=r"there is no config\.json"):
        xm.load(tmp_path / "m")
    with pytest.raises(WeightsError, match="there is no such folder"):
        xm.load(tmp_path / "absent")


def test_what_cannot_be_reached(tmp_path, monkeypatch):
    from huggingface_hub import constants

    write_folder(tmp_path / "m", "xlm-roberta")
    (tmp_path / "m/model.safetensors").unlink()
    (tmp_path / "m/pytorch_model.bin").write_bytes(b"PK\3\4")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(WeightsError, match="only be read with torch"):
        xm.load(tmp_path / "m")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match="pass a local folder"):
        xm.load("owner-of-nothing/model-of-nothing")


def test_hub_id_fetches_config_and_safetensors_only(tmp_path, monkeypatch):
    import huggingface_hub

    write_folder(tmp_path / "m", "xlm-roberta")
    asked = []

    def snapshot(hub_id, allow_patterns):
        asked.append((hub_id, allow_patterns))
        return str(tmp_path / "m")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    encoder = xm.load("owner/model")
    assert_equal_params(encoder, xm.load(tmp_path / "m"))
    assert [hub_id for hub_id, _ in asked] == ["owner/model"]
    assert not [pattern for pattern in asked[0][1] if "bin" in pattern]


@pytest.fixture
def full_disk(monkeypatch):
    """Call it to try a save to a disk without room."""

    def save(encoder, folder):
        def fail(*_):
            raise OSError("disk full")

        with monkeypatch.context() as patch:
            patch.setattr("xt_jax.model.hf.write_safetensors", fail)
            with pytest.raises(OSError, match="disk full"):
                xm.save(encoder, folder)

    return save


@pytest.mark.parametrize("killed", [False, True])
def test_save_replaces_a_folder_or_leaves_it(tmp_path, full_disk, killed):
    """`killed`: an earlier save between its two renames; the old folder comes back first."""
    first, second = (new_encoder(small_config(), seed) for seed in (0, 1))
    xm.save(first, tmp_path / (".m.old" if killed else "m"))
    if killed:
        xm.save(second, tmp_path / ".m.tmp")
    full_disk(second, tmp_path / "m")
    assert_equal_params(xm.load(tmp_path / "m"), first)
    if killed:
        xm.save(second, tmp_path / ".m.old")
    xm.save(second, tmp_path / "m")
    assert_equal_params(xm.load(tmp_path / "m"), second)
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_save_from_sharded_parameters(tmp_path):
    encoder = new_encoder(small_config())
    mesh = jax.make_mesh((len(jax.devices()),), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.NamedSharding(mesh, jax.P(None, None, "data"))
    sharded = jax.tree.map(
        lambda a: jax.device_put(a, spec) if a.ndim == 3 else a, nnx.state(encoder)
    )
    xm.save(nnx.merge(nnx.graphdef(encoder), sharded), tmp_path / "m")
    assert_equal_params(xm.load(tmp_path / "m"), encoder)


def test_parameters_are_built_one_after_the_other(tmp_path):
    """No tensor is read before the parameter in front of it has been placed."""
    write_folder(tmp_path / "m", "xlm-roberta")
    events = []
    original = hf_files._open_safe

    def watched(path, stack):
        def watch(name, tensor):
            def read():
                events.append(("read", name))
                return tensor.read()

            return tensor._replace(read=read)

        return {name: watch(name, tensor) for name, tensor in original(path, stack).items()}

    placed = {}

    def put(path, array):
        assert type(array) is np.ndarray
        events.append(("put", path))
        placed[path] = jnp.asarray(array)
        return placed[path]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hf_files, "_open_safe", watched)
        encoder = xm.load(tmp_path / "m", put=put)
    leaves = jax.tree_util.tree_leaves_with_path(nnx.state(encoder))
    assert len(leaves) == len(placed)
    assert all(leaf is placed[xm.param_path(path)] for path, leaf in leaves)
    reads = 0
    for what, _ in events:
        reads = reads + 1 if what == "read" else 0
        assert reads <= 2  # the number of layers
    assert sum(what == "put" for what, _ in events) == 21


def test_written_header_is_aligned(tmp_path):
    xm.save(new_encoder(small_config()), tmp_path / "m")
    content = (tmp_path / "m/model.safetensors").read_bytes()
    header = int.from_bytes(content[:8], "little")
    assert header % 8 == 0
    offsets = json.loads(content[8 : 8 + header])
    assert offsets.pop("__metadata__") == {"format": "pt"}
    assert max(v["data_offsets"][1] for v in offsets.values()) == len(content) - 8 - header


def test_fingerprint_follows_the_contents(tmp_path):
    write_folder(tmp_path / "a", "xlm-roberta")
    write_folder(tmp_path / "b", "xlm-roberta")
    first = xm.weights_fingerprint(tmp_path / "a")
    assert len(first) == 64
    assert first == xm.weights_fingerprint(tmp_path / "b")
    (tmp_path / "b/README.md").write_text("other")
    assert first == xm.weights_fingerprint(tmp_path / "b")
    weights = bytearray((tmp_path / "b/model.safetensors").read_bytes())
    weights[-1] ^= 1
    (tmp_path / "b/model.safetensors").write_bytes(bytes(weights))
    second = xm.weights_fingerprint(tmp_path / "b")
    (tmp_path / "b/config.json").write_text((tmp_path / "b/config.json").read_text() + " ")
    assert len({first, second, xm.weights_fingerprint(tmp_path / "b")}) == 3


def test_import_brings_neither_torch_nor_tensorflow():
    code = "import sys, xt_jax.model; print(sorted({'torch', 'tensorflow'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
