"""The encoder: parity with stored transformers outputs, packing, sizes."""

from __future__ import annotations

import functools
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from encoders import new_encoder, packed_batch, small_config
from flax import nnx
from safetensors.numpy import save_file

from xt_jax import model as xm
from xt_jax.errors import ConfigError
from xt_jax.model.layers import LayerNorm

TOLERANCE = 1e-5
ROUNDING = 1e-6  # of the number itself, eight times its last bit: masked logits go up to 15
REFERENCE = pathlib.Path(__file__).parent / "reference"
KINDS = ("xlm-roberta", "xlm-roberta-xl", "bert")
HEADS = (
    "ForSequenceClassification",
    "ForTokenClassification",
    "ForQuestionAnswering",
    "ForMultipleChoice",
    "ForMaskedLM",
)
LABELS = {
    "ForSequenceClassification": ("LABEL_0", "LABEL_1", "LABEL_2"),
    "ForTokenClassification": ("LABEL_0", "LABEL_1", "LABEL_2"),
}


@pytest.fixture(autouse=True)
def highest_precision():
    with jax.default_matmul_precision("highest"):
        yield


def write_folder(folder: pathlib.Path, kind: str, suffix: str | None = None):
    """Writes a stored transformers model as a Hugging Face folder; returns the reference arrays."""
    arrays = np.load(REFERENCE / f"{kind}.npz")
    groups = [name.split("/", 1) for name in arrays.files if "/" in name]
    prefix = "bert" if kind == "bert" else "roberta"
    weights = {}
    for group, name in groups:
        if group == "encoder":
            weights[name if suffix is None else f"{prefix}.{name}"] = arrays[f"{group}/{name}"]
        elif group == suffix:
            weights[name] = arrays[f"{group}/{name}"]
    config = json.loads(str(arrays["config"]))
    if suffix is not None:
        config["architectures"] = [f"Some{suffix}"]
        if suffix in LABELS:
            config["id2label"] = dict(enumerate(LABELS[suffix]))
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    save_file(weights, folder / "model.safetensors")
    return arrays


def inputs_of(arrays) -> dict[str, np.ndarray]:
    return {name: arrays[f"inputs/{name}"] for name in INPUTS}


INPUTS = ("input_ids", "attention_mask", "token_type_ids")


@pytest.fixture(scope="module", params=KINDS)
def encoder(request, tmp_path_factory) -> xm.Encoder:
    folder = tmp_path_factory.mktemp(request.param)
    write_folder(folder, request.param)
    return xm.load(folder)


@jax.jit
def call(encoder: xm.Encoder, *batch, key=None):
    return encoder(*batch, key=key)


@jax.jit
def all_states(encoder: xm.Encoder, *batch):
    return encoder.all_hidden_states(*batch)


LENGTHS = [[9, 5, 14, 7], [20, 1, 10]]


@pytest.mark.parametrize("kind", KINDS)
def test_hidden_states_equal_stored_reference(kind, tmp_path):
    arrays = write_folder(tmp_path / "m", kind)
    ours = xm.load(tmp_path / "m").hidden_states(**inputs_of(arrays))
    expected = arrays["hidden_states"]
    assert ours.shape == expected.shape == (3, 3, 12, 16)
    valid = arrays["inputs/attention_mask"].astype(bool)
    assert not valid.all()
    np.testing.assert_allclose(ours[:, valid], expected[:, valid], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("suffix", HEADS)
@pytest.mark.parametrize("kind", KINDS)
def test_logits_equal_stored_reference(kind, suffix, tmp_path):
    arrays = write_folder(tmp_path / "m", kind, suffix)
    model, labels = xm.load_model(tmp_path / "m")
    hidden = model.encoder.hidden_states(**inputs_of(arrays))[-1]
    valid = arrays["inputs/attention_mask"].astype(bool)
    if suffix in ("ForSequenceClassification", "ForMultipleChoice"):
        hidden, valid = hidden[:, 0], valid[:, 0]
    assert labels == LABELS.get(suffix, ())
    tied = [model.encoder.embeddings.word.embedding[...]] if suffix == "ForMaskedLM" else []
    ours, expected = model.head(hidden, *tied), arrays[f"logits/{suffix}"]
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours[valid], expected[valid], rtol=ROUNDING, atol=TOLERANCE)


