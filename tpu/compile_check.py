"""Compiles a configuration's programs for a TPU slice, without a TPU, and checks that they fit.

    python tpu/compile_check.py --config=configs/mnli_to_xtreme.py:size=large --topology=v5e-8
    python tpu/compile_check.py --config=configs/mnli_to_xtreme.py:size=xxl --sweep=v5p

The second finds the smallest slice of a generation, and the largest batches there.

Needs libtpu: pip install 'xt_jax[tpu]'. For each program of each model of the page: a chip's
memory, FLOPs and collectives, float32 products where bfloat16 is meant, what is computed twice; and
the compiler's estimate of its time, by part of the program (`estimate.py`), never a measurement.
Exit status 1 if a program does not fit or moves activations. Seeds that a run trains together are
one program. Rows are as long, and as many, as batches of the official data need, and of the word
embeddings those are trained that may occur there (`programs.WORDS`).
"""

from __future__ import annotations

import functools
import itertools
import json
import math
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("JAX_PLATFORMS", "cpu")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from absl import app, flags, logging
from jax.sharding import Mesh
from ml_collections import config_flags

from tpu import hlo, slices
from tpu.estimate import Estimate, estimate
from tpu.largest import largest, with_tokens
from tpu.programs import Program, programs
from xt_jax.config import Config
from xt_jax.errors import ConfigError, UserError
from xt_jax.model.sharding import make_mesh

_CONFIG = config_flags.DEFINE_config_file("config", None, "Configuration page.", lock_config=True)
_TOPOLOGY = flags.DEFINE_string("topology", "v5e-8", "Slice, such as v5e-8 or v5e:2x4.")
_SWEEP = flags.DEFINE_string(
    "sweep",
    "",
    "A generation (v4, v5e, v5p, v6e): finds its smallest slice on which all fits, and there the "
    "largest batch of every training step.",
)
_ONLY = flags.DEFINE_multi_string("only", [], "Start of the programs' names: train, predict, ...")
_JSON = flags.DEFINE_string("json", "", "Where to write the figures too.")

GIB = 2**30
_RESERVED = 0.5  # GiB that the runtime and the compiler keep for themselves, about
_LOOKUP = "jit(_take)"  # in the name of the operation that looks up word vectors
_SMALL = 0.01  # share of a program's FLOPs that float32 products may have: losses, pooling


class Figures(NamedTuple):
    """The measurements of one program on one chip.

    Attributes:
        tokens: of a training step on all chips together; 0 for other programs.
        fits: whether memory suffices; false also if the compiler gave up, and then `why`.
        hbm: peak GiB of arguments, results and temporary arrays.
        collectives: (how many, bytes) by kind.
        float32: share of the FLOPs in float32 products, by source.
        moved: what chips pass on that is not a parameter.
        examples: that a run takes on all chips together; 0 where it takes none.
        time: the estimated time; None if the compiler gave up.
    """

    name: str
    shape: str
    tokens: int
    fits: bool
    hbm: float
    tflop: float
    collectives: dict[str, tuple[int, float]]
    float32: dict[str, float]
    moved: list[str]
    remade: int
    why: str = ""
    examples: float = 0.0
    time: Estimate | None = None

    @property
    def is_good(self) -> bool:
        return self.fits and not self.moved and not self.float32


def check(program: Program, chip: slices.Chip) -> Figures:
    """Compiles one program and measures it."""
    try:
        compiled = program.lower().compile()
    except Exception as error:  # the compiler reports a lack of memory in the text
        if "RESOURCE_EXHAUSTED" not in str(error) and "Ran out of memory" not in str(error):
            raise
        why = str(error).partition("\n")[0][:300]
        about = program.name, program.shape, program.tokens
        return Figures(*about, False, math.nan, math.nan, {}, {}, [], 0, why)
    text = compiled.as_text() or ""
    counts = hlo.count(text)
    hbm = _hbm(compiled.memory_analysis())
    float32 = {}
    if program.bf16:
        limit = _SMALL * counts.flops
        float32 = {
            where: flops / counts.flops for where, flops in counts.float32.items() if flops > limit
        }
    return Figures(
        program.name,
        program.shape,
        program.tokens,
        hbm + _RESERVED <= chip.hbm,
        hbm,
        counts.flops / 1e12,
        counts.by_kind(),
        float32,
        _moved(counts, program),
        counts.remade,
        "",
        program.examples,
        estimate(text, chip, program.mesh.size),
    )


