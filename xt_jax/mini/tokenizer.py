"""Trains the tokenizer of the mini encoders, whose pieces are the same in text and in word lists.

Every piece lies within a run of letters, of Han characters or of digits, or is a single sign. Runs
of letters begin with U+2581 and nothing else does: Chinese text does not mark the beginning of a
word, and numbers and signs should be the same pieces in every language.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import string
from collections import Counter
from collections.abc import Iterable, Sequence

from etils import epath
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)
from tokenizers.processors import TemplateProcessing

from xt_jax import command
from xt_jax.errors import ConfigError, DataError
from xt_jax.files import atomic_write_text, read_lines
from xt_jax.mini.weights import ENCODERS

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")  # ids 0 to 3 as in XLM-R; <mask> comes last
MASK = "<mask>"
START = "\u2581"  # marks the beginning of a run of letters
MAX_LENGTH = 512
VOCAB_SIZE = 4000
_ALPHABET = START + string.ascii_letters + string.digits + string.punctuation
# U+200C and U+200D separate and join letters within Indic and Arabic words.
_RUN = r"(?:(?!\p{Han})[\p{L}\p{M}\u200C\u200D])+|\p{Han}+|\p{N}+|."
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
_BETWEEN, _AGAIN = "\ue001", "\ue000"  # marks in the training text; private-use, so in no text
_NO_START = START + r"(?=\p{Han}|[^\p{L}])"


def train_tokenizer(
    lines: Iterable[str], directory: epath.PathLike, vocab_size: int = VOCAB_SIZE
) -> epath.Path:
    """Trains the tokenizer and writes a folder that `transformers.AutoTokenizer` opens.

    Texts become `<s> A </s>` and `<s> A </s></s> B </s>`. Every character of the lines and of
    ASCII gets a piece. Two calls may choose slightly different pieces: threads sum in any order.

    Args:
        lines: text of all languages. Chinese should have spaces between its words here: then no
            piece crosses the end of a word, not even in text without spaces.
        directory: the folder to write.
        vocab_size: total entries, special ones included; fewer if the text has fewer.

    Raises:
        ConfigError: a vocabulary too small for the characters.
    """
    texts = [_split(line) for line in lines]
    characters = {*_ALPHABET, *(c for text in texts for word in text for c in word)}
    least = len(SPECIAL) + len(characters) + 2  # <mask>, and the trainer needs one longer piece
    if vocab_size < least:
        raise ConfigError(
            f"{vocab_size} entries are too few for {len(characters)} characters.",
            where="vocab_size",
            remedy=f"use at least {least}",
        )
    pieces = _learn(texts, vocab_size)
    folder = epath.Path(directory)
    atomic_write_text(folder / "tokenizer.json", _tokenizer(pieces).to_str(pretty=True) + "\n")
    atomic_write_text(folder / "tokenizer_config.json", json.dumps(_CONFIG, indent=1) + "\n")
    return folder


def _learn(texts: list[list[str]], vocab_size: int) -> list[tuple[str, float]]:
    """Learns at most `vocab_size` - 1 pieces with log probabilities, special pieces first.

    The trainer only considers pieces that occur in at least two different words, and so hardly ever
    a whole word. Therefore each word is given once more, with a mark after it.
    """
    counts = Counter(word for text in texts for word in text)
    trained = Tokenizer(models.Unigram())
    trained.pre_tokenizer = pre_tokenizers.Split(_BETWEEN, "removed")
    trainer = trainers.UnigramTrainer(
        vocab_size=vocab_size,  # <mask> is added later, _AGAIN removed
        special_tokens=list(SPECIAL),
        unk_token="<unk>",
        initial_alphabet=list(_ALPHABET),
        show_progress=False,
    )
    words = sorted(word + _AGAIN for word in counts)
    lines = map(_BETWEEN.join, [*texts, words])
    trained.train_from_iterator(lines, trainer, length=len(texts) + 1)
    vocabulary = json.loads(trained.to_str())["model"]["vocab"]
    learned = {piece: score for piece, score in vocabulary if _AGAIN not in piece}
    return [*_with_words_of_one_letter(learned, counts).items()]


def _with_words_of_one_letter(learned: dict[str, float], counts: Counter) -> dict[str, float]:
    """Adds one-letter words, most of which the trainer omits, in place of rare longer pieces."""
    added = [
        (word, math.log(n / counts.total()))
        for word, n in sorted(counts.items())
        if len(word) == 2 and word[0] == START and word not in learned
    ]
    longer = sorted(
        (p for p in learned if len(p) > 2 and p not in SPECIAL), key=lambda p: learned[p]
    )
    dropped = longer[: len(added)]
    kept = {piece: score for piece, score in learned.items() if piece not in dropped}
    return kept | dict(added[: len(dropped)])


def _split(text: str) -> list[str]:
    words = _PRE_TOKENIZER.pre_tokenize_str(_NORMALIZER.normalize_str(text))
    return [word for word, _ in words]


def _tokenizer(pieces: list[tuple[str, float]]) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram([*pieces, (MASK, 0.0)], unk_id=SPECIAL.index("<unk>")))
    tokenizer.normalizer, tokenizer.pre_tokenizer = _NORMALIZER, _PRE_TOKENIZER
    tokenizer.decoder = decoders.Metaspace(replacement=START, prepend_scheme="always")
    tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", SPECIAL.index("<s>")), ("</s>", SPECIAL.index("</s>"))],
    )
    tokenizer.add_special_tokens([*SPECIAL, AddedToken(MASK, lstrip=True, special=True)])
    return tokenizer


_NORMALIZER = normalizers.NFKC()
# U+2581 is added after the splitting: if added to the text, it would go to a preceding sign.
_PRE_TOKENIZER = pre_tokenizers.Sequence(
    [
        pre_tokenizers.WhitespaceSplit(),
        pre_tokenizers.Split(Regex(_RUN), "isolated"),
        pre_tokenizers.Metaspace(replacement=START, prepend_scheme="always", split=False),
        pre_tokenizers.Split(Regex(_NO_START), "removed"),
    ]
)
_CONFIG = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "model_max_length": MAX_LENGTH,
    "model_input_names": ["input_ids", "attention_mask"],
    "clean_up_tokenization_spaces": False,
    **dict(zip(("bos_token", "pad_token", "eos_token", "unk_token"), SPECIAL, strict=True)),
    "cls_token": "<s>",
    "sep_token": "</s>",
    "mask_token": MASK,
}


def world_text(directory: epath.PathLike) -> list[str]:
    """Reads all lines of `mlm/train-<lang>.txt` and puts spaces between the words of Chinese.

    The words of Chinese are read from `udpos/dev-<lang>.tsv` and `udpos/test-<lang>.tsv`.

    Raises:
        DataError: the folder has no text.
    """
    root, lines = epath.Path(directory), []
    for path in sorted((root / "mlm").glob("train-*.txt")):
        language = path.stem.removeprefix("train-")
        tagged = [root / "udpos" / f"{split}-{language}.tsv" for split in ("dev", "test")]
        rows = [row for file in tagged if file.exists() for row in read_lines(file)]
        words = {word for word in (row.partition("\t")[0] for row in rows) if _HAN.search(word)}
        known = re.compile("|".join(sorted(map(re.escape, words), key=len, reverse=True)) or "$.")
        lines += [known.sub(r" \g<0> ", line) for line in read_lines(path) if line.strip()]
    if not lines:
        raise DataError(
            "There is no text to train on.",
            where=root / "mlm",
            remedy="put train-<lang>.txt there, or name a folder that has them",
        )
    return lines


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data_dir", required=True, help="a folder with mlm/train-<lang>.txt")
    parser.add_argument("--vocab_size", type=int, default=VOCAB_SIZE)
    parser.add_argument("--output", default=str(ENCODERS / "tokenizer"))
    options = command.parsed(parser, argv)
    lines = world_text(options.data_dir)
    folder = train_tokenizer(lines, options.output, options.vocab_size)
    print(f"{folder}: trained on {len(lines)} lines")


if __name__ == "__main__":
    command.run(main)
