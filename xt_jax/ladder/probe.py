"""Prints how well a mini encoder aligns the languages of the embedded world, without fine-tuning.

    python -m xt_jax.ladder.probe --model=mini-64 --output=probe.json
    python -m xt_jax.ladder.probe --model=runs/mini-64/phases/mlm-s0-<hash>/best/step-<n> --layer=2

Retrieval of a sentence's translation by the mean of its hidden states at each layer (0: the
embeddings), over all tokens and over those that the two languages do not share; and of a word's
translation by the mean of the embeddings of its subwords. In brackets are the figures of the same
architecture with random weights. All figures are percentages.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterator, Sequence

import jax.numpy as jnp
from etils import epath

from xt_jax import command
from xt_jax.config import ModelConfig
from xt_jax.data.tokenizer_files import PATTERNS
from xt_jax.errors import ConfigError
from xt_jax.files import atomic_write_text, find
from xt_jax.ladder.alignment import OTHERS, POOLINGS, Score, measure, parallel_texts
from xt_jax.mini.weights import tokenizer_folder
from xt_jax.model.pretrained import Pretrained, open_pretrained

SENTENCES = 500
RANDOM = "-random"
_DIRECTIONS = ("en-x", "x-en")
_HEADINGS = {("all", False): "all", ("unshared", False): "unshared", ("unshared", True): "centred"}
Key = tuple[str, str, str, bool, int | None]  # language, direction, tokens, centred, layer


def open_model(name: str) -> Pretrained:
    """Opens the encoder of a folder or a preset; the suffix `-random` means random weights.

    A folder without a tokenizer gets the shared one of the mini encoders.

    Raises:
        ConfigError, WeightsError: see `xt_jax.model.pretrained.open_pretrained`.
    """
    folder = epath.Path(name)
    has_weights = (folder / "config.json").exists()
    has_tokenizer = any(find(folder, pattern) for pattern in PATTERNS)
    tokenizer = str(tokenizer_folder()) if has_weights and not has_tokenizer else ""
    random = name.endswith(RANDOM) and not has_weights
    plain = name.removesuffix(RANDOM) if random else name
    config = ModelConfig(plain, tokenizer, random, alias=name)
    return open_pretrained(config, str(tokenizer_folder()))


def probe(pretrained: Pretrained, texts: dict[str, list[str]]) -> list[Score]:
    """Measures an encoder and, unless it is random, the same architecture with random weights."""
    models = [pretrained]
    if pretrained.folder is not None:
        models.append(dataclasses.replace(pretrained, name=pretrained.name + RANDOM, folder=None))
    return [
        score
        for model in models
        for score in measure(
            model.name, model, model.load(None, lambda _, x: jnp.asarray(x)), texts
        )
    ]


def as_lines(scores: Sequence[Score], layers: Sequence[int]) -> Iterator[str]:
    """Formats scores as a table for sentences and one for words.

    Args:
        scores: of one model, and of the same architecture with random weights.
        layers: those to print.
    """
    name = scores[0].model
    both = any(score.model != name for score in scores)
    yield f"{name}{' (in brackets: with random weights)' if both else ''}"
    for measured, table in (("retrieval", _sentence_table), ("translation", _word_table)):
        shown = [score for score in scores if score.measure == measured]
        trained = {_key(score): score for score in shown if score.model == name}
        random = {_key(score): score for score in shown if score.model != name}
        yield ""
        yield from table(trained, random, layers)


def _sentence_table(
    trained: dict[Key, Score], random: dict[Key, Score], layers: Sequence[int]
) -> Iterator[str]:
    first = next(iter(trained.values()))
    yield f"The translation among {first.of} sentences; chance {first.chance:.1f}. Over all tokens,"
    yield "or the unshared ones; centred: over these, less the mean of the language's sentences."
    columns = [(direction, *pooling) for pooling in POOLINGS for direction in _DIRECTIONS]
    rows = [["layer", "language", *(f"{_HEADINGS[c[1:]]} {c[0]}" for c in columns)]]
    for layer in layers:
        for code in OTHERS:
            cells = [_cell(trained, random, [(code, *column, layer)]) for column in columns]
            rows.append([str(layer), code, *cells])
        every = [[(code, *column, layer) for code in OTHERS] for column in columns]
        rows.append([str(layer), "mean", *(_cell(trained, random, keys) for keys in every)])
    yield from _aligned(rows)


def _word_table(
    trained: dict[Key, Score], random: dict[Key, Score], _: Sequence[int]
) -> Iterator[str]:
    yield "The translation of an English word, without those that the languages share."
    rows = [["language", "words", "chance", "en-x", "centred en-x"]]
    keys = {code: [(code, "en-x", "unshared", c, None) for c in (False, True)] for code in OTHERS}
    for code in OTHERS:
        score = trained[keys[code][0]]
        cells = [_cell(trained, random, [key]) for key in keys[code]]
        rows.append([code, str(score.of), f"{score.chance:.1f}", *cells])
    every = [_cell(trained, random, list(column)) for column in zip(*keys.values(), strict=True)]
    rows.append(["mean", "", "", *every])
    yield from _aligned(rows)


def _key(score: Score) -> Key:
    return score.language, score.direction, score.tokens, score.centred, score.layer


def _cell(trained: dict[Key, Score], random: dict[Key, Score], keys: Sequence[Key]) -> str:
    """Formats the mean over `keys`, with that of random weights in brackets."""
    means = [
        sum(scores[key].accuracy for key in keys) / len(keys)
        for scores in (trained, random)
        if scores
    ]
    return f"{means[0]:.1f}" + "".join(f" ({mean:.1f})" for mean in means[1:])


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))


def _layers(wanted: str, depth: int) -> list[int]:
    every = list(range(depth + 1))
    chosen = every if wanted == "all" else [layer for layer in every if str(layer) == wanted]
    if not chosen:
        raise ConfigError(
            f"The model has no such layer; it has {depth}.",
            where=f"--layer={wanted}",
            remedy=f"use all, or one from 0 (the embeddings) to {depth}",
        )
    return chosen


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--model",
        action="append",
        required=True,
        help="a preset (mini-64, mini-64-random) or a folder of weights; may be given repeatedly",
    )
    parser.add_argument("--layer", default="all", help="the layer to print; --output has all")
    parser.add_argument("--sentences", type=int, default=SENTENCES)
    parser.add_argument("--seed", type=int, default=0, help="seed of the sentences")
    parser.add_argument("--output", help="a JSON file for all scores")
    options = command.parsed(parser, argv)
    if options.sentences < 1:
        parser.error("--sentences must be at least 1")
    scores: list[Score] = []
    sources = [open_model(name) for name in options.model]
    layers = [_layers(options.layer, source.config.num_layers) for source in sources]
    texts = parallel_texts(options.sentences, options.seed)
    for source, shown in zip(sources, layers, strict=True):
        measured = probe(source, texts)
        scores += measured
        print("\n".join(as_lines(measured, shown)), end="\n\n")
    if options.output:
        lines = ",\n".join(json.dumps(score._asdict()) for score in scores)
        atomic_write_text(epath.Path(options.output), f"[{lines}]\n")


if __name__ == "__main__":
    command.run(main)
