"""Runs the check of a data folder, and edits its files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from xt_jax import check_data


def run(capsys, root: Path, *arguments: str) -> tuple[int, str, dict]:
    """Runs the check; returns (exit status, printed text, the JSON report)."""
    output = root.parent / "report.json"
    status = check_data.main(
        [f"--data_dir={root}", "--tokenizer=words", f"--output={output}", *arguments]
    )
    return status, capsys.readouterr().out, json.loads(output.read_text())


def at_line(path: Path, number: int, change: Callable[[str], str]) -> tuple[Path, int]:
    """Changes one line, counted from 1; returns (path, line number)."""
    lines = path.read_bytes().decode().split("\n")
    end = "\r" if lines[number - 1].endswith("\r") else ""
    lines[number - 1] = change(lines[number - 1].removesuffix("\r")) + end
    path.write_bytes("\n".join(lines).encode())
    return path, number


def edit(path: Path, old: str, new: str) -> int:
    """Replaces one occurrence; returns the number of the line where it began, from 1."""
    text = path.read_bytes().decode()
    assert old in text
    path.write_bytes(text.replace(old, new, 1).encode())
    return text[: text.index(old)].count("\n") + 1


def questions(document: dict) -> list[dict]:
    return [q for a in document["data"] for p in a["paragraphs"] for q in p["qas"]]


def indented(path: Path) -> str:
    """Returns the same JSON spread over many lines."""
    return json.dumps(json.loads(path.read_text()), ensure_ascii=False, indent=1)


def edit_question(path: Path, change: Callable[[dict], None]) -> tuple[int, str]:
    """Changes the tenth question of a file with many lines; returns (its line, its id)."""
    document = json.loads(path.read_text())
    question = questions(document)[9]
    change(question)
    text = json.dumps(document, ensure_ascii=False, indent=1)
    path.write_text(text)
    place = text.rindex(f'"id": "{question["id"]}"')
    return text[:place].count("\n") + 1, question["id"]


class Copies:
    """Gives a damaging function paths in a folder, and copies each file when it is requested."""

    def __init__(self, source: Path, root: Path):
        self._source, self._root = source, root

    def __truediv__(self, name: str) -> Path:
        target = self._root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        parallel = name.startswith(("tatoeba", "bucc"))
        for path in (self._source / name).parent.glob(f"{target.stem}.*"):
            if parallel or path.name == target.name:
                shutil.copyfile(path, target.parent / path.name)
        return target
