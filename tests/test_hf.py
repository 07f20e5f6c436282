"""Hugging Face weights: exact round trips, and one error for all that does not fit."""

from __future__ import annotations

import json
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from encoders import new_encoder, small_config
from flax import nnx
from safetensors.numpy import load_file, save_file
from test_model import HEADS, KINDS, highest_precision, inputs_of, write_folder  # noqa: F401

from xt_jax import model as xm
from xt_jax.errors import ConfigError, UserError, WeightsError
from xt_jax.model import hf_table

HEAD_TYPES = (xm.ClassificationHead, xm.ChoiceHead, xm.TaggingHead, xm.SpanHead, xm.MlmHead)


def assert_equal_params(a: nnx.Module, b: nnx.Module) -> None:
    jax.tree.map(np.testing.assert_array_equal, nnx.state(a), nnx.state(b))


def make_head(head_type, config=None):
    return head_type(config or small_config(), 3, nnx.Rngs(1), 0.25)


@pytest.mark.parametrize("kind", KINDS)
def test_encoder_round_trip_is_exact(kind, tmp_path):
    arrays = write_folder(tmp_path / "theirs", kind)
    encoder = xm.load(tmp_path / "theirs")
    for layer in range(2):
        name = f"encoder/encoder.layer.{layer}.intermediate.dense.weight"
        np.testing.assert_array_equal(encoder.layers.ffn.up.kernel[layer], arrays[name].T)
    xm.save(encoder, tmp_path / "ours")
    again = xm.load(tmp_path / "ours")
    assert_equal_params(encoder, again)
    assert encoder.config == again.config
    theirs, ours = (load_file(tmp_path / n / "model.safetensors") for n in ("theirs", "ours"))
    assert set(theirs) == set(ours)
    for name in theirs:
        np.testing.assert_array_equal(theirs[name], ours[name])


@pytest.mark.parametrize("head_type", HEAD_TYPES)
@pytest.mark.parametrize("model_type", ["xlm-roberta", "xlm-roberta-xl", "bert"])
def test_model_round_trip_is_exact(model_type, head_type, tmp_path):
    encoder = new_encoder(small_config(model_type=model_type))
    model = xm.Model(encoder, make_head(head_type))
    labels = None if head_type in (xm.SpanHead, xm.MlmHead) else ("O", "B-PER", "I-PER")
    xm.save(model, tmp_path / "m", labels=labels)
    again, names = xm.load_model(tmp_path / "m", dtype="bfloat16", remat="dots")
    assert names == (labels or ())
    assert type(again.head) is head_type
    assert getattr(again.head, "dropout", 0.25) == 0.25
    assert (again.encoder.config.dtype, again.encoder.config.remat) == ("bfloat16", "dots")
    assert_equal_params(model, again)
    assert_equal_params(encoder, xm.load(tmp_path / "m"))
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("config", [xm.preset(n).config for n in ("base", "xl", "mbert")])
@pytest.mark.parametrize("head_type", HEAD_TYPES)
def test_table_is_complete_and_unambiguous(config, head_type):
    abstract = jax.eval_shape(
        lambda: xm.Model(xm.Encoder(config, rngs=nnx.Rngs(0)), make_head(head_type, config))
    )
    paths = [xm.param_path(p) for p, _ in jax.tree_util.tree_leaves_with_path(nnx.state(abstract))]
    entries = hf_table.model_entries(config, head_type.entries(config))
    assert sorted(e.path for e in entries) == sorted(paths)
    tensors = [name for e in entries for name in e.tensors(config.num_layers)]
    assert len(set(tensors)) == len(tensors)


def edit_weights(folder, change) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors")


