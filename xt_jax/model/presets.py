"""Encoders by name: published ones, the mini ones of the embedded world, and random sizes.

Dimensions of the published models are those of their hub pages; when weights are loaded, the
config.json beside them decides.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from etils import epath

from xt_jax.errors import ConfigError
from xt_jax.mini import weights as mini
from xt_jax.model.config import EncoderConfig
from xt_jax.model.hf_files import resolve_folder


class Preset(NamedTuple):
    """A named architecture, and where its published weights and tokenizer are.

    Attributes:
        hub_id: None where the hub has no weights.
        family: of presets that differ in size alone: one architecture, corpus and recipe.
        mini: pretrained on the embedded world; weights and tokenizer come with the package.
    """

    name: str
    hub_id: str | None
    config: EncoderConfig
    family: str
    mini: bool = False

    @property
    def has_weights(self) -> bool:
        return self.mini or self.hub_id is not None

    def weights_folder(self) -> epath.Path | None:
        """Returns the Hugging Face folder of the published weights; None where there are none.

        Raises:
            ConfigError: a mini size that does not come with the package.
            WeightsError: the hub cannot be reached.
        """
        if self.mini:
            return mini.weights_folder(self.name)
        return resolve_folder(self.hub_id) if self.hub_id else None

    def tokenizer(self) -> str:
        """Returns the folder or hub id of the weights' tokenizer; "" where there is none."""
        return str(mini.tokenizer_folder()) if self.mini else self.hub_id or ""


def _xlmr(
    layers: int, dim: int, heads: int, ffn: int, vocab: int, model_type: str = "xlm-roberta"
) -> EncoderConfig:
    return EncoderConfig(model_type, vocab, dim, layers, heads, ffn, 514, 1, 1e-5, pad_id=1)


def _bert(layers: int, dim: int, heads: int, ffn: int, vocab: int) -> EncoderConfig:
    return EncoderConfig("bert", vocab, dim, layers, heads, ffn, 512, 2, 1e-12, pad_id=0)


def _mini(layers: int, dim: int, heads: int) -> Preset:
    """Returns a mini preset without dropout, since models this small underfit."""
    config = _xlmr(layers, dim, heads, 4 * dim, MINI_VOCAB)
    config = dataclasses.replace(config, dropout=0.0, attention_dropout=0.0)
    return Preset(f"mini-{dim}", None, config, "mini", mini=True)


RANDOM = "random"  # the family of sizes that nobody has pretrained
MINI_VOCAB = 4000  # at most; the tokenizer's own size counts
_XLMR_VOCAB, _XL_VOCAB = 250_002, 250_880
_L6 = "nreimers/mMiniLMv2-L6-H384-distilled-from-XLMR-Large"
_L12 = "nreimers/mMiniLMv2-L12-H384-distilled-from-XLMR-Large"
_MINILM = "microsoft/Multilingual-MiniLM-L12-H384"
_XL, _XXL = "facebook/xlm-roberta-xl", "facebook/xlm-roberta-xxl"
_XLMV, _MBERT = "facebook/xlm-v-base", "bert-base-multilingual-cased"

_TABLE = (
    Preset(_L6, _L6, _xlmr(6, 384, 12, 1536, _XLMR_VOCAB), "mMiniLMv2"),
    Preset(_L12, _L12, _xlmr(12, 384, 12, 1536, _XLMR_VOCAB), "mMiniLMv2"),
    Preset(_MINILM, _MINILM, _bert(12, 384, 12, 1536, 250_037), "Multilingual-MiniLM"),
    Preset(
        "xlm-roberta-base",
        "FacebookAI/xlm-roberta-base",
        _xlmr(12, 768, 12, 3072, _XLMR_VOCAB),
        "xlm-roberta",
    ),
    Preset(
        "xlm-roberta-large",
        "FacebookAI/xlm-roberta-large",
        _xlmr(24, 1024, 16, 4096, _XLMR_VOCAB),
        "xlm-roberta",
    ),
    Preset(_XL, _XL, _xlmr(36, 2560, 32, 10_240, _XL_VOCAB, "xlm-roberta-xl"), "xlm-roberta-xl"),
    Preset(_XXL, _XXL, _xlmr(48, 4096, 32, 16_384, _XL_VOCAB, "xlm-roberta-xl"), "xlm-roberta-xl"),
    Preset(_XLMV, _XLMV, _xlmr(12, 768, 12, 3072, 901_629), "xlm-v"),
    Preset(
        _MBERT,
        "google-bert/bert-base-multilingual-cased",
        _bert(12, 768, 12, 3072, 119_547),
        "bert-multilingual",
    ),
    Preset("tiny", None, _xlmr(2, 64, 4, 256, _XLMR_VOCAB), RANDOM),
    Preset("small", None, _xlmr(6, 256, 8, 1024, _XLMR_VOCAB), RANDOM),
    _mini(2, 24, 2),
    _mini(2, 32, 2),
    _mini(2, 48, 3),
    _mini(3, 64, 4),
    _mini(3, 96, 6),
    _mini(4, 128, 4),
    _mini(6, 192, 6),
    _mini(10, 256, 8),
)

PRESETS: dict[str, Preset] = {preset.name: preset for preset in _TABLE}
MINI = tuple(preset.name for preset in _TABLE if preset.mini)

ALIASES = {
    "minilm-l6": _L6,
    "minilm-l12": _L12,
    "base": "xlm-roberta-base",
    "large": "xlm-roberta-large",
    "xl": _XL,
    "xxl": _XXL,
    "mbert": _MBERT,
}


def preset(name: str, vocab_size: int | None = None) -> Preset:
    """Looks up a preset by its name, alias or hub id.

    Args:
        name: a key of PRESETS or ALIASES, or a hub id of PRESETS.
        vocab_size: of the tokenizer. A random or mini preset takes it as its own (without one it
            has XLM-R's 250,002 or 4,000); a published one must hold it.

    Raises:
        ConfigError: an unknown name, or a tokenizer larger than the published vocabulary.
    """
    by_hub_id = {p.hub_id: p for p in _TABLE if p.hub_id}
    entry = PRESETS.get(ALIASES.get(name, name)) or by_hub_id.get(name)
    if entry is None:
        raise ConfigError(
            f"no model preset is called {name!r}",
            remedy=f"use one of {', '.join([*ALIASES, *PRESETS])}",
        )
    if vocab_size is None:
        return entry
    if entry.hub_id is None:
        return entry._replace(config=dataclasses.replace(entry.config, vocab_size=vocab_size))
    if vocab_size > entry.config.vocab_size:
        raise ConfigError(
            f"the tokenizer has {vocab_size} entries, {entry.name} has {entry.config.vocab_size}",
            remedy="use the tokenizer that was published with the weights",
        )
    return entry
