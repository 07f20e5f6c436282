"""The architecture of an encoder, and its conversion from and to Hugging Face's config.json."""

from __future__ import annotations

import dataclasses
import reprlib
from typing import Any, NamedTuple

from xt_jax.errors import ConfigError

DTYPES = ("float32", "bfloat16")
ATTENTION_BACKENDS = ("xla", "splash", "cudnn")

# Gradient checkpointing policies: what is kept for the backward pass and not computed again, of L
# layers of hidden size D and feed-forward size F, per token; from most memory to least.
REMAT_POLICIES = {
    "none": "every intermediate result",
    "scores": "all but the T x T attention scores and probabilities of the xla backend",
    "dots": "products with the weights and attention outputs: 7 D + F a layer",
    "outputs": "each layer's input and attention output: 2 D a layer",
    "full": "each layer's input: D a layer",
}


class ModelKind(NamedTuple):
    """The properties of an encoder that follow from the `model_type` of its config.json.

    `pad_id` and `norm_eps` are the values of `transformers` for a config.json without its own.
    """

    hf_class: str
    hf_prefix: str
    pre_norm: bool
    positions_after_pad: bool
    pad_id: int
    norm_eps: float


MODEL_KINDS = {
    "xlm-roberta": ModelKind("XLMRoberta", "roberta", False, True, 1, 1e-12),
    "roberta": ModelKind("Roberta", "roberta", False, True, 1, 1e-12),
    "xlm-roberta-xl": ModelKind("XLMRobertaXL", "roberta", True, True, 1, 1e-5),
    "bert": ModelKind("Bert", "bert", False, False, 0, 1e-12),
}

_HF_NAMES = {
    "vocab_size": "vocab_size",
    "hidden_size": "hidden_size",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "intermediate_size": "intermediate_size",
    "max_positions": "max_position_embeddings",
    "type_vocab_size": "type_vocab_size",
    "layer_norm_eps": "layer_norm_eps",
    "pad_id": "pad_token_id",
    "dropout": "hidden_dropout_prob",
    "attention_dropout": "attention_probs_dropout_prob",
    "initializer_range": "initializer_range",
}

# More than any encoder has. What exceeds it is damage, and would take long to compare.
_MOST = {
    "vocab_size": 2**24,
    "hidden_size": 2**17,
    "num_layers": 2**10,
    "num_heads": 2**12,
    "intermediate_size": 2**20,
    "max_positions": 2**24,
    "type_vocab_size": 2**12,
    "pad_id": 2**24,
}

_SUPPORTED_HF_VALUES = {
    "position_embedding_type": ("absolute",),
    "hidden_act": ("gelu", "gelu_python"),
    "is_decoder": (False,),
    "add_cross_attention": (False,),
    "is_encoder_decoder": (False,),
}


