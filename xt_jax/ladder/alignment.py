"""Measures how well an encoder aligns the languages of the embedded world, without fine-tuning.

Names and digits are the same in many languages, so that even random weights find a few
translations. What the languages share is left out where a measure says `unshared`.

Legend: N sentences, L layers, D hidden size.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
from flax import nnx

from xt_jax import model as models
from xt_jax.data.packing import Features
from xt_jax.data.tokenize import Tokenizer, ragged
from xt_jax.mini.languages import LANGUAGES, Utterance, text
from xt_jax.mini.lexicon import entries, word
from xt_jax.mini.tasks.drawing import distinct, draw_utterance
from xt_jax.mini.words import Language
from xt_jax.model.predict import Predictor
from xt_jax.model.pretrained import Pretrained
from xt_jax.model.sharding import make_mesh, place_params
from xt_jax.retrieval.topk import cosine_topk
from xt_jax.tasks import retrieval as retrieval_task

ENGLISH = LANGUAGES["en"]
OTHERS = tuple(code for code in LANGUAGES if code != "en")
# which tokens, and whether each language's mean vector is subtracted
POOLINGS = (("all", False), ("unshared", False), ("unshared", True))
_JOINERS = "\u200c\u200d"  # within Indic and Arabic words


class Score(NamedTuple):
    """One measurement of alignment, in percent.

    `measure` is "retrieval" of sentences or "translation" of words. Words have no layer and are
    all `unshared`. `of` counts sentences, or words to choose from.
    """

    model: str
    language: str
    measure: str
    direction: str
    tokens: str
    centred: bool
    layer: int | None
    accuracy: float
    chance: float
    of: int


def parallel_texts(count: int, seed: int = 0) -> dict[str, list[str]]:
    """Draws `count` sentences as Tatoeba's are, and returns them in every language."""
    (drawn,) = distinct(draw_utterance, f"{seed}:probe", [count], Utterance.meaning)
    return {code: [text(language, u) for u in drawn] for code, language in LANGUAGES.items()}


def measure(
    name: str, pretrained: Pretrained, encoder: models.Encoder, texts: dict[str, list[str]]
) -> list[Score]:
    """Measures retrieval of sentences and translation of words by one encoder.

    Args:
        texts: as from `parallel_texts`.
    """
    return [
        *_sentences(name, pretrained.tokenizer, encoder, texts),
        *_words(name, pretrained.tokenizer, encoder),
    ]


def unshared(
    text: str, other: str, spans: Sequence[tuple[int, int]], *, latin: bool = True
) -> list[int]:
    """Marks with 1 the tokens of `text` that its translation `other` does not share, else 0.

    Punctuation, ASCII digits and words that `other` has are left out. A word is a run of letters,
    Han apart, or of digits, and the same in capitals.

    Args:
        spans: (first, past the last) character of each token; special tokens have none.
        latin: whether `text` is in the script of English; if not, words with an ASCII letter are
            left out too.
    """
    taken = {other[first:end].casefold() for first, end in _runs(other)}
    counts: list[bool | None] = [None] * len(text)
    for first, end in _runs(text):
        run = text[first:end]
        ascii_ = [c for c in run if c.isascii() and (c.isdigit() or not latin)]
        counts[first:end] = [run.casefold() not in taken and not ascii_] * len(run)
    return [int(True in counts[a:b] and False not in counts[a:b]) for a, b in spans]


def is_latin(texts: Sequence[str]) -> bool:
    """Returns whether most letters are Latin."""
    letters = [c for text in texts for c in text if c.isalpha()]
    return 2 * sum(unicodedata.name(c, "").startswith("LATIN") for c in letters) > len(letters)


def features(
    tokenizer: Tokenizer,
    texts: Sequence[str],
    others: Sequence[str] | None = None,
    *,
    latin: bool = True,
) -> Features:
    """Tokenises texts; `counted` marks all tokens, or those that are `unshared`.

    Args:
        others: the translations; None: all tokens count.
        latin: see `unshared`.
    """
    encoded = tokenizer(list(texts), return_offsets_mapping=True, return_attention_mask=False)
    rows = dict(encoded)
    spans = rows.pop("offset_mapping")
    if others is None:
        counted = [[1] * len(ids) for ids in rows["input_ids"]]
    else:
        counted = [
            unshared(line, other, offsets, latin=latin)
            for line, other, offsets in zip(texts, others, spans, strict=True)
        ]
    return ragged({**rows, "counted": counted}, {"example": range(len(texts))})


def embeddings(encoder: models.Encoder, sets: Sequence[Features]) -> Iterator[np.ndarray]:
    """Embeds each set: [N, L+1, D] fp32, the mean over the `counted` tokens at every depth."""
    mesh = make_mesh()
    graphdef, params = nnx.split(encoder)
    params = place_params(params, mesh, "replicated")
    predictor = Predictor(graphdef, retrieval_task.predict, mesh, encoder.config)
    for _, outputs in predictor(params, predictor.stream(sets)):
        yield outputs["embedding"]