def test_packed_equals_unpacked(encoder):
    """A row of several segments, longer than any segment may be, gives each what it gets alone."""
    ids, positions, segments = packed_batch(np.random.default_rng(0), LENGTHS, 38, 40)
    packed = all_states(encoder, ids, positions, segments)
    assert packed.shape[2] > encoder.config.max_length
    pad = encoder.config.pad_id
    for b, row_lengths in enumerate(LENGTHS):
        start = 0
        for n in row_lengths:
            alone = np.full((1, 22), pad, np.int32)
            alone[0, :n] = ids[b, start : start + n]
            mask = (np.arange(22) < n)[None].astype(np.int32)
            expected = encoder.hidden_states(alone, mask)[:, 0, :n]
            np.testing.assert_allclose(
                packed[:, b, start : start + n], expected, rtol=0, atol=TOLERANCE
            )
            start += n


def test_call_and_the_state_of_one_layer_are_those_of_all_hidden_states(encoder):
    batch = packed_batch(np.random.default_rng(0), LENGTHS, 38, 40)
    states = all_states(encoder, *batch)
    np.testing.assert_allclose(call(encoder, *batch), states[-1], rtol=0, atol=1e-6)
    for layer, state in enumerate(states):
        one = encoder.hidden_state(layer, *batch)
        np.testing.assert_allclose(one, state, rtol=0, atol=1e-6)
    for layer in (-1, len(states)):
        with pytest.raises(ValueError, match=f"from 0 to 2, got {layer}"):
            encoder.hidden_state(layer, *batch)


def test_poisoned_segment_changes_no_other(encoder):
    """Other tokens, then embeddings of 1e6, in the middle segment: the rest stays bit-identical."""
    ids, positions, segments = packed_batch(np.random.default_rng(0), LENGTHS, 38, 30)
    clean = np.asarray(all_states(encoder, ids, positions, segments))
    poisoned_ids = np.where(segments == 2, 33, ids)
    encoder = nnx.clone(encoder)
    table = encoder.embeddings.word.embedding
    table[...] = table[...].at[33].set(1e6 * jnp.where(jnp.arange(16) % 2, 1, -1))
    poisoned = np.asarray(all_states(encoder, poisoned_ids, positions, segments))
    others = segments != 2
    np.testing.assert_array_equal(poisoned[:, others], clean[:, others])
    assert np.abs(poisoned[:, ~others] - clean[:, ~others]).max() > 0.1


def test_gradients_do_not_cross_segments(encoder):
    ids, positions, segments = packed_batch(np.random.default_rng(0), [[6, 5]], 12, 40)
    ids[segments == 1], ids[segments == 2] = 10, 20
    graphdef, state = nnx.split(encoder)

    def loss(state):
        hidden = nnx.merge(graphdef, state)(ids, positions, segments)
        weights = jnp.cos(jnp.arange(hidden.size)).reshape(hidden.shape)
        return (hidden * weights)[0, :6].sum()

    grad = jax.jit(jax.grad(loss))(state)["embeddings"]["word"]["embedding"][...]
    assert jnp.abs(grad[10]).max() > 1e-3
    assert jnp.abs(grad[20]).max() == 0


def test_one_layer_is_traced_whatever_the_depth():
    """Under jit the step is traced once for many calls, and its size does not grow with depth."""
    traces = []

    @jax.jit
    def run(encoder, *batch):
        traces.append(1)
        return encoder(*batch).sum()

    encoder = new_encoder(small_config(num_layers=5))
    graphdef, state = nnx.split(encoder)
    for seed in range(3):
        batch = packed_batch(np.random.default_rng(seed), [[9, 5]], 16, 50)
        run(encoder, *batch)
        run(nnx.merge(graphdef, jax.tree.map(jnp.copy, state)), *batch)
    assert len(traces) == 1

    def program_size(depth: int) -> int:
        deep = new_encoder(small_config(num_layers=depth))
        return len(str(jax.make_jaxpr(deep)(*batch)).splitlines())

    assert program_size(2) == program_size(6)


@pytest.mark.parametrize("head_type", [xm.ClassificationHead, xm.TaggingHead])
def test_head_dropout(head_type):
    head = head_type(small_config(), 5, nnx.Rngs(0), dropout=0.5)
    x = jnp.ones((7, 16), jnp.bfloat16)
    assert head(x).shape == (7, 5)
    assert head(x).dtype == jnp.float32
    assert xm.num_labels(head) == 5
    rows = head(x, key=jax.random.key(0))
    assert len(np.unique(np.asarray(rows)[:, 0])) > 4
    assert len(np.unique(np.asarray(head(x))[:, 0])) == 1


