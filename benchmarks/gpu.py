"""Runs all benchmarks that need a GPU in one command.

    python benchmarks/gpu.py --data=DATA --tokenizer=FacebookAI/xlm-roberta-base --output=DIR

DATA holds mnli/train.tsv, squad_v1/train-v1.1.json and xnli/dev-*.tsv. Every part runs another
script of this folder; its output is shown and saved in DIR, its last line in DIR/results.jsonl. A
part that fails does not stop the others and is named at the end (exit 1).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent


def parts(args: argparse.Namespace) -> dict[str, list[str]]:
    """Returns the command line of each part by its name."""
    data = Path(args.data)
    tokenizer = f"--tokenizer={args.tokenizer}"
    mnli, squad = (
        f"--mnli={data / 'mnli/train.tsv'}",
        f"--squad={data / 'squad_v1/train-v1.1.json'}",
    )
    rounds = [f"--repeats={args.repeats}", f"--steps={args.steps}"]
    model = [tokenizer, f"--size={args.size}", "--dtype=bfloat16"]
    tune = ["finetune.py", *model, *rounds]
    return {
        "mnli": [*tune, mnli, "--peers=plain,grouped,compiled", "--breakdown"],
        "squad": [*tune, squad, "--peers=plain,grouped", f"--attention={args.attention}"],
        **{
            f"mnli of {tokens} tokens a step": [
                *tune,
                mnli,
                "--peers=none",
                f"--tokens_per_step={tokens}",
                f"--attention={args.attention}",
                *([f"--profile={Path(args.output, 'trace')}"] if tokens == args.tokens[-1] else []),
            ]
            for tokens in args.tokens
        },
        "evaluate": [
            "evaluate.py",
            *model,
            f"--xnli_dir={data / 'xnli'}",
            f"--repeats={args.repeats}",
            "--peer_batches=32,128,512",
        ],
        **{
            f"retrieval in {dtype}": [
                "retrieval.py",
                "--queries=400000",
                "--corpus=400000",
                "--device=cuda",
                f"--dtype={dtype}",
                "--peers=product,torch",
                f"--repeats={args.repeats}",
            ]
            for dtype in ("float32", "bfloat16")
        },
        "scaling": [
            "scaling.py",
            f"--output={Path(args.output, 'scaling')}",
            "--dtype=bfloat16",
            "--base=16384,6,1024",
            "--tokens=4096,8192,16384,32768,65536",
            "--hidden=256,512,1024,1536,2048",
            "--devices=",
        ],
    }


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--tokenizer", default="FacebookAI/xlm-roberta-base")
    parser.add_argument("--output", required=True)
    parser.add_argument("--size", default="large")
    parser.add_argument("--tokens", default="16384,32768,65536", help="budgets of a step")
    parser.add_argument("--attention", default="xla,cudnn", help="backends to compare")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--only", default="", help="parts by the beginning of their names")
    args = parser.parse_args(argv)
    args.tokens = [int(number) for number in args.tokens.split(",")]
    output = Path(args.output)
    output.mkdir(parents=True, exist_ok=True)
    prefixes = tuple(args.only.split(","))
    failed = []
    for name, (script, *flags) in parts(args).items():
        if not name.startswith(prefixes):
            continue
        print(f"\n== {name}: {script} {' '.join(flags)}", flush=True)
        began = time.perf_counter()
        command = [sys.executable, str(HERE / script), *flags]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        print(done.stdout, f"== {time.perf_counter() - began:.0f} s", flush=True)
        (output / f"{name.replace(' ', '-')}.txt").write_text(done.stdout)
        if done.returncode:
            failed.append(name)
        else:
            with (output / "results.jsonl").open("a") as file:
                file.write(done.stdout.splitlines()[-1] + "\n")
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