def test_one_error_lists_all_that_does_not_fit(tmp_path):
    write_folder(tmp_path / "m", "xlm-roberta")

    def spoil(weights):
        del weights["encoder.layer.1.attention.self.key.bias"]
        del weights["embeddings.LayerNorm.weight"]
        weights["encoder.layer.2.output.dense.bias"] = np.zeros(16, np.float32)
        weights["encoder.layer.0.adapter.weight"] = np.zeros((2, 3), np.float32)
        weights["encoder.layer.0.output.dense.weight"] = np.zeros((32, 16), np.float32)
        weights["encoder.layer.0.output.dense.bias"] = np.zeros(16, np.int32)
        weights["roberta.embeddings.word_embeddings.weight"] = np.zeros((40, 16), np.float32)

    edit_weights(tmp_path / "m", spoil)
    with pytest.raises(WeightsError) as error:
        xm.load(tmp_path / "m")
    text = str(error.value)
    assert "7 tensors do not fit" in text
    assert "missing: encoder.layer.1.attention.self.key.bias (16,)" in text
    assert "missing: embeddings.LayerNorm.weight (16,)" in text
    assert "unknown: encoder.layer.2.output.dense.bias (16,)" in text
    assert "unknown: encoder.layer.0.adapter.weight (2, 3)" in text
    assert "wrong shape: encoder.layer.0.output.dense.weight (32, 16), not (16, 32)" in text
    assert "wrong type: encoder.layer.0.output.dense.bias I32" in text
    assert "repeated under another prefix: " in text
    assert str(tmp_path / "m") in text