@pytest.mark.parametrize("head_type", [xm.ChoiceHead, xm.ClassificationHead])
def test_dropout_after_tanh(head_type):
    """The dense layer gives 1 whatever it reads, so a dropout before it would not show."""
    head = head_type(small_config(), 1, nnx.Rngs(0), dropout=0.5)
    assert xm.num_labels(head) == 1
    head.dense.kernel[...] = jnp.zeros((16, 16))
    head.dense.bias[...] = jnp.ones((16,))
    head.out_proj.kernel[...] = jnp.ones((16, 1))
    x = jnp.ones((500, 16), jnp.bfloat16)
    assert head(x).dtype == jnp.float32
    np.testing.assert_allclose(head(x), 16 * np.tanh(1), rtol=1e-6)
    kept = np.asarray(head(x, key=jax.random.key(0))[:, 0]) / np.tanh(1) / 2
    np.testing.assert_allclose(kept, kept.round(), atol=1e-3)
    assert abs(kept.mean() - 8) < 0.5
    assert abs(kept.std() - 2) < 0.3


def test_mlm_head_multiplies_in_the_encoders_dtype_and_sums_in_float32():
    head = xm.MlmHead(small_config(hidden_size=64, vocab_size=30), 0, nnx.Rngs(0))
    assert xm.num_labels(head) == 30
    rng = np.random.default_rng(0)
    x, table = (jnp.asarray(rng.normal(size=(n, 64)), jnp.float32) for n in (20, 30))
    exact, half = head(x, table), head(x.astype(jnp.bfloat16), table)
    assert exact.dtype == half.dtype == jnp.float32
    error = np.abs(exact - half)
    assert 1e-3 < error.max() < 0.3
    assert len(np.unique(half)) == half.size  # bfloat16 sums would coincide


def test_take_tokens():
    hidden = jnp.arange(2 * 5 * 3.0).reshape(2, 5, 3)
    index = jnp.array([[0, 4], [2, 2]])
    taken = xm.take_tokens(hidden, index)
    np.testing.assert_array_equal(taken[0], hidden[0, jnp.array([0, 4])])
    np.testing.assert_array_equal(taken[1], hidden[1, jnp.array([2, 2])])


def test_bfloat16_stays_near_float32(encoder):
    batch = packed_batch(np.random.default_rng(0), LENGTHS, 38, 40)
    half = xm.with_options(encoder, dtype="bfloat16")
    ours, exact = call(half, *batch), call(encoder, *batch)
    assert ours.dtype == jnp.bfloat16
    assert {p.dtype for p in jax.tree.leaves(nnx.state(half))} == {jnp.dtype("float32")}
    valid = batch[2] > 0
    error = np.abs(np.asarray(ours, np.float32) - np.asarray(exact))[valid]
    assert 0 < error.mean() < 0.02
    assert error.max() < 0.15


