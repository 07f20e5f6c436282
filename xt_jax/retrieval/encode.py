"""Embeds sentences with one encoder, packed into rows of a few static shapes."""

from __future__ import annotations

import functools
import types
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh
from tqdm import tqdm

from xt_jax.config import ModelConfig, digest
from xt_jax.data.packing import Features
from xt_jax.data.shape import Shape, ceil
from xt_jax.data.tokenize import Tokenizer, fingerprint, ragged
from xt_jax.errors import ConfigError
from xt_jax.model.encoder import Encoder
from xt_jax.model.predict import PredictFn, Predictor
from xt_jax.model.pretrained import open_pretrained
from xt_jax.model.sharding import make_mesh, place_param, row_multiple, step_tokens
from xt_jax.retrieval.embed import ALL_LAYERS, embed_batch, tatoeba_layer
from xt_jax.ticker import Ticker

POOLINGS = ("mean", "mean_no_special", "first")
_CHUNK = 16_384  # sentences tokenised and packed at a time
_SHORTEST = 64  # tokens of a row


class SentenceEncoder:
    """Embeds sentences as the mean or the first token of a hidden state of an encoder.

    It serves as a model for MTEB and for the evaluators of sentence-transformers.

    Attributes:
        name, key: of the encoder where it was loaded by name; `key` stands for its weights,
            its tokenizer and its precision.

    Args:
        encoder: its parameters are used where they are.
        layer: hidden state, 0 (embeddings) to the number of layers; None: that of
            `tatoeba_layer`; ALL_LAYERS: every one.
        pooling: `mean` over all tokens, `mean_no_special` without the special ones, or `first`.
        max_length: tokens at which a sentence is cut, special ones included.
        mesh: sentences are spread over its axis `data`; None: one device.
        name: for errors.
    """

    # Attributes that the evaluators of sentence-transformers read.
    similarity_fn_name = "cosine"
    model_card_data = types.SimpleNamespace(set_evaluation_metrics=lambda *_: None)

    def __init__(
        self,
        encoder: Encoder,
        tokenizer: Tokenizer,
        *,
        layer: int | None = None,
        pooling: str = "mean",
        max_length: int = 512,
        mesh: Mesh | None = None,
        name: str = "encoder",
    ):
        config = encoder.config
        layer = tatoeba_layer(config.num_layers) if layer is None else layer
        if not ALL_LAYERS <= layer <= config.num_layers:
            raise ConfigError(
                f"There is no hidden state {layer} in an encoder of {config.num_layers} layers.",
                where="layer",
                remedy=f"name one from 0 (embeddings) to {config.num_layers}",
            )
        if pooling not in POOLINGS:
            raise ConfigError(
                f"Unknown pooling {pooling!r}.",
                where="pooling",
                remedy=f"use {', '.join(POOLINGS)}",
            )
        shortest = tokenizer.num_special_tokens_to_add() + 1
        if not shortest <= max_length <= config.max_length:
            raise ConfigError(
                f"Sentences cannot be cut at {max_length} tokens: the encoder reads up to "
                f"{config.max_length}, of which {shortest - 1} are special.",
                where="max_length",
                remedy=f"use {shortest} to {config.max_length}",
            )
        self.layer, self.pooling, self.max_length = layer, pooling, max_length
        self.name, self.key = name, ""
        self.tokenizer, self.config = tokenizer, config
        graphdef, self._params = nnx.split(encoder)
        mesh = mesh or make_mesh(devices=jax.local_devices()[:1])
        self._predictor = Predictor(graphdef, _predict_fn(layer, pooling), mesh, config, name)

    @classmethod
    def load(
        cls, name: str, *, tokenizer: str = "", dtype: str = "auto", **options: Any
    ) -> SentenceEncoder:
        """Loads the encoder of a folder, a hub id or a preset's name.

        Raises:
            ConfigError, WeightsError: what is wrong with the name, the weights or the tokenizer.
        """
        pretrained = open_pretrained(ModelConfig(name=name, tokenizer=tokenizer, dtype=dtype))
        mesh = options.pop("mesh", None) or make_mesh(devices=jax.local_devices()[:1])
        encoder = pretrained.load(None, lambda path, x: place_param(path, x, mesh, "replicated"))
        length = options.pop("max_length", min(512, pretrained.config.max_length))
        options |= {"mesh": mesh, "max_length": length, "name": pretrained.name}
        made = cls(encoder, pretrained.tokenizer, **options)
        made.key = digest(pretrained.key, pretrained.numerics, fingerprint(pretrained.tokenizer))
        return made

    @property
    def dim(self) -> int:
        return self.config.hidden_size

    def encode(
        self,
        sentences: str | Sequence[str] | Iterable[dict[str, list[str]]],
        *_: Any,
        show_progress_bar: bool | None = None,
        normalize_embeddings: bool = False,
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        truncate_dim: int | None = None,
        **__: Any,
    ) -> Any:
        """Embeds sentences: [n, D] fp32, or [n, L+1, D] of all layers; [D] of a single string.

        Args:
            sentences: strings, or as MTEB gives them: batches with a list of strings under `text`.
            show_progress_bar: None: on a terminal.
            normalize_embeddings: to unit norm.
            convert_to_numpy, convert_to_tensor: an array; a tensor of PyTorch instead, or with
                neither a list of tensors.
            truncate_dim: only so many numbers of each embedding.

        Other arguments of evaluators (batch sizes, prompts, devices, task names) have no effect.
        """
        if isinstance(sentences, str):
            texts = [sentences]
        else:
            texts = [text for item in sentences for text in _texts(item)]
        chunks = list(self.stream(texts, show_progress_bar=show_progress_bar))
        shape = (
            (0, self.dim) if self.layer != ALL_LAYERS else (0, self.config.num_layers + 1, self.dim)
        )
        embeddings = np.concatenate([np.empty(shape, np.float32), *chunks])[..., :truncate_dim]
        if normalize_embeddings:
            embeddings = _unit(embeddings)
        if isinstance(sentences, str):
            embeddings = embeddings[0]
        if convert_to_numpy and not convert_to_tensor:
            return embeddings
        import torch

        tensor = torch.from_numpy(embeddings)
        return tensor if convert_to_tensor else list(tensor)

    def similarity(self, a: Any, b: Any) -> np.ndarray:
        """Returns fp32 cosines [n, m] of rows [n, D] and rows [m, D]; 0 for a row of norm zero."""
        return _rows(a) @ _rows(b).T

    def similarity_pairwise(self, a: Any, b: Any) -> np.ndarray:
        """Returns fp32 cosines [n] of each row of `a` [n, D] with the same row of `b`."""
        return (_rows(a) * _rows(b)).sum(-1)

    @property
    def mteb_model_meta(self) -> Any:
        """The model's name and revision in MTEB's results; needs mteb."""
        from mteb.models import ModelMeta

        return ModelMeta.create_empty({"name": f"xt_jax/{self.name}", "revision": "local"})

    def stream(
        self, texts: Sequence[str], *, chunk: int = _CHUNK, show_progress_bar: bool | None = False
    ) -> Iterator[np.ndarray]:
        """Yields the embeddings of texts in chunks [chunk, D], with two in memory at most."""
        hidden = None if show_progress_bar is None else not show_progress_bar
        ticker = Ticker("embedded sentences", len(texts))
        with tqdm(total=len(texts), unit="sentence", disable=hidden, leave=False) as bar:
            for start in range(0, len(texts), chunk):
                part = list(texts[start : start + chunk])
                yield self._chunk(part, bar)
                ticker.advance(len(part))

    def _chunk(self, texts: list[str], bar: tqdm) -> np.ndarray:
        features = self._tokenize(texts)
        stream = self._predictor.stream([features], shape=self._shape(features))
        names = [f"{len(texts)} sentences from {texts[0][:80]!r} on"]
        ((_, outputs),) = self._predictor(self._params, stream, names=names)
        bar.update(len(texts))
        return outputs["embedding"]

    def _tokenize(self, texts: list[str]) -> Features:
        encoded = self.tokenizer(
            texts,
            truncation=True,
            max_length=self.max_length,
            return_attention_mask=False,
            return_special_tokens_mask=self.pooling == "mean_no_special",
        )
        rows = dict(encoded)
        special = rows.pop("special_tokens_mask", None)
        if special is not None:
            rows["counted"] = [[1 - flag for flag in mask] for mask in special]
        return ragged(rows, {"example": range(len(texts))})

    def _shape(self, features: Features) -> Shape:
        """Returns a step's shape, with rows of 64, 128, 256, ... tokens to limit compilations."""
        longest, length = int(features.lengths.max()), ceil(_SHORTEST, row_multiple())
        while length < longest:
            length *= 2
        rows = max(1, step_tokens(self.dim) // length) * self._predictor.mesh.shape["data"]
        return Shape(rows, length, length // 8)


@functools.cache  # jit compiles once for each function
def _predict_fn(layer: int, pooling: str) -> PredictFn:
    return functools.partial(_embed, layer=layer, pooling=pooling)


def _embed(encoder: Encoder, batch: dict[str, jax.Array], *, layer: int, pooling: str):
    embedding = embed_batch(encoder, batch, layer=layer, pooling=pooling)
    return {"fields": {"embedding": embedding}, "tokens": {}}


def _rows(x: Any) -> np.ndarray:
    return _unit(np.atleast_2d(np.asarray(x, np.float32)))


def _unit(x: np.ndarray) -> np.ndarray:
    norm = np.linalg.norm(x, axis=-1, keepdims=True)
    return x / np.where(norm == 0, 1, norm)


def _texts(item: str | dict[str, list[str]]) -> list[str]:
    return [item] if isinstance(item, str) else list(item["text"])
