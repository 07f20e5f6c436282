"""Attributes the time of a compiled step to the model's parts, from a trace and the program."""

from __future__ import annotations

import collections
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import jax

# Parts, and the pattern that the operations of an instruction match; the first match decides.
PARTS = (
    ("communication", r" all-reduce|all-gather|reduce-scatter|psum"),
    ("attention products", r"bnq|bqnh|bknh|fmha|flash|dot_product_attention"),
    ("other products", r"dot_general|gemm|matmul| dot\b"),
    ("dropout bits", r"threefry|iota_2x32|random_bits|rng_bit|xor|bitcast_convert"),
    ("GELU", r"erf"),
    ("softmax", r"jvp.*(/exp|reduce_max)|segment"),
    ("embeddings and read-outs", r"gather|scatter|_take"),
    ("LayerNorm", r"rsqrt|square"),
    ("other of the model", r"jvp|transpose\("),
    ("optimizer and clipping", r"jit\("),
)
OTHER = "not named"


class Instruction(NamedTuple):
    """An instruction of an optimised program: opcode, operation name, computations it calls."""

    opcode: str
    operation: str
    calls: tuple[str, ...]


Computations = dict[str, dict[str, Instruction]]


def seconds_by_part(folder: str, text: str, steps: int) -> dict[str, float]:
    """Returns the seconds of each part in one step, the longest first.

    Args:
        folder: the folder of a trace by `jax.profiler.trace`; its newest file is read.
        text: the optimised program.
        steps: the number of steps traced.
    """
    files = sorted(Path(folder).rglob("*.xplane.pb"), key=lambda path: path.stat().st_mtime)
    computations = parse(text)
    events: dict[str, float] = collections.defaultdict(float)
    for name, seconds in _events(files[-1]):
        events[name] += seconds
    return by_part(events, computations, steps)


def by_part(
    events: Mapping[str, float], computations: Computations, steps: int
) -> dict[str, float]:
    """Returns seconds by part, where `events` are seconds by the name of an instruction."""
    instructions = {name: i for body in computations.values() for name, i in body.items()}
    totals: dict[str, float] = collections.defaultdict(float)
    for name, seconds in events.items():
        if name not in instructions:
            continue
        inner = _inside(instructions[name], computations)
        if not any(child in events for child in inner):  # else its children are counted
            parts = [instructions[name], *inner.values()]
            totals[part_of(f"{i.operation} {i.opcode}" for i in parts)] += seconds / steps
    return dict(sorted(totals.items(), key=lambda item: -item[1]))


def part_of(operations: Iterable[str]) -> str:
    """Returns the part that an instruction with these operations belongs to."""
    text = "\n".join(operations)
    return next((part for part, pattern in PARTS if re.search(pattern, text)), OTHER)


def parse(text: str) -> Computations:
    """Parses the computations of an HLO program, by name."""
    computations: Computations = {}
    body: dict[str, Instruction] = {}
    for line in text.splitlines():
        if head := re.match(r"(?:ENTRY )?%?([\w.-]+) .*\{$", line):
            body = computations[head[1]] = {}
        elif match := re.match(r"\s+(?:ROOT )?%?([\w.-]+) = .*? ([\w-]+)\(", line):
            operation = re.search(r'op_name="([^"]*)"', line)
            called = re.findall(r"(?:calls|to_apply|body|condition)=%?([\w.-]+)", line)
            name = operation[1] if operation else ""
            body[match[1]] = Instruction(match[2], name, tuple(called))
    return computations


def _inside(instruction: Instruction, computations: Computations) -> dict[str, Instruction]:
    """Returns all instructions of the computations that it calls, directly and indirectly."""
    instructions: dict[str, Instruction] = {}
    for name in instruction.calls:
        for inner, child in computations.get(name, {}).items():
            instructions[inner] = child
            instructions.update(_inside(child, computations))
    return instructions


def _events(path: Path) -> Iterable[tuple[str, float]]:
    """Yields (instruction, seconds) of the devices' planes, or on a CPU of the host's."""
    planes = list(jax.profiler.ProfileData.from_file(str(path)).planes)
    devices = [plane for plane in planes if plane.name.startswith("/device:")]
    for plane in devices or planes:
        for line in plane.lines:
            for event in line.events:
                stats = dict(event.stats)
                if "hlo_op" in stats:
                    yield str(stats["hlo_op"]), event.duration_ns * 1e-9
