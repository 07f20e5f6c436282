"""Compiles the programs that the tables of README.md still lack, and writes the tables.

    python tpu/table.py                # what figures.jsonl lacks; half a minute or more a program
    python tpu/table.py --only="large v5e" --only="xl v5p-16"
    python tpu/table.py --only_write

`fits`: each size with the options that it is meant to run with (`SIZES`), on the slices of `SLICES`
and, where those are too small, on larger ones (`LARGER`). `scaling`: one training step of the same
batch, shared by more and more chips.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import app, flags

HERE = Path(__file__).resolve().parent
FIGURES = HERE / "figures.jsonl"
README = HERE / "README.md"
PAGE = "configs/mnli_to_xtreme.py"

_FSDP = ("--config.train.sharding=fsdp",)
_WIDE = (*_FSDP, "--config.model.remat=full")
SIZES = {
    "minilm-l6": (),
    "minilm-l12": (),
    "base": (),
    "large": _FSDP,
    "xl": _WIDE,
    "xxl": _WIDE,
}
SLICES = ("v4-8", "v5e-4", "v5e-8", "v5p-8", "v6e-8")
LARGER = {
    "large": ("v4-32",),
    "xl": ("v4-32", "v5e-16", "v5p-16"),
    "xxl": ("v4-32", "v5e-64", "v5p-16", "v5p-32", "v6e-32"),
}
PROGRAMS = ("train mnli", "train mlqa", "predict xquad", "embed bucc", "search bucc")
SHARED = "--config.intermediate.batch_tokens=12288"  # 48 x 256, which 1 to 8 chips can share
MIB = 2**20
KEPT = {  # of the figures of each program
    "fits": ("name", "shape", "hbm", "fits", "moved", "float32", "why"),
    "scaling": ("name", "shape", "hbm", "fits", "tflop", "collectives"),
}

_ONLY = flags.DEFINE_multi_string("only", [], "Start of the checks' size and slice.")
_ONLY_WRITE = flags.DEFINE_bool("only_write", False, "Compile nothing.")

Entry = dict[str, Any]
Key = tuple[str, ...]


class Check(NamedTuple):
    """One call of `compile_check.py`."""

    table: str
    size: str
    topology: str
    options: tuple[str, ...]
    programs: tuple[str, ...]

    @property
    def key(self) -> Key:
        return self.table, self.size, self.topology, *self.options


CHECKS = [
    *(
        Check("scaling", "base", name, (*options, SHARED), ("train mnli",))
        for options in ((), _FSDP)
        for name in ("v5e-1", "v5e:2x1", "v5e-4", "v5e-8")
    ),
    *(
        Check("fits", size, name, options, PROGRAMS)
        for size, options in SIZES.items()
        for name in (*SLICES, *LARGER.get(size, ()))
    ),
]


def read() -> dict[Key, Entry]:
    lines = FIGURES.read_text().splitlines() if FIGURES.exists() else []
    entries = map(json.loads, lines)
    return {
        (entry["table"], entry["size"], entry["topology"], *entry["options"]): entry
        for entry in entries
    }


def compiled(check: Check) -> Entry:
    """Runs a check in a process of its own, which frees the compiler's memory at its end."""
    arguments = [f"--config={PAGE}:size={check.size}", f"--topology={check.topology}"]
    arguments += [*check.options, *(f"--only={name}" for name in check.programs)]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "figures.json"
        command = [sys.executable, str(HERE / "compile_check.py"), *arguments, f"--json={output}"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=HERE.parent)
        if not output.exists():
            raise RuntimeError(done.stdout + done.stderr)
        figures = json.loads(output.read_text())
    kept = [{name: each[name] for name in KEPT[check.table]} for each in figures["programs"]]
    return {**check._asdict(), "mesh": figures["mesh"], "programs": kept}


def fits(entries: Sequence[Entry]) -> list[list[str]]:
    """Returns a row per size and slice: GiB a chip of each program."""
    rows = [["size", "slice", "chips", "options", *PROGRAMS, "all fit"]]
    for entry in entries:
        of_name = {program["name"]: program for program in entry["programs"]}
        cells = [_gib(of_name.get(name)) for name in PROGRAMS]
        fit = "yes" if all(map(_is_good, entry["programs"])) else "**no**"
        rows.append([entry["size"], entry["topology"], _chips(entry), _options(entry), *cells, fit])
    return rows


def scaling(entries: Sequence[Entry]) -> list[list[str]]:
    """Returns a row per layout and number of chips: what one chip computes, holds and receives."""
    rows = [["options", "chips", "TFLOP a chip", "GiB a chip", "MiB that each chip receives"]]
    for entry in entries:
        (program,) = entry["programs"]
        sent = ", ".join(
            f"{kind} {size / MIB:,.0f}"
            for kind, (_, size) in sorted(program["collectives"].items())
        )
        tflop = f"{program['tflop']:.4f}"
        rows.append([_options(entry), _chips(entry), tflop, _gib(program), sent or "nothing"])
    return rows


def _chips(entry: Entry) -> str:
    return str(math.prod(entry["mesh"].values()))


def _options(entry: Entry) -> str:
    return " ".join(option.removeprefix("--config.") for option in entry["options"]) or "-"


def _is_good(program: Entry) -> bool:
    return program["fits"] and not program["moved"] and not program["float32"]


def _gib(program: Entry | None) -> str:
    if program is None:
        return ""
    hbm = program["hbm"]
    return "too much" if hbm is None or math.isnan(hbm) else f"{hbm:.1f}"


TABLES: dict[str, Callable[[Sequence[Entry]], list[list[str]]]] = {
    "fits": fits,
    "scaling": scaling,
}


def write(entries: dict[Key, Entry]) -> None:
    """Writes each table of README.md between its marks."""
    text = README.read_text()
    for name, rows_of in TABLES.items():
        of_table = [entries[c.key] for c in CHECKS if c.table == name and c.key in entries]
        head, *rows = rows_of(of_table)
        lines = [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]]
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, _, rest = text.partition(begin)
        text = "\n".join([before + begin, *lines, end]) + rest.partition(end)[2]
    README.write_text(text)


def main(_: list[str]) -> None:
    entries = read()
    only = tuple(_ONLY.value) or ("",)
    for check in CHECKS if not _ONLY_WRITE.value else []:
        if check.key in entries or not f"{check.size} {check.topology}".startswith(only):
            continue
        entries[check.key] = entry = compiled(check)
        with FIGURES.open("a") as file:
            file.write(json.dumps(entry) + "\n")
        print(*check.key, [_gib(program) for program in entry["programs"]], flush=True)
    write(entries)


if __name__ == "__main__":
    app.run(main)
