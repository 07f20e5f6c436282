"""The encoder family against transformers in PyTorch. Absolute tolerances, fixed: 1e-5, and 1e-4
for the twelve layers of XLM-R base."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

pytestmark = pytest.mark.parity
torch = pytest.importorskip("torch")

import make_reference as ref  # noqa: E402
from safetensors.numpy import load_file  # noqa: E402

from xt_jax import model as xm  # noqa: E402
from xt_jax.errors import WeightsError  # noqa: E402

TOLERANCE = 1e-5
BASE_TOLERANCE = 1e-4
SIZES = {
    "vocab_size": 300,
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "max_position_embeddings": 40,
}
SCALE = 0.08  # of the matrices; the states of a row then range over a few units
KINDS = list(ref.KINDS)


@pytest.fixture(autouse=True)
def highest_precision():
    with jax.default_matmul_precision("highest"):
        yield


def hf_model(kind: str, suffix: str, seed: int = 0):
    return ref.make_model(kind, suffix, ref.make_config(kind, **SIZES), seed, SCALE)


def our_logits(model: xm.Model, inputs) -> np.ndarray:
    hidden = model.encoder.hidden_states(
        inputs["input_ids"],
        inputs["attention_mask"],
        token_type_ids=inputs["token_type_ids"],
    )[-1]
    if isinstance(model.head, xm.ClassificationHead | xm.ChoiceHead):
        hidden = hidden[:, 0]
    if isinstance(model.head, xm.MlmHead):
        return np.asarray(model.head(hidden, model.encoder.embeddings.word.embedding[...]))
    return np.asarray(model.head(hidden))


def assert_same_logits(ours: np.ndarray, theirs: np.ndarray, mask: np.ndarray) -> None:
    """Where there is a token; a classification row counts when its first token is one."""
    assert ours.shape == theirs.shape
    valid = mask[:, 0].astype(bool) if ours.ndim == 2 else mask.astype(bool)
    assert valid.sum() >= 3
    np.testing.assert_allclose(ours[valid], theirs[valid], rtol=0, atol=TOLERANCE)
    assert np.ptp(theirs[valid]) > 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_hidden_states_of_every_layer(kind, tmp_path):
    theirs = hf_model(kind, "Model")
    theirs.save_pretrained(tmp_path)
    encoder = xm.load(tmp_path)
    inputs = ref.make_inputs(theirs.config, rows=5, length=30, seed=3)
    expected, _ = ref.run(theirs, inputs)
    ours = encoder.hidden_states(**inputs)
    assert ours.shape == expected.shape == (5, 5, 30, 64)
    valid = inputs["attention_mask"].astype(bool)
    for layer in range(5):
        np.testing.assert_allclose(
            ours[layer][valid], expected[layer][valid], rtol=0, atol=TOLERANCE, err_msg=str(layer)
        )


@pytest.mark.parametrize("suffix", ref.HEADS)
@pytest.mark.parametrize("kind", KINDS)
def test_logits_there_and_back(kind, suffix, tmp_path):
    """Their folder gives their logits here; the folder written from it gives them there."""
    theirs = hf_model(kind, suffix)
    theirs.save_pretrained(tmp_path / "theirs")
    inputs = ref.make_inputs(theirs.config, rows=5, length=30, seed=4)
    _, expected = ref.run(theirs, inputs)
    model, labels = xm.load_model(tmp_path / "theirs")
    mask = inputs["attention_mask"]
    assert_same_logits(our_logits(model, inputs), expected, mask)

    xm.save(model, tmp_path / "ours", labels=labels or None)
    again, info = ref.model_class(kind, suffix).from_pretrained(
        tmp_path / "ours", attn_implementation="eager", output_loading_info=True
    )
    assert not info["unexpected_keys"]
    assert not info["missing_keys"]
    names = [set(load_file(tmp_path / n / "model.safetensors")) for n in ("theirs", "ours")]
    assert names[0] == names[1]
    assert_same_logits(ref.run(again.eval(), inputs)[1], expected, mask)
    assert getattr(again.config, "classifier_dropout", None) in (None, 0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_the_mlm_head_beside_any_encoder(kind, tmp_path):
    """BERT's is published under ForPreTraining, in a .bin with the tied decoder under its names."""
    suffix = "ForPreTraining" if kind == "bert" else "ForMaskedLM"
    theirs = hf_model(kind, suffix)
    theirs.config.save_pretrained(tmp_path)
    torch.save(theirs.state_dict(), tmp_path / "pytorch_model.bin")
    assert {name.split(".decoder.")[-1] for name in theirs.state_dict() if ".decoder." in name} == {
        "weight",
        "bias",
    }
    head = xm.load_mlm_head(tmp_path)
    inputs = ref.make_inputs(theirs.config, rows=5, length=30, seed=4)
    tensors = {name: torch.from_numpy(array).long() for name, array in inputs.items()}
    with torch.no_grad():
        output = theirs(**tensors)
    expected = output["prediction_logits" if kind == "bert" else "logits"].numpy()
    ours = our_logits(xm.Model(xm.load(tmp_path), head), inputs)
    assert_same_logits(ours, expected, inputs["attention_mask"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_random_model_of_ours_opens_in_transformers(kind, tmp_path):
    config = xm.EncoderConfig.from_hf(ref.make_config(kind, **SIZES).to_dict())
    rngs = nnx.Rngs(0)
    head = xm.ClassificationHead(config, 3, rngs, 0.2)
    for layer in (head.dense, head.out_proj):  # so that logits differ
        layer.kernel[...] = 15 * layer.kernel[...]
    model = xm.Model(xm.Encoder(config, rngs=rngs), head)
    labels = ("entailment", "neutral", "contradiction")
    xm.save(model, tmp_path / "classifier", labels=labels)
    theirs = ref.model_class(kind, "ForSequenceClassification").from_pretrained(
        tmp_path / "classifier", attn_implementation="eager"
    )
    assert theirs.config.id2label == dict(enumerate(labels))
    assert theirs.config.classifier_dropout == 0.2
    inputs = ref.make_inputs(theirs.config, rows=5, length=30, seed=5)
    assert_same_logits(
        our_logits(model, inputs), ref.run(theirs.eval(), inputs)[1], inputs["attention_mask"]
    )

    xm.save(model.encoder, tmp_path / "encoder")
    base, info = ref.model_class(kind, "Model").from_pretrained(
        tmp_path / "encoder", attn_implementation="eager", output_loading_info=True
    )
    assert {name.split(".")[0] for name in info["missing_keys"]} == {"pooler"}
    assert not info["unexpected_keys"]
    valid = inputs["attention_mask"].astype(bool)
    np.testing.assert_allclose(
        model.encoder.hidden_states(**inputs)[-1][valid],
        ref.run(base.eval(), inputs)[0][-1][valid],
        rtol=0,
        atol=TOLERANCE,
    )


@pytest.mark.parametrize("rates", [(0.3, 0.0), (0.0, 0.5)])
def test_dropout_of_the_two_libraries_has_one_distribution(rates, tmp_path):
    """Mean and deviation over many masks agree, so no dropout is missing or misplaced."""
    sizes = {**SIZES, "num_hidden_layers": 1}
    config = ref.make_config("xlm-roberta", **sizes)
    config.hidden_dropout_prob, config.attention_probs_dropout_prob = rates
    theirs = ref.make_model("xlm-roberta", "Model", config, 0, SCALE)
    theirs.save_pretrained(tmp_path)
    encoder = xm.load(tmp_path)
    inputs = ref.make_inputs(config, rows=2, length=8, seed=3)
    ids, mask = inputs["input_ids"][:1], inputs["attention_mask"][:1]
    assert mask.all()
    repeats = 3000
    positions = jnp.broadcast_to(jnp.arange(8), (repeats, 8))
    ours = encoder(
        jnp.tile(ids, (repeats, 1)),
        positions,
        jnp.ones((repeats, 8), jnp.int32),
        key=jax.random.key(0),
    )
    torch.manual_seed(0)
    with torch.no_grad():
        many = torch.from_numpy(np.tile(ids, (repeats, 1))).long()
        expected = theirs.train()(many).last_hidden_state.numpy()
    noise = expected.std(0) / np.sqrt(repeats)
    assert np.abs((np.mean(ours, 0) - expected.mean(0)) / noise).max() < 8
    np.testing.assert_allclose(np.std(ours, 0), expected.std(0), rtol=0.15)


@pytest.mark.parametrize("kind", ["xlm-roberta", "xlm-roberta-xl"])
def test_sharded_and_half_precision_folders(kind, tmp_path):
    theirs = hf_model(kind, "ForMaskedLM").to(torch.bfloat16)
    theirs.save_pretrained(tmp_path / "whole")
    theirs.save_pretrained(tmp_path / "shards", max_shard_size="100KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 3
    whole, shards = xm.load(tmp_path / "whole"), xm.load(tmp_path / "shards")
    jax.tree.map(np.testing.assert_array_equal, nnx.state(whole), nnx.state(shards))
    word = theirs.base_model.embeddings.word_embeddings.weight.float()
    np.testing.assert_array_equal(whole.embeddings.word.embedding[...], word.detach().numpy())
    assert whole.embeddings.word.embedding[...].dtype == jnp.float32


def test_torch_file(tmp_path):
    theirs = hf_model("bert", "ForPreTraining")
    theirs.config.save_pretrained(tmp_path)
    torch.save(theirs.state_dict(), tmp_path / "pytorch_model.bin")
    encoder = xm.load(tmp_path)
    query = theirs.bert.encoder.layer[3].attention.self.query.weight
    np.testing.assert_array_equal(
        encoder.layers.attention.query.kernel[3], query.detach().numpy().T
    )


def test_torch_file_that_would_run_code(tmp_path):
    theirs = hf_model("bert", "Model")
    theirs.config.save_pretrained(tmp_path)
    torch.save({"a": Unsafe()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(WeightsError, match="holds a pickled"):
        xm.load(tmp_path)


class Unsafe:
    """Pickled by reference; loading it needs more than weights_only allows."""


def test_xlmr_base_dimensions(tmp_path):
    """12 x 768 with the whole vocabulary of 250,002."""
    preset = xm.preset("base").config
    config = ref.KINDS["xlm-roberta"](**{**preset.to_hf(), "model_type": "xlm-roberta"})
    torch.manual_seed(0)
    theirs = ref.model_class("xlm-roberta", "Model")(config, add_pooling_layer=False)
    theirs.set_attn_implementation("eager")
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if parameter.ndim == 1:
                parameter.normal_(1.0 if name.endswith("weight") else 0.0, 0.1)
    theirs.eval().save_pretrained(tmp_path)
    encoder = xm.load(tmp_path)
    assert encoder.config == preset
    inputs = ref.make_inputs(config, rows=3, length=16, seed=6)
    expected, _ = ref.run(theirs, inputs)
    valid = inputs["attention_mask"].astype(bool)
    ours = encoder.hidden_states(**inputs)
    for layer in range(13):
        np.testing.assert_allclose(
            ours[layer][valid], expected[layer][valid], rtol=0, atol=BASE_TOLERANCE
        )


@pytest.mark.parametrize("kind", ref.STORED_KINDS)
def test_stored_reference_is_what_transformers_computes(kind):
    stored = np.load(ref.FOLDER / f"{kind}.npz")
    fresh = ref.make_reference(kind)
    assert set(stored.files) == set(fresh)
    for name in stored.files:
        if name == "config":
            assert json.loads(str(stored[name])) == json.loads(str(fresh[name]))
        else:
            np.testing.assert_allclose(stored[name], fresh[name], rtol=0, atol=1e-6, err_msg=name)
