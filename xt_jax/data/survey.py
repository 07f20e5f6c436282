"""What a list of examples holds: labels, lengths, and what looks wrong without being unreadable."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from xt_jax.data.examples import (
    Example,
    MiningExample,
    counted,
    is_labelled,
    own_texts,
    takes_label,
)
from xt_jax.data.tokenize import Template, Tokenizer
from xt_jax.errors import DataError
from xt_jax.files import read_lines
from xt_jax.languages import letter_names

_AT_ONCE = 1_000  # texts given to the tokenizer together
_SAMPLE = 300  # examples whose script is looked at
_LEAST_SCRIPT = 0.2  # of the letters; names and loans in Latin letters are frequent


@dataclass(frozen=True)
class Ruler:
    """Measures texts.

    Attributes:
        unit: what it counts, for messages.
        count: the length of each text, without special tokens.
        single: special tokens round one text.
        pair: special tokens round and between two.
    """

    unit: str
    count: Callable[[list[str]], list[int]]
    single: int = 0
    pair: int = 0


@dataclass(frozen=True)
class Lengths:
    """Percentiles of the lengths of examples, special tokens included; `over`: share too long."""

    p50: int
    p95: int
    max: int
    over: float


def words_ruler() -> Ruler:
    """Counts what stands between white space."""
    unit = "white-space words (tokens: --tokenizer=PATH_OR_ID)"
    return Ruler(unit, lambda texts: [len(text.split()) for text in texts])


def tokens_ruler(tokenizer: Tokenizer, name: str) -> Ruler:
    """Counts the tokens that a fast tokenizer makes."""
    template = Template.of(tokenizer)
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()

    def count(texts: list[str]) -> list[int]:
        batches = (texts[i : i + _AT_ONCE] for i in range(0, len(texts), _AT_ONCE))
        return [
            len(encoding)
            for batch in batches
            for encoding in backend.encode_batch_fast(batch, add_special_tokens=False)
        ]

    pair = template.single + len(template.between)
    return Ruler(f"tokens of {name}, special ones too", count, template.single, pair)


def lengths(examples: Sequence[Example], ruler: Ruler, limit: int) -> Lengths:
    """Of what a model reads of each example: both texts of a pair, the question and the whole
    context, the longest choice with its text, one sentence.

    Args:
        limit: the task's length limit; what is longer is cut, split or read in windows.
    """
    pieces = [example.texts for example in examples]
    distinct = list(dict.fromkeys(text for texts in pieces for text in texts))
    size = dict(zip(distinct, ruler.count(distinct), strict=True))
    each = np.array(
        [
            length
            for example, texts in zip(examples, pieces, strict=True)
            for length in example.lengths([size[text] for text in texts], ruler.single, ruler.pair)
        ]
    )
    p50, p95 = np.percentile(each, (50, 95), method="higher")
    return Lengths(int(p50), int(p95), int(each.max()), float(np.mean(each > limit)))


def label_counts(examples: Sequence[Example]) -> dict[str, int]:
    """How often each label occurs, the most frequent first; {} for texts and unlabelled examples.

    Tags are counted by word. Questions count as answerable or not; of corpora to be mined the
    gold pairs and the sentences on either side are counted.
    """
    counts = Counter(label for example in examples for label in counted(example))
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def unlabelled(examples: Sequence[Example]) -> list[Example]:
    """Those without a label; the English side of corpora to be mined does not count."""
    return [example for example in examples if takes_label(example) and not is_labelled(example)]


def labelled(examples: Sequence[Example]) -> list[Example]:
    """Those with a label; the English side of corpora to be mined does not count."""
    return [example for example in examples if takes_label(example) and is_labelled(example)]


def repeated_ids(examples: Sequence[Example]) -> list[str]:
    """Ids that several examples share (the two sides of corpora to be mined apart)."""
    counts = Counter((getattr(example, "english", None), example.id) for example in examples)
    return [id_ for (_, id_), count in counts.items() if count > 1]


def unknown_partners(examples: Sequence[Example]) -> list[tuple[str, str]]:
    """Gold pairs (foreign id, English id) whose English sentence is not there."""
    mined = [example for example in examples if isinstance(example, MiningExample)]
    english = {example.id for example in mined if example.english}
    return [
        (e.id, partner) for e in mined for partner in e.partners or () if partner not in english
    ]


def text_hashes(examples: Sequence[Example]) -> list[int]:
    """A number per example that equal texts share, the same within one process only."""
    return [hash(example.texts) for example in examples]


def fingerprint(examples: Sequence[Example]) -> int:
    """A number that lists share whose texts in the foreign language are equal, in order."""
    return hash(tuple(own_texts(example) for example in examples))


def wrong_script(examples: Sequence[Example], language: str) -> str:
    """The script that most letters belong to where the language's own is rare, else "".

    For a language whose script is not known here, "". Of a pair of languages (`de-en`) the first
    decides: it is the one of the context.
    """
    expected = letter_names(language)
    step = max(1, len(examples) // _SAMPLE)
    letters = Counter("".join(text for e in examples[::step] for text in own_texts(e)[:1]))
    found: Counter[str] = Counter()
    for letter, count in letters.items():
        if letter.isalpha():
            found[_script(letter)] += count
    share = sum(found[script] for script in expected) / max(1, found.total())
    return found.most_common(1)[0][0] if expected and found and share < _LEAST_SCRIPT else ""


def line_of(where: str, id_: str) -> str:
    """ ":line" of the first place of a text file that holds the id in quotes or as a column."""
    try:
        lines = read_lines(where)
    except DataError:  # a table of another source
        return ""
    quoted = json.dumps(id_, ensure_ascii=False)
    for number, line in enumerate(lines, start=1):
        if quoted in line or id_ in line.split("\t"):
            return f":{number}"
    return ""


def _script(letter: str) -> str:
    """The first word of its Unicode name, which is its script for all letters in question."""
    return unicodedata.name(letter, "UNKNOWN").split()[0]
