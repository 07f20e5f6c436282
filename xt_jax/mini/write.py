"""The world as files: the official formats under the names that the `files` source reads."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence

from etils import epath

from xt_jax.data import formats
from xt_jax.errors import ConfigError, DataError
from xt_jax.files import atomic_write_text
from xt_jax.mini import tasks
from xt_jax.mini.languages import LANGUAGES

FORMAT = 1  # one more whenever the same seed and sizes give other bytes
TRAIN_SIZES = {"mnli": 2000, "paws_x": 1000, "squad_v1": 500, "udpos": 600, "panx": 600}
FINGERPRINT = "WORLD.json"
ENGLISH = LANGUAGES["en"]


def write_world(
    directory: epath.PathLike,
    *,
    seed: int = 0,
    train: Mapping[str, int] | None = None,
    dev: int = 150,
    parallel: int = 200,
) -> epath.Path:
    """Writes the folder of task data, all of it or nothing; one made alike before stays.

    A world of another seed or size in the same place is replaced.

    Args:
        seed: of all meanings; the same seed and sizes give the same bytes.
        train: English training examples (questions for spans) where not as in `TRAIN_SIZES`.
        dev: examples in every other split of every language.
        parallel: Tatoeba pairs per language.

    Raises:
        ConfigError: `train` names a folder that has no training data.
        DataError: the directory holds something else.
    """
    if unknown := ", ".join(sorted(set(train or ()) - set(TRAIN_SIZES))):
        raise ConfigError(
            f"The mini world has no training data `{unknown}`.",
            where="train",
            remedy=f"use {', '.join(TRAIN_SIZES)}",
        )
    sizes = {**TRAIN_SIZES, **(train or {})}
    made = {"format": FORMAT, "seed": seed, "train": sizes, "dev": dev, "parallel": parallel}
    fingerprint = json.dumps({**made, "languages": list(LANGUAGES)}, indent=1) + "\n"
    target = epath.Path(directory)
    if _is_made(target, fingerprint):
        return target
    temporary = target.parent / f".{target.name}.{uuid.uuid4().hex}.tmp"
    try:
        _write_pairs(temporary, seed, sizes, dev)
        _write_spans(temporary, seed, sizes["squad_v1"], dev)
        _write_words(temporary, seed, sizes, dev)
        _write_parallel(temporary, seed, parallel)
        atomic_write_text(temporary / FINGERPRINT, fingerprint)
        if not _is_made(target, fingerprint):
            if target.exists():
                target.rmtree()
            temporary.rename(target)
    finally:
        if temporary.exists():
            temporary.rmtree()
    return target


def _is_made(target: epath.Path, fingerprint: str) -> bool:
    mark = target / FINGERPRINT
    if mark.exists():
        return mark.read_text() == fingerprint
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise DataError(
            "There is something here that xt_jax.mini did not write.",
            where=target,
            remedy="name a new folder",
        )
    return False


def _write_pairs(root: epath.Path, seed: int, sizes: Mapping[str, int], dev: int) -> None:
    counts = [sizes["mnli"], *[dev] * 4]
    *mnli, xnli_dev, xnli_test = tasks.distinct(
        tasks.draw_nli, f"{seed}:nli", counts, tasks.Pair.scenes
    )
    for split, pairs in zip(("train", "dev_matched", "dev_mismatched"), mnli, strict=True):
        examples = tasks.pair_examples(ENGLISH, pairs)
        formats.write_mnli(root / "mnli" / f"{split}.tsv", examples)
    counts = [sizes["paws_x"], dev, dev]
    train, *paws = tasks.distinct(
        tasks.draw_paraphrase, f"{seed}:paraphrase", counts, tasks.Pair.scenes
    )
    examples = tasks.pair_examples(ENGLISH, train)
    formats.write_xtreme_pairs(root / "paws_x" / "train-en.tsv", examples)
    for folder, splits in (("xnli", (xnli_dev, xnli_test)), ("paws_x", paws)):
        for split, pairs in zip(("dev", "test"), splits, strict=True):
            for code, language in LANGUAGES.items():
                path = root / folder / f"{split}-{code}.tsv"
                formats.write_xtreme_pairs(path, tasks.pair_examples(language, pairs))


def _write_spans(root: epath.Path, seed: int, train: int, dev: int) -> None:
    def sentences(passage: tasks.Passage) -> Sequence:
        return tuple(sentence.scenes for sentence in passage.sentences)

    # as many passages as questions: each has one at least
    squad, squad_dev, xquad = tasks.distinct(
        tasks.draw_passage, f"{seed}:spans", [train, dev, dev], sentences
    )
    for split, passages, count in (("train", squad, train), ("dev", squad_dev, dev)):
        examples = tasks.span_examples(ENGLISH, passages)[:count]
        formats.write_squad(root / "squad_v1" / f"{split}-v1.1.json", examples)
    for code, language in LANGUAGES.items():
        examples = tasks.span_examples(language, xquad)[:dev]
        formats.write_squad(root / "xquad" / f"xquad.{code}.json", examples)


def _write_words(root: epath.Path, seed: int, sizes: Mapping[str, int], dev: int) -> None:
    for folder, kind in (("udpos", "upos"), ("panx", "ner")):
        counts = [sizes[folder], dev, dev]
        train, *rest = tasks.distinct(
            tasks.draw_utterance, f"{seed}:{folder}", counts, tasks.Utterance.meaning
        )
        examples = tasks.tag_examples(ENGLISH, train, kind)
        formats.write_tags(root / folder / "train-en.tsv", examples)
        for split, utterances in zip(("dev", "test"), rest, strict=True):
            for code, language in LANGUAGES.items():
                examples = tasks.tag_examples(language, utterances, kind)
                formats.write_tags(root / folder / f"{split}-{code}.tsv", examples)


def _write_parallel(root: epath.Path, seed: int, count: int) -> None:
    (utterances,) = tasks.distinct(
        tasks.draw_utterance, f"{seed}:parallel", [count], tasks.Utterance.meaning
    )
    for language in LANGUAGES.values():
        if language is not ENGLISH:
            iso = language.iso639_3
            stem = root / "tatoeba" / f"tatoeba.{iso}-eng"
            examples = tasks.parallel_examples(language, utterances)
            formats.write_parallel(f"{stem}.eng", f"{stem}.{iso}", examples)
