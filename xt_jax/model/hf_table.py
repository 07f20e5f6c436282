"""The table between Hugging Face tensor names and our parameter paths, complete on both sides."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from xt_jax.model.config import MODEL_KINDS, EncoderConfig


class Entry(NamedTuple):
    """One of our parameters and its tensors in a Hugging Face file.

    `hf` holds `{layer}` where the parameter is stacked over layers. A transposed tensor is a
    torch Linear weight [out, in]; ours is a kernel [in, out].
    """

    hf: str
    path: str
    transposed: bool = False

    @property
    def stacked(self) -> bool:
        return "{layer}" in self.hf

    def tensors(self, num_layers: int) -> list[str]:
        """Returns the Hugging Face names of the parameter's tensors, in the order of the layers."""
        return [self.hf.format(layer=i) for i in range(num_layers if self.stacked else 1)]


def linear(hf: str, path: str) -> tuple[Entry, ...]:
    """Returns the entries of a linear layer's two parameters."""
    return Entry(f"{hf}.weight", f"{path}/kernel", True), Entry(f"{hf}.bias", f"{path}/bias")


def norm(hf: str, path: str) -> tuple[Entry, ...]:
    """Returns the entries of a LayerNorm's two parameters."""
    return Entry(f"{hf}.weight", f"{path}/scale"), Entry(f"{hf}.bias", f"{path}/bias")


_LAYER = "encoder.layer.{layer}"

_COMMON = (
    Entry("embeddings.word_embeddings.weight", "embeddings/word/embedding"),
    Entry("embeddings.position_embeddings.weight", "embeddings/position/embedding"),
    Entry("embeddings.token_type_embeddings.weight", "embeddings/token_type/embedding"),
    *linear(f"{_LAYER}.attention.self.query", "layers/attention/query"),
    *linear(f"{_LAYER}.attention.self.key", "layers/attention/key"),
    *linear(f"{_LAYER}.attention.self.value", "layers/attention/value"),
    *linear(f"{_LAYER}.attention.output.dense", "layers/attention/out"),
    *linear(f"{_LAYER}.intermediate.dense", "layers/ffn/up"),
    *linear(f"{_LAYER}.output.dense", "layers/ffn/down"),
)

_POST_NORM = (
    *norm("embeddings.LayerNorm", "embeddings/norm"),
    *norm(f"{_LAYER}.attention.output.LayerNorm", "layers/attention_norm"),
    *norm(f"{_LAYER}.output.LayerNorm", "layers/ffn_norm"),
)

_PRE_NORM = (
    *norm(f"{_LAYER}.attention.self_attn_layer_norm", "layers/attention_norm"),
    *norm(f"{_LAYER}.LayerNorm", "layers/ffn_norm"),
    *norm("encoder.LayerNorm", "final_norm"),
)

# Tensors that published folders carry and an encoder does not use: task heads, the pooler, the
# MLM and next-sentence heads, and index buffers that older versions of transformers stored.
_DROPPED = re.compile(
    r"(pooler|lm_head|cls|classifier|qa_outputs)\.|embeddings\.(position_ids|token_type_ids)$"
)
# The decoder of an MLM head is a second name of the word embeddings and of the head's bias.
_DROPPED_WITH_HEAD = re.compile(
    r"pooler\.|embeddings\.(position_ids|token_type_ids)$|"
    r"(lm_head|cls\.predictions)\.decoder\.(weight|bias)$"
)
_PREFIX = re.compile(rf"^({'|'.join({kind.hf_prefix for kind in MODEL_KINDS.values()})})\.")
_OLD_NORM = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}


def encoder_entries(config: EncoderConfig) -> tuple[Entry, ...]:
    """Returns an entry for each parameter of an `Encoder`, without `roberta.` or `bert.` prefix."""
    return _COMMON + (_PRE_NORM if config.pre_norm else _POST_NORM)


def model_entries(config: EncoderConfig, head: Sequence[Entry]) -> tuple[Entry, ...]:
    """Returns an entry for each parameter of a `Model`, given those of its head."""
    encoder = (e._replace(path=f"encoder/{e.path}") for e in encoder_entries(config))
    return (*encoder, *(e._replace(path=f"head/{e.path}") for e in head))


def canonical_name(name: str) -> str:
    """Returns a tensor name without its model prefix and with the current names of LayerNorm's."""
    name = _PREFIX.sub("", name)
    for old, new in _OLD_NORM.items():
        if name.endswith(old):
            name = name.removesuffix(old) + new
    return name


def full_name(name: str, config: EncoderConfig) -> str:
    """Returns the name of a canonically named tensor in the file of a model with a head."""
    in_base_model = name.startswith(("embeddings.", "encoder.", "pooler."))
    return f"{config.kind.hf_prefix}.{name}" if in_base_model else name


def is_dropped(name: str, *, with_head: bool) -> bool:
    """Returns whether a canonical name that the table lacks is left out on purpose."""
    return bool((_DROPPED_WITH_HEAD if with_head else _DROPPED).match(name))


def architecture(config: EncoderConfig, head_class: str = "Model") -> str:
    """Returns the `transformers` class for the folder, such as XLMRobertaForQuestionAnswering."""
    return config.kind.hf_class + head_class
