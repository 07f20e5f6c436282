"""Attention backends: the fused ones against xla, packing, meshes, what they refuse.

The TPU's kernel runs in Pallas' interpret mode here, cuDNN's is lowered for CUDA and not run.
"""

from __future__ import annotations

import importlib.util
import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from encoders import new_encoder, packed_batch, small_config
from tpu_compiler import compile_for_tpu

from xt_jax import model as xm
from xt_jax.config import ModelConfig
from xt_jax.errors import ConfigError
from xt_jax.model.pretrained import open_pretrained

TOLERANCE = 2e-6  # float32: sums over at most 256 tokens in another order, values about 1
KERNELS = sys.modules["xt_jax.model.attention"]


@pytest.fixture(autouse=True)
def highest_precision():
    with jax.default_matmul_precision("highest"):
        yield


@pytest.fixture
def interpreted(monkeypatch):
    monkeypatch.setattr(KERNELS, "_INTERPRET", True)


@pytest.fixture
def lowered_for_cuda(monkeypatch):
    """Pretends that cuDNN 9.10 is installed, so that its calls can be lowered but not run."""
    private = importlib.import_module("jax._src.cudnn.fused_attention_stablehlo")
    monkeypatch.setattr(private, "check_cudnn_version", lambda: 91000)

    def lower(function, *args) -> str:
        return jax.jit(function).trace(*args).lower(lowering_platforms=("cuda",)).as_text()

    return lower