def test_check_finds_faults_and_reads_no_tensor(tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError("read a tensor")

    write_folder(tmp_path / "m", "xlm-roberta", HEADS[0])
    edit_weights(tmp_path / "m", lambda w: w.update({"x.y": np.zeros(2, np.float32)}))
    with pytest.raises(WeightsError, match=r"unknown: x\.y \(2,\)"):
        xm.check(tmp_path / "m")
    edit_weights(tmp_path / "m", lambda w: w.pop("x.y"))
    monkeypatch.setattr("xt_jax.model.hf._read_param", refuse)
    xm.check(tmp_path / "m")
    with pytest.raises(AssertionError, match="read a tensor"):
        xm.load(tmp_path / "m")


def test_head_of_another_size(tmp_path):
    write_folder(tmp_path / "m", "bert", HEADS[0])
    edit_config(tmp_path / "m", id2label={i: f"LABEL_{i}" for i in range(4)})
    with pytest.raises(WeightsError, match=r"classifier.weight \(3, 16\), not \(4, 16\)"):
        xm.load_model(tmp_path / "m")


def test_task_heads_and_pooler_are_left_out_by_name(tmp_path):
    """What published folders carry beside the encoder; old LayerNorm names; any prefix."""
    write_folder(tmp_path / "plain", "bert")
    write_folder(tmp_path / "m", "bert")

    def as_published(weights):
        for name in list(weights):
            old = name.replace("LayerNorm.weight", "LayerNorm.gamma")
            old = old.replace("LayerNorm.bias", "LayerNorm.beta")
            weights[f"bert.{old}"] = weights.pop(name)
        weights["bert.pooler.dense.weight"] = np.zeros((16, 16), np.float32)
        weights["bert.embeddings.position_ids"] = np.arange(24)[None]
        weights["cls.predictions.bias"] = np.zeros(40, np.float32)
        weights["cls.seq_relationship.weight"] = np.zeros((2, 16), np.float32)
        weights["lm_head.dense.weight"] = np.zeros((16, 16), np.float32)
        weights["classifier.out_proj.weight"] = np.zeros((2, 16), np.float32)
        weights["qa_outputs.bias"] = np.zeros(2, np.float32)

    edit_weights(tmp_path / "m", as_published)
    assert_equal_params(xm.load(tmp_path / "m"), xm.load(tmp_path / "plain"))


@pytest.mark.parametrize("kind", KINDS)
def test_the_mlm_head_beside_an_encoder(kind, tmp_path):
    write_folder(tmp_path / "m", kind, "ForMaskedLM")
    model, _ = xm.load_model(tmp_path / "m")
    assert_equal_params(xm.load_mlm_head(tmp_path / "m"), model.head)
    placed = {}

    def put(path, array):
        placed[path] = jnp.asarray(array)
        return placed[path]

    head = xm.load_mlm_head(tmp_path / "m", put=put)
    assert set(placed) == {"bias", "dense/kernel", "dense/bias", "norm/scale", "norm/bias"}
    assert head.bias.get_value() is placed["bias"]
    xm.save(model.encoder, tmp_path / "encoder")
    assert xm.load_mlm_head(tmp_path / "encoder") is None
    edit_weights(tmp_path / "m", lambda w: w.pop(HEAD_BIAS[kind]))
    with pytest.raises(
        WeightsError, match=rf"1 tensors do not fit .*\n.*missing: {HEAD_BIAS[kind]}"
    ):
        xm.load_mlm_head(tmp_path / "m")


HEAD_BIAS = {
    "xlm-roberta": "lm_head.bias",
    "xlm-roberta-xl": "lm_head.bias",
    "bert": "cls.predictions.bias",
}


def edit_config(folder, **changes) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def test_an_mlm_head_with_embeddings_of_its_own_is_refused(tmp_path):
    write_folder(tmp_path / "m", "bert", "ForMaskedLM")
    edit_config(tmp_path / "m", tie_word_embeddings=False)
    for load in (xm.load_model, xm.load_mlm_head):
        with pytest.raises(ConfigError, match="tie_word_embeddings=False") as error:
            load(tmp_path / "m")
        assert str(tmp_path / "m/config.json") in str(error.value)
    xm.load(tmp_path / "m")


def test_choices_may_have_no_names(tmp_path):
    xm.save(xm.Model(new_encoder(small_config()), make_head(xm.ChoiceHead)), tmp_path / "m")
    assert xm.load_model(tmp_path / "m")[1] == ()
    assert "id2label" not in json.loads((tmp_path / "m/config.json").read_text())


def test_another_head_in_the_file_is_unknown_to_load_model(tmp_path):
    write_folder(tmp_path / "m", "xlm-roberta", HEADS[1])
    edit_weights(tmp_path / "m", lambda w: w.update({"lm_head.bias": np.zeros(40, np.float32)}))
    with pytest.raises(WeightsError, match=r"unknown: lm_head\.bias"):
        xm.load_model(tmp_path / "m")


def test_pre_norm_weights_under_the_wrong_model_type(tmp_path):
    write_folder(tmp_path / "m", "xlm-roberta-xl")
    edit_config(tmp_path / "m", model_type="xlm-roberta")
    with pytest.raises(WeightsError, match="set model_type to xlm-roberta-xl"):
        xm.load(tmp_path / "m")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"position_embedding_type": "relative_key"}, "position_embedding_type='relative_key'"),
        ({"hidden_act": "gelu_new"}, "hidden_act='gelu_new'"),
        ({"is_decoder": True}, "is_decoder=True"),
        ({"model_type": "t5"}, "model_type='t5'"),
        ({"hidden_size": None, "vocab_size": None}, "lacks vocab_size, hidden_size"),
        ({"num_hidden_layers": "2"}, "num_layers must be a whole number"),
    ],
)
def test_config_that_is_not_implemented(change, message, tmp_path):
    write_folder(tmp_path / "m", "bert")
    edit_config(tmp_path / "m", **change)
    with pytest.raises(ConfigError, match=message) as error:
        xm.load(tmp_path / "m")
    assert str(tmp_path / "m/config.json") in str(error.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_hidden_layers", 300_000),
        ("num_hidden_layers", True),
        ("num_hidden_layers", 2.0),
        ("vocab_size", 10**30),
        ("hidden_size", -16),
        ("intermediate_size", [32]),
        ("max_position_embeddings", "24"),
        ("type_vocab_size", {}),
        ("pad_token_id", -1),
        ("hidden_dropout_prob", False),
        ("attention_probs_dropout_prob", "0.1"),
        ("layer_norm_eps", float("nan")),
        ("initializer_range", 2),
        ("hidden_act", ["gelu"]),
        ("hidden_act", "x" * 10**6),
        ("model_type", {"a": 1}),
    ],
)
def test_a_field_that_cannot_be_is_named_at_once(field, value, tmp_path):
    write_folder(tmp_path / "m", "xlm-roberta")
    edit_config(tmp_path / "m", **{field: value})
    start = time.process_time()
    with pytest.raises(ConfigError, match=field) as error:
        xm.check(tmp_path / "m")
    assert time.process_time() - start < 0.5
    assert error.value.where == str(tmp_path / "m/config.json")
    assert error.value.remedy
    assert len(str(error.value)) < 1000


