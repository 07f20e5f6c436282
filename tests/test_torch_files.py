"""`pytorch_model.bin`: state dicts of every kind are loaded, anything else is named."""

from __future__ import annotations

import collections
import shutil
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file
from test_hf import assert_equal_params
from test_model import write_folder

from xt_jax import model as xm
from xt_jax.errors import WeightsError

torch = pytest.importorskip("torch")


@pytest.fixture
def folder(tmp_path):
    """A model folder whose weights are `tensors`, to be written as a torch file."""
    write_folder(tmp_path / "safe", "xlm-roberta")
    (tmp_path / "m").mkdir()
    shutil.copy(tmp_path / "safe/config.json", tmp_path / "m")
    return tmp_path / "m"


@pytest.fixture
def tensors(folder):
    arrays = load_file(folder.parent / "safe/model.safetensors")
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def first_as_parameter(tensors):
    return {name: torch.nn.Parameter(value) for name, value in tensors.items()}


def in_order(tensors):
    return collections.OrderedDict(tensors)


def transposed_in_memory(tensors):
    return {n: v.T.contiguous().T if v.ndim == 2 else v for n, v in tensors.items()}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("form", [dict, in_order, first_as_parameter, transposed_in_memory])
def test_state_dicts_are_loaded(folder, tensors, form, zipped):
    file = folder / "pytorch_model.bin"
    torch.save(form(tensors), file, _use_new_zipfile_serialization=zipped)
    assert_equal_params(xm.load(folder), xm.load(folder.parent / "safe"))


def test_half_precision_becomes_float32(folder, tensors):
    rounded = {name: value.to(torch.bfloat16) for name, value in tensors.items()}
    torch.save(rounded, folder / "pytorch_model.bin")
    word = xm.load(folder).embeddings.word.embedding[...]
    expected = rounded["embeddings.word_embeddings.weight"].float().numpy()
    np.testing.assert_array_equal(word, expected)


def test_the_published_faults(shared):
    for kind in ("legacy", "param"):
        encoder = xm.load(shared / "faults/torch_bin" / kind)
        assert np.isfinite(encoder.embeddings.word.embedding[...]).all()


class Pickled:
    pass


@pytest.mark.parametrize(
    ("wrap", "message"),
    [
        (lambda t: {"state_dict": t, "step": 3}, "a checkpoint of training, .* part 'state_dict'"),
        (lambda t: {"model": t, "optimizer": {"lr": 1.0}}, "a checkpoint of training, .* 'model'"),
        (lambda t: list(t.values()), "holds a list, not tensors"),
        (lambda t: next(iter(t.values())), "holds a Tensor, not tensors"),
        (lambda t: t | {"step": 3}, "under 'step' holds a int"),
        (lambda t: dict(enumerate(t.values())), "under 0 holds a Tensor"),
        (lambda t: {}, "holds an empty dict"),
        (lambda t: Pickled(), "holds a pickled test_torch_files.Pickled"),
        (lambda t: {name: value.numpy() for name, value in t.items()}, "holds a pickled numpy"),
        (lambda t: {n: v.to_sparse() for n, v in t.items()}, "wrong type: .* torch.sparse_coo"),
        (lambda t: {n: v.to("meta") for n, v in t.items()}, "wrong type: .* meta"),
    ],
)
def test_what_is_no_state_dict_is_named(folder, tensors, wrap, message):
    torch.save(wrap(tensors), folder / "pytorch_model.bin")
    with pytest.raises(WeightsError, match=message) as error:
        xm.load(folder)
    assert str(folder) in error.value.where
    assert error.value.remedy


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 1112\n"


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LFS, "a git-LFS pointer"),
        (b"\n<!DOCTYPE html>\n<html><body>404</body></html>", "a page of HTML"),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "an HDF5 file"),
        (b"", "an empty file"),
        (bytes(4096), "only zero bytes"),
    ],
)
def test_other_files_in_its_place_are_named_without_torch(
    folder, monkeypatch, name, content, message
):
    monkeypatch.setitem(sys.modules, "torch", None)
    (folder / name).write_bytes(content)
    with pytest.raises(WeightsError, match=message) as error:
        xm.load(folder)
    assert error.value.where.endswith(name)


def test_files_under_each_others_name(folder, tensors):
    torch.save(tensors, folder / "model.safetensors")
    with pytest.raises(WeightsError, match=r"torch\.save, which belongs in pytorch_model\.bin"):
        xm.load(folder)
    (folder / "model.safetensors").unlink()
    shutil.copy(folder.parent / "safe/model.safetensors", folder / "pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"belongs in model\.safetensors"):
        xm.load(folder)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_is_cut_off(folder, tensors, zipped):
    file = folder / "pytorch_model.bin"
    torch.save(tensors, file, _use_new_zipfile_serialization=zipped)
    file.write_bytes(file.read_bytes()[:-5000])
    with pytest.raises(WeightsError, match="torch cannot read it"):
        xm.load(folder)
    file.unlink()
    file.mkdir()
    with pytest.raises(WeightsError, match="cannot be opened"):
        xm.load(folder)
