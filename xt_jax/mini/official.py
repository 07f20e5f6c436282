"""Writes the files of each task: official formats under the names that the `files` source reads.

Test sets of different languages are translations of each other, except TyDiQA and plain text, which
are different in every language.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any, NamedTuple

from etils import epath

from xt_jax import languages
from xt_jax.mini import formats
from xt_jax.mini.languages import LANGUAGES, Utterance
from xt_jax.mini.tasks import choices, entailment, parallel, paraphrase, passages, plain_text, tags
from xt_jax.mini.tasks.drawing import distinct, draw_utterance
from xt_jax.mini.words import Language

ENGLISH = LANGUAGES["en"]
QUESTIONS = 2  # per passage
# The world's languages that a task of XTREME has.
SPOKEN = {
    task: [code for code in LANGUAGES if code in official]
    for task, official in {
        "xnli": languages.XNLI,
        "pawsx": languages.PAWSX,
        "udpos": languages.UDPOS,
        "panx": languages.PANX,
        "xquad": languages.XQUAD,
        "mlqa": languages.MLQA,
        "tydiqa": languages.TYDIQA,
        "bucc": languages.BUCC,
        "tatoeba": languages.TATOEBA,
    }.items()
}


@dataclass(frozen=True)
class Sizes:
    """The sizes of the world: how many examples are written, and of which tasks.

    Attributes:
        train: English training examples of a task.
        tagged: English training sentences of a tagging task.
        dev: examples in every other split of every language.
        parallel: Tatoeba's pairs per language.
        pairs: BUCC's translated sentences.
        alone: BUCC's sentences without a translation, on each side.
        text: lines of plain text per language; 0: no plain text.
        translations: languages into which the English training files are also translated, except
            the supertags, which exist only for English words.
        tasks: names of the tasks to write; empty: all.
    """

    train: int = 6000
    tagged: int = 2000
    dev: int = 200
    parallel: int = 300
    pairs: int = 60
    alone: int = 340
    text: int = 0
    translations: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()

    def wants(self, task: str) -> bool:
        return not self.tasks or task in self.tasks


class Made(NamedTuple):
    """The functions that draw a task's meanings, express them in a language and write them.

    Attributes:
        share: number of meanings per training example.
        translated: whether the training set is also written in other languages.
        tagged: whether `Sizes.tagged` is the training size.
    """

    draw: Callable[[Random, int], Any]
    key: Callable[[Any], Hashable]
    say: Callable[[Language, Sequence[Any]], Sequence[Any]]
    write: Callable[[epath.Path, Sequence[Any]], None]
    share: float = 1.0
    translated: bool = True
    tagged: bool = False


def _pairs(draw: Callable[[Random, int], Any], write: Callable) -> Made:
    return Made(draw, entailment.Pair.meanings, entailment.pair_examples, write)


def _spans(draw: Callable[[Random, int], Any], write: Callable) -> Made:
    key = passages.Passage.meanings
    return Made(draw, key, passages.span_examples, write, 1 / QUESTIONS)


def _choices(draw: Callable[[Random, int], Any], write: Callable) -> Made:
    return Made(draw, choices.Choice.meanings, choices.choice_examples, write)


def _tags(kind: str) -> Made:
    say = partial(tags.tag_examples, kind=kind)
    return Made(draw_utterance, Utterance.meaning, say, formats.write_tags, tagged=True)


def _write_ccg(path: epath.Path, examples: Sequence[Any]) -> None:
    """Writes CCGbank's sections; training needs one of each of 02-09, 10-19 and 20-21."""
    sections = ("02", "10", "20") if path.parent.name == "02" else (path.parent.name,)
    for i, section in enumerate(sections):
        name = path.parent.parent / section / f"wsj_{section}01.auto"
        formats.write_ccg(name, examples[i :: len(sections)])


