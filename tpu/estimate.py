"""Estimates how long a compiled program takes on a TPU chip, by its compiler's count of cycles.

libtpu writes its estimate of every instruction's cycles into the text of a program. Summed, with
the bodies of loops as often as they run, and divided by the clock it is the time of a chip that
never waits. Of gathers and scatters, which it leaves out, the rows that they move count, at the
rate of the memory; sorts and kernels without an estimate of their own count nothing. Collectives
are apart: their bytes at the rate of the links that the maker publishes. Nothing was measured.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from tpu import hlo
from tpu.slices import Chip

# Parts of a program, the first that fits. `what`: a product, or the opcode of the instruction;
# `source`: where it comes from.
_PARTS = (
    ("optimizer", r"", r"/optimizer/"),
    ("embedding gradient", r"", r"transpose\(.*(embeddings|_take)"),
    ("attention", r"", r"[/(]attend[/)]"),
    ("products", r"product", r""),
    ("residuals", r"", r"(dynamic_update_slice|dynamic_slice)$"),
    ("residuals", r"", r"jit\(dynamic_(update_)?index_in_dim\)"),
    ("norms", r"", r"[/(]norm[/)]"),
    ("dropout", r"", r"[/(]dropout[/)]"),
    ("conversion", r"convert", r""),
)
OTHER = "other"
_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')
_KERNEL = 'custom_call_target="tpu_custom_call"'
_PRODUCTS = ("dot", "convolution")
# Bytes that a chip of n receives for each byte of the result, at least: every kind passes round a
# ring what a chip lacks, an all-reduce twice.
_RECEIVED = {
    "all-reduce": lambda n: 2 * (n - 1) / n,
    "all-gather": lambda n: (n - 1) / n,
    "all-to-all": lambda n: (n - 1) / n,
    "reduce-scatter": lambda n: n - 1,
    "collective-permute": lambda n: 1,
}


class Estimate(NamedTuple):
    """The estimated time of one run of a program on one chip of a slice.

    Attributes:
        ms: milliseconds of computation by part, the longest first.
        links: milliseconds of collectives by kind, if they used all links of the chip.
        hidden: the share of the collectives' bytes that may pass while the chip computes.
        peak: milliseconds that the products alone take at the chip's peak.
        kernels: kernels without an estimate of their own, which count nothing.
    """

    ms: dict[str, float]
    links: dict[str, float]
    hidden: float
    peak: float
    kernels: int

    @property
    def computing(self) -> float:
        return sum(self.ms.values())

    @property
    def step(self) -> float:
        """Milliseconds of a step, of which collectives hide behind computation what they may."""
        links = sum(self.links.values())
        return max(self.computing, self.hidden * links) + (1 - self.hidden) * links

    @property
    def mfu(self) -> float:
        """The share of the chip's peak that the products of a step use."""
        return self.peak / self.step if self.step else 0.0


def estimate(text: str, chip: Chip, chips: int) -> Estimate:
    """Estimates a run of the program with this (optimised, partitioned) text.

    Args:
        chips: that take part in its collectives.
    """
    computations, entry = hlo.parse(text)
    cycles: dict[str, float] = {}
    kernels = 0
    for each, times in _runs(computations, entry):
        found = _CYCLES.search(each.rest)
        kernels += _KERNEL in each.rest and not found
        if found:
            once = float(found.group(1))
        else:
            once = _rows_moved(each, computations) / (chip.memory * 1e9) * chip.clock
        part = _part(each, computations)
        cycles[part] = cycles.get(part, 0.0) + times * once
    counts = hlo.count(text)
    links = {
        kind: 1e3 * size * _RECEIVED[kind](chips) / (chip.links * 1e9)
        for kind, (_, size) in counts.by_kind().items()
    }
    of_length = sorted(cycles.items(), key=lambda item: -item[1])
    return Estimate(
        {part: 1e3 * n / chip.clock for part, n in of_length if n},
        links,
        counts.hidden,
        1e3 * counts.flops / (chip.peak * 1e12),
        kernels,
    )


def _runs(
    computations: dict[str, list[hlo.Instruction]], name: str, times: float = 1.0
) -> Iterator[tuple[hlo.Instruction, float]]:
    """Yields each instruction that runs by itself, and how often; a fusion is one."""
    for each in computations[name]:
        yield each, times
        if each.opcode in ("while", "conditional", "call"):
            for body in hlo.called(each):
                if body in computations:
                    yield from _runs(computations, body, times * hlo.trips(each, computations))


def _part(each: hlo.Instruction, computations: dict[str, list[hlo.Instruction]]) -> str:
    what = "product" if _multiplies(each, computations) else each.opcode
    for part, kind, source in _PARTS:
        if re.search(kind, what) and re.search(source, each.source):
            return part
    return OTHER


def _rows_moved(each: hlo.Instruction, computations: dict[str, list[hlo.Instruction]]) -> float:
    """Counts the bytes of memory that the gathers and scatters of a fusion read and write."""
    lines = list(_within(each, computations))
    shapes = {line.name: line.shapes for line in lines}
    total = 0.0
    for line in lines:
        if line.opcode == "gather":
            total += 2 * line.shapes[0].bytes
        if line.opcode == "scatter":
            total += 3 * sum(shape.bytes for shape in shapes.get(line.operands[-1], ()))
    return total


def _multiplies(each: hlo.Instruction, computations: dict[str, list[hlo.Instruction]]) -> bool:
    return any(line.opcode in _PRODUCTS for line in _within(each, computations))


def _within(
    each: hlo.Instruction, computations: dict[str, list[hlo.Instruction]]
) -> Iterator[hlo.Instruction]:
    """Yields an instruction and, of a fusion, all that it does."""
    yield each
    for name in hlo.called(each) if each.opcode == "fusion" else ():
        for line in computations.get(name, ()):
            yield from _within(line, computations)
