"""Counts the products and collectives of a compiled program on each device from its HLO text.

XLA's own count takes the body of a loop once; here it counts as often as it runs. Kernels (custom
calls) are not counted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

COLLECTIVES = ("all-gather", "all-reduce", "reduce-scatter", "all-to-all", "collective-permute")
_BYTES = {"pred": 1, "s8": 1, "u8": 1, "s16": 2, "u16": 2, "bf16": 2, "f16": 2, "f64": 8}  # else 4
_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\) -> .* \{$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = (\(.*?\)|\S+) ([\w\-]+)\((.*?)\)(.*)$")
_SHAPE = re.compile(r"(\w+)\[([\d,]*)\]")
_CALLED = re.compile(r"(?:calls|body|to_apply|branch_computations)=\{?([%\w.\-, ]+)\}?")
_REMADE = re.compile(r"^\s+(?:ROOT )?%?([\w\-.]*\.remat\S*) =", re.MULTILINE)
_SUM = "calls=%all-reduce-scatter"
_NAME = re.compile(r'op_name="([^"]*)"')


class Shape(NamedTuple):
    """The type and dimensions of an array."""

    dtype: str
    dims: tuple[int, ...]

    @property
    def bytes(self) -> int:
        return math.prod(self.dims) * _BYTES.get(self.dtype, 4)


class Instruction(NamedTuple):
    """One instruction (a line of HLO text), with a shape for each array of its result."""

    name: str
    shapes: list[Shape]
    opcode: str
    arguments: str
    rest: str

    @property
    def operands(self) -> list[str]:
        return re.findall(r"%([\w.\-]+)", self.arguments)

    @property
    def source(self) -> str:
        """The part of the program that the instruction comes from."""
        name = _NAME.search(self.rest)
        return name.group(1) if name else ""


class Passed(NamedTuple):
    """An array that a collective leaves on the device."""

    kind: str
    shape: Shape
    source: str


@dataclass
class Counts:
    """The work of one device in one run of the program.

    Attributes:
        flops: of products.
        float32: FLOPs of products of float32 arrays, by source.
        collectives: bytes that each kind leaves on the device, and how often it runs, by channel.
        behind: those of them during which the device can do other work.
        passed: the arrays that collectives leave on the device.
        remade: instructions that the compiler does a second time rather than keep their results.
    """

    flops: float = 0.0
    float32: dict[str, float] = field(default_factory=dict)
    collectives: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    behind: set[tuple[str, str]] = field(default_factory=set)
    passed: set[Passed] = field(default_factory=set)
    remade: int = 0

    def by_kind(self) -> dict[str, tuple[int, float]]:
        """Returns (how many run, bytes) for each kind of collective."""
        kinds: dict[str, tuple[int, float]] = {}
        for (kind, _), (size, times) in self.collectives.items():
            count, total = kinds.get(kind, (0, 0.0))
            kinds[kind] = (count + round(times), total + size * times)
        return kinds

    @property
    def hidden(self) -> float:
        """The share of the collectives' bytes that can pass while the device does other work."""
        sizes = {key: size * times for key, (size, times) in self.collectives.items()}
        return sum(sizes[key] for key in self.behind) / (sum(sizes.values()) or 1)


def count(text: str) -> Counts:
    """Counts the work in the text of a compiled (optimised, partitioned) program."""
    computations, entry = parse(text)
    counts = Counts(remade=len(set(_REMADE.findall(text))))
    _walk(computations, entry, 1.0, counts)
    return counts


def parse(text: str) -> tuple[dict[str, list[Instruction]], str]:
    """Parses HLO text into (instructions by computation, the name of the entry)."""
    computations: dict[str, list[Instruction]] = {}
    entry, current = "", ""
    for line in text.splitlines():
        if head := _COMPUTATION.match(line):
            current = head.group(2)
            computations[current] = []
            entry = current if head.group(1) else entry
        elif current and (found := _INSTRUCTION.match(line)):
            name, kind, opcode, arguments, rest = found.groups()
            shapes = [Shape(d, _dims(sizes)) for d, sizes in _SHAPE.findall(kind)]
            computations[current].append(Instruction(name, shapes, opcode, arguments, rest))
    return computations, entry


def _walk(
    computations: dict[str, list[Instruction]],
    name: str,
    times: float,
    counts: Counts,
    within: str = "",
) -> None:
    """Adds the work of a computation that runs so many times.

    Args:
        within: the loop that it is part of; "fusion" where it is a collective's part that is done
            together with other work, and may come in several such computations.
    """
    shapes = {each.name: each.shapes for each in computations[name]}
    for each in computations[name]:
        if each.opcode in ("dot", "convolution"):
            operands = [shapes[operand][0] for operand in each.operands[:2]]
            flops = times * _flops(each, operands)
            counts.flops += flops
            if all(shape.dtype == "f32" for shape in operands):
                counts.float32[each.source] = counts.float32.get(each.source, 0.0) + flops
        kind = each.opcode.removesuffix("-start")
        if kind in COLLECTIVES:
            _add_collective(each, kind, times, within, counts)
            counts.passed |= _passed(each, kind, {line.name: line for line in computations[name]})
        inner = {"while": each.name, "fusion": "fusion"}.get(each.opcode, within)
        for body in called(each):
            if body in computations and each.opcode not in COLLECTIVES:
                _walk(computations, body, times * trips(each, computations), counts, inner)


