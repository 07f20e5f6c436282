r"""Finds the sentences of two files that are translations of each other.

    python -m xt_jax.mine --model=M --source=A.txt --target=B.txt --output=FILE.tsv

Each line is a sentence. FILE gets one pair a line, best first: score, source, target, and their
line numbers; tabs and carriage returns within a sentence are written as spaces. Empty lines are
left out, and the first of equal lines represents all; tokens beyond --max_length are not compared.
Embeddings are kept beside FILE while the program runs: after a stop the same command resumes.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import math
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from etils import epath

from xt_jax import command
from xt_jax.errors import ConfigError, DataError
from xt_jax.files import atomic_write_text
from xt_jax.model.sharding import make_mesh
from xt_jax.places import check_output, check_writable
from xt_jax.records.lock import locked
from xt_jax.retrieval.encode import POOLINGS, SentenceEncoder
from xt_jax.retrieval.lines import Lines, distinct
from xt_jax.retrieval.mining import MARGINS, RETRIEVALS, Candidates, above, mine
from xt_jax.retrieval.store import embed_to_disk
from xt_jax.retrieval.topk import cosine_topk

CHUNK = 16_384  # sentences embedded, and then written, at a time


def main(argv: Sequence[str] | None = None) -> None:
    args = _parse(argv)
    began = time.perf_counter()
    source, target = _read("source", args.source), _read("target", args.target)
    mesh = make_mesh()
    encoder = SentenceEncoder.load(
        args.model,
        tokenizer=args.tokenizer,
        layer=args.layer,
        pooling=args.pooling,
        max_length=args.max_length,
        mesh=mesh,
    )
    folder = Path(args.embeddings or f"{args.output}.embeddings")
    embedded = functools.partial(
        _embedded, encoder=encoder, dtype=args.dtype, renew=not args.embeddings
    )
    with locked(folder):
        candidates = mine(
            embedded(source, folder=folder / "source"),
            embedded(target, folder=folder / "target"),
            k=args.k,
            margin=args.margin,
            retrieval=args.retrieval,
            search=functools.partial(cosine_topk, mesh=mesh),
        )
        if args.threshold is not None:
            candidates = above(candidates, args.threshold)
        atomic_write_text(epath.Path(args.output), _table(candidates, source, target))
        if not args.embeddings:
            shutil.rmtree(folder)
    _log(f"{len(candidates.score)} pairs in {args.output}, {time.perf_counter() - began:.0f} s")


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m xt_jax.mine",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--model", required=True, help="a Hugging Face folder, hub id or preset (mini-64, ...)")
    add("--source", required=True, help="a text file, one sentence a line, UTF-8")
    add("--target", required=True, help="the file in which to find translations")
    add("--output", required=True, help="FILE.tsv")
    add("--tokenizer", default="", help="folder or hub id, if not the model's own")
    add("--layer", type=int, help="hidden state; default: 14 of 24, 8 of 12, 7/12 of others")
    add("--pooling", default="mean", choices=POOLINGS)
    add("--max_length", type=int, default=512, help="most tokens of a sentence")
    add("--margin", default="ratio", choices=tuple(MARGINS), help="score of a pair")
    add("--retrieval", default="max", choices=tuple(RETRIEVALS), help="which pairs are kept")
    add("--k", type=int, default=4, help="neighbours for the margin")
    add("--threshold", type=float, help="keep pairs of this score or more; default: all above 0")
    add("--dtype", default="float32", choices=("float32", "float16"), help="of embeddings on disk")
    add("--embeddings", default="", help="a folder to keep them in; default: removed at the end")
    args = command.parsed(parser, argv)
    if args.k < 1:
        raise ConfigError(f"{args.k} neighbours are too few.", where="--k", remedy="use at least 1")
    if args.layer is not None and args.layer < 0:
        raise ConfigError(
            f"There is no layer {args.layer}.", where="--layer", remedy="0 is the embedding layer"
        )
    if args.threshold is not None and not math.isfinite(args.threshold):
        raise ConfigError(
            f"The threshold cannot be {args.threshold}.",
            where="--threshold",
            remedy="use a number, or leave it out for all pairs above 0",
        )
    check_output(args.output, "--output")
    if args.embeddings:
        check_writable(args.embeddings, "--embeddings")
    return args


def _read(name: str, path: str) -> Lines:
    """Reads the distinct sentences of a file."""
    lines = Lines(path)
    sentences, count = distinct(lines)
    empty = len(lines) - int(count.sum())
    _log(
        f"{name}: {len(lines):,} lines, {len(sentences):,} distinct sentences"
        + (f", {empty:,} empty lines left out" if empty else "")
    )
    if not len(sentences):
        raise DataError("The file holds no sentence.", where=path, remedy="one sentence a line")
    return sentences


def _embedded(
    lines: Lines, *, encoder: SentenceEncoder, folder: Path, dtype: str, renew: bool
) -> np.ndarray:
    """Returns [N, D], the embeddings of the lines, computed now or by an earlier run."""
    began = time.perf_counter()
    with lines.path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    key = {
        "model": encoder.key,
        "layer": encoder.layer,
        "pooling": encoder.pooling,
        "max_length": encoder.max_length,
        "file": content,
        "chunk": CHUNK,  # how sentences are packed into rows changes the last bits
    }
    embed = functools.partial(encoder.stream, chunk=CHUNK, show_progress_bar=None)
    rows = embed_to_disk(lines, embed, folder, dim=encoder.dim, dtype=dtype, key=key, renew=renew)
    _log(f"{folder.name}: embedded in {time.perf_counter() - began:.0f} s")
    return rows


def _table(pairs: Candidates, source: Lines, target: Lines) -> str:
    def clean(text: str) -> str:
        return text.strip().replace("\t", " ").replace("\r", " ")

    rows = zip(pairs.source.tolist(), pairs.target.tolist(), pairs.score.tolist(), strict=True)
    return "".join(
        f"{score:.6f}\t{clean(source[s])}\t{clean(target[t])}"
        f"\t{source.rows[s] + 1}\t{target.rows[t] + 1}\n"
        for s, t, score in rows
    )


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    command.run(main)
