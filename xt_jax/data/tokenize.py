"""Tokenizers and the cache of tokenised examples."""

from __future__ import annotations

import hashlib
import io
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from etils import epath

from xt_jax.data.packing import Features
from xt_jax.errors import ConfigError

Tokenizer = Any  # a fast tokenizer of transformers


def load_tokenizer(path_or_id: str) -> Tokenizer:
    """The fast tokenizer of a folder or hub id; `sentencepiece.bpe.model` alone is enough.

    Raises:
        ConfigError: nothing there, or only a tokenizer without offsets (a slow one).
    """
    from transformers import AutoTokenizer, XLMRobertaTokenizer  # slow import

    folder = epath.Path(path_or_id)
    bare = folder.exists() and not (folder / "tokenizer.json").exists()
    spm_only = bare and not (folder / "config.json").exists()
    try:
        if spm_only and (folder / "sentencepiece.bpe.model").exists():
            tokenizer = XLMRobertaTokenizer.from_pretrained(path_or_id)
        else:
            tokenizer = AutoTokenizer.from_pretrained(path_or_id)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"No tokenizer could be loaded: {str(error).splitlines()[0]}",
            where=f"--config.model.tokenizer={path_or_id}",
            remedy="name a folder with tokenizer.json or sentencepiece.bpe.model, or a hub id",
        ) from error
    if not tokenizer.is_fast:
        raise ConfigError(
            "The tokenizer gives no character offsets.",
            where=f"--config.model.tokenizer={path_or_id}",
            remedy="save it as tokenizer.json (a fast tokenizer)",
        )
    tokenizer.deprecation_warnings["sequence-length-is-longer-than-the-specified-maximum"] = True
    return tokenizer


def check_fits(tokenizer: Tokenizer, vocab_size: int, pad_id: int | None, where: str) -> None:
    """Every id of the tokenizer has a row in the embedding, and padding is the same id in both.

    Args:
        pad_id: of the model; None where nothing depends on it (BERT's positions do not).
        where: the field to name in the error.

    Raises:
        ConfigError: the two do not fit.
    """
    largest = max(tokenizer.get_vocab().values())
    if largest >= vocab_size:
        raise ConfigError(
            f"The tokenizer has ids up to {largest}, the model {vocab_size} embeddings.",
            where=where,
            remedy="use the tokenizer that the model was trained with",
        )
    if pad_id is not None and tokenizer.pad_token_id != pad_id:
        raise ConfigError(
            f"The tokenizer pads with id {tokenizer.pad_token_id}, the model with {pad_id}.",
            where=where,
            remedy="use the tokenizer that the model was trained with",
        )


def fingerprint(tokenizer: Tokenizer) -> str:
    """Hex digest of everything that decides the tokenizer's output."""
    return hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest()


@dataclass(frozen=True)
class Template:
    """The special tokens round one text (`before`, `after`) and between two (`between`)."""

    before: list[int]
    between: list[int]
    after: list[int]

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Template:
        """Read off the tokenizer's own treatment of a pair, e.g. `<s> a </s></s> b </s>`."""
        encoding = tokenizer("a", "a")
        texts = encoding.sequence_ids()
        a, b = texts.index(0), texts.index(1)
        ids = encoding["input_ids"]
        last_a = len(texts) - 1 - texts[::-1].index(0)
        last_b = len(texts) - 1 - texts[::-1].index(1)
        return cls(ids[:a], ids[last_a + 1 : b], ids[last_b + 1 :])

    @property
    def single(self) -> int:
        """Special tokens round one text."""
        return len(self.before) + len(self.after)

    @property
    def pair(self) -> int:
        """Special tokens round two texts."""
        return self.single + len(self.between)


def subwords(
    tokenizer: Tokenizer, texts: list[str], offsets: bool = False
) -> tuple[list[list[int]], list[list[tuple[int, int]]]]:
    """Ids of each text without special tokens and, if asked, the characters of each id."""
    if not texts:
        return [], []
    encoded = tokenizer(
        texts,
        add_special_tokens=False,
        return_attention_mask=False,
        return_token_type_ids=False,
        return_offsets_mapping=offsets,
    )
    return encoded["input_ids"], encoded.get("offset_mapping", [])


def token_types(tokenizer: Tokenizer, first: int, second: int) -> list[int] | None:
    """0 for the first segment's tokens, 1 for the second's; None where the model has one type."""
    if "token_type_ids" not in tokenizer.model_input_names:
        return None
    return [0] * first + [1] * second


def ragged(
    rows: dict[str, list[list[int]]],
    fields: dict[str, Iterable[int]],
    host: dict[str, list[list[int]]] | None = None,
) -> Features:
    """Features from one list of ids per feature and name, and one value per feature and name."""
    lengths = np.array([len(row) for row in rows["input_ids"]], np.int32)
    total = int(lengths.sum())
    return Features(
        lengths,
        {name: _flatten(lists, total) for name, lists in rows.items()},
        {name: np.fromiter(values, np.int32, len(lengths)) for name, values in fields.items()},
        {name: _flatten(lists, total) for name, lists in (host or {}).items()},
    )


def cached(folder: epath.Path, name: str, make: Callable[[], Features]) -> Features:
    """`make()`, or what it gave last time under this name (which must hold all that decides it)."""
    path = folder / f"{name}.npz"
    if path.exists():
        with np.load(io.BytesIO(path.read_bytes())) as arrays:
            return _unpack(dict(arrays))
    features = make()
    folder.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **_pack(features))
    temporary = folder / f"{name}.npz.partial"
    temporary.write_bytes(buffer.getvalue())
    temporary.rename(path)
    return features


def _pack(features: Features) -> dict[str, np.ndarray]:
    groups = {"tokens": features.tokens, "fields": features.fields, "host": features.host}
    arrays = {f"{group}.{name}": a for group, part in groups.items() for name, a in part.items()}
    return {"lengths": features.lengths, **arrays}


def _unpack(arrays: dict[str, np.ndarray]) -> Features:
    def part(group: str) -> dict[str, np.ndarray]:
        prefix = f"{group}."
        return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}

    return Features(arrays["lengths"], part("tokens"), part("fields"), part("host"))


def _flatten(lists: list[list[int]], total: int) -> np.ndarray:
    return np.fromiter(itertools.chain.from_iterable(lists), np.int32, total)
