"""Exact nearest neighbours: `cosine_topk` against a plain product, PyTorch and faiss.

    python benchmarks/retrieval.py
    python benchmarks/retrieval.py --queries=400000 --corpus=400000 --device=cuda --peers=torch

Every side has its own process; they search the same rows in alternation. README.md says how each
figure is obtained. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from contest import variables
from duel import Worker, duel, median_ratio

SEARCHING = Path(__file__).with_name("searching.py")
PEERS = ("product", "torch", "faiss")


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    with tempfile.TemporaryDirectory() as folder:
        make(args, folder)
        results = {peer: contest(args, folder, peer) for peer in args.peers}
    show(args, results)
    settings = {name: value for name, value in vars(args).items() if name != "peer_env"}
    print(json.dumps({"benchmark": "retrieval", **settings, "against": results}), flush=True)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=int, default=4096)
    parser.add_argument("--corpus", type=int, default=40_960)
    parser.add_argument("--dim", type=int, default=1024)
    parser.add_argument("--k", type=int, default=4)
    parser.add_argument("--block", type=int, default=0, help="of cosine_topk; 0: its default")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--peers", default="product,torch,faiss")
    parser.add_argument("--repeats", type=int, default=5, help="rounds")
    parser.add_argument("--threads", type=int, default=0, help="processors; 0: all")
    parser.add_argument(
        "--peer_env", type=variables, default={}, help="NAME=VALUE,... for PyTorch and faiss alone"
    )
    args = parser.parse_args(argv)
    args.peers = args.peers.split(",")
    if set(args.peers) - set(PEERS):
        parser.error(f"--peers are {', '.join(PEERS)}")
    return args


def make(args: argparse.Namespace, folder: str) -> None:
    """Writes random rows of unit norm; half of the queries lie near a row of the corpus."""
    rng = np.random.default_rng(0)
    corpus = rng.standard_normal((args.corpus, args.dim), np.float32)
    queries = rng.standard_normal((args.queries, args.dim), np.float32)
    half = args.queries // 2
    queries[:half] += corpus[rng.integers(0, args.corpus, half)]
    for name, rows in (("queries", queries), ("corpus", corpus)):
        np.save(Path(folder, f"{name}.npy"), rows / np.linalg.norm(rows, axis=1, keepdims=True))


def contest(args: argparse.Namespace, folder: str, peer: str) -> dict[str, Any]:
    """Returns the seconds of both sides and their ratio; the indices must agree."""
    block = {"block": args.block} if args.block else {}
    typed = {} if peer == "faiss" else {"dtype": args.dtype}
    env = {} if peer == "product" else args.peer_env
    common = {"folder": folder, "k": args.k, "device": args.device}
    with Worker(SEARCHING, args.threads) as ours, Worker(SEARCHING, args.threads, **env) as theirs:
        facts = ours.call("start", library="jax", dtype=args.dtype, **block, **common)
        of_peer = theirs.call("start", library=peer, **typed, **common)
        sides = {"ours": ours, "theirs": theirs}
        rounds = duel(sides, lambda side: side.call("run"), args.repeats)
    seconds = {side: [record["seconds"] for record in rounds[side]] for side in rounds}
    ratio, least, greatest = median_ratio(seconds["theirs"], seconds["ours"])
    result = {
        "seconds": statistics.median(seconds["ours"]),
        "peer_seconds": statistics.median(seconds["theirs"]),
        "ratio": ratio,
        "ratio_least": least,
        "ratio_greatest": greatest,
        "beside_inputs_mib": facts["beside_inputs_mib"],
        "peer_beside_inputs_mib": of_peer["beside_inputs_mib"],
        "idle_cpu_of_the_other": max(r["idle_cpu"] for side in rounds for r in rounds[side]),
    }
    if peer != "product":
        indices, expected = (np.load(Path(folder, f"{name}.npy")) for name in ("jax", peer))
        result["equal_indices"] = float((indices == expected).mean())
    return result


def show(args: argparse.Namespace, results: dict[str, dict[str, Any]]) -> None:
    inputs = (args.queries + args.corpus) * args.dim * 4 / 2**20
    flops = 2 * args.queries * args.corpus * args.dim
    print(
        f"top {args.k} of {args.queries:,} x {args.corpus:,} rows of {args.dim}, {args.dtype} on "
        f"{args.device}; inputs {inputs:.0f} MiB"
    )
    print(
        f"{'against':10}{'ours s':>9}{'theirs s':>10}{'TFLOP/s':>9}{'ratio':>8}  MiB beside inputs"
    )
    for peer, result in results.items():
        print(
            f"{peer:10}{result['seconds']:9.2f}{result['peer_seconds']:10.2f}"
            f"{flops / result['seconds'] / 1e12:9.3f}{result['ratio']:8.2f}"
            f"  {result['beside_inputs_mib']:.0f}, theirs {result['peer_beside_inputs_mib']:.0f}"
            + (
                f"; equal indices {result['equal_indices']:.5f}"
                if "equal_indices" in result
                else ""
            )
        )


if __name__ == "__main__":
    main()
