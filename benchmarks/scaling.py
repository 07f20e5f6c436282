"""Measures how a training step's time grows with tokens, layers, hidden size and devices.

    python benchmarks/scaling.py --output=PLOTS

Gives one plot (PNG) and one sentence for each; the last line is JSON. The devices are fake and
share this machine's processors: their plot shows what a device computes and sends, not a speed-up.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from duel import Worker

mpl.use("Agg")
import matplotlib.pyplot as plt

STEPS = Path(__file__).parent / "steps.py"
AXES = {
    "tokens": "tokens per step",
    "layers": "layers",
    "hidden": "hidden size",
    "devices": "devices",
}
Point = dict[str, Any]


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    args.output.mkdir(parents=True, exist_ok=True)
    points = {axis: measure(args, axis) for axis in AXES if getattr(args, axis)}
    for axis, of_axis in points.items():
        path = args.output / f"{axis}.png"
        draw(axis, of_axis, path)
        print(f"{sentence(axis, of_axis)} ({path.name})")
    result = {
        "benchmark": "scaling",
        "base": base(args),
        "points": points,
        "exponents": {axis: exponent(axis, of_axis) for axis, of_axis in points.items()},
    }
    print(json.dumps(result), flush=True)


def parse(argv: list[str] | None) -> argparse.Namespace:
    def numbers(text: str) -> list[int]:
        return [int(part) for part in text.split(",") if part]

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="a folder for the plots")
    parser.add_argument("--tokens", type=numbers, default=[256, 512, 1024, 2048, 4096])
    parser.add_argument("--layers", type=numbers, default=[1, 2, 3, 4, 6])
    parser.add_argument("--hidden", type=numbers, default=[128, 256, 384, 512, 768])
    parser.add_argument("--devices", type=numbers, default=[1, 2, 4, 8], help="fake, on a CPU")
    parser.add_argument("--base", type=numbers, default=[2048, 3, 384], help="tokens,layers,hidden")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--steps", type=int, default=5, help="timed steps of each point")
    return parser.parse_args(argv)


def base(args: argparse.Namespace) -> Point:
    """Returns the point from which one dimension at a time is changed."""
    return dict(zip(("tokens", "layers", "hidden"), args.base, strict=True))


def measure(args: argparse.Namespace, axis: str) -> list[Point]:
    """Returns a record for each value of the axis."""
    values = getattr(args, axis)
    fixed = {**base(args), "dtype": args.dtype, "steps": args.steps}
    if axis == "devices":
        return [{"devices": n, **fake_devices(n, fixed)} for n in values]
    with Worker(STEPS) as worker:
        return [{axis: value, **worker.call("cost", **{**fixed, axis: value})} for value in values]


def fake_devices(count: int, fixed: Point) -> Point:
    flags = f"--xla_force_host_platform_device_count={count}"
    with Worker(STEPS, JAX_PLATFORMS="cpu", XLA_FLAGS=flags) as worker:
        return worker.call("cost", **fixed)


def exponent(axis: str, points: Sequence[Point]) -> float:
    """Returns the slope of log(seconds) over log(value), by least squares."""
    x = np.log([point[axis] for point in points])
    y = np.log([point["seconds"] for point in points])
    return float(np.polyfit(x, y, 1)[0]) if len(points) > 1 else float("nan")


def sentence(axis: str, points: Sequence[Point]) -> str:
    """Returns a sentence that says what the plot shows."""
    first, last = points[0], points[-1]
    times = last["seconds"] / first["seconds"]
    if axis == "devices":
        flops = last["compiled_flops_per_device"] / first["compiled_flops_per_device"]
        sent = last["collective_bytes"] / 2**20
        return (
            f"On {last[axis]} devices each computes {flops:.3f} of what one alone does and reduces "
            f"{sent:.1f} MiB a step over the devices; sharing one machine's processors, they need "
            f"{times:.2f} times as long."
        )
    growth = f"{last[axis] / first[axis]:.3g} times as many {AXES[axis]} take"
    if axis == "hidden":
        growth = f"{last[axis] / first[axis]:.3g} times the hidden size takes"
    power = exponent(axis, points)
    return f"{growth} {times:.2f} times as long: the time grows with the power {power:.2f}."


def draw(axis: str, points: Sequence[Point], path: Path) -> None:
    """Draws one plot, legible at page width."""
    x = [point[axis] for point in points]
    figure, axes = plt.subplots(figsize=(6.4, 4), layout="constrained")
    if axis == "devices":
        relative(axes, x, points)
    else:
        axes.plot(x, [point["seconds"] for point in points], "o-", label="measured")
        share = points[-1]["seconds"] / points[-1]["flops"]
        axes.plot(
            x,
            [point["flops"] * share for point in points],
            "--",
            color="grey",
            label="in proportion to the layers' FLOPs",
        )
        axes.set_ylabel("seconds per step")
        axes.legend(frameon=False)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set_xticks(x, [f"{value:,}" for value in x])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.3g}")
    axes.set_xlabel(AXES[axis] + (" (fake, on one machine)" if axis == "devices" else ""))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=160)
    plt.close(figure)


def relative(axes: Any, x: list[int], points: Sequence[Point]) -> None:
    """Draws a device's time and compiled FLOPs as shares of those of a single device."""
    for key, label in (
        ("seconds", "seconds per step, devices sharing the processors"),
        ("compiled_flops_per_device", "compiled FLOPs of each device"),
    ):
        axes.plot(x, [p[key] / points[0][key] for p in points], "o-", label=label)
    axes.plot(x, [x[0] / n for n in x], "--", color="grey", label="ideal: 1 / devices")
    axes.set_ylabel("relative to one device")
    axes.legend(frameon=False)
    sent = points[-1]["collective_bytes"] / 2**20
    axes.set_title(f"each device reduces {sent:.1f} MiB a step", fontsize=10)


if __name__ == "__main__":
    main()