_SUPERTAGS = Made(
    draw_utterance,
    Utterance.meaning,
    tags.supertag_examples,
    _write_ccg,
    translated=False,
    tagged=True,
)
_NLI = {task: entailment.drawer(task) for task in entailment.LENGTHS}
# task -> (folder; training file, then the others), in English alone
_ENGLISH_TASKS = {
    "snli": (
        "snli snli_1.0_train.jsonl snli_1.0_dev.jsonl snli_1.0_test.jsonl",
        _pairs(_NLI["snli"], formats.write_nli_jsonl),
    ),
    **{
        f"anli_r{n}": (
            f"anli/R{n} train.jsonl dev.jsonl test.jsonl",
            _pairs(_NLI[f"anli_r{n}"], formats.write_anli),
        )
        for n in (1, 2, 3)
    },
    "qqp": ("qqp train.tsv dev.tsv", _pairs(paraphrase.draw_duplicate, formats.write_qqp)),
    "squad": (
        "squad_v1 train-v1.1.json dev-v1.1.json",
        _spans(passages.draw_passage, formats.write_squad),
    ),
    "squad_v2": (
        "squad_v2 train-v2.0.json dev-v2.0.json",
        _spans(passages.draw_passage_or_none, formats.write_squad_v2),
    ),
    "hellaswag": (
        "hellaswag hellaswag_train.jsonl hellaswag_val.jsonl",
        _choices(choices.draw_ending, formats.write_hellaswag),
    ),
    "cosmos_qa": (
        "cosmos_qa train.csv valid.csv",
        _choices(choices.draw_reading, formats.write_cosmos_qa),
    ),
    "commonsense_qa": (
        "commonsense_qa train_rand_split.jsonl dev_rand_split.jsonl",
        _choices(choices.draw_knowledge, formats.write_commonsense_qa),
    ),
    "ccg": ("ccg/data/AUTO 02/wsj_0201.auto 00/wsj_0001.auto 23/wsj_2301.auto", _SUPERTAGS),
}
# task -> folder; train-en.tsv, and the same dev and test sentences in all its languages
_TARGETS = {
    "pawsx": ("paws_x", _pairs(paraphrase.draw_paraphrase, formats.write_xtreme_pairs)),
    "udpos": ("udpos", _tags("upos")),
    "panx": ("panx", _tags("ner")),
}


def write_files(root: epath.Path, sizes: Sizes, seed: int) -> None:
    """Writes every file of the world below `root`."""
    for task, (files, made) in _ENGLISH_TASKS.items():
        if sizes.wants(task):
            _write_english(root, sizes, seed, files, made)
    for task, (folder, made) in _TARGETS.items():
        if sizes.wants(task):
            _write_target(root, sizes, seed, folder, task, made)
    for tasks, write in _OTHERS.items():
        if any(map(sizes.wants, tasks.split())):
            write(root, sizes, seed)


def _drawn(made: Made, purpose: str, sizes: Sizes, *others: int) -> list[list[Any]]:
    train = sizes.tagged if made.tagged else round(made.share * sizes.train)
    return distinct(made.draw, purpose, [train, *others], made.key)


def _write_english(root: epath.Path, sizes: Sizes, seed: int, files: str, made: Made) -> None:
    folder, *names = files.split()
    dev = sizes.dev // QUESTIONS if made.say is passages.span_examples else sizes.dev
    splits = _drawn(made, f"{seed}:{folder}", sizes, *[dev] * (len(names) - 1))
    _write_train(root, sizes, f"{folder}/{names[0]}", made, splits[0])
    for name, meanings in zip(names[1:], splits[1:], strict=True):
        made.write(root / folder / name, made.say(ENGLISH, meanings))


def _write_train(root: epath.Path, sizes: Sizes, path: str, made: Made, meanings: list) -> None:
    made.write(root / path, made.say(ENGLISH, meanings))
    for code in sizes.translations if made.translated else ():
        made.write(root / "translated" / code / path, made.say(LANGUAGES[code], meanings))


def _write_target(
    root: epath.Path, sizes: Sizes, seed: int, folder: str, task: str, made: Made
) -> None:
    train, *rest = _drawn(made, f"{seed}:{task}", sizes, sizes.dev, sizes.dev)
    made.write(root / folder / "train-en.tsv", made.say(ENGLISH, train))
    _write_tests(root, folder, task, made, rest)


def _write_tests(root: epath.Path, folder: str, task: str, made: Made, splits: list) -> None:
    for split, meanings in zip(("dev", "test"), splits, strict=True):
        for code in SPOKEN[task]:
            path = root / folder / f"{split}-{code}.tsv"
            made.write(path, made.say(LANGUAGES[code], meanings))


def _write_nli(root: epath.Path, sizes: Sizes, seed: int) -> None:
    """Writes MNLI, and XNLI, which trains on MNLI."""
    made = _pairs(_NLI["mnli"], formats.write_mnli)
    train, matched, other, *xnli = _drawn(made, f"{seed}:nli", sizes, *[sizes.dev] * 4)
    _write_train(root, sizes, "mnli/train.tsv", made, train)
    made.write(root / "mnli" / "dev_matched.tsv", made.say(ENGLISH, matched))
    made.write(root / "mnli" / "dev_mismatched.tsv", made.say(ENGLISH, other))
    xtreme = made._replace(write=formats.write_xtreme_pairs)
    _write_tests(root, "xnli", "xnli", xtreme, xnli)


