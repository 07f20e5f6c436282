"""Loads tokenizers, and caches tokenised examples."""

from __future__ import annotations

import hashlib
import io
import itertools
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from absl import logging
from etils import epath
from flax.traverse_util import flatten_dict, unflatten_dict

from xt_jax.data.packing import Features
from xt_jax.data.tokenizer_files import (
    REMEDY,
    Tokenizer,
    check_files,
    local_folder,
    main_file,
    open_folder,
    reason,
)
from xt_jax.errors import ConfigError, UserError
from xt_jax.files import atomic_write_bytes

_DIGEST = hashlib.sha256().digest_size
LEAST_USE = 0.9  # XLM-R XL has 250,880 embeddings for 250,002 entries


def load_tokenizer(path_or_id: str) -> Tokenizer:
    """Loads the fast tokenizer of a folder or hub id; `sentencepiece.bpe.model` alone is enough.

    Raises:
        ConfigError: no usable tokenizer, or one without offsets or special tokens.
        DataError: a file that is damaged; names the line where it can.
    """
    try:
        with local_folder(path_or_id) as folder:
            return _tried(folder)
    except ConfigError as error:
        where = f"--config.model.tokenizer={path_or_id}"
        raise ConfigError(error.problem, where=where, remedy=error.remedy) from error


def save_tokenizer(tokenizer: Tokenizer, folder: epath.Path) -> None:
    """Writes the tokenizer's files into a folder, for example beside the weights."""
    tokenizer.backend_tokenizer.no_truncation()  # else the last call's setting would be saved
    with tempfile.TemporaryDirectory() as temporary:
        tokenizer.save_pretrained(temporary)
        for path in epath.Path(temporary).iterdir():
            (folder / path.name).write_bytes(path.read_bytes())


def check_fits(
    tokenizer: Tokenizer, *, vocab_size: int, pad_id: int | None, type_vocab_size: int, where: str
) -> None:
    """Checks that the tokenizer's ids and token types match the model's embeddings.

    Args:
        pad_id: the model's padding id; None where nothing depends on it (as with BERT's positions).
        where: the field to name in the error.

    Raises:
        ConfigError: the tokenizer does not belong to the model.
    """
    entries = max(tokenizer.get_vocab().values()) + 1
    problem = ""
    if entries > vocab_size:
        problem = f"The tokenizer has {entries} entries, the model {vocab_size} embeddings."
    elif entries < LEAST_USE * vocab_size:
        problem = f"The tokenizer has {entries} entries for the model's {vocab_size} embeddings."
    elif pad_id is not None and tokenizer.pad_token_id != pad_id:
        problem = f"The tokenizer pads with id {tokenizer.pad_token_id}, the model with {pad_id}."
    elif token_types(tokenizer, 0, 1) is not None and type_vocab_size < 2:
        problem = "The tokenizer tells two texts apart by a token type, the model has one type."
    if problem:
        raise ConfigError(
            problem, where=where, remedy="use the tokenizer that the model was trained with"
        )


def fingerprint(tokenizer: Tokenizer) -> str:
    """Returns the hex digest of everything that decides the tokenizer's output."""
    special = [tokenizer.pad_token_id, tokenizer.unk_token_id, *tokenizer.model_input_names]
    text = tokenizer.backend_tokenizer.to_str() + repr(special)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Template:
    """The special tokens around one text (`before`, `after`) and between two (`between`)."""

    before: list[int]
    between: list[int]
    after: list[int]

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Template:
        """Returns the template that the tokenizer itself uses, e.g. `<s> a </s></s> b </s>`."""
        encoding = tokenizer("a", "a")
        texts = encoding.sequence_ids()
        a, b = texts.index(0), texts.index(1)
        ids = encoding["input_ids"]
        last_a = len(texts) - 1 - texts[::-1].index(0)
        last_b = len(texts) - 1 - texts[::-1].index(1)
        return cls(ids[:a], ids[last_a + 1 : b], ids[last_b + 1 :])

    @property
    def single(self) -> int:
        """The number of special tokens around one text."""
        return len(self.before) + len(self.after)


def subwords(
    tokenizer: Tokenizer, texts: list[str], offsets: bool = False
) -> tuple[list[list[int]], list[list[tuple[int, int]]]]:
    """Returns each text's ids, without special tokens, and with `offsets` their characters."""
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
    """Returns token types (0: first text, 1: second text), or None if the model has only one."""
    if "token_type_ids" not in tokenizer.model_input_names:
        return None
    return [0] * first + [1] * second


def ragged(
    rows: dict[str, list[list[int]]],
    fields: Mapping[str, Iterable[int]],
    host: dict[str, list[list[int]]] | None = None,
) -> Features:
    """Builds features from a list of ids per feature and name, and a value per feature and name."""
    lengths = np.array([len(row) for row in rows["input_ids"]], np.int32)
    total = int(lengths.sum())
    return Features(
        lengths,
        {name: _flatten(lists, total) for name, lists in rows.items()},
        {name: np.fromiter(values, np.int32, len(lengths)) for name, values in fields.items()},
        {name: _flatten(lists, total) for name, lists in (host or {}).items()},
    )


def cached(folder: epath.Path, name: str, make: Callable[[], Features]) -> Features:
    """Returns `make()`, or its cached result; `name` must contain all that decides the result.

    A file is an archive of NumPy's and the SHA-256 of it, by which damage is noticed.
    """
    path = folder / f"{name}.npz"
    if path.exists():
        content = memoryview(path.read_bytes())
        archive, digest = content[:-_DIGEST], content[-_DIGEST:]
        if hashlib.sha256(archive).digest() == digest:
            with np.load(io.BytesIO(archive)) as arrays:
                return Features(**unflatten_dict(dict(arrays), sep="."))
        logging.warning("%s is damaged and will be made again", path)
    features = make()
    buffer = io.BytesIO()
    groups = {"tokens": features.tokens, "fields": features.fields, "host": features.host}
    arrays = flatten_dict({"lengths": features.lengths, **groups}, sep=".")
    np.savez(buffer, allow_pickle=False, **arrays)
    archive = buffer.getbuffer()
    atomic_write_bytes(path, b"".join((archive, hashlib.sha256(archive).digest())))
    return features


def _tried(folder: epath.Path) -> Tokenizer:
    """Opens a tokenizer and tries it out, since some damage shows only when it is used."""
    name = main_file(folder).name
    try:
        tokenizer = open_folder(folder)
        lacking = [n for n in ("pad", "unk") if getattr(tokenizer, f"{n}_token_id") is None]
        if not lacking and tokenizer.is_fast:
            Template.of(tokenizer)
            pieces, _ = subwords(tokenizer, ["a 𒐫"], offsets=True)  # has an unknown character
            if not pieces[0]:
                raise ValueError("it finds no token in a text")
            fingerprint(tokenizer)
            return tokenizer
    except BaseException as error:  # a panic of the Rust library is no `Exception`
        if isinstance(error, UserError | KeyboardInterrupt | SystemExit):
            raise
        check_files(folder)
        problem = f"No tokenizer could be loaded from {name}: {reason(error)}"
        raise ConfigError(problem, remedy=REMEDY) from error
    raise ConfigError(
        f"The tokenizer has no {' and no '.join(lacking) or 'character offsets'}.",
        remedy="use a fast tokenizer (tokenizer.json) with all special tokens",
    )


def _flatten(lists: list[list[int]], total: int) -> np.ndarray:
    return np.fromiter(itertools.chain.from_iterable(lists), np.int32, total)
