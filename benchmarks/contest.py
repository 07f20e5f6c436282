"""Summarises the rounds of a duel: medians, ratios, and the table of all sides."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duel import Measured, median_ratio, per_second

HERE = Path(__file__).parent
OURS, PEER = HERE / "ours.py", HERE / "peer.py"  # scripts for `duel.Worker`


@dataclass(frozen=True)
class Contest:
    """The rounds of one duel; `facts` describe the other program's run.

    Attributes:
        ours, theirs: the measurements of each side, a record for each round.
    """

    ours: list[Measured]
    theirs: list[Measured]
    facts: dict[str, Any]

    def ratio(self, name: str = "examples") -> tuple[float, float, float]:
        """Returns (median, least, greatest) of the ratio of `name` per second over the rounds."""
        return median_ratio(per_second(self.ours, name), per_second(self.theirs, name))


def variables(text: str) -> dict[str, str]:
    """Parses NAME=VALUE,NAME=VALUE into environment variables."""
    return dict(part.split("=", 1) for part in text.split(",") if part)


def product(model: dict[str, Any], device: dict[str, Any], dtype: str) -> dict[str, Any]:
    """Returns the matrix product whose rate replaces an unknown peak."""
    if device["platform"] == "cpu":
        return {"shape": [1280, model["hidden_size"], model["intermediate_size"]], "dtype": dtype}
    return {"shape": [8192, 8192, 8192], "dtype": dtype}


def summary(rounds: list[Measured], peak: float, facts: dict[str, Any]) -> dict[str, float]:
    """Returns medians over the rounds; `mfu` counts the examples' own FLOPs on both sides."""

    def median(name: str) -> float:
        return statistics.median(per_second(rounds, name))

    real = median("real_tokens")
    values = {
        "examples_per_second": median("examples"),
        "tokens_per_second": median("slots"),
        "real_tokens_per_second": real,
        "mfu": real * facts["flops_per_token"] / (peak * 1e12),
        "peak_gib": max(record["peak_bytes"] for record in rounds) / 2**30,
        "idle_cpu_of_the_other": max(record.get("idle_cpu", 0.0) for record in rounds),
    }
    if "wait_seconds" in rounds[0]:
        values["wait_share"] = median("wait_seconds")
    if "slot_flops" in rounds[0]:
        values["mfu_with_padding"] = median("slot_flops") / (peak * 1e12)
    return values


def compared(contest: Contest, peak: float, facts: dict[str, Any]) -> dict[str, Any]:
    """Returns the other side's summary with the ratio of ours to it."""
    ratio, least, greatest = contest.ratio()
    copied = ("compile_seconds", "loss_difference", "rows", "row_length", "fill")
    return {
        **summary(contest.theirs, peak, facts),
        **{name: contest.facts[name] for name in copied if name in contest.facts},
        "ratio": ratio,
        "ratio_least": least,
        "ratio_greatest": greatest,
    }


def table(sides: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns a line for each side, with the ratio of ours to it."""
    columns = {
        "examples/s": ("examples_per_second", ".2f"),
        "slots/s": ("tokens_per_second", ".0f"),
        "tokens/s": ("real_tokens_per_second", ".0f"),
        "MFU": ("mfu", ".3f"),
        "GiB": ("peak_gib", ".2f"),
        "waits": ("wait_share", ".2%"),
        "compile s": ("compile_seconds", ".1f"),
        "ratio": ("ratio", ".2f"),
    }
    lines = [f"{'':26}" + "".join(f"{title:>12}" for title in columns)]
    for name, side in sides.items():
        if "failed" in side:
            lines.append(f"{name:26}  failed: {side['failed']}")
            continue
        cells = [format(side[key], form) if key in side else "" for key, form in columns.values()]
        lines.append(f"{name:26}" + "".join(f"{cell:>12}" for cell in cells))
    return "\n".join(lines)


def peak_line(result: Mapping[str, Any]) -> str:
    """Describes the peak that MFU refers to, and both libraries' rates of a matrix product."""
    rates = [
        f"{name} {result[key]:.3f}"
        for name, key in (("JAX", "jax_tflops"), ("PyTorch", "torch_tflops"))
        if key in result
    ]
    return (
        f"MFU of {result['peak_tflops']:.3f} TFLOP/s, {result['peak_is']}; a matrix product of the "
        f"model's size: {', '.join(rates)} TFLOP/s"
    )
