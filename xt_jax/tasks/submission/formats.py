"""The kinds of files in an official submission: how each is written, read back and scored.

The layout is that of google-research/xtreme at 838c13b69daa (`evaluate.py`, `mock_test_data/`). A
file of labels has the form of a file of predictions, but for questions, whose labels are SQuAD's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from etils import epath

from xt_jax.data.examples import MiningExample, SentenceExample, SpanExample, TagExample
from xt_jax.data.squad import write_squad
from xt_jax.errors import DataError
from xt_jax.files import atomic_write_text
from xt_jax.tasks.metrics import squad
from xt_jax.tasks.metrics.basic import accuracy, mean_reciprocal_rank, set_scores
from xt_jax.tasks.metrics.tagging import SEQEVAL_VERSIONS, entity_scores, tag_accuracy
from xt_jax.tasks.submission import files

Scores = dict[str, float]


class Part(NamedTuple):
    """One task in one language: its two files, and the rules by which they are compared.

    `seqeval` is the version whose entity rules are used, `normalise` is applied to answers,
    and `unofficial` names metrics that are wanted beside the official ones.
    """

    prediction: epath.Path
    label: epath.Path
    normalise: squad.Normalise = squad.normalise
    seqeval: str = SEQEVAL_VERSIONS[0]
    unofficial: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileFormat:
    """A kind of file in a submission: how it is written, read back and scored.

    Attributes:
        suffix: of its name, without the dot.
        score: a Part to its metrics and to notes on what was ignored; raises DataError where
            a file is malformed (with its line) or the two do not fit.
        text: (examples, predictions) to the text of a file; None if we do not write such files.
        write_labels: (path, labelled examples) writes the file of labels.
    """

    suffix: str
    score: Callable[[Part], tuple[Scores, list[str]]]
    text: Callable[..., str] | None = None
    write_labels: Callable[[epath.Path, Sequence[Any]], None] | None = None


def english_order(examples: Sequence[SentenceExample]) -> list[int]:
    """Returns the order of the examples by English sentence, as in XTREME's `utils_preprocess.py`.

    By code points, less white space at both ends; equal sentences keep their order.
    """
    return sorted(range(len(examples)), key=lambda i: examples[i].english.strip())


# --- one label a line -----------------------------------------------------------------------


def _label_lines(examples: Sequence[Any], predictions: Sequence) -> str:
    return "".join(f"{label}\n" for label in predictions)


def _sorted_lines(examples: Sequence[SentenceExample], predictions: Sequence[int]) -> str:
    return "".join(f"{int(predictions[i])}\n" for i in english_order(examples))


def _score_labels(
    part: Part, read: Callable[[epath.Path], list] = files.read_labels
) -> tuple[Scores, list[str]]:
    predicted, gold = read(part.prediction), read(part.label)
    if not gold or "" in gold:
        raise DataError(
            "the label is missing",
            where=f"{part.label}:{gold.index('') + 1 if gold else 1}",
            remedy="a split without labels can be predicted, not scored",
        )
    _check_count("labels", range(1, len(predicted) + 1), len(gold), part)
    return {"accuracy": accuracy(gold, predicted)}, []


# --- one tag a line, a blank line between sentences -----------------------------------------


def _tag_lines(examples: Sequence[TagExample], predictions: Sequence[Sequence[str]]) -> str:
    for example, tags in zip(examples, predictions, strict=True):
        if len(example.words) != len(tags):
            raise ValueError(
                f"sentence {example.id!r} has {len(example.words)} words but {len(tags)} tags"
            )
    return "\n".join("".join(f"{tag}\n" for tag in tags) for tags in predictions)


def _score_tags(part: Part) -> tuple[Scores, list[str]]:
    predicted, gold = files.read_tag_lines(part.prediction), files.read_tag_lines(part.label)
    for p, g in zip(predicted, gold, strict=False):
        if len(p.tags) != len(g.tags):
            raise DataError(
                f"the sentence has {len(p.tags)} tags, but {len(g.tags)} in the labels",
                where=f"{part.prediction}:{p.line}",
                remedy=f"compare it with {part.label}:{g.line}; one tag per line, a blank line "
                "between sentences",
            )
    _check_count("sentences", [sentence.line for sentence in predicted], len(gold), part)
    sides = [s.tags for s in gold], [s.tags for s in predicted]
    scores = entity_scores(*sides, part.seqeval)
    if "accuracy" in part.unofficial:
        scores["accuracy"] = tag_accuracy(*sides)
    return scores, []


# --- pairs of ids ---------------------------------------------------------------------------


def _pair_lines(examples: Sequence[Any], predictions: Iterable[tuple[str, str]]) -> str:
    return "".join(f"{foreign}\t{english}\n" for foreign, english in predictions)


def _gold_pairs(examples: Sequence[MiningExample]) -> list[tuple[str, str]]:
    return [(example.id, partner) for example in examples for partner in example.partners or ()]


def _score_pairs(part: Part) -> tuple[Scores, list[str]]:
    return set_scores(files.read_pairs(part.label), files.read_pairs(part.prediction)), []


# --- a map of ids ---------------------------------------------------------------------------


def _answer_map(examples: Sequence[SpanExample], predictions: Sequence[str]) -> str:
    answers: dict[str, str] = {}
    for example, text in zip(examples, predictions, strict=True):
        if example.id in answers:
            raise DataError(
                f"two questions have the id {example.id!r}",
                where="the examples to be written",
                remedy="predictions are found by the id of the question; make ids unique",
            )
        answers[example.id] = text
    return json.dumps(answers, ensure_ascii=False, indent=1) + "\n"


def _score_answers(part: Part) -> tuple[Scores, list[str]]:
    gold, predicted = files.read_gold_answers(part.label), files.read_answers(part.prediction)
    texts = [predicted.get(key) for key in gold]
    scores = squad.answer_scores(list(gold.values()), texts, part.normalise)
    return scores, _unmatched(list(gold), predicted, part)


def _score_rankings(part: Part) -> tuple[Scores, list[str]]:
    gold, predicted = files.read_rankings(part.label), files.read_rankings(part.prediction)
    if bad := [key for key, entities in gold.items() if len(entities) != 1]:
        raise DataError(
            f"mention {bad[0]!r} has {len(gold[bad[0]])} entities",
            where=part.label,
            remedy="every mention has one right entity",
        )
    rankings = [predicted.get(key, []) for key in gold]
    rank = mean_reciprocal_rank([one.strip() for (one,) in gold.values()], rankings)
    return {"map@20": rank}, _unmatched(list(gold), predicted, part)


def _written(
    score: Callable[[Part], tuple[Scores, list[str]]],
    text: Callable[..., str],
    gold: Callable[[Any], Sequence],
) -> FileFormat:
    """Returns a format whose labels are written like predictions; `gold` takes them of examples."""

    def write_labels(path: epath.Path, examples: Sequence[Any]) -> None:
        atomic_write_text(path, text(examples, gold(examples)))

    return FileFormat("tsv", score, text, write_labels)


LABELS = _written(_score_labels, _label_lines, lambda examples: [e.label for e in examples])
NEAREST = _written(_score_labels, _sorted_lines, lambda examples: [e.match for e in examples])
TAGS = _written(_score_tags, _tag_lines, lambda examples: [e.tags for e in examples])
PAIRS = _written(_score_pairs, _pair_lines, _gold_pairs)
ANSWERS = FileFormat("json", _score_answers, _answer_map, write_squad)
JSON_LABELS = FileFormat("jsonl", partial(_score_labels, read=files.read_json_labels))
RANKINGS = FileFormat("json", _score_rankings)


def _check_count(things: str, lines: Sequence[int], gold: int, part: Part) -> None:
    """Raises unless `gold` things are predicted; `lines` are the lines on which they begin."""
    if len(lines) != gold:
        line = lines[gold] if len(lines) > gold else lines[-1] if lines else 1
        raise DataError(
            f"{len(lines)} {things} predicted, but {gold} in the labels",
            where=f"{part.prediction}:{line}",
            remedy=f"there must be one for each of {part.label}; look for missing or blank lines",
        )


def _unmatched(gold: Sequence[str], predicted: Collection[str], part: Part) -> list[str]:
    """Returns notes on ids that only one of the two files has."""
    absent = [key for key in gold if key not in predicted]
    unknown = len(set(predicted) - set(gold))
    notes = []
    if absent:
        count = f"{len(absent)} of {len(gold)} ids"
        notes.append(f"{part.prediction}: {count} are missing and score 0, e.g. {absent[0]}")
    if unknown:
        notes.append(f"{part.prediction}: ignored {unknown} ids that the labels do not have")
    return notes
