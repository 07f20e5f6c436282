"""Which size fits which slice: compiles what is not compiled yet, writes the table of README.md.

    python tpu/table.py                # what figures.jsonl lacks; a minute or two a program
    python tpu/table.py --only_write

Each size with the options that it is meant to run with (`SIZES`), each on the slices of `SLICES`;
what does not fit on one of those, on the smallest of its generation on which it does.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from absl import app, flags

HERE = Path(__file__).resolve().parent
FIGURES = HERE / "figures.jsonl"
README = HERE / "README.md"
BEGIN, END = "<!-- table -->", "<!-- /table -->"
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
SLICES = ("v4-8", "v5e-4", "v5e-8", "v5p-8", "v6e-8", "v4-32")
LARGER = {"xl": ("v5p-16", "v5e-16", "v5e-32"), "xxl": ("v5p-16", "v5p-32", "v5e-64", "v6e-32")}
PROGRAMS = ("train mnli", "train xquad", "predict xquad", "embed bucc", "search bucc")

_ONLY_WRITE = flags.DEFINE_bool("only_write", False, "Compile nothing.")

Entry = dict[str, Any]


def wanted() -> list[tuple[str, str]]:
    """(size, slice), the cheap ones first."""
    return [(size, name) for size in SIZES for name in (*SLICES, *LARGER.get(size, ()))]


def read() -> dict[tuple[str, str], Entry]:
    lines = FIGURES.read_text().splitlines() if FIGURES.exists() else []
    return {(entry["size"], entry["topology"]): entry for entry in map(json.loads, lines)}


def compile_one(size: str, topology: str) -> Entry:
    """By the command, in a process of its own: what a compiler takes is given back."""
    output = HERE / ".figures.json"
    output.unlink(missing_ok=True)
    arguments = [f"--config={PAGE}:size={size}", *SIZES[size], f"--topology={topology}"]
    arguments += [f"--only={name}" for name in PROGRAMS]
    command = [sys.executable, str(HERE / "compile_check.py"), *arguments, f"--json={output}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE.parent)
    if not output.exists():
        raise RuntimeError(done.stdout + done.stderr)
    entry = {"size": size, **json.loads(output.read_text())}
    output.unlink()
    return entry


def table(entries: dict[tuple[str, str], Entry]) -> str:
    """A row per size and slice: GiB a chip of each program."""
    head = ["size", "slice", "chips", "options", *PROGRAMS, "all fit"]
    rows = [head, ["---"] * len(head)]
    for (size, topology), entry in entries.items():
        options = " ".join(option.removeprefix("--config.") for option in SIZES[size]) or "-"
        of_name = {program["name"]: program for program in entry["programs"]}
        cells = [_cell(of_name.get(name)) for name in PROGRAMS]
        chips = 1
        for count in entry["mesh"].values():
            chips *= count
        fits = "yes" if all(program["fits"] for program in entry["programs"]) else "**no**"
        rows.append([size, topology, str(chips), options, *cells, fits])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(program: Entry | None) -> str:
    if program is None:
        return ""
    if program["hbm"] is None or program["hbm"] != program["hbm"]:
        return "too much"
    return f"{program['hbm']:.1f}"


def write(entries: dict[tuple[str, str], Entry]) -> None:
    order = [key for key in wanted() if key in entries]
    text = README.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{BEGIN}\n{table({k: entries[k] for k in order})}\n{END}{after}")


def main(_: list[str]) -> None:
    entries = read()
    for size, topology in wanted() if not _ONLY_WRITE.value else []:
        if (size, topology) in entries:
            continue
        entries[size, topology] = entry = compile_one(size, topology)
        with FIGURES.open("a") as file:
            file.write(json.dumps(entry) + "\n")
        print(size, topology, [_cell(program) for program in entry["programs"]], flush=True)
    write(entries)


if __name__ == "__main__":
    app.run(main)