def _add_collective(
    each: Instruction, kind: str, times: float, within: str, counts: Counts
) -> None:
    """Adds a collective; its parts share a channel and count once, copies of a loop all count."""
    channel = re.search(r"channel_id=(\d+)", each.rest)
    key = kind, f"{channel.group(1)} {within}" if channel else each.name
    shapes = each.shapes if each.opcode == kind else _results(each)
    size = sum(shape.bytes for shape in shapes)
    before = counts.collectives.get(key, (0.0, 0.0))
    counts.collectives[key] = max(before, (size, times))
    if each.opcode != kind or within == "fusion":
        counts.behind.add(key)


def _passed(each: Instruction, kind: str, lines: dict[str, Instruction]) -> set[Passed]:
    """Returns the arrays that a collective leaves on the device.

    A TPU's compiler pads what it sums up so that the chips' parts are equal, and then passes slices
    on to where they belong: the sum counts without its padding, the slices do not.
    """
    shapes = each.shapes if each.opcode == kind else _results(each)
    operands = [lines[name] for name in each.operands if name in lines]
    sliced = [lines.get(line.operands[0]) for line in operands if line.opcode == "slice"]
    if kind == "collective-permute" and any(line and _SUM in line.rest for line in sliced):
        return set()
    padded = [line for line in operands if line.opcode == "pad"]
    if kind == "all-reduce" and len(padded) == len(shapes):
        shapes = [lines[line.operands[0]].shapes[0] for line in padded]
    return {Passed(kind, shape, each.source) for shape in shapes}


def _results(start: Instruction) -> list[Shape]:
    """Returns an asynchronous collective's results; its start has (operands, results, counters)."""
    arrays = [shape for shape in start.shapes if shape.dims]
    return arrays[len(arrays) // 2 :]


def called(each: Instruction) -> Iterator[str]:
    """Yields the names of the computations that an instruction runs."""
    for names in _CALLED.findall(each.rest):
        for name in names.split(","):
            yield name.strip().removeprefix("%")


def trips(each: Instruction, computations: dict[str, list[Instruction]]) -> float:
    """Returns how often a loop runs, from the limit of its counter, which begins at 0."""
    if each.opcode != "while":
        return 1.0
    known = re.search(r'known_trip_count"?:\{"?n"?:"?(\d+)', each.rest)
    if known:
        return float(known.group(1))
    named = re.search(r"condition=%?([\w.\-]+), body=%?([\w.\-]+)", each.rest)
    assert named, each
    condition, body = (computations[name] for name in named.groups())
    limits = [
        int(line.arguments)
        for line in condition
        if line.opcode == "constant" and line.shapes[0].dtype in ("s32", "u32")
    ]
    assert limits, each
    return max(limits) / _step(condition, body)


def _step(condition: list[Instruction], body: list[Instruction]) -> int:
    """Returns what one run of the body adds to the counter: more than 1 if it was unrolled."""
    places = [line.rest for line in condition if line.opcode == "get-tuple-element"]
    place = re.search(r"index=(\d+)", places[0]) if places else None
    lines = {line.name: line for line in body}
    if not place or body[-1].opcode != "tuple":
        return 1
    counter = lines[body[-1].operands[int(place.group(1))]]
    added = [lines[name] for name in counter.operands if name in lines]
    steps = [int(line.arguments) for line in added if line.opcode == "constant"]
    return steps[0] if counter.opcode == "add" and steps else 1


def _flops(each: Instruction, operands: list[Shape]) -> float:
    """Returns two FLOPs for each multiplication, without those with padding."""
    (out,) = each.shapes
    left, right = operands
    if each.opcode == "dot":
        contracted = re.search(r"lhs_contracting_dims=\{([\d,]*)\}", each.rest)
        dims = _dims(contracted.group(1)) if contracted else ()
        return 2.0 * math.prod(out.dims) * math.prod(left.dims[i] for i in dims)
    labels = re.search(r"dim_labels=(\w+)_(\w+)->(\w+)", each.rest)
    assert labels, each
    of_left, of_right, of_out = labels.groups()
    window = re.search(r"window=\{([^}]*)\}", each.rest)
    options = dict(part.split("=", 1) for part in window.group(1).split()) if window else {}
    groups = re.search(r"batch_group_count=(\d+)", each.rest)
    flops = 2.0 * out.dims[of_out.index("b")] * out.dims[of_out.index("f")]
    flops *= right.dims[of_right.index("i")] / (int(groups.group(1)) if groups else 1)
    for i, label in enumerate(sorted(set(of_out) - {"b", "f"})):
        flops *= _meetings(
            left.dims[of_left.index(label)],
            right.dims[of_right.index(label)],
            out.dims[of_out.index(label)],
            {name: value.split("x")[i] for name, value in options.items()},
        )
    return flops


def _meetings(size: int, kernel: int, out: int, options: dict[str, str]) -> int:
    """Counts, along one dimension, how often the kernel meets an element and not padding."""
    stride, left, right = (
        int(options.get(name, 1)) for name in ("stride", "lhs_dilate", "rhs_dilate")
    )
    low = int(options.get("pad", "0_0").split("_")[0])
    at = np.arange(out)[:, None] * stride + np.arange(kernel) * right - low
    return int(((at >= 0) & (at <= (size - 1) * left) & (at % left == 0)).sum())


def _dims(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(",") if part)