def arrays(rows: int, length: int, heads: int, size: int, dtype=jnp.float32):
    """q, k, v, weights of the outputs, and segment ids with three layouts, padding among them."""
    rng = np.random.default_rng(0)
    values = [jnp.asarray(rng.normal(size=(rows, length, heads, size)), dtype) for _ in range(4)]
    segments = np.zeros((rows, length), np.int32)
    segments[0::3] = np.searchsorted([length // 3, length - 9], np.arange(length), "right") + 1
    segments[0::3, -9:] = 0
    segments[1::3] = 1
    segments[2::3, : length // 2] = 1
    return *values, jnp.asarray(segments)


def value_and_grads(backend: str, q, k, v, weights, segments):
    def loss(q, k, v):
        y = xm.attention(q, k, v, segments, backend=backend)
        return jnp.sum((y * weights).astype(jnp.float32)), y

    (_, y), grads = jax.jit(jax.value_and_grad(loss, (0, 1, 2), has_aux=True))(q, k, v)
    return [y, *grads]


def assert_equal(ours, expected, tolerance: float):
    for a, b in zip(ours, expected, strict=True):
        a, b = (np.asarray(x, np.float32) for x in (a, b))
        assert np.abs(b).max() > 0.1
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)


def test_averages_within_the_segment():
    """With equal scores every token gets the mean of its own segment's values."""
    segments = jnp.array([[1, 1, 1, 2, 2, 0]])
    values = jnp.arange(6.0).reshape(1, 6, 1, 1)
    zeros = jnp.zeros_like(values)
    out = xm.attention(zeros, zeros, values, segments)
    np.testing.assert_allclose(out.ravel(), [1, 1, 1, 3.5, 3.5, 5], rtol=1e-6)


@pytest.mark.parametrize(("size", "length"), [(32, 256), (64, 128), (128, 128)])
def test_splash_equals_xla(size, length, interpreted):
    case = arrays(3, length, 2, size)
    assert_equal(value_and_grads("splash", *case), value_and_grads("xla", *case), TOLERANCE)


def test_splash_on_a_mesh_equals_xla_and_moves_nothing(interpreted):
    """Rows over `data`, heads over `model`: every device computes its own, nothing is fetched."""
    mesh = jax.make_mesh((2, 2), ("data", "model"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
    case = arrays(4, 128, 2, 32)
    expected = value_and_grads("xla", *case)
    sharding = jax.sharding.NamedSharding(mesh, jax.P("data", None, "model"))
    on_mesh = [jax.device_put(x, sharding) for x in case[:4]]
    segments = jax.device_put(case[4], jax.sharding.NamedSharding(mesh, jax.P("data")))
    ours = value_and_grads("splash", *on_mesh, segments)
    assert ours[0].sharding.is_equivalent_to(sharding, 4)
    assert_equal(ours, expected, TOLERANCE)
    q, k, v = on_mesh[:3]
    run = jax.jit(lambda q, k, v, s: xm.attention(q, k, v, s, backend="splash"))
    text = run.lower(q, k, v, segments).compile().as_text()
    assert not re.search("all-gather|all-to-all|collective-permute|all-reduce", text)


def test_splash_under_vmap_equals_each_alone(interpreted):
    """Seeds that are trained as one program run attention like this."""
    q, k, v, _, segments = arrays(2, 128, 2, 32)
    both = [jnp.stack([x, x[::-1]]) for x in (q, k, v)]
    run = jax.vmap(lambda q, k, v: xm.attention(q, k, v, segments, backend="splash"))
    together = jax.jit(run)(*both)
    for i in range(2):
        alone = xm.attention(*(x[i] for x in both), segments)
        np.testing.assert_allclose(together[i], alone, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("backend", ["xla", "splash"])
def test_poisoned_segment_changes_no_other(backend, interpreted):
    """Keys and values of 1e30 in one segment: elsewhere outputs and gradients keep every bit."""
    q, k, v, weights, segments = arrays(1, 128, 2, 32)
    poisoned = (segments == 2)[:, :, None, None]
    assert bool(poisoned.any())
    clean = value_and_grads(backend, q, k, v, weights * ~poisoned, segments)
    k, v = (jnp.where(poisoned, 1e30 * jnp.sign(x), x) for x in (k, v))
    dirty = value_and_grads(backend, q, k, v, weights * ~poisoned, segments)
    others = np.broadcast_to(~poisoned, q.shape)
    for a, b in zip(clean, dirty, strict=True):
        np.testing.assert_array_equal(np.asarray(a)[others], np.asarray(b)[others])
    assert np.abs(np.asarray(dirty[0])[~others]).max() > 1e29


def test_cudnn_is_called_with_the_mask_of_the_segments(lowered_for_cuda):
    case = arrays(2, 64, 4, 32, jnp.bfloat16)
    text = lowered_for_cuda(lambda *case: value_and_grads("cudnn", *case), *case)
    calls = [line for line in text.splitlines() if "custom_call @__cudnn$fmha" in line]
    assert [re.search(r"fmha\w+", line).group() for line in calls] == [
        "fmhaScaleBiasSoftmax",
        "fmhaScaleBiasSoftmaxBackward",
    ]
    assert all("tensor<2x1x64x64xbf16>" in line for line in calls)
    assert all("0.17677669529663687" in line for line in calls)  # 1 / sqrt(32)


@pytest.mark.parametrize(
    ("remat", "calls"), [("none", 1), ("dots", 1), ("outputs", 1), ("full", 2)]
)
def test_remat_runs_a_fused_kernel_again_only_where_nothing_is_kept(remat, calls, lowered_for_cuda):
    config = small_config(
        hidden_size=32, num_layers=8, attention="cudnn", dtype="bfloat16", remat=remat
    )
    encoder = new_encoder(config)
    batch = packed_batch(np.random.default_rng(0), [[9, 5]], 16, 50)
    text = lowered_for_cuda(
        jax.grad(lambda encoder: encoder(*batch).astype(jnp.float32).sum()), encoder
    )
    assert len(re.findall(r"custom_call @__cudnn\$fmhaScaleBiasSoftmax\(", text)) == calls
    assert len(re.findall(r"custom_call @__cudnn\$fmhaScaleBiasSoftmaxBackward\(", text)) == 1


def test_cudnn_equals_xla_on_a_gpu():
    """bfloat16 has 8 bits: outputs of about 1 are 2^-8 from the exact ones after one rounding;
    both backends round the probabilities and the result."""
    if jax.default_backend() != "gpu":
        pytest.skip("needs an NVIDIA GPU")
    case = arrays(3, 256, 4, 64, jnp.bfloat16)
    assert_equal(value_and_grads("cudnn", *case), value_and_grads("xla", *case), 2**-5)


@pytest.mark.parametrize("backend", ["splash", "cudnn"])
def test_fused_backends_refuse_dropout_in_training_only(backend, interpreted, lowered_for_cuda):
    q, k, v, _, segments = arrays(1, 128, 2, 32, jnp.bfloat16)

    def run(key):
        return xm.attention(q, k, v, segments, backend=backend, dropout_rate=0.1, key=key)

    with pytest.raises(ConfigError, match="cannot drop attention probabilities") as error:
        run(jax.random.key(0))
    assert "--config.model.attention\n" in str(error.value)
    assert "--config.model.attention_dropout=0" in str(error.value)
    assert jax.eval_shape(lambda: run(None)).shape == q.shape


@pytest.mark.parametrize(
    ("backend", "length", "dtype", "message"),
    [
        ("splash", 192, jnp.float32, "row lengths that are multiples of 128 tokens, not 192"),
        ("cudnn", 63, jnp.bfloat16, "row lengths that are multiples of 2 tokens, not 63"),
        ("cudnn", 64, jnp.float32, "computes in bfloat16, not in float32"),
    ],
)
def test_impossible_arrays(backend, length, dtype, message):
    q, k, v, _, segments = arrays(1, length, 2, 8, dtype)
    with pytest.raises(ConfigError, match=message) as error:
        xm.attention(q, k, v, segments, backend=backend)
    assert "where: --config.model.attention\n" in str(error.value)
    mesh = jax.make_mesh((1, 4), ("data", "model"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
    q, k, v, _, segments = arrays(1, 128, 2, 8)
    q = jax.device_put(q, jax.sharding.NamedSharding(mesh, jax.P()))
    with pytest.raises(ConfigError, match="2 heads do not divide over the 4 devices of `model`"):
        xm.attention(q, k, v, segments, backend="splash")


def test_a_named_backend_never_becomes_another():
    """On a CPU both fused backends raise."""
    if jax.default_backend() != "cpu":
        pytest.skip("for a CPU")
    q, k, v, _, segments = arrays(1, 128, 2, 8, jnp.bfloat16)
    with pytest.raises(ConfigError, match="`cudnn` cannot run here"):
        xm.attention(q, k, v, segments, backend="cudnn")
    with pytest.raises(ValueError, match="Only interpret mode is supported on CPU"):
        xm.attention(q, k, v, segments, backend="splash")


@pytest.mark.parametrize(
    ("platform", "options", "message"),
    [
        ("cpu", {"attention": "splash"}, "`splash` runs on a TPU, not on cpu"),
        ("tpu", {"attention": "cudnn"}, "`cudnn` runs on a GPU, not on tpu"),
        ("tpu", {"attention": "splash"}, r"cannot drop attention probabilities \(rate 0.1\)"),
        ("gpu", {"attention": "cudnn", "attention_dropout": 0.2}, r"\(rate 0.2\)"),
        (
            "gpu",
            {"attention": "cudnn", "attention_dropout": 0.0, "dtype": "float32"},
            "computes in bfloat16",
        ),
        ("tpu", {"attention": "splash", "attention_dropout": 0.0}, None),
        ("gpu", {"attention": "cudnn", "attention_dropout": 0.0}, None),
        ("cpu", {"attention_dropout": 0.0}, None),
    ],
)
def test_study_refuses_before_it_reads_data(
    platform, options, message, monkeypatch, mini_tokenizer_folder
):
    """`tiny` drops a tenth of the attention probabilities unless told otherwise."""
    monkeypatch.setattr(jax, "default_backend", lambda: platform)
    config = ModelConfig(name="tiny", tokenizer=str(mini_tokenizer_folder), **options)
    if message is None:
        source = open_pretrained(config)
        assert source.config.attention == config.attention
        assert source.numerics == [source.config.dtype, config.attention, 0.0]
        return
    with pytest.raises(ConfigError, match=message) as error:
        open_pretrained(config)
    assert "where: --config.model.attention\n" in str(error.value)


def test_study_loads_with_the_asked_options(monkeypatch):
    config = ModelConfig(name="mini-48", attention_dropout=0.3, remat="outputs")
    source = open_pretrained(config)
    encoder = source.load(None, lambda path, array: jnp.asarray(array))
    assert encoder.config == source.config
    assert (encoder.config.attention_dropout, encoder.config.remat) == (0.3, "outputs")
    assert open_pretrained(ModelConfig(name="mini-48")).config.attention_dropout == 0.0
    assert (source.config.unroll, open_pretrained(ModelConfig(name="mini-48")).config.remat) == (
        24,
        "none",
    )
    with monkeypatch.context() as on_a_tpu:
        on_a_tpu.setattr(jax, "default_backend", lambda: "tpu")
        config = open_pretrained(ModelConfig(name="mini-48")).config
        assert (config.unroll, config.remat, config.dtype) == (6, "scores", "bfloat16")
    random = {"name": "mini-48", "random_init": True}
    keys = {
        open_pretrained(ModelConfig(**random, **options)).key
        for options in ({}, {"attention_dropout": 0.3}, {"remat": "full"}, {"dtype": "bfloat16"})
    }
    assert len(keys) == 1  # the weights are the same


TPU_PROGRAM = """
    import dataclasses, sys
    import jax, jax.numpy as jnp, numpy as np
    from flax import nnx
    from tpu.slices import devices_of
    from jax.sharding import AxisType, Mesh, NamedSharding
    from xt_jax import model as xm

    devices = np.array(devices_of("v5e:2x4")).reshape(8, 1)
    mesh = Mesh(devices, ("data", "model"), axis_types=(AxisType.Auto,) * 2)
    whole, rows = (NamedSharding(mesh, spec) for spec in (jax.P(), jax.P("data")))
    config = dataclasses.replace(
        xm.preset("tiny", vocab_size=50).config, hidden_size=128, num_heads=2, num_layers=2,
        dtype="bfloat16", attention_dropout=0.0, attention=sys.argv[1],
    )
    graphdef, params = nnx.split(xm.abstract_encoder(config))
    params = jax.tree.map(
        lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=whole), params
    )
    batch = [jax.ShapeDtypeStruct((16, 256), jnp.int32, sharding=rows)] * 3

    @jax.jit
    @jax.value_and_grad
    def step(params, *batch):
        return nnx.merge(graphdef, params)(*batch).astype(jnp.float32).sum()

    compiled = step.lower(params, *batch).compile()
    text = compiled.as_text()
    print(text.count('"tpu_custom_call"'), sum(
        text.count(f" {name}") for name in ("all-gather(", "all-to-all(", "collective-permute(")
    ))
"""


@pytest.mark.slow
def test_splash_compiles_for_a_slice_of_tpus():
    """Forward, both backward kernels for both layers; rows and heads stay where they are."""
    kernels, collectives = map(int, compile_for_tpu(TPU_PROGRAM, "splash").split())
    assert kernels == 6
    assert collectives == 0
