"""Measures the preparation of a phase's data: read, tokenise, pack, without and with a cache.

    python benchmarks/prepare.py --mnli=DATA/mnli/train.tsv --tokenizer=FacebookAI/xlm-roberta-base

Writes a training set of `--examples` pairs, whose premises and hypotheses are drawn separately from
the given MNLI file (so lengths are real and few pairs repeat), and prepares it twice in new
processes: without a cache and with the first one's cache. The last line is JSON: seconds and peak
memory of both.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from xt_jax.data import formats
from xt_jax.mini import formats as mini_formats
from xt_jax.tasks.table import NLI


def write_pairs(source: str, target: Path, count: int) -> None:
    """Writes an MNLI file of `count` rows whose texts all come from `source`."""
    rows = formats.mnli([source], "en", NLI)
    rng = random.Random(0)
    mini_formats.write_mnli(
        target,
        [
            row._replace(id=str(i), text_b=rng.choice(rows).text_b)
            for i, row in enumerate(rng.choices(rows, k=count))
        ],
    )


def prepare_once(data: str, tokenizer: str) -> dict[str, float]:
    """Does what a run does before its first step, timed after the imports."""
    from etils import epath

    from xt_jax.data.packing import plan_training
    from xt_jax.data.sources import open_source
    from xt_jax.data.tokenize import fingerprint, load_tokenizer
    from xt_jax.study.datasets import Reader
    from xt_jax.tasks.table import TASKS

    loaded = load_tokenizer(tokenizer)
    key = fingerprint(loaded)
    began = time.perf_counter()
    reader = Reader(loaded, key, open_source("files", data), epath.Path(data) / "cache")
    task = TASKS["mnli"]
    train = reader.dataset(task, task.recipe, "train", reader.find("mnli", "train", "en")[:1])
    ready = time.perf_counter()
    plan = plan_training(train.features.lengths, task.recipe.batch_size, task.recipe.epochs, 0)
    return {
        "examples": len(train.features),
        "mean_tokens": round(float(train.features.lengths.mean()), 2),
        "features_seconds": round(ready - began, 2),
        "plan_seconds": round(time.perf_counter() - ready, 2),
        "fill": round(plan.fill(train.features.lengths), 3),
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnli", required=True, help="an MNLI train.tsv")
    parser.add_argument("--tokenizer", default="FacebookAI/xlm-roberta-base")
    parser.add_argument("--examples", type=int, default=100_000)
    parser.add_argument("--once", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.once:
        print(json.dumps(prepare_once(args.once, args.tokenizer)))
        return
    with tempfile.TemporaryDirectory() as folder:
        write_pairs(args.mnli, Path(folder) / "mnli" / "train.tsv", args.examples)
        command = [sys.executable, __file__, f"--mnli={args.mnli}", f"--tokenizer={args.tokenizer}"]
        results = {}
        for name in ("first", "second"):
            output = subprocess.run(
                [*command, f"--once={folder}"], check=True, capture_output=True, text=True
            )
            results[name] = json.loads(output.stdout.splitlines()[-1])
            print(f"{name} start: {results[name]}", flush=True)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
