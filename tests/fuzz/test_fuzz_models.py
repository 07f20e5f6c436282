"""Damages model and tokenizer folders at random: each loads, or one error names the place.

    XT_JAX_FUZZ=5000 XT_JAX_SEED=1 python -m pytest -s tests/fuzz/test_fuzz_models.py

Input i of a seed is always the same; XT_JAX_FUZZ_FIRST=i XT_JAX_FUZZ=1 repeats it alone.
"""

from __future__ import annotations

import dataclasses
import io
import json
import math
import os
import shutil
import struct
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from flax import nnx
from mutations import SEED, Outcomes, rounds
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from xt_jax import model as xm
from xt_jax.config import ModelConfig
from xt_jax.data.tokenize import load_tokenizer, subwords
from xt_jax.model.pretrained import open_pretrained

FIRST = int(os.environ.get("XT_JAX_FUZZ_FIRST", "0"))

Files = dict[str, bytes]

ODD: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 3, 0.5, 1.0, -1e-9, 1e308, math.nan, math.inf, -math.inf),
    *(1023, 300_000, 2**31, 2**32 + 1, 2**63, 10**30, 10**300),
    *("", " ", "2", "gelu", "bert", "<pad>", "\0", "\ud800", "é" * 3000, "../../etc/passwd"),
    *([], [0], [[]], ["a"] * 50, {}, {"a": 1}, {"type": "BPE"}, [None], {"0": None}),
]
OTHERS = (
    b"",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
    b"<!DOCTYPE html>\n<html></html>\n",
    bytes(3000),
    b"[" * 100_000,
    b'{"a": ' + b"1" * 5000 + b"}",
    b"\xff\xfe{\0}\0",
    b"null",
    b'{"model_type": "bert"}',
)


def odd(rng: np.random.Generator) -> Any:
    return ODD[rng.integers(len(ODD))]


def some(rng: np.random.Generator, items: Any) -> Any:
    items = list(items)
    return items[rng.integers(len(items))]


def damaged_tree(rng: np.random.Generator, tree: Any) -> Any:
    """Replaces, deletes, renames or swaps one value somewhere in a JSON tree."""
    if not isinstance(tree, dict | list) or not tree or rng.random() < 0.05:
        return odd(rng)
    keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
    key, tree = some(rng, keys), tree.copy()
    kind = rng.random()
    if isinstance(tree[key], dict | list) and tree[key] and kind < 0.6:
        tree[key] = damaged_tree(rng, tree[key])
    elif kind < 0.8:
        tree[key] = odd(rng)
    elif kind < 0.9:
        del tree[key]
    elif isinstance(tree, dict):
        tree[some(rng, [*keys, "new", key + "x"])] = tree[key]
    else:
        tree.insert(key, tree[some(rng, keys)])
    return tree


def damaged_bytes(rng: np.random.Generator, data: bytes) -> bytes:
    """Flips, cuts, inserts, repeats or blanks bytes, most often near the beginning."""
    if not data:
        return b"\0"
    end = len(data) if rng.random() < 0.5 else min(len(data), 300)
    at, size = int(rng.integers(end)), int(rng.integers(1, 65))
    kind = rng.integers(6)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + rng.bytes(size) + data[at:]
    if kind == 2:
        return data[:at] + data[at + size :]
    if kind == 3:
        return data[:at] + data[at : at + size] * 2 + data[at + size :]
    if kind == 4:
        return data[:at] + bytes(size) + data[at + size :]
    flipped = bytearray(data)
    for place in rng.integers(end, size=rng.integers(1, 9)):
        flipped[place] ^= 1 << int(rng.integers(8))
    return bytes(flipped)


def damaged_header(rng: np.random.Generator, data: bytes) -> bytes:
    """Changes the JSON header of safetensors, or the length that it is said to have."""
    size = int.from_bytes(data[:8], "little")
    if rng.random() < 0.3:
        said = some(rng, [0, 1, size - 1, size + 1, len(data), 2**31, 2**40, 2**63])
        return struct.pack("<Q", said) + data[8:]
    header = damaged_tree(rng, json.loads(data[8 : 8 + size]))
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + size :]