def _hbm(memory: Any) -> float:
    total = (
        memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes
        + memory.temp_size_in_bytes
        + memory.generated_code_size_in_bytes
    )
    return total / GIB


def _moved(counts: hlo.Counts, program: Program) -> list[str]:
    """Lists what the chips pass on that is not a parameter: activations, which should not move.

    Word vectors of a batch are allowed: FSDP shards their table along the hidden axis, so that each
    chip looks up its part of all. With a `model` axis activations are summed along it.
    """
    if not program.params:
        return []
    known = _parts(program)
    large = max(map(math.prod, program.params)) // 1000  # smaller ones cost nothing: sums, labels
    sums = ("all-reduce", "reduce-scatter") if program.mesh.shape["model"] > 1 else ()
    return sorted(
        f"{kind} {shape.dtype}{list(shape.dims)} of {source}"
        for kind, shape, source in counts.passed
        if math.prod(shape.dims) > large
        and _form(shape.dims) not in known
        and not (kind == "all-to-all" and _LOOKUP in source)
        and kind not in sums
    )


def _parts(program: Program) -> set[tuple[int, ...]]:
    """Returns the shapes in which a parameter may be passed on: layers, heads, one chip's part."""
    forms: set[tuple[int, ...]] = set()
    for shape in program.params:
        leading, matrix = shape[:-2], shape[-2:]
        for count in range(len(leading) + 1):
            for axes in itertools.combinations(leading, count):
                forms.add((*axes, *matrix))
    size = program.head_dim
    for form in list(forms):
        cut = [(n // size, size) if n % size == 0 else (n,) for n in form[-2:]]
        forms |= {(*form[:-2], *cut[0], *form[-1:]), (*form[:-1], *cut[-1])}
    for chips in program.mesh.shape.values():
        parts = [part for part in range(2, chips + 1) if chips % part == 0]
        forms |= {
            (*form[:axis], form[axis] // part, *form[axis + 1 :])
            for form in forms
            for part in parts
            for axis in range(len(form))
            if form[axis] % part == 0
        }
    return set(map(_form, forms))


def _form(dims: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(size for size in dims if size > 1))


def report(topology: str, mesh: Mesh, found: list[Figures]) -> str:
    """Formats one line for each program, with the problems below."""
    chip = slices.chip_of(topology)
    header = ["program", "batch", "GiB a chip", "TFLOP a chip", "collectives a chip", "verdict"]
    rows = [header]
    for each in found:
        verdict = "fits" if each.fits else "DOES NOT FIT"
        rows.append(
            [
                each.name,
                each.shape,
                "-" if math.isnan(each.hbm) else f"{each.hbm:.2f} of {chip.hbm:g}",
                "-" if math.isnan(each.tflop) else f"{each.tflop:.3g}",
                _collectives(each) or "none",
                verdict if each.is_good or not each.fits else "look below",
            ]
        )
    lines = [f"{topology}: {mesh.devices.size} chips, mesh {dict(mesh.shape)}", *_aligned(rows)]
    lines += ["", *_times(found)]
    for each in found:
        if each.why:
            lines.append(f"{each.name}: {each.why}")
        lines += [f"{each.name}: moves activations: {what}" for what in each.moved]
        lines += [
            f"{each.name}: {share:.1%} of the FLOPs are float32 products: {where}"
            for where, share in each.float32.items()
        ]
        if each.remade:
            lines.append(f"{each.name}: the compiler computes {each.remade} results twice")
    return "\n".join(lines)


def _times(found: list[Figures]) -> list[str]:
    """Formats the estimated times, one line for each program."""
    rows = [["estimated, not measured", "ms", "ms at peak", "MFU", "ms of links", "examples/s"]]
    rows[0].append("where the time of computation goes")
    for each in found:
        if time := each.time:
            links = f"{sum(time.links.values()):.3g}, {time.hidden:.0%} hidden"
            parts = [f"{part} {ms / time.computing:.0%}" for part, ms in time.ms.items()]
            rows.append(
                [
                    each.name,
                    f"{time.step:.3g}",
                    f"{time.peak:.3g}",
                    f"{time.mfu:.1%}",
                    links if time.links else "none",
                    f"{1e3 * each.examples / time.step:,.0f}" if each.examples else "-",
                    ", ".join(parts[:6]) + (", a kernel not counted" if time.kernels else ""),
                ]
            )
    return _aligned(rows)


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _collectives(each: Figures) -> str:
    return ", ".join(
        f"{count} {kind} {size / 2**20:.3g} MiB"
        for kind, (count, size) in sorted(each.collectives.items())
    )


def check_slice(config: Config, topology: str, only: list[str]) -> tuple[Mesh, list[Figures]]:
    """Checks the programs of the configuration, or those whose names start with one of `only`."""
    mesh = make_mesh(config.train.model_axis, slices.devices_of(topology))
    chip = slices.chip_of(topology)
    figures = []
    for program in programs(config, mesh, chip.hbm * GIB):
        if not only or program.name.startswith(tuple(only)):
            figures.append(check(program, chip))
    return mesh, figures


def sweep(config: Config, generation: str, only: list[str]) -> tuple[str, Mesh, list[Figures]]:
    """Finds the smallest slice of the generation on which everything fits.

    Raises:
        ConfigError: there is none.
    """
    names = [name for name in slices.TOPOLOGIES if name.split("-")[0] == generation]
    for name in names:
        mesh, figures = check_slice(config, name, only)
        print(report(name, mesh, figures), end="\n\n", flush=True)
        if all(each.fits for each in figures):
            return name, mesh, figures
    raise ConfigError(
        f"The programs fit on no slice of {generation} ({', '.join(names) or 'none known'}).",
        where="--sweep",
        remedy="use --config.model.remat=full, --config.train.sharding=fsdp, more "
        "--config.train.accumulate or a smaller batch",
    )


def largest_batches(
    config: Config, topology: str, mesh: Mesh, found: list[Figures]
) -> list[Figures]:
    """Finds the largest batch of every training step that fits."""
    chip = slices.chip_of(topology)

    def measure(name: str, tokens: int) -> Figures:
        wider = programs(with_tokens(config, tokens), mesh, chip.hbm * GIB)
        return check(next(each for each in wider if each.name == name), chip)

    return [
        largest(functools.partial(measure, each.name), each, chip.hbm - _RESERVED)
        for each in found
        if each.tokens
    ]


def _entry(each: Figures) -> dict[str, Any]:
    """Returns the figures as JSON takes them; `time` with what follows from it."""
    entry = each._asdict()
    if time := each.time:
        entry["time"] = time._asdict() | {"step": time.step, "mfu": time.mfu}
    return entry


def main(_: list[str]) -> None:
    config, only = _CONFIG.value, list(_ONLY.value)
    if _SWEEP.value:
        topology, mesh, figures = sweep(config, str(_SWEEP.value), only)
        print(f"the smallest: {topology}; the largest batches there:", flush=True)
        for each in largest_batches(config, topology, mesh, figures):
            tokens = f"batch_tokens={each.tokens}"
            print(f"{each.name}: {each.shape} ({tokens}), {each.hbm:.2f} GiB", flush=True)
    else:
        topology = str(_TOPOLOGY.value)
        mesh, figures = check_slice(config, topology, only)
        print(report(topology, mesh, figures))
    if _JSON.value:
        entry = {
            "topology": topology,
            "mesh": dict(mesh.shape),
            "programs": [_entry(each) for each in figures],
        }
        Path(str(_JSON.value)).write_text(json.dumps(entry, indent=1) + "\n")
    if not all(each.is_good for each in figures):
        sys.exit(1)


if __name__ == "__main__":
    flags.mark_flags_as_required(["config"])
    logging.set_verbosity(logging.ERROR)
    try:
        app.run(main)
    except UserError as error:
        sys.exit(f"error: {error}")