@dataclasses.dataclass(frozen=True)
class EncoderConfig:
    """Architecture of one encoder, and how to run it (`dtype`, `remat`, `unroll`, `attention`).

    Field names are ours; `from_hf` and `to_hf` translate. Published dimensions are in `presets`.

    Raises:
        ConfigError: a value that cannot make a model.
    """

    model_type: str  # a key of MODEL_KINDS
    vocab_size: int
    hidden_size: int
    num_layers: int
    num_heads: int
    intermediate_size: int
    max_positions: int  # rows of the position table, as in config.json (514 for XLM-R)
    type_vocab_size: int
    layer_norm_eps: float
    pad_id: int
    dropout: float = 0.1
    attention_dropout: float = 0.1
    initializer_range: float = 0.02
    dtype: str = "float32"  # of the computation; parameters are always float32
    remat: str = "none"  # gradient checkpointing: a key of REMAT_POLICIES
    unroll: int = 6  # the loop over at most so many layers is written out, where remat is "none"
    attention: str = "xla"  # the backend; see `xt_jax.model.attention`

    def __post_init__(self):
        _check_choice("model_type", self.model_type, tuple(MODEL_KINDS))
        _check_choice("dtype", self.dtype, DTYPES)
        _check_choice("remat", self.remat, tuple(REMAT_POLICIES))
        _check_choice("attention", self.attention, ATTENTION_BACKENDS)
        self._check_size("pad_id", 0)
        self._check_size("max_positions", self.position_offset + 1)
        for name in _MOST:
            self._check_size(name, 0 if name == "pad_id" else 1)
        for name in ("dropout", "attention_dropout", "layer_norm_eps", "initializer_range"):
            check_rate(name, getattr(self, name))
        if self.pad_id >= self.vocab_size:
            raise ConfigError(
                f"pad_id {self.pad_id} is outside the vocabulary of {self.vocab_size}"
                + _in_file("pad_id")
            )
        if self.hidden_size % self.num_heads:
            raise ConfigError(
                f"hidden_size {self.hidden_size} is not a multiple of num_heads {self.num_heads}"
                + _in_file("num_heads")
            )
        if self.attention == "cudnn" and self.dtype != "bfloat16":
            raise attention_error(
                "cudnn",
                f"computes in bfloat16, not in {self.dtype}",
                "add --config.model.dtype=bfloat16, or use attention=xla",
            )
        if self.attention == "cudnn" and self.head_dim % 8:
            problem = f"needs head sizes that are multiples of 8, not {self.head_dim}"
            raise attention_error("cudnn", problem)

    def _check_size(self, name: str, least: int) -> None:
        value, most = getattr(self, name), _MOST[name]
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ConfigError(
                f"{name} must be a whole number from {least} to {most}, not "
                f"{reprlib.repr(value)}{_in_file(name)}"
            )

    @property
    def kind(self) -> ModelKind:
        return MODEL_KINDS[self.model_type]

    @property
    def pre_norm(self) -> bool:
        """Whether LayerNorm precedes each block and follows the last, not the embeddings (XL)."""
        return self.kind.pre_norm

    @property
    def position_offset(self) -> int:
        """The row of the position table that a segment's first token uses."""
        return self.pad_id + 1 if self.kind.positions_after_pad else 0

    @property
    def max_length(self) -> int:
        """The largest number of tokens in one segment."""
        return self.max_positions - self.position_offset

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_heads

    @classmethod
    def from_hf(cls, values: dict[str, Any], **run_time: Any) -> EncoderConfig:
        """Converts the fields of a config.json; `run_time` sets `dtype`, `remat` or `attention`.

        A field that is null counts as absent.

        Raises:
            ConfigError: a model type, activation or position scheme that is not implemented,
                or missing fields (all of them are named).
        """
        values = {name: value for name, value in values.items() if value is not None}
        model_type = values.get("model_type")
        _check_choice("model_type", model_type, tuple(MODEL_KINDS))
        for name, allowed in _SUPPORTED_HF_VALUES.items():
            if name in values:
                _check_choice(name, values[name], allowed)
        kind = MODEL_KINDS[str(model_type)]
        values = {"pad_token_id": kind.pad_id, "layer_norm_eps": kind.norm_eps, **values}
        required = {f.name for f in dataclasses.fields(cls) if f.default is dataclasses.MISSING}
        present = {ours for ours, hf in _HF_NAMES.items() if hf in values}
        missing = [hf for ours, hf in _HF_NAMES.items() if ours in required - present]
        if missing:
            raise ConfigError(
                f"config.json lacks {', '.join(missing)}",
            )
        fields = {ours: values[_HF_NAMES[ours]] for ours in present}
        return cls(model_type=str(model_type), **fields, **run_time)

    def to_hf(self) -> dict[str, Any]:
        """Returns the fields of a config.json that `transformers` reads for this architecture."""
        names = {hf: getattr(self, ours) for ours, hf in _HF_NAMES.items()}
        return {"model_type": self.model_type, "hidden_act": "gelu", **names}


def attention_error(backend: str, problem: str, remedy: str = "use attention=xla") -> ConfigError:
    """Returns the error for a request that an attention backend cannot meet."""
    return ConfigError(
        f"The attention backend `{backend}` {problem}.",
        where="--config.model.attention",
        remedy=remedy,
    )


def _check_choice(name: str, value: Any, allowed: tuple) -> None:
    if value not in allowed:
        raise ConfigError(
            f"{name}={reprlib.repr(value)} is not implemented",
            remedy=f"use one of {', '.join(map(str, allowed))}",
        )


def check_rate(name: str, value: Any) -> None:
    """Raises a ConfigError unless the value of a field is a number in [0, 1)."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1:
        raise ConfigError(
            f"{name} must be a number in [0, 1), not {reprlib.repr(value)}{_in_file(name)}"
        )


def _in_file(name: str) -> str:
    """Tells what a field is called in config.json, if that is another name."""
    return f" ({_HF_NAMES[name]} in config.json)" if _HF_NAMES.get(name, name) != name else ""
