"""The encoder family: what is computed, and how it comes from and goes to Hugging Face folders."""

from xt_jax.model.attention import attention
from xt_jax.model.config import EncoderConfig
from xt_jax.model.encoder import (
    Encoder,
    abstract_encoder,
    count_params,
    param_path,
    remat_on,
    unroll_on,
    with_options,
)
from xt_jax.model.heads import (
    ChoiceHead,
    ClassificationHead,
    Head,
    MlmHead,
    Model,
    SpanHead,
    TaggingHead,
    num_labels,
    take_tokens,
)
from xt_jax.model.hf import check, load, load_mlm_head, load_model, save
from xt_jax.model.hf_files import weights_fingerprint
from xt_jax.model.presets import ALIASES, PRESETS, Preset, preset

__all__ = [
    "ALIASES",
    "PRESETS",
    "ChoiceHead",
    "ClassificationHead",
    "Encoder",
    "EncoderConfig",
    "Head",
    "MlmHead",
    "Model",
    "Preset",
    "SpanHead",
    "TaggingHead",
    "abstract_encoder",
    "attention",
    "check",
    "count_params",
    "load",
    "load_mlm_head",
    "load_model",
    "num_labels",
    "param_path",
    "preset",
    "remat_on",
    "save",
    "take_tokens",
    "unroll_on",
    "weights_fingerprint",
    "with_options",
]