def test_very_many_faults_are_counted(tmp_path):
    write_folder(tmp_path / "m", "xlm-roberta")
    edit_config(tmp_path / "m", num_hidden_layers=1000)
    with pytest.raises(WeightsError, match=r"15968 tensors do not .*") as error:
        xm.check(tmp_path / "m")
    assert error.value.problem.endswith("and 15948 more")
    assert len(str(error.value)) < 3000


@pytest.mark.parametrize("absent", [False, True])
@pytest.mark.parametrize(
    "kind", ["BertConfig", "RobertaConfig", "XLMRobertaConfig", "XLMRobertaXLConfig"]
)
def test_fields_that_are_null_or_absent_have_the_defaults_of_transformers(kind, absent):
    import transformers

    theirs = getattr(transformers, kind)()
    values = theirs.to_dict()
    for name in ("layer_norm_eps", "pad_token_id", "hidden_dropout_prob"):
        values[name] = None
    if absent:
        values = {name: value for name, value in values.items() if value is not None}
    ours = xm.EncoderConfig.from_hf(values)
    assert (ours.layer_norm_eps, ours.pad_id) == (theirs.layer_norm_eps, theirs.pad_token_id)
    assert ours.dropout == theirs.hidden_dropout_prob


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architectures": 3}, "architectures=3"),
        ({"architectures": [["a"]]}, r"architectures=\[\['a'\]\]"),
        ({"id2label": ["a", "b", "c"]}, "id2label must name"),
        ({"id2label": {"0": "a", "1": "b", "x": "c"}}, "id2label must name"),
        ({"id2label": {"0": "a", "1": "b", "2": None}}, "id2label must name"),
        ({"classifier_dropout": "much"}, "classifier_dropout must be a number"),
    ],
)
def test_fields_of_a_head_that_cannot_be(change, message, tmp_path):
    write_folder(tmp_path / "m", "bert", HEADS[0])
    edit_config(tmp_path / "m", **change)
    with pytest.raises(UserError, match=message) as error:
        xm.load_model(tmp_path / "m")
    assert error.value.where == str(tmp_path / "m/config.json")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_files_become_float32(dtype, tmp_path):
    write_folder(tmp_path / "m", "xlm-roberta")
    exact = load_file(tmp_path / "m/model.safetensors")
    rounded = {name: value.astype(jnp.dtype(dtype)) for name, value in exact.items()}
    save_file(rounded, tmp_path / "m/model.safetensors")
    encoder = xm.load(tmp_path / "m")
    word = encoder.embeddings.word.embedding[...]
    assert word.dtype == jnp.float32
    expected = rounded["embeddings.word_embeddings.weight"].astype(np.float32)
    np.testing.assert_array_equal(word, expected)
    assert (expected != exact["embeddings.word_embeddings.weight"]).any()


def test_labels_need_a_head_that_they_fit(tmp_path):
    encoder = new_encoder(small_config())
    xm.save(encoder, tmp_path / "bare")
    with pytest.raises(WeightsError, match=r"use xt_jax\.model\.load for the encoder"):
        xm.load_model(tmp_path / "bare")
    model = xm.Model(encoder, make_head(xm.TaggingHead))
    for labels in (("a", "b"), ("a", "b", "b")):
        with pytest.raises(ConfigError, match="the head has 3 logits"):
            xm.save(model, tmp_path / "m", labels=labels)
    for bare in (encoder, xm.Model(encoder, make_head(xm.MlmHead))):
        with pytest.raises(ConfigError, match="without a head that has labels"):
            xm.save(bare, tmp_path / "m", labels=("a",))
    assert not (tmp_path / "m").exists()


def test_loaded_encoder_runs_under_split_and_merge(tmp_path):
    arrays = write_folder(tmp_path / "m", "bert")
    encoder = xm.load(tmp_path / "m")
    graphdef, state = nnx.split(encoder)
    inputs = inputs_of(arrays)
    run = jax.jit(lambda s: nnx.merge(graphdef, s).hidden_states(**inputs))
    np.testing.assert_allclose(run(state), encoder.hidden_states(**inputs), rtol=0, atol=1e-6)