def test_layer_norm_variance_is_two_pass():
    """On an offset of 1,000 the one-pass variance loses most digits."""
    x = np.random.default_rng(0).normal(1000.0, 0.5, (4, 64)).astype(np.float32)
    norm = LayerNorm(64)
    exact = x.astype(np.float64) - x.mean(-1, keepdims=True, dtype=np.float64)
    exact /= np.sqrt(np.square(exact).mean(-1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(norm(jnp.asarray(x), 1e-5), exact, rtol=0, atol=1e-3)


def test_random_init():
    config = small_config(num_layers=3)
    encoder = new_encoder(config)
    assert not encoder.embeddings.word.embedding[config.pad_id].any()
    assert not encoder.embeddings.position.embedding[config.pad_id].any()
    assert encoder.embeddings.position.embedding[config.pad_id + 1].any()
    kernel = encoder.layers.ffn.up.kernel[...]
    assert kernel.shape == (3, 16, 32)
    assert abs(float(kernel.std()) - 0.02) < 0.002
    assert not bool((kernel[0] == kernel[1]).any())
    assert not bool((kernel == new_encoder(config, 1).layers.ffn.up.kernel).any())
    for path, leaf in jax.tree_util.tree_leaves_with_path(nnx.state(encoder)):
        name = xm.param_path(path)
        assert leaf.dtype == jnp.float32
        if name.endswith("bias"):
            assert not leaf.any()
        if name.endswith("scale"):
            assert (leaf == 1).all()


def test_ids_outside_the_tables_give_nan():
    encoder = new_encoder(small_config())
    ids, positions, segments = packed_batch(np.random.default_rng(0), [[9], [9]], 9, 50)
    ids[0, 3] = 50
    out = call(encoder, ids, positions, segments)
    assert jnp.isnan(out[0, 3]).all()
    assert jnp.isfinite(out[1]).all()
    ids[0, 3], positions[0, 3] = 5, encoder.config.max_length
    assert jnp.isnan(call(encoder, ids, positions, segments)[0, 3]).all()
    positions[0, 3] -= 1
    assert jnp.isfinite(call(encoder, ids, positions, segments)).all()


def test_hidden_states_refuses_what_does_not_fit():
    encoder = new_encoder(small_config(max_positions=12))
    ones = np.ones((2, 11), np.int32)
    with pytest.raises(ConfigError, match="11 tokens in a row, the encoder takes 10"):
        encoder.hidden_states(ones, ones)
    with pytest.raises(ConfigError, match=r"must both be \[B, T\]"):
        encoder.hidden_states(ones[:, :9], ones[:, :8])


# Millions of parameters (total, without embeddings): dimensions of the hub's config pages,
# without pooler and MLM head.
PUBLISHED = {
    "minilm-l6": (106.8, 10.6),
    "minilm-l12": (117.5, 21.3),
    "microsoft/Multilingual-MiniLM-L12-H384": (117.5, 21.3),
    "base": (277.5, 85.1),
    "large": (558.8, 302.3),
    "xl": (3475.9, 2832.4),
    "xxl": (10696.0, 9666.2),
    "facebook/xlm-v-base": (777.9, 85.1),
    "mbert": (177.3, 85.1),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameter_counts(name):
    config = xm.preset(name).config
    encoder_params, total_params = xm.count_params(xm.abstract_encoder(config))
    assert (round(total_params / 1e6, 1), round(encoder_params / 1e6, 1)) == PUBLISHED[name]


def test_presets():
    published = [p for p in xm.PRESETS.values() if p.hub_id]
    assert {xm.preset(name).name for name in PUBLISHED} == {p.name for p in published}
    assert xm.preset("base") is xm.preset("xlm-roberta-base")
    assert xm.preset("FacebookAI/xlm-roberta-base") is xm.preset("base")
    tiny = xm.preset("tiny", vocab_size=77)
    assert (tiny.hub_id, tiny.config.vocab_size, tiny.config.max_length) == (None, 77, 512)
    with pytest.raises(ConfigError, match="no model preset is called 'huge'") as error:
        xm.preset("huge")
    assert all(name in str(error.value) for name in ("tiny", "xxl", "bert-base-multilingual-cased"))
    assert xm.preset("xl", vocab_size=250_002).config.vocab_size == 250_880
    with pytest.raises(ConfigError, match="tokenizer has 250003 entries"):
        xm.preset("base", vocab_size=250_003)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_heads": 3}, "not a multiple of num_heads 3"),
        ({"dtype": "float16"}, "dtype='float16'"),
        ({"remat": "some"}, "remat='some'"),
        ({"dropout": 1.0}, "dropout must be"),
        ({"num_layers": 0}, "num_layers must be"),
        ({"pad_id": 60}, "pad_id 60 is outside"),
        ({"max_positions": 2}, "max_positions must be"),
        ({"attention": "flash"}, "attention='flash'"),
        ({"attention": "cudnn"}, "computes in bfloat16, not in float32"),
        ({"attention": "cudnn", "dtype": "bfloat16"}, "head sizes that are multiples of 8, not 4"),
        ({"attention_dropout": 1.0}, "attention_dropout must be"),
    ],
)
def test_impossible_config(changes, message):
    with pytest.raises(ConfigError, match=message):
        small_config(**changes)


def test_sharded_batch_gives_the_same_and_moves_no_rows():
    """Batch split over the devices: equal result, dropout included, and no collective."""
    encoder = new_encoder(small_config())
    count = len(jax.devices())
    assert count > 1
    mesh = jax.make_mesh((count,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    sharding = jax.sharding.NamedSharding(mesh, jax.P("data"))
    batch = packed_batch(np.random.default_rng(0), [[9, 5], [12]] * count, 16, 50)
    on_mesh = jax.device_put(batch, sharding)
    params = jax.device_put(encoder, jax.sharding.NamedSharding(mesh, jax.P()))
    run = functools.partial(call, key=jax.random.key(0))
    np.testing.assert_allclose(run(params, *on_mesh), run(encoder, *batch), rtol=0, atol=1e-6)
    text = call.lower(params, *on_mesh, key=jax.random.key(0)).compile().as_text()
    assert not [word for word in ("all-gather", "all-to-all", "all-reduce") if word in text]
