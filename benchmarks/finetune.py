"""Fine-tuning: this project against Hugging Face PyTorch on the same examples and weights.

    python benchmarks/finetune.py --mnli=DATA/mnli/train.tsv --tokenizer=FacebookAI/xlm-roberta-base
    python benchmarks/finetune.py --squad=DATA/squad_v1/train-v1.1.json --size=large

Prints the rates of both sides and their ratio, the median over rounds in which the two alternate;
README.md says how each figure is obtained. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from typing import Any

from contest import OURS, PEER, Contest, compared, peak_line, product, summary, table, variables
from duel import Worker, WorkerError, duel
from work import Ragged, Work, padded_slots

# Options of `peer.Training`. The headline ratio is against `plain`, with the recipe's batches.
PEERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "grouped": {"grouped": True},
    "compiled": {"compiled": True},
}
SAME_LOSS = 1e-4


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(args, folder)), flush=True)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--mnli", help="an MNLI train.tsv")
    data.add_argument("--squad", help="a SQuAD v1.1 json")
    parser.add_argument("--tokenizer", default="FacebookAI/xlm-roberta-base")
    parser.add_argument("--size", default="base", help="a preset: base, large, minilm-l6, ...")
    parser.add_argument("--layers", type=int, default=0, help="0: as many as the preset has")
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--tokens_per_step", type=int, default=0, help="ours: a token budget")
    parser.add_argument("--max_length", type=int, default=0, help="0: the recipe's, 256 or 384")
    parser.add_argument("--max_examples", type=int, default=0, help="0: all")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--steps", type=int, default=4, help="of a round")
    parser.add_argument("--repeats", type=int, default=5, help="rounds")
    parser.add_argument("--peers", default="plain,grouped", help=f"of {','.join(PEERS)}, or none")
    parser.add_argument("--attention", default="xla", help="ours: backends; the first counts")
    parser.add_argument("--remat", default="none", help="ours: a policy by name")
    parser.add_argument(
        "--words", type=int, default=0, help="ours: the least number of words to train"
    )
    parser.add_argument("--no_folding", action="store_true", help="ours: the whole vocabulary")
    parser.add_argument("--breakdown", action="store_true", help="what each part of ours gains")
    parser.add_argument("--threads", type=int, default=0, help="processors; 0: all")
    parser.add_argument(
        "--peer_env", type=variables, default={}, help="NAME=VALUE,... for PyTorch alone"
    )
    parser.add_argument("--profile", default="", help="a folder for a trace of ours")
    args = parser.parse_args(argv)
    args.peers = [name for name in args.peers.split(",") if name not in ("", "none")]
    if set(args.peers) - set(PEERS):
        parser.error(f"--peers are {', '.join(PEERS)}")
    args.attention = args.attention.split(",")
    args.task = "mnli" if args.mnli else "squad"
    args.max_length = args.max_length or {"mnli": 256, "squad": 384}[args.task]
    return args


def measure(args: argparse.Namespace, folder: str) -> dict[str, Any]:
    """Runs all duels that the command line names."""
    work, model = prepare(args, folder)
    variant = {
        "folding": not args.no_folding,
        "words": args.words,
        "attention": args.attention[0],
        "remat": args.remat,
    }
    with Worker(OURS, args.threads) as ours:
        facts = ours.call("start", folder=folder, **variant)
        device = ours.call("device")
        rate = ours.call("matmul_tflops", **product(model, device, args.dtype))
        rates = {"jax_tflops": rate}
        show_start(args, work, device, model, facts)
        contests, failed = {}, {}
        for name in args.peers:
            try:
                with Worker(PEER, args.threads, **args.peer_env) as peer:
                    contests[name] = contest(args, ours, peer, folder, facts, PEERS[name])
                    if name == args.peers[0]:
                        rate = peer.call("matmul_tflops", **product(model, device, args.dtype))
                        rates["torch_tflops"] = rate
            except WorkerError as error:
                failed[name] = str(error).strip().splitlines()[-1]
        variants = {}
        for name, options in ours_variants(args, variant).items():
            with Worker(OURS, args.threads) as other:
                variants[name] = contest(args, ours, other, folder, facts, options, is_peer=False)
        rounds = [record for c in [*contests.values(), *variants.values()] for record in c.ours]
        rounds = rounds or [ours.call("train", steps=args.steps) for _ in range(args.repeats)]
        profile = ours.call("profile", folder=args.profile, steps=3) if args.profile else {}
    peak = device["peak_tflops"] or max(rates.values())
    result = {
        "benchmark": "finetune",
        "task": args.task,
        "size": args.size,
        "layers": model["layers"],
        "dtype": args.dtype,
        "batch_size": work.batch_size,
        "device": device,
        "peak_tflops": peak,
        "peak_is": "published" if device["peak_tflops"] else "the best measured matrix product",
        **rates,
        "ours": {**summary(rounds, peak, facts), **ours_facts(facts)},
        "peers": {
            **{name: compared(c, peak, facts) for name, c in contests.items()},
            **{name: {"failed": reason} for name, reason in failed.items()},
        },
        "variants": {n: compared(c, peak, facts) for n, c in variants.items()},
        "profile_seconds": profile,
    }
    result["ratio"] = result["peers"][args.peers[0]].get("ratio") if args.peers else None
    result["equal_losses"] = all(c.facts["loss_difference"] <= SAME_LOSS for c in contests.values())
    result["breakdown"] = breakdown(args, contests, variants) if args.breakdown else {}
    show(result)
    return result


def prepare(args: argparse.Namespace, folder: str) -> tuple[Work, dict[str, Any]]:
    """Writes weights and tokenised examples, in a process that does not use the accelerator."""
    steps = (args.repeats * args.steps + 1) * (len(args.peers) + len(args.attention) + 3)
    work = Work(
        folder,
        args.task,
        dtype=args.dtype,
        batch_size=args.batch_size,
        tokens_per_step=args.tokens_per_step,
        steps=steps,
    )
    with Worker(OURS, JAX_PLATFORMS="cpu") as maker:
        model = maker.call(
            "prepare",
            work=vars(work),
            data={"train": args.mnli or args.squad},
            tokenizer=args.tokenizer,
            size=args.size,
            layers=args.layers,
            max_length=args.max_length,
            max_examples=args.max_examples,
        )
    return work, model


def ours_variants(args: argparse.Namespace, headline: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns options of `ours.Training` by name: attention backends, and parts switched off."""
    variants = {name: {**headline, "attention": name} for name in args.attention[1:]}
    if variants:  # fused backends drop no attention probabilities: compare them with this one
        variants["no attention dropout"] = {**headline, "drop_attention": False}
    if args.breakdown and not args.no_folding:
        variants["no folding"] = {**headline, "folding": False}
    if args.breakdown:
        variants["no folding, no packing"] = {**headline, "folding": False, "packing": False}
    return variants


