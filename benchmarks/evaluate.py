"""Prediction in many languages: this project against Hugging Face PyTorch, equal labels.

    python benchmarks/evaluate.py --xnli_dir=DATA/xnli --tokenizer=FacebookAI/xlm-roberta-base

Both sides predict every example of every language in alternation; README.md says how each figure
is obtained. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from contest import OURS, PEER, Contest, compared, peak_line, product, summary, table, variables
from duel import Measured, Worker, duel
from work import Ragged, Work, padded_slots

# Options of `peer.Prediction`. The headline ratio is against `plain`, Trainer's own order.
PEERS: dict[str, dict[str, Any]] = {"plain": {}, "by length": {"by_length": True}}
EQUAL_LABELS = 0.999
GAIN = 3.0


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(args, folder)), flush=True)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--xnli_dir", required=True, help="holds SPLIT-LANGUAGE.tsv of XTREME")
    parser.add_argument("--split", default="dev")
    parser.add_argument("--languages", default="", help="of the folder's; empty: all")
    parser.add_argument("--tokenizer", default="FacebookAI/xlm-roberta-base")
    parser.add_argument("--size", default="base", help="a preset: base, large, minilm-l6, ...")
    parser.add_argument("--layers", type=int, default=0, help="0: as many as the preset has")
    parser.add_argument("--max_length", type=int, default=256)
    parser.add_argument("--max_examples", type=int, default=0, help="of a language; 0: all")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--repeats", type=int, default=5, help="rounds")
    parser.add_argument("--peer_batches", default="8,32,128", help="the fastest of these is taken")
    parser.add_argument("--threads", type=int, default=0, help="processors; 0: all")
    parser.add_argument(
        "--peer_env", type=variables, default={}, help="NAME=VALUE,... for PyTorch alone"
    )
    args = parser.parse_args(argv)
    files = {
        path.stem.removeprefix(f"{args.split}-"): str(path)
        for path in sorted(Path(args.xnli_dir).glob(f"{args.split}-*.tsv"))
    }
    languages = args.languages.split(",") if args.languages else list(files)
    missing = [language for language in languages if language not in files]
    if missing or not files:
        parser.error(f"no {args.split}-*.tsv for {', '.join(missing) or 'any language'}")
    args.data = {language: files[language] for language in languages}
    args.peer_batches = [int(size) for size in args.peer_batches.split(",")]
    return args


def measure(args: argparse.Namespace, folder: str) -> dict[str, Any]:
    """Runs the duels, after checking that both sides give the same labels."""
    work = Work(folder, "xnli", dtype=args.dtype)
    splits = list(args.data)
    model = prepare(args, work)
    equal = compare_labels(args, work, splits)
    lengths = np.concatenate([Ragged.load(folder, name).lengths for name in splits])
    contests = {}
    with Worker(OURS, args.threads) as ours:
        facts = ours.call("start_prediction", folder=folder, splits=splits)
        device = ours.call("device")
        first = ours.call("predict")
        rates = {"jax_tflops": ours.call("matmul_tflops", **product(model, device, args.dtype))}
        print(
            f"XNLI in {len(splits)} languages, {len(lengths)} examples of {lengths.mean():.1f} "
            f"tokens; {args.size} with {model['layers']} layers; {args.dtype} on {device['kind']}, "
            f"{device['processors']} processors\nours: {facts['rows']} rows of "
            f"{facts['row_length']}, fill {facts['fill']:.3f}",
            flush=True,
        )
        for name, options in PEERS.items():
            with Worker(PEER, args.threads, **args.peer_env) as peer:
                contests[name] = contest(args, ours, peer, work, splits, options)
                rates["torch_tflops"] = peer.call(
                    "matmul_tflops", **product(model, device, args.dtype)
                )
    peak = device["peak_tflops"] or max(rates.values())
    rounds = [record for c in contests.values() for record in c.ours]
    our_summary = summary(rounds, peak, facts)
    prediction_seconds = len(lengths) / our_summary["examples_per_second"]
    our_summary["compile_seconds"] = first["seconds"] - prediction_seconds
    result = {
        "benchmark": "evaluate",
        "size": args.size,
        "layers": model["layers"],
        "dtype": args.dtype,
        "languages": splits,
        "examples": len(lengths),
        "device": device,
        "peak_tflops": peak,
        "peak_is": "published" if device["peak_tflops"] else "the best measured matrix product",
        **rates,
        "ours": {**our_summary, **facts},
        "peers": {
            name: {**compared(c, peak, facts), "batch_size": c.facts["batch_size"]}
            for name, c in contests.items()
        },
        **equal,
    }
    result["ratio"] = result["peers"]["plain"]["ratio"]
    show(result, lengths)
    return result


def prepare(args: argparse.Namespace, work: Work) -> dict[str, Any]:
    """Makes weights so large that the labels vary, and tokenised examples."""
    with Worker(OURS, JAX_PLATFORMS="cpu") as maker:
        return maker.call(
            "prepare",
            work=vars(work),
            data=args.data,
            tokenizer=args.tokenizer,
            size=args.size,
            layers=args.layers,
            max_length=args.max_length,
            max_examples=args.max_examples,
            gain=GAIN,
        )


def contest(
    args: argparse.Namespace,
    ours: Worker,
    peer: Worker,
    work: Work,
    splits: list[str],
    options: dict[str, Any],
) -> Contest:
    """Runs a duel against the peer at its fastest batch size."""

    def once(batch_size: int) -> Measured:
        peer.call(
            "start_prediction",
            folder=work.folder,
            splits=splits,
            batch_size=batch_size,
            **options,
        )
        return peer.call("predict")

    tried = {size: once(size)["seconds"] for size in args.peer_batches}
    best = min(tried, key=lambda size: tried[size])
    if best != args.peer_batches[-1]:
        once(best)
    rounds = duel({"ours": ours, "theirs": peer}, lambda side: side.call("predict"), args.repeats)
    return Contest(rounds["ours"], rounds["theirs"], {"batch_size": best})


def compare_labels(args: argparse.Namespace, work: Work, splits: list[str]) -> dict[str, float]:
    """Returns the share of equal labels, and that of the most frequent label to judge it by.

    Both predict in full float32: in bfloat16 labels with nearly equal scores change on either side.
    """
    predicted = []
    for script, options in ((OURS, {}), (PEER, {"batch_size": args.peer_batches[0]})):
        path = Path(work.folder, f"{script.stem}_labels.npz")
        with Worker(script, args.threads) as worker:
            worker.call(
                "start_prediction", folder=work.folder, splits=splits, exact=True, **options
            )
            worker.call("predict", save=str(path))
        with np.load(path) as arrays:
            predicted.append(np.concatenate([arrays[name] for name in splits]))
    ours, theirs = predicted
    equal = float((ours == theirs).mean())
    if equal < EQUAL_LABELS:
        raise SystemExit(f"Not the same work: {equal:.4f} of the labels are equal.")
    return {
        "equal_labels": equal,
        "most_frequent_label": float(np.bincount(ours).max() / len(ours)),
    }


def show(result: dict[str, Any], lengths: np.ndarray) -> None:
    print("\n" + table({"ours": result["ours"], **result["peers"]}))
    print(peak_line(result))
    plain = result["peers"]["plain"]["batch_size"]
    print(
        f"batches of {plain} in a mixed order would carry {padded_slots(lengths, plain):.2f} slots "
        f"a token; equal labels {result['equal_labels']:.4f}, the most frequent "
        f"{result['most_frequent_label']:.2f}"
    )


if __name__ == "__main__":
    main()
