"""Opens the tokenizer in a folder or on the hub, whichever files it consists of."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from typing import Any

from etils import epath

from xt_jax.errors import ConfigError, DataError
from xt_jax.files import find, is_folder, parse_json, read_lines, read_text, recognise
from xt_jax.places import as_path

Tokenizer = Any  # a fast tokenizer of transformers
PATTERNS = ("tokenizer*", "special_tokens_map.json", "sentencepiece*", "vocab*")
# One of these is the tokenizer itself, the first before the others.
JSON, SENTENCEPIECE, WORDPIECE = MAIN = ("tokenizer.json", "sentencepiece.bpe.model", "vocab.txt")
CONFIG = "tokenizer_config.json"
REMEDY = f"name a folder with {JSON} or {SENTENCEPIECE}, or a hub id"

# The usual special tokens, for a tokenizer.json without those names in tokenizer_config.json.
_SPECIAL = {
    "pad_token": ("<pad>", "[PAD]"),
    "unk_token": ("<unk>", "[UNK]"),
    "mask_token": ("<mask>", "[MASK]"),
    "cls_token": ("<s>", "[CLS]"),
    "sep_token": ("</s>", "[SEP]"),
}


@contextlib.contextmanager
def local_folder(path_or_id: str) -> Iterator[epath.Path]:
    """Yields a local folder with the tokenizer: as named, copied from a bucket or downloaded.

    Raises:
        ConfigError: neither a folder nor a repository that can be reached.
    """
    folder = as_path(path_or_id)
    if not is_folder(folder):
        yield _download(path_or_id)
    elif "://" not in str(path_or_id):
        yield folder
    else:
        with tempfile.TemporaryDirectory() as temporary:
            for path in _files(folder):
                path.copy(epath.Path(temporary) / path.name)
            yield epath.Path(temporary)


def main_file(folder: epath.Path) -> epath.Path:
    """Returns the file that is the tokenizer.

    Raises:
        ConfigError: there is none.
        DataError: it is something else, such as a git-LFS pointer.
    """
    for path in (folder / name for name in MAIN):
        if path.exists():
            _check_start(path)
            return path
    raise ConfigError(f"There is no {', '.join(MAIN[:-1])} or {MAIN[-1]}.", remedy=REMEDY)


def open_folder(folder: epath.Path) -> Tokenizer:
    """Opens a local tokenizer; a damaged one raises whatever its library does.

    The files decide, since config.json may name an unsuitable class. `tokenizer.json` is taken as
    it is: `transformers` would replace its normalizer by that of the class that is named.
    """
    from transformers import (  # slow import
        BertTokenizer,
        PreTrainedTokenizerFast,
        XLMRobertaTokenizer,
    )

    path, name, config = str(folder), main_file(folder).name, folder / CONFIG
    if name == JSON:
        return _completed(PreTrainedTokenizerFast.from_pretrained(path))
    if name == SENTENCEPIECE:
        return XLMRobertaTokenizer.from_pretrained(path)
    if config.exists() and "do_lower_case" in parse_json(read_text(config), config):
        return BertTokenizer.from_pretrained(path)
    return BertTokenizer.from_pretrained(path, do_lower_case=not _is_cased(folder / WORDPIECE))


def check_files(folder: epath.Path) -> None:
    """Raises a DataError for the first file that is not even of its format; names the line."""
    for path in _files(folder):
        if path.suffix == ".json":
            parse_json(read_text(path), path)
        elif path.suffix == ".txt":
            read_text(path)
        elif path.suffix == ".model":
            _check_sentencepiece(path)


def _check_sentencepiece(path: epath.Path) -> None:
    from sentencepiece import SentencePieceProcessor  # slow import

    try:
        SentencePieceProcessor(model_file=str(path))
    except (RuntimeError, OSError) as error:
        problem = f"not readable as a SentencePiece model: {reason(error)}"
        raise DataError(problem, where=path, remedy="it is damaged; fetch it again") from error


def _check_start(path: epath.Path) -> None:
    try:
        with path.open("rb") as file:
            other = recognise(file.read(512))
    except OSError as error:
        other = f"not readable ({error.strerror})"
    if other:
        raise DataError(f"it is {other}", where=path, remedy="fetch it again")


def _files(folder: epath.Path) -> list[epath.Path]:
    return [path for p in PATTERNS for path in find(folder, p) if not path.is_dir()]


def _download(hub_id: str) -> epath.Path:
    import huggingface_hub  # slow import

    try:
        return epath.Path(huggingface_hub.snapshot_download(hub_id, allow_patterns=list(PATTERNS)))
    except Exception as error:  # the types depend on the hub client's version and its HTTP library
        raise ConfigError(
            f"No tokenizer could be loaded: {reason(error)}", remedy=REMEDY
        ) from error


def reason(error: BaseException) -> str:
    """Returns the first line of an error's message, or its type where it has none."""
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__


def _completed(tokenizer: Tokenizer) -> Tokenizer:
    """Adds to `tokenizer.json` what tokenizer_config.json lacks: special tokens, token types."""
    vocabulary = tokenizer.get_vocab()
    for name, usual in _SPECIAL.items():
        token = next((token for token in usual if token in vocabulary), None)
        if getattr(tokenizer, name) is None and token is not None:
            setattr(tokenizer, name, token)
    if "model_input_names" not in tokenizer.init_kwargs:
        has_types = any(tokenizer.backend_tokenizer.encode("a", "a").type_ids)
        types = ["token_type_ids"] if has_types else []
        tokenizer.model_input_names = ["input_ids", *types, "attention_mask"]
    return tokenizer


def _is_cased(vocabulary: epath.Path) -> bool:
    """Returns whether over 1 % of the entries of a vocab.txt have capital letters.

    Special tokens such as [MASK] do not count.
    """
    entries = [entry for entry in read_lines(vocabulary) if not entry.startswith("[")]
    return sum(entry != entry.lower() for entry in entries) > len(entries) / 100
