"""A report as data, and as Markdown. `html.py` writes the same as one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Heading:
    level: int
    text: str


@dataclass(frozen=True)
class Text:
    """A paragraph; `strong` goes before it."""

    text: str
    strong: str = ""


@dataclass(frozen=True)
class Command:
    """What was typed; `more` goes after it."""

    text: str
    more: str = ""


@dataclass(frozen=True)
class Bullets:
    items: tuple[Text, ...]


@dataclass(frozen=True)
class Table:
    """The first row is the head, the first column names the others."""

    rows: list[list[str]]


@dataclass(frozen=True)
class Picture:
    """`<name>.svg` beside the report."""

    name: str
    title: str


@dataclass(frozen=True)
class Folded:
    """Details: a page shows them on demand, Markdown at once."""

    summary: str
    blocks: tuple[Block, ...]


Block = Heading | Text | Command | Bullets | Table | Picture | Folded


def to_markdown(blocks: Sequence[Block]) -> str:
    """A blank line after each block, but for a command and the title, which stay on top."""
    text = ""
    for block in blocks:
        top = isinstance(block, Command) or (isinstance(block, Heading) and block.level == 1)
        text += _markdown(block) + ("\n" if top else "\n\n")
    return text.removesuffix("\n")


def at_a_glance(blocks: Sequence[Block]) -> list[Block]:
    """What a terminal shows: no pictures, no details, no heading of nothing."""
    kept = [block for block in blocks if not isinstance(block, Picture | Folded)]
    return [
        block
        for block, after in zip(kept, [*kept[1:], None], strict=True)
        if not (isinstance(block, Heading) and (after is None or isinstance(after, Heading)))
    ]


def _markdown(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"{'#' * level} {_plain(text)}"
        case Text():
            return _paragraph(block)
        case Command(text, more):
            return f"`{text}`{more}"
        case Bullets(items):
            return "\n".join(f"- {_paragraph(item)}" for item in items)
        case Table(rows):
            return markdown_table(rows)
        case Picture(name, title):
            return f"![{_plain(title)}]({name}.svg)"
        case Folded(_, blocks):
            return to_markdown(blocks).removesuffix("\n")


def markdown_table(rows: list[list[str]]) -> str:
    """Columns as wide as their widest cell."""
    cells = [[_plain(cell).replace("|", r"\|") for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _paragraph(block: Text) -> str:
    strong = f"**{_plain(block.strong)}** " if block.strong else ""
    return strong + _plain(block.text)


def _plain(text: str) -> str:
    """On one line, and nothing in it is a tag."""
    return " ".join(text.split("\n")).replace("<", "&lt;")