def other_tensors(rng: np.random.Generator, data: bytes) -> bytes:
    """Gives a tensor another type, shape, name or numbers, or removes it."""
    tensors = load_safetensors(data)
    name = some(rng, tensors)
    kind = rng.integers(5)
    if kind == 0:
        types = ["<f2", "<f8", "<i8", "u1", "?"]
        tensors[name] = tensors[name].astype(some(rng, types))
    elif kind == 1:
        tensors[name] = tensors[name].reshape(-1)
    elif kind == 2:
        tensors[some(rng, tensors) + some(rng, ["x", ".weight", ""])] = tensors.pop(name)
    elif kind == 3:
        tensors[name] = np.full_like(tensors[name], some(rng, [np.nan, np.inf, 0]))
    else:
        del tensors[name]
    return save_safetensors(tensors)


def damaged(rng: np.random.Generator, files: Files) -> Files:
    """Damages one file or two of a folder."""
    files = dict(files)
    for _ in range(1 + (rng.random() < 0.2)):
        name = some(rng, [*files, *(n for n in files if n.endswith(".json"))])
        data, kind = files[name], rng.random()
        if kind < 0.05:
            del files[name]
            if not files:
                return files
        elif kind < 0.12:
            files[name] = some(rng, [*OTHERS, *files.values()])
        elif kind < 0.3:
            files[name] = damaged_bytes(rng, data)
        else:
            try:
                if name.endswith(".json"):
                    tree = damaged_tree(rng, json.loads(data))
                    files[name] = json.dumps(tree).encode("utf-8", "surrogatepass")
                elif name.endswith(".safetensors"):
                    damage = some(rng, [damaged_header, other_tensors])
                    files[name] = damage(rng, data)
                else:
                    files[name] = damaged_bytes(rng, data)
            except Exception:  # it was damaged before
                files[name] = damaged_bytes(rng, data)
    return files


def write(folder: Path, files: Files) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)


def read(folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


HEADS = ("classifier", "tags", "mlm")  # the kinds of folders with a head
WORDS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *"▁abcdefghij", "▁the", "▁bread", "▁an"]