def contest(
    args: argparse.Namespace,
    ours: Worker,
    other: Worker,
    folder: str,
    our_facts: dict[str, Any],
    options: dict[str, Any],
    is_peer: bool = True,
) -> Contest:
    """Starts the other program, compares a peer's first loss, and runs the duel."""
    if is_peer:
        # With a token budget the peer's batches hold as many examples as ours do on average.
        options = {**options, "batch_size": round(our_facts["examples_per_step"])}
        options["first_examples"] = our_facts["first_examples"]
    facts = other.call("start", folder=folder, **options)
    if is_peer:
        loss = facts["first_loss"]
        facts["loss_difference"] = abs(loss - our_facts["first_loss"])
        if facts["loss_difference"] > SAME_LOSS:
            raise SystemExit(
                f"Not the same work: the first losses are {our_facts['first_loss']} and {loss}."
            )
    rounds = duel(
        {"ours": ours, "theirs": other},
        lambda worker: worker.call("train", steps=args.steps),
        args.repeats,
    )
    return Contest(rounds["ours"], rounds["theirs"], facts)


def breakdown(
    args: argparse.Namespace, contests: dict[str, Contest], variants: dict[str, Contest]
) -> dict[str, float]:
    """Returns factors whose product is the ratio against the first peer.

    `compiler` compares that peer with ours at one padded example a row and the whole vocabulary:
    the same model in XLA, in one static shape. `compiler_per_slot` does not count the padding.
    """
    bare = variants["no folding, no packing"].ratio()[0]
    dense = variants["no folding"].ratio()[0] if "no folding" in variants else 1.0
    factors = {"folding": dense, "packing": bare / dense}
    if args.peers and args.peers[0] in contests:
        peer = contests[args.peers[0]]
        factors["compiler"] = peer.ratio()[0] / bare
        slots = variants["no folding, no packing"].ratio("slots")[0]
        factors["compiler_per_slot"] = peer.ratio("slots")[0] / slots
    return factors


def ours_facts(facts: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in facts.items() if k not in ("first_examples", "flops_per_token")}


def show_start(
    args: argparse.Namespace,
    work: Work,
    device: dict[str, Any],
    model: dict[str, Any],
    facts: dict[str, Any],
) -> None:
    lengths = Ragged.load(work.folder, "train").lengths
    print(
        f"{args.task}, {len(lengths)} features of {lengths.mean():.1f} tokens; {args.size} with "
        f"{model['layers']} layers, {model['parameters'] / 1e6:.1f} M parameters; {args.dtype} on "
        f"{device['kind']}, {device['processors']} processors\n"
        f"ours: {facts['rows']} rows of {facts['row_length']}, fill {facts['fill']:.3f}, "
        f"{facts['words_trained']} of {facts['words']} words trained, "
        f"{facts['examples_per_step']:.1f} examples a step; "
        f"random batches padded to their longest: {padded_slots(lengths, work.batch_size):.2f} "
        "slots a token",
        flush=True,
    )


def show(result: dict[str, Any]) -> None:
    print("\n" + table({"ours": result["ours"], **result["peers"], **result["variants"]}))
    print(peak_line(result))
    if result["breakdown"]:
        factors = " x ".join(f"{name} {value:.2f}" for name, value in result["breakdown"].items())
        print(f"the ratio's factors: {factors}")
    for part, seconds in result["profile_seconds"].items():
        print(f"  {part:24}{seconds:10.4f} s a step")


if __name__ == "__main__":
    main()