def retrieval(english: np.ndarray, foreign: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the percentage of sentences nearest to their translation, by layer: en-x, x-en.

    Args:
        english, foreign: [N, L+1, D], row i of one translates row i of the other.

    Returns:
        Two arrays [L+1].
    """
    nearest_foreign, nearest_english = (
        retrieval_task.nearest_foreign(np.stack(pair, axis=1).reshape(-1, *english.shape[1:]))
        for pair in ((english, foreign), (foreign, english))
    )
    gold = np.arange(len(english))
    return (
        100 * np.mean(nearest_foreign == gold, axis=1),
        100 * np.mean(nearest_english == gold, axis=1),
    )


def word_pairs(language: Language, tokenizer: Tokenizer) -> list[tuple[str, str]]:
    """Returns pairs of an English word and its translation that share no word or subword."""
    pairs = dict.fromkeys((word(ENGLISH, e), word(language, e)) for e in entries())
    return [pair for pair in pairs if all(pair) and not _overlap(*pair, tokenizer)]


def word_vectors(table: np.ndarray, words: Sequence[str], tokenizer: Tokenizer) -> np.ndarray:
    """Returns vectors of words [W, D]: the mean over their subwords with a letter or digit.

    Args:
        table: [vocabulary, D].
    """
    return np.stack([table[_pieces(w, tokenizer)].mean(axis=0) for w in words])


def translation(
    pairs: Sequence[tuple[str, str]], english: np.ndarray, foreign: np.ndarray
) -> tuple[float, float]:
    """Returns the accuracy of the nearest foreign word as translation, and chance, in percent.

    Args:
        pairs: words with a translation each.
        english, foreign: [W, D] vectors of the different English words and of the different
            foreign ones, both in the order in which `pairs` first has them.
    """
    sources, candidates = (list(dict.fromkeys(words)) for words in zip(*pairs, strict=True))
    _, nearest = cosine_topk(english, foreign, 1)
    known = set(pairs)
    right = [
        (source, candidates[int(i)]) in known for source, (i,) in zip(sources, nearest, strict=True)
    ]
    return 100 * float(np.mean(right)), 100 * len(known) / (len(sources) * len(candidates))


def _sentences(
    name: str, tokenizer: Tokenizer, encoder: models.Encoder, texts: dict[str, list[str]]
) -> Iterator[Score]:
    english = texts["en"]
    sets = [features(tokenizer, texts[code]) for code in ("en", *OTHERS)]
    for code in OTHERS:
        foreign = texts[code]
        sets += [
            features(tokenizer, english, foreign),
            features(tokenizer, foreign, english, latin=is_latin(foreign)),
        ]
    embedded = embeddings(encoder, sets)
    plain = dict(zip(("en", *OTHERS), embedded, strict=False))
    for code in OTHERS:
        pairs = {"all": (plain["en"], plain[code]), "unshared": (next(embedded), next(embedded))}
        for tokens, centred in POOLINGS:
            pair = [_centred(x) if centred else x for x in pairs[tokens]]
            by_direction = zip(("en-x", "x-en"), retrieval(*pair), strict=True)
            for direction, layers in by_direction:
                for layer, accuracy in enumerate(layers.tolist()):
                    yield Score(
                        name, code, "retrieval", direction, tokens, centred, layer, accuracy,
                        100 / len(english), len(english),
                    )  # fmt: skip


def _words(name: str, tokenizer: Tokenizer, encoder: models.Encoder) -> Iterator[Score]:
    table = np.asarray(encoder.embeddings.word.embedding[...], np.float32)
    for code in OTHERS:
        pairs = word_pairs(LANGUAGES[code], tokenizer)
        english, foreign = (
            word_vectors(table, list(dict.fromkeys(words)), tokenizer)
            for words in zip(*pairs, strict=True)
        )
        for centred in (False, True):
            vectors = [_centred(x) if centred else x for x in (english, foreign)]
            accuracy, chance = translation(pairs, *vectors)
            yield Score(
                name, code, "translation", "en-x", "unshared", centred, None, accuracy, chance,
                len(foreign),
            )  # fmt: skip


def _centred(x: np.ndarray) -> np.ndarray:
    return x - x.mean(axis=0)


def _runs(text: str) -> Iterator[tuple[int, int]]:
    """Yields (first, past the last) character of each word."""
    for kind, group in groupby(enumerate(text), lambda place: _kind(place[1])):
        places = [i for i, _ in group]
        if kind:
            yield places[0], places[-1] + 1


def _kind(char: str) -> str:
    if "\u3400" <= char <= "\u9fff":
        return "han"
    category = unicodedata.category(char)[0]
    return "word" if category in "LM" or char in _JOINERS else "number" if category == "N" else ""


def _overlap(one: str, two: str, tokenizer: Tokenizer) -> bool:
    words = [{w[first:end].casefold() for first, end in _runs(w)} for w in (one, two)]
    pieces = [set(_pieces(w, tokenizer)) for w in (one, two)]
    return bool(words[0] & words[1] or pieces[0] & pieces[1])


def _pieces(text: str, tokenizer: Tokenizer) -> list[int]:
    """Returns the ids of the subwords with a letter or digit."""
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    places = {i for first, end in _runs(text) for i in range(first, end)}
    return [
        id_
        for id_, (first, end) in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
        if places & set(range(first, end))
    ]
