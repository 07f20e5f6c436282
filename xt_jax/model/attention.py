"""Bidirectional attention within the segments of packed rows, by one of three backends.

Axes: B rows, T tokens in a row, N heads, H head size. None of the fused kernels drops attention
probabilities, so they train with attention dropout 0 only.

On a mesh rows are split over its axis `data` and heads over `model`, as far as it has them.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jax.sharding import AbstractMesh
from jax.sharding import PartitionSpec as P

from xt_jax.errors import ConfigError
from xt_jax.model.config import attention_error
from xt_jax.model.layers import dropout, product

PLATFORMS = {"splash": ("tpu",), "cudnn": ("gpu", "cuda")}
OUTPUT = "attention_output"  # the checkpoint name of what a backend returns

_LANES = 128  # of a TPU's vector register; splash takes row lengths in multiples of this
_MOST_BLOCK = 512
_BLOCKS = (
    *("block_q", "block_kv", "block_kv_compute"),
    *("block_q_dkv", "block_kv_dkv", "block_kv_dkv_compute"),
    *("block_q_dq", "block_kv_dq"),
)
_INTERPRET = False  # True: tests run the TPU's kernel step by step on a CPU


@jax.named_scope("attend")
def attention(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    segment_ids: jax.Array,
    *,
    backend: str = "xla",
    dropout_rate: float = 0.0,
    key: jax.Array | None = None,
) -> jax.Array:
    """Computes softmax attention in which each token attends to its own segment only.

    Padding (segment 0) attends to padding, so that no row of the mask is empty.

    Args:
        q, k, v: [B, T, N, H]; q is scaled by 1/sqrt(H) here.
        segment_ids: [B, T], whole numbers.
        backend: xla, splash (TPU) or cudnn (NVIDIA GPU); the one that is named runs.
        dropout_rate: share of the attention probabilities dropped, when `key` is given.
        key: a JAX random key; None means no dropout.

    Returns:
        [B, T, N, H] in the dtype of q; the softmax is in float32.

    Raises:
        ConfigError: what `backend` cannot do.
    """
    if backend == "xla":
        return _xla(q, k, v, segment_ids, dropout_rate, key)
    if key is not None and dropout_rate > 0:
        raise no_dropout(backend, dropout_rate)
    return {"splash": _splash, "cudnn": _cudnn}[backend](q, k, v, segment_ids)


def no_dropout(backend: str, rate: float) -> ConfigError:
    """Returns the error for training with attention dropout on a fused backend."""
    return attention_error(
        backend,
        f"cannot drop attention probabilities (rate {rate})",
        "train with --config.model.attention_dropout=0, or use attention=xla",
    )


def check_platform(backend: str, platform: str) -> None:
    """Raises ConfigError where `backend` does not run on `platform` (cpu, gpu or tpu)."""
    allowed = PLATFORMS.get(backend)
    if allowed is not None and platform not in allowed:
        raise attention_error(backend, f"runs on a {allowed[0].upper()}, not on {platform}")


def _xla(q, k, v, segment_ids, dropout_rate: float, key: jax.Array | None) -> jax.Array:
    scores = product("bqnh,bknh->bnqk", q * q.shape[-1] ** -0.5, k)
    scores = jnp.where(_same_segment(segment_ids), scores, jnp.finfo(jnp.float32).min)
    probs = dropout(jax.nn.softmax(scores, axis=-1), dropout_rate, key)
    y = jnp.einsum("bnqk,bknh->bqnh", probs.astype(v.dtype), v)
    return checkpoint_name(y, OUTPUT)


def _cudnn(q, k, v, segment_ids) -> jax.Array:
    """Runs cuDNN's flash attention with the segments as a mask [B, 1, T, T].

    What cuDNN takes, by `jax/_src/cudnn/fused_attention_stablehlo.py` of jax 0.10.2: bfloat16 (or
    float16); H a multiple of 8 up to 128, on Hopper and later 256; in training an even T. A mask
    must be full in both T (a [B, 1, 1, T] one is refused: jax issue 28974) and may be one for all
    heads (openxla/xla pull request 11967); it becomes an additive bias in q's dtype, 2 B T^2 bytes,
    and its gradient is computed and thrown away until jax leaves that out for masks (pull request
    39512). Row lengths (`key_value_seq_lengths`) need no such array, but allow one segment a row;
    offsets of several segments are an argument of jax's private function only.
    """
    if q.dtype != jnp.bfloat16:
        raise attention_error(
            "cudnn",
            f"computes in bfloat16, not in {q.dtype}",
            "add --config.model.dtype=bfloat16, or use attention=xla",
        )
    if q.shape[1] % 2:
        raise _row_length("cudnn", q.shape[1], 2)
    batch, length = segment_ids.shape
    mask = jnp.broadcast_to(_same_segment(segment_ids), (batch, 1, length, length))
    try:
        return jax.nn.dot_product_attention(q, k, v, mask=mask, implementation="cudnn")
    except (RuntimeError, NotImplementedError) as error:  # no cuDNN, or a GPU that is too old
        raise attention_error("cudnn", f"cannot run here: {error}") from error


def _splash(q, k, v, segment_ids) -> jax.Array:
    """Runs JAX's splash attention kernel, on each device for that device's rows and heads."""
    if q.shape[1] % _LANES:
        raise _row_length("splash", q.shape[1], _LANES)
    mesh = jax.typeof(q).sharding.mesh
    if mesh.size <= 1:
        return _splash_on_one_device(q, k, v, segment_ids)
    rows, heads = (name if name in mesh.axis_names else None for name in ("data", "model"))
    _check_divides(q, mesh, rows, heads)
    arrays = P(rows, None, heads, None)
    run = jax.shard_map(
        _splash_on_one_device,
        mesh=mesh,
        in_specs=(arrays, arrays, arrays, P(rows, None)),
        out_specs=arrays,
        check_vma=False,  # kernels do not declare over which axes their results vary
    )
    return run(q, k, v, segment_ids)


def _splash_on_one_device(q, k, v, segment_ids) -> jax.Array:
    from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_kernel as kernel
    from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_mask as masks

    _, length, heads, size = q.shape
    block = next(n for n in range(_MOST_BLOCK, 0, -_LANES) if length % n == 0)
    blocks: Any = dict.fromkeys(_BLOCKS, block)
    attend = kernel.make_splash_mha(
        masks.MultiHeadMask([masks.FullMask((length, length))] * heads),
        block_sizes=kernel.BlockSizes(**blocks),
        head_shards=1,
        q_seq_shards=1,
        residual_checkpoint_name=OUTPUT,
        interpret=_INTERPRET,
    )

    def one_row(q, k, v, segments):
        return attend(q, k, v, kernel.SegmentIds(segments, segments))

    q, k, v = (jnp.swapaxes(x, 1, 2) for x in (q * size**-0.5, k, v))
    return jnp.swapaxes(jax.vmap(one_row)(q, k, v, segment_ids), 1, 2)


def _same_segment(segment_ids: jax.Array) -> jax.Array:
    """Marks the pairs of tokens in the same segment: [B, T] to [B, 1, T, T]."""
    return segment_ids[:, None, :, None] == segment_ids[:, None, None, :]


def _check_divides(q: jax.Array, mesh: AbstractMesh, rows: str | None, heads: str | None) -> None:
    for name, axis, size in (("rows", rows, q.shape[0]), ("heads", heads, q.shape[2])):
        if axis is not None and size % mesh.shape[axis]:
            raise attention_error(
                "splash",
                f"cannot run: {size} {name} do not divide over the {mesh.shape[axis]} devices of "
                f"`{axis}`",
                "use another --config.train.model_axis, or attention=xla",
            )


def _row_length(backend: str, length: int, multiple: int) -> ConfigError:
    return attention_error(
        backend,
        f"needs row lengths that are multiples of {multiple} tokens, not {length}",
        f"pad the rows to a multiple of {multiple}, or use attention=xla",
    )