def _write_xquad(root: epath.Path, sizes: Sizes, seed: int) -> None:
    (drawn,) = _passages(f"{seed}:xquad", sizes.dev)
    for code in SPOKEN["xquad"]:
        examples = passages.span_examples(LANGUAGES[code], drawn)
        formats.write_squad(root / "xquad" / f"xquad.{code}.json", examples)


def _write_mlqa(root: epath.Path, sizes: Sizes, seed: int) -> None:
    """Writes MLQA: questions in each language about passages in each language."""
    splits = _passages(f"{seed}:mlqa", sizes.dev, sizes.dev)
    for split, drawn in zip(("dev", "test"), splits, strict=True):
        for context in SPOKEN["mlqa"]:
            for asking in SPOKEN["mlqa"]:
                name = f"{split}-context-{context}-question-{asking}.json"
                examples = passages.span_examples(LANGUAGES[context], drawn, LANGUAGES[asking])
                formats.write_squad(root / "mlqa" / "MLQA_V1" / split / name, examples)


def _passages(purpose: str, *questions: int) -> list[list[passages.Passage]]:
    counts = [count // QUESTIONS for count in questions]
    return distinct(passages.draw_passage, purpose, counts, passages.Passage.meanings)


def _write_tydiqa(root: epath.Path, sizes: Sizes, seed: int) -> None:
    """Writes TyDiQA, where each language has its own passages."""
    for code in SPOKEN["tydiqa"]:
        size = sizes.train if code == "en" else 0
        train, dev = _passages(f"{seed}:tydiqa:{code}", size, sizes.dev)
        folder = root / "tydiqa"
        if train:
            path = folder / "tydiqa-goldp-v1.1-train" / f"tydiqa.goldp.{code}.train.json"
            formats.write_squad(path, passages.span_examples(LANGUAGES[code], train))
        name = f"tydiqa-goldp-dev-{languages.TYDIQA_NAMES[code]}.json"
        examples = passages.span_examples(LANGUAGES[code], dev)
        formats.write_squad(folder / "tydiqa-goldp-v1.1-dev" / name, examples)


def _write_bucc(root: epath.Path, sizes: Sizes, seed: int) -> None:
    """Writes BUCC; the release's sample is the dev set, its training set the test set."""
    for code in SPOKEN["bucc"]:
        corpora = parallel.draw_corpora(f"{seed}:{code}", sizes.pairs, sizes.alone, 2)
        for split, drawn in zip(("sample", "training"), corpora, strict=True):
            stem = root / "bucc2018" / f"{code}-en" / f"{code}-en.{split}"
            examples = parallel.mining_examples(LANGUAGES[code], drawn)
            formats.write_bucc(f"{stem}.en", f"{stem}.{code}", f"{stem}.gold", examples)


def _write_tatoeba(root: epath.Path, sizes: Sizes, seed: int) -> None:
    counts, key = [sizes.parallel], Utterance.meaning
    (utterances,) = distinct(draw_utterance, f"{seed}:parallel", counts, key)
    for code in SPOKEN["tatoeba"]:
        stem = root / "tatoeba" / f"tatoeba.{languages.ISO3[code]}-eng"
        examples = parallel.parallel_examples(LANGUAGES[code], utterances)
        formats.write_parallel(f"{stem}.eng", f"{stem}.{languages.ISO3[code]}", examples)


def _write_text(root: epath.Path, sizes: Sizes, seed: int) -> None:
    if not sizes.text:
        return
    for code, language in LANGUAGES.items():
        counts, key = (sizes.text, sizes.dev), plain_text.meanings
        splits = distinct(plain_text.draw_story, f"{seed}:text:{code}", counts, key)
        for split, stories in zip(("train", "dev"), splits, strict=True):
            examples = plain_text.text_examples(language, stories)
            formats.write_texts(root / "mlm" / f"{split}-{code}.txt", examples)


_OTHERS = {
    "mnli xnli": _write_nli,
    "xquad": _write_xquad,
    "mlqa mlqa_cross": _write_mlqa,
    "tydiqa": _write_tydiqa,
    "bucc": _write_bucc,
    "tatoeba": _write_tatoeba,
    "mlm": _write_text,
}
WRITTEN = (*_ENGLISH_TASKS, *_TARGETS, *" ".join(_OTHERS).split())
