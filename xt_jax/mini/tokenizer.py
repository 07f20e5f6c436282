"""A small fast tokenizer whose subwords are the stems and endings of the lexicons."""

from __future__ import annotations

import json

from etils import epath
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.processors import TemplateProcessing

from xt_jax.files import atomic_write_text
from xt_jax.mini.languages import LANGUAGES

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")  # ids 0 to 3 as in XLM-R; <mask> comes last
MASK = "<mask>"
START = "\u2581"  # marks the beginning of a word
MARKS = ".,?'"
MAX_LENGTH = 512
# log probabilities: few pieces win over many, lexicon pieces over single letters
STEM, ENDING, LETTER = -8.0, -6.0, -14.0


def build_tokenizer(directory: epath.PathLike) -> epath.Path:
    """Writes a folder that `transformers.AutoTokenizer.from_pretrained` opens; always the same.

    A unigram model over words split at white space, as XLM-R's: `<s> A </s>` and
    `<s> A </s></s> B </s>`.
    """
    pieces = _pieces()
    vocabulary = [(token, 0.0) for token in SPECIAL] + list(pieces.items()) + [(MASK, 0.0)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=SPECIAL.index("<unk>")))
    tokenizer.normalizer = normalizers.NFC()
    words = pre_tokenizers.Metaspace(replacement=START, prepend_scheme="always")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), words])
    tokenizer.decoder = decoders.Metaspace(replacement=START, prepend_scheme="always")
    tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    tokenizer.add_special_tokens([*SPECIAL, AddedToken(MASK, lstrip=True, special=True)])
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": MAX_LENGTH,
        "model_input_names": ["input_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
        **dict(zip(("bos_token", "pad_token", "eos_token", "unk_token"), SPECIAL, strict=True)),
        "cls_token": "<s>",
        "sep_token": "</s>",
        "mask_token": MASK,
    }
    folder = epath.Path(directory)
    atomic_write_text(folder / "tokenizer.json", tokenizer.to_str(pretty=True) + "\n")
    atomic_write_text(folder / "tokenizer_config.json", json.dumps(config, indent=1) + "\n")
    return folder


def _pieces() -> dict[str, float]:
    """Subwords with their scores: words, written small and with a capital, endings, letters."""
    pieces: dict[str, float] = {}
    for language in LANGUAGES.values():
        for word in " ".join(language.stems).split():
            pieces.setdefault(START + word, STEM)
            pieces.setdefault(START + language.capital(word), STEM)
    for language in LANGUAGES.values():
        for ending in language.endings:
            pieces.setdefault(ending, ENDING)
    letters = sorted({c for piece in pieces for c in piece} | set(MARKS))
    for letter in letters:
        pieces.setdefault(letter, ENDING if letter in MARKS else LETTER)
        pieces.setdefault(START + letter, LETTER)
    del pieces[START + START]
    return pieces
