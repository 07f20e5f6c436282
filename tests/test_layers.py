"""Imports point down: each room of the package imports only what its row of the table allows."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
BASE = {
    *("errors", "config", "files", "places", "hosts", "preemption", "command", "compilation"),
    *("languages", "command_line", "ticker"),
}
BELOW_STUDY = BASE | {"records", "data", "model", "retrieval", "tasks", "train"}

# room: the rooms, or modules of rooms, that it may import
ALLOWED: dict[str, set[str]] = {
    **dict.fromkeys(BASE, BASE),
    "mini": BASE | {"data.examples"},
    "mini.formats": BASE | {"data.examples", "data.squad"},  # sources write SQuAD too
    "records": BASE,
    "data": BASE,
    "data.sources": BASE | {"mini"},
    "model": BASE | {"data"},
    "model.presets": BASE | {"data", "mini"},
    "retrieval": BASE | {"data", "model"},
    "tasks": BASE | {"data", "model", "retrieval"},
    "train": BASE | {"data", "model", "retrieval", "tasks"},
    "report": BASE | {"records", "tasks"},
    "study": BELOW_STUDY | {"report"},  # a run ends with its report
    "ladder": BELOW_STUDY | {"mini", "study"},
    # the commands
    "check_data": BASE | {"data", "data_checks", "tasks"},
    "data_checks": BASE | {"data", "tasks"},
    "mine": BASE | {"records", "data", "model", "retrieval"},
    "prepare_tfds": BASE | {"data"},
    "score": BASE | {"data", "tasks"},
    "status": BASE | {"records"},
    "__main__": BELOW_STUDY | {"study", "report"},
}


def _module(path: Path) -> str:
    """`xt_jax/data/bins.py` as `data.bins`; a package by its own name."""
    return ".".join(path.relative_to(ROOT / "xt_jax").with_suffix("").parts).removesuffix(
        ".__init__"
    )


def _imports(path: Path) -> Iterator[str]:
    """The modules of the package that a file imports, on whatever line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                file = ROOT.joinpath(*name.split("."))
                is_module = file.is_dir() or file.with_suffix(".py").exists()
                yield name if is_module else str(node.module)


def _within(module: str, names: set[str]) -> bool:
    """Returns whether a module is one of the packages or modules `names`, or inside one."""
    return any(f"{module}.".startswith(f"{name}.") for name in names)


def _rule(module: str) -> str:
    """The longest name in ALLOWED that holds the module."""
    parts = module.split(".")
    names = [".".join(parts[:end]) for end in range(len(parts), 0, -1)]
    return next(name for name in names if name in ALLOWED)


def _forbidden(module: str, path: Path) -> set[str]:
    """Returns the imports of a module that its row of `ALLOWED` does not permit."""
    rule = _rule(module)
    allowed = ALLOWED[rule] | {rule.partition(".")[0]}
    names = {n.removeprefix("xt_jax.") for n in _imports(path) if n.startswith("xt_jax.")}
    return {name for name in names if not _within(name, allowed)}


def test_imports_point_down():
    files = {_module(path): path for path in (ROOT / "xt_jax").rglob("*.py")}
    upward = {name: _forbidden(name, path) for name, path in files.items() if name != "__init__"}
    assert {name: names for name, names in upward.items() if names} == {}
