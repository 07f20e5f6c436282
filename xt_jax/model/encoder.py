"""The encoder family: post-LN RoBERTa and BERT, pre-LN XLM-R XL and XXL.

Axes: B rows, T tokens in a row, D hidden size, N heads, H head size, L layers.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from xt_jax.errors import ConfigError
from xt_jax.model.attention import OUTPUT, attention
from xt_jax.model.config import EncoderConfig
from xt_jax.model.layers import (
    PRODUCT,
    Embedding,
    LayerNorm,
    Linear,
    dropout,
    gelu,
    rows_stay,
    split_key,
)


class Encoder(nnx.Module):
    """Maps token ids to hidden states; a pytree of float32 parameters with a static `config`.

    Layers are stacked on a leading axis L and run by `jax.lax.scan`, a few of them unrolled. Rows
    may hold several segments: attention stays within a segment and positions count from 0 in each,
    so a row may be longer than `config.max_length`, a segment may not (its states become NaN).

    Random weights follow the published models: normal(initializer_range), zero biases, the
    embedding of the pad token zero (in RoBERTa kinds its position too), LayerNorm 1 and 0.
    """

    def __init__(self, config: EncoderConfig, *, rngs: nnx.Rngs):
        self.config = config
        self.embeddings = Embeddings(config, rngs=rngs)
        self.layers = jax.vmap(lambda key: Layer(config, rngs=nnx.Rngs(params=key)))(
            jax.random.split(rngs.params(), config.num_layers)
        )
        self.final_norm = LayerNorm(config.hidden_size) if config.pre_norm else None

    def __call__(
        self,
        input_ids: jax.Array,
        positions: jax.Array,
        segment_ids: jax.Array,
        *,
        token_type_ids: jax.Array | None = None,
        key: jax.Array | None = None,
    ) -> jax.Array:
        """Returns the last hidden states of packed rows.

        Args:
            input_ids: [B, T].
            positions: [B, T], from 0 within each segment; the encoder adds `position_offset`.
            segment_ids: [B, T], from 1; 0 is padding.
            token_type_ids: [B, T]; None means zeros.
            key: a JAX random key for dropout; None means deterministic.

        Returns:
            [B, T, D] in `config.dtype`.
        """
        embedding_key, layers_key = split_key(key, 2)
        x = self.embeddings(input_ids, positions, token_type_ids, self.config, embedding_key)
        x, _ = self._run_layers(x, segment_ids, layers_key, None)
        return self._finish(x)

    def all_hidden_states(
        self,
        input_ids: jax.Array,
        positions: jax.Array,
        segment_ids: jax.Array,
        *,
        token_type_ids: jax.Array | None = None,
        keep: Callable[[jax.Array], jax.Array] = lambda state: state,
    ) -> jax.Array:
        """Returns the hidden states of packed rows at every depth, without dropout.

        Args:
            keep: what to keep of a state [B, T, D]; taken as each layer ends, so that what it
                leaves out is never held for all layers. The others are those of a call.

        Returns:
            [L+1, B, T, D], or L+1 times what `keep` gives: 0 is the embeddings' output, k that of
            layer k; index L equals the encoder's output, so in pre-LN models it has passed the
            final LayerNorm.
        """
        x = self.embeddings(input_ids, positions, token_type_ids, self.config, None)
        last, kept = self._run_layers(x, segment_ids, None, keep)
        return jnp.concatenate([keep(x)[None], kept[:-1], keep(self._finish(last))[None]])

    def hidden_state(
        self,
        layer: int,
        input_ids: jax.Array,
        positions: jax.Array,
        segment_ids: jax.Array,
        *,
        token_type_ids: jax.Array | None = None,
    ) -> jax.Array:
        """Returns the state [B, T, D] of packed rows at one depth without running the layers above.

        Args:
            layer: 0 (embeddings) to the number of layers. The others are those of a call.
        """
        if not 0 <= layer <= self.config.num_layers:
            raise ValueError(f"layer must be from 0 to {self.config.num_layers}, got {layer}")
        if layer == self.config.num_layers:
            return self(input_ids, positions, segment_ids, token_type_ids=token_type_ids)

        def run_layer(i: jax.Array, x: jax.Array) -> jax.Array:
            one = jax.tree.map(lambda parameter: parameter[i], self.layers)
            return one(rows_stay(x), segment_ids, self.config, None)

        x = self.embeddings(input_ids, positions, token_type_ids, self.config, None)
        return jax.lax.fori_loop(0, layer, run_layer, x)

    def hidden_states(
        self,
        input_ids: jax.Array,
        attention_mask: jax.Array,
        *,
        token_type_ids: jax.Array | None = None,
    ) -> jax.Array:
        """Returns the hidden states of padded sentences at every depth, as `transformers` does.

        Position ids follow `transformers`: counted over the tokens that are not pad (RoBERTa
        kinds) or over the row (BERT). States where `attention_mask` is 0 mean nothing.

        Args:
            input_ids: [B, T], one sentence a row, T at most `config.max_length`.
            attention_mask: [B, T], 1 for tokens, 0 for padding.
            token_type_ids: [B, T]; None means zeros.

        Returns:
            [L+1, B, T, D]; see `all_hidden_states`.

        Raises:
            ConfigError: arrays that do not fit each other or the model.
        """
        shapes = [np.shape(input_ids), np.shape(attention_mask)]
        if shapes[0] != shapes[1] or len(shapes[0]) != 2:
            raise ConfigError(f"input_ids and attention_mask must both be [B, T], not {shapes}")
        if shapes[0][1] > self.config.max_length:
            raise ConfigError(
                f"{shapes[0][1]} tokens in a row, the encoder takes {self.config.max_length}",
                where="hidden_states",
                remedy="truncate or split the sentences",
            )
        return _hidden_states(self, input_ids, attention_mask, token_type_ids)

    def _run_layers(self, x, segment_ids, key, keep: Callable[[jax.Array], jax.Array] | None):
        keys = None if key is None else jax.random.split(key, self.config.num_layers)

        def body(x, layer_and_key):
            layer, layer_key = layer_and_key
            y = layer(rows_stay(x), segment_ids, self.config, layer_key)
            return y, (keep(y) if keep else None)

        # Not with remat: without a loop the compiler would merge recomputed results with the first.
        unroll = self.config.remat == "none" and self.config.num_layers <= self.config.unroll
        body = _with_remat(body, self.config.remat)
        return jax.lax.scan(body, x, (self.layers, keys), unroll=unroll)

    def _finish(self, x: jax.Array) -> jax.Array:
        return x if self.final_norm is None else self.final_norm(x, self.config.layer_norm_eps)


class Embeddings(nnx.Module):
    """Adds word, position and token type embeddings; then LayerNorm (post-LN only), dropout."""

    def __init__(self, config: EncoderConfig, *, rngs: nnx.Rngs):
        dim, stddev = config.hidden_size, config.initializer_range
        zero_position = config.pad_id if config.kind.positions_after_pad else None
        self.word = Embedding(config.vocab_size, dim, stddev, rngs=rngs, zero_row=config.pad_id)
        self.position = Embedding(
            config.max_positions, dim, stddev, rngs=rngs, zero_row=zero_position
        )
        self.token_type = Embedding(config.type_vocab_size, dim, stddev, rngs=rngs)
        self.norm = None if config.pre_norm else LayerNorm(dim)

    @jax.named_scope("embeddings")
    def __call__(self, input_ids, positions, token_type_ids, config: EncoderConfig, key):
        if token_type_ids is None:
            token_type = self.token_type.embedding[0]
        else:
            token_type = self.token_type(token_type_ids)
        x = self.word(input_ids) + token_type + self.position(positions + config.position_offset)
        if self.norm is not None:
            x = self.norm(x, config.layer_norm_eps)
        return dropout(x.astype(config.dtype), config.dropout, key)


class Layer(nnx.Module):
    """One Transformer layer: attention and a GELU (erf) feed-forward block, each with a residual.

    The feed-forward output is dropped in pre-LN models too, as in fairseq, where they were
    trained; `transformers` leaves that dropout out.
    """

    def __init__(self, config: EncoderConfig, *, rngs: nnx.Rngs):
        self.attention = SelfAttention(config, rngs=rngs)
        self.attention_norm = LayerNorm(config.hidden_size)
        self.ffn = FeedForward(config, rngs=rngs)
        self.ffn_norm = LayerNorm(config.hidden_size)

    def __call__(self, x: jax.Array, segment_ids, config: EncoderConfig, key) -> jax.Array:
        eps = config.layer_norm_eps
        probs_key, attention_key, ffn_key = split_key(key, 3)

        def attend(y):
            y = self.attention(y, segment_ids, config, probs_key)
            return dropout(y, config.dropout, attention_key)

        def feed_forward(y):
            return dropout(self.ffn(y), config.dropout, ffn_key)

        if config.pre_norm:
            x = x + attend(self.attention_norm(x, eps))
            return x + feed_forward(self.ffn_norm(x, eps))
        x = self.attention_norm(x + attend(x), eps)
        return self.ffn_norm(x + feed_forward(x), eps)


class SelfAttention(nnx.Module):
    """Self-attention: projects to N heads, attends within segments and projects back."""

    def __init__(self, config: EncoderConfig, *, rngs: nnx.Rngs):
        dim, stddev = config.hidden_size, config.initializer_range
        self.query = Linear(dim, dim, stddev, rngs=rngs)
        self.key = Linear(dim, dim, stddev, rngs=rngs)
        self.value = Linear(dim, dim, stddev, rngs=rngs)
        self.out = Linear(dim, dim, stddev, rngs=rngs)

    def __call__(self, x: jax.Array, segment_ids, config: EncoderConfig, key) -> jax.Array:
        heads = (*x.shape[:-1], config.num_heads, config.head_dim)
        q, k, v = (part(x).reshape(heads) for part in (self.query, self.key, self.value))
        attend: Any = functools.partial(
            attention, backend=config.attention, dropout_rate=config.attention_dropout
        )
        if config.remat == "scores" and config.attention == "xla":  # fused kernels never keep them
            attend = jax.checkpoint(attend, prevent_cse=False)
        return self.out(attend(q, k, v, segment_ids, key=key).reshape(x.shape))


class FeedForward(nnx.Module):
    """The feed-forward block: D -> intermediate size -> D with an erf GELU between."""

    def __init__(self, config: EncoderConfig, *, rngs: nnx.Rngs):
        dim, inner, stddev = config.hidden_size, config.intermediate_size, config.initializer_range
        self.up = Linear(dim, inner, stddev, rngs=rngs)
        self.down = Linear(inner, dim, stddev, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.down(gelu(self.up(x)))


def abstract_encoder(config: EncoderConfig) -> Encoder:
    """Returns an `Encoder` of `jax.ShapeDtypeStruct`s, which takes no memory."""
    return jax.eval_shape(lambda: Encoder(config, rngs=nnx.Rngs(0)))


def unroll_on(platform: str) -> int:
    """Returns up to how many layers the encoder's loop is written out on a platform.

    On a CPU the twelve layers of base then train 1.1 times as fast, since nothing is stacked, and
    compile in 11 s instead of 7. A TPU's compiler takes minutes for as many.
    """
    return 24 if platform == "cpu" else EncoderConfig.unroll


def remat_on(platform: str) -> str:
    """Returns the gradient checkpointing policy that `auto` stands for on a platform.

    On a TPU attention scores are computed again in the backward pass, not kept: by the compiler's
    estimate a step of base (MNLI, one v5e chip) takes 25 ms so, and 30 ms with scores kept.
    """
    return "scores" if platform == "tpu" else "none"


def with_options(encoder: Encoder, **changes: Any) -> Encoder:
    """Returns the encoder with a changed `dtype`, `remat`, `unroll`, `attention` or dropout."""
    graphdef, _ = nnx.split(abstract_encoder(dataclasses.replace(encoder.config, **changes)))
    return nnx.merge(graphdef, nnx.state(encoder))


def param_path(key_path: tuple) -> str:
    """Returns the path of a parameter, such as `layers/attention/query/kernel`.

    Args:
        key_path: of `jax.tree_util` over an nnx state.
    """
    return "/".join(str(k.key) for k in key_path if isinstance(k, jax.tree_util.DictKey))


def count_params(encoder: Encoder) -> tuple[int, int]:
    """Counts the parameters of a real or abstract encoder: (without embeddings, in total).

    A pooler and an MLM head are no part of it; XLM-R base counts 85.1 M and 277.5 M.
    """
    leaves = jax.tree_util.tree_leaves_with_path(nnx.state(encoder))
    sizes = [(param_path(path), int(np.prod(leaf.shape))) for path, leaf in leaves]
    total = sum(size for _, size in sizes)
    return total - sum(n for path, n in sizes if path.startswith("embeddings/")), total


@jax.jit
def _hidden_states(encoder: Encoder, input_ids, attention_mask, token_type_ids) -> jax.Array:
    config = encoder.config
    if config.kind.positions_after_pad:
        is_token = (input_ids != config.pad_id).astype(jnp.int32)
        positions = jnp.cumsum(is_token, axis=1) * is_token - 1
    else:
        positions = jnp.broadcast_to(jnp.arange(input_ids.shape[1]), input_ids.shape)
    segment_ids = jnp.asarray(attention_mask).astype(jnp.int32)
    return encoder.all_hidden_states(
        input_ids, positions, segment_ids, token_type_ids=token_type_ids
    )


def _with_remat(body, remat: str):
    if remat in ("none", "scores"):
        return body
    policy = {"dots": _keep(PRODUCT, OUTPUT), "outputs": _keep(OUTPUT), "full": None}[remat]
    return jax.checkpoint(body, prevent_cse=False, policy=policy)


def _keep(*names: str):
    """Returns the policy that keeps results of these checkpoint names, and cuDNN's unnamed output.

    Fused kernels keep their log-sum-exp with the output and do not run again.
    """
    named = jax.checkpoint_policies.save_only_these_names(*names)

    def policy(primitive, *args, **params) -> bool:
        is_cudnn = primitive.name.startswith("dot_product_attention_fwd")
        return is_cudnn or named(primitive, *args, **params)

    return policy