def unigram_files(folder: Path) -> Files:
    """The tokenizer of XLM-R's kind."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    pieces = [(word, -float(i)) for i, word in enumerate(WORDS)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    names = ("bos", "pad", "eos", "unk", "mask")
    special = {f"{name}_token": token for name, token in zip(names, WORDS[:5], strict=True)}
    write(folder, {})
    inputs = ["input_ids", "attention_mask"]
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_input_names=inputs, **special)
    fast.save_pretrained(str(folder))
    return read(folder)


def sentencepiece_files() -> Files:
    import sentencepiece

    model = io.BytesIO()
    lines = [
        "the bread is on a table",
        "an apple and a pear",
        "der Tisch",
        "ein Brot und ein Apfel",
    ]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines * 30),
        model_writer=model,
        vocab_size=45,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    return {"sentencepiece.bpe.model": model.getvalue()}


def torch_files(safe: Files, zipped: bool) -> Files:
    try:
        import torch
    except ImportError:
        return safe
    state = {n: torch.from_numpy(a) for n, a in load_safetensors(safe["model.safetensors"]).items()}
    file = io.BytesIO()
    torch.save(state, file, _use_new_zipfile_serialization=zipped)
    rest = {name: data for name, data in safe.items() if name != "model.safetensors"}
    return {**rest, "pytorch_model.bin": file.getvalue()}


def sharded(safe: Files) -> Files:
    tensors = load_safetensors(safe["model.safetensors"])
    files = {name: data for name, data in safe.items() if name != "model.safetensors"}
    weight_map = {}
    for i in range(2):
        name, names = f"model-0000{i + 1}-of-00002.safetensors", sorted(tensors)[i::2]
        files[name] = save_safetensors({n: tensors[n] for n in names})
        weight_map |= dict.fromkeys(names, name)
    files["model.safetensors.index.json"] = json.dumps({"weight_map": weight_map}).encode()
    return files


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Files]:
    """Whole folders, of each kind one."""
    temporary = tmp_path_factory.mktemp("whole")

    def model(model_type: str, vocab: int, head: Any = None) -> Files:
        bert = model_type == "bert"
        sizes = (vocab, 8, 2, 2, 16, 20, 2 if bert else 1, 1e-5, 0 if bert else 1)
        encoder = xm.Encoder(xm.EncoderConfig(model_type, *sizes), rngs=nnx.Rngs(0))
        whole = xm.Model(encoder, head(encoder.config, 3, nnx.Rngs(1))) if head else encoder
        xm.save(whole, temporary / "model")
        return read(temporary / "model")

    unigram, pieces = unigram_files(temporary / "unigram"), sentencepiece_files()
    write(temporary / "pieces", pieces)
    size = max(load_tokenizer(str(temporary / "pieces")).get_vocab().values()) + 1
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {"vocab.txt": "\n".join([*special, *"abcABC", "##a", "the"]).encode()}
    encoder = {**model("xlm-roberta", len(WORDS)), **unigram}
    return {
        "safetensors": encoder,
        "pre-norm": {**model("xlm-roberta-xl", len(WORDS)), **unigram},
        "classifier": {**model("bert", 13, xm.ClassificationHead), **vocabulary},
        "mlm": {**model("xlm-roberta", len(WORDS), xm.MlmHead), **unigram},
        "tags": {**model("xlm-roberta", size, xm.TaggingHead), **pieces},
        "json alone": {n: d for n, d in encoder.items() if n != "tokenizer_config.json"},
        "shards": sharded(encoder),
        "zip": torch_files(encoder, True),
        "legacy": torch_files(encoder, False),
    }


def use(folder: Path, rng: np.random.Generator, with_head: bool) -> None:
    """Opens all that a folder holds, as the commands do; asserts that it fits together."""
    random_init = rng.random() < 0.1
    pretrained = open_pretrained(ModelConfig(str(folder), random_init=random_init))
    for field in dataclasses.fields(pretrained.config):
        value = getattr(pretrained.config, field.name)
        allowed = {"int": int, "float": (int, float), "str": str}[str(field.type)]
        assert isinstance(value, allowed), field.name
        assert not isinstance(value, bool), field.name
    ids, _ = subwords(pretrained.tokenizer, ["the bread", "a ж 中"], offsets=True)
    assert max(i for row in ids for i in row) < pretrained.config.vocab_size
    if random_init:
        return
    encoder = pretrained.load(None, lambda path, array: array)
    expected = xm.abstract_encoder(pretrained.config)
    shapes = [[leaf.shape for leaf in jax.tree.leaves(nnx.state(m))] for m in (encoder, expected)]
    assert shapes[0] == shapes[1]
    xm.load_mlm_head(folder, put=lambda path, array: array)
    if with_head:
        xm.load_model(folder, put=lambda path, array: array)


def test_whole_folders_load(folders, tmp_path):
    """Also imports and compiles what the damaged ones need, so that their time is their own."""
    for name, files in folders.items():
        write(tmp_path / "m", files)
        use(tmp_path / "m", np.random.default_rng(1), name in HEADS)


def test_damaged_folders_load_or_name_the_place(folders, tmp_path):
    outcomes, faults = Outcomes(), []
    for i in range(FIRST, FIRST + rounds(80)):
        rng = np.random.default_rng([SEED, i])
        kind = some(rng, folders)
        files = damaged(rng, folders[kind])
        write(tmp_path / "m", files)
        changed = [name for name, data in folders[kind].items() if files.get(name) != data]
        about = f"input {i} of seed {SEED}, {kind}, {', '.join(changed)}"
        try:
            outcomes.attempt(kind, about, partial(use, tmp_path / "m", rng, kind in HEADS))
        except AssertionError as error:
            faults.append(str(error)[:500])
    assert not faults, f"{len(faults)} faults\n" + "\n".join(faults[:50])
    outcomes.check()
