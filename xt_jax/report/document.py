"""Represents a report as a list of blocks, written as Markdown or as one HTML page."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jinja2
from markupsafe import Markup, escape


@dataclass(frozen=True)
class Block:
    """A part of a report, of which the HTML template chooses the form by `kind`."""

    @property
    def kind(self) -> str:
        return type(self).__name__.lower()


@dataclass(frozen=True)
class Heading(Block):
    """The title of the report (level 1) or of a part within `Folded` (level 3)."""

    level: int
    text: str


@dataclass(frozen=True)
class Text(Block):
    """A paragraph, with `strong` in bold before it."""

    text: str
    strong: str = ""


@dataclass(frozen=True)
class Command(Block):
    """A command line, with the remark `more` after it."""

    text: str
    more: str = ""


@dataclass(frozen=True)
class Bullets(Block):
    """A list of paragraphs."""

    items: tuple[Text, ...]


@dataclass(frozen=True)
class Table(Block):
    """A table whose first row is the header and whose first column names the rows."""

    rows: list[list[str]]

    def is_numeric(self, column: int) -> bool:
        """Returns whether every cell of a column that is not empty starts with a number."""
        filled = [row[column] for row in self.rows[1:] if row[column]]
        return bool(filled) and all(_NUMBER.match(cell) for cell in filled)


@dataclass(frozen=True)
class Picture(Block):
    """The file `<name>.svg` beside the report."""

    name: str
    title: str


@dataclass(frozen=True)
class Folded(Block):
    """Details that the HTML page shows on demand, and the Markdown page leaves out."""

    summary: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Part(Block):
    """A part of the report with a heading, which the page's navigation names."""

    title: str
    blocks: tuple[Block, ...]


_NUMBER = re.compile(r"[+-]?[\d.,]+(\s|$|%).*")


def at_a_glance(blocks: Sequence[Block]) -> list[Block]:
    """Returns the blocks for a terminal: no pictures, details or parts made only of these."""
    return _without(blocks, (Picture, Folded))


def without_details(blocks: Sequence[Block]) -> list[Block]:
    """Returns the blocks for the Markdown page: no details or parts made only of these."""
    return _without(blocks, (Folded,))


def _without(blocks: Sequence[Block], kinds: tuple[type[Block], ...]) -> list[Block]:
    shown: list[Block] = []
    for block in blocks:
        if isinstance(block, Part):
            inner = _without(block.blocks, kinds)
            shown += [Part(block.title, tuple(inner))] if inner else []
        elif not isinstance(block, kinds):
            shown.append(block)
    return shown


def to_markdown(blocks: Sequence[Block]) -> str:
    """Returns the blocks as Markdown, with blank lines except after command and title."""
    text = ""
    for block in blocks:
        on_top = isinstance(block, Command) or (isinstance(block, Heading) and block.level == 1)
        text += _markdown(block) + ("\n" if on_top else "\n\n")
    return text.removesuffix("\n")


def _markdown(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"{'#' * level} {_plain(text)}"
        case Text(text, strong):
            return (f"**{_plain(strong)}** " if strong else "") + _plain(text)
        case Command(text, more):
            return f"`{text}`{more}"
        case Bullets(items):
            return "\n".join(f"- {_markdown(item)}" for item in items)
        case Table(rows):
            return _markdown_table(rows)
        case Picture(name, title):
            return f"![{_plain(title)}]({name}.svg)"
        case Part(title, inner):
            return to_markdown([Heading(2, title), *inner]).removesuffix("\n")
        case Folded(_, inner):
            return to_markdown(inner).removesuffix("\n")
    raise TypeError(f"no block of a report: {block!r}")


def _markdown_table(rows: list[list[str]]) -> str:
    """Returns a table whose columns are as wide as their widest cell."""
    cells = [[_plain(cell).replace("|", r"\|") for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Returns the text on one line, with tags escaped."""
    return " ".join(text.split("\n")).replace("<", "&lt;")


def to_html(blocks: Sequence[Block], pictures: Mapping[str, str]) -> str:
    """Returns the blocks as one self-contained HTML page without scripts.

    Args:
        pictures: the SVG files by the name of the `Picture`.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("xt_jax.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["code"] = _with_code
    environment.filters["svg"] = lambda picture: Markup(
        inline_svg(pictures[picture.name], picture.name, picture.title)
    )
    title = next((block.text for block in blocks if isinstance(block, Heading)), "Report")
    parts = [block for block in blocks if isinstance(block, Part)]
    return environment.get_template("page.html").render(title=title, blocks=blocks, parts=parts)


def _with_code(text: str) -> Markup:
    """Returns the text as HTML, with code where it has backticks."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def inline_svg(svg: str, name: str, title: str) -> str:
    """Returns a matplotlib SVG file as an HTML element whose ids are unique in the page."""
    element = svg[svg.index("<svg") :].rstrip()
    element = re.sub(r"<!--.*?-->\n?|<metadata>.*?</metadata>\n?", "", element, flags=re.DOTALL)
    start_tag, content = element.split(">", 1)
    box = re.search(r'viewBox="[^"]*"', start_tag)
    content = re.sub(r'\bid="', f'id="{name}-', content)
    content = re.sub(r"url\(#", f"url(#{name}-", content)
    content = re.sub(r'(xlink:)?href="#', f'href="#{name}-', content)
    return f'<svg {box.group() if box else ""} role="img" aria-label="{escape(title)}">{content}'
