"""A report as one HTML page: its own style, its pictures inline, no script, no network."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape

from xt_jax.report.document import (
    Block,
    Bullets,
    Command,
    Folded,
    Heading,
    Picture,
    Table,
    Text,
)

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1b; --paper: #ffffff; --faint: #666666;
  --line: #d8d8d8; --stripe: #f6f6f6; --link: #0b57a4; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e4e4; --paper: #17181a; --faint: #a2a2a2;
  --line: #3a3c40; --stripe: #1f2124; --link: #7db8f0; } }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 62rem; color: var(--ink);
  background: var(--paper); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.25; } h2 { margin-top: 2.6rem; font-size: 1.3rem; }
h3 { margin-top: 1.8rem; font-size: 1.05rem; }
h1, h2, h3, p, li { overflow-wrap: anywhere; }
a { color: var(--link); } nav { color: var(--faint); font-size: 0.95rem; }
nav a { margin-right: 1rem; white-space: nowrap; }
code { font: 0.85em/1.4 ui-monospace, monospace; overflow-wrap: anywhere; color: var(--faint); }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: 0.87rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.22rem 0.65rem; text-align: left; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
thead th { border-bottom: 2px solid var(--line); vertical-align: bottom; }
tbody th { font-weight: normal; } tbody tr:nth-child(even) { background: var(--stripe); }
.n { text-align: right; }
figure { margin: 1.2rem 0; } figcaption { color: var(--faint); font-size: 0.9rem; }
figure svg { display: block; width: 100%; height: auto; background: #ffffff; }
summary { cursor: pointer; margin: 1.4rem 0 0.6rem; font-weight: 600; }
"""

_NUMBER = re.compile(r"[+-]?[\d.,]+(\s|$|%).*")


def to_html(blocks: Sequence[Block], pictures: Mapping[str, str]) -> str:
    """The page.

    Args:
        pictures: SVG files by the name of the `Picture`.
    """
    anchors = _anchors(blocks)
    title = next((b.text for b in blocks if isinstance(b, Heading)), "Report")
    top = [b for b in blocks if isinstance(b, Heading) and b.level == 2]
    links = "\n".join(f'<a href="#{anchors[id(b)]}">{escape(b.text)}</a>' for b in top)
    body = [_html(block, pictures, anchors) for block in blocks]
    if links:
        first = next(i for i, b in enumerate(blocks) if b is top[0])
        body.insert(first, f"<nav>{links}</nav>")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def _html(block: Block, pictures: Mapping[str, str], anchors: Mapping[int, str]) -> str:
    match block:
        case Heading(level, text):
            anchor = f' id="{anchors[id(block)]}"' if id(block) in anchors else ""
            return f"<h{level}{anchor}>{escape(text)}</h{level}>"
        case Text():
            return f"<p>{_paragraph(block)}</p>"
        case Command(text, more):
            return f"<p><code>{escape(text)}</code>{escape(more)}</p>"
        case Bullets(items):
            return "<ul>" + "".join(f"<li>{_paragraph(item)}</li>" for item in items) + "</ul>"
        case Table(rows):
            return _table(rows)
        case Picture(name, title):
            svg = inline_svg(pictures[name], name, title)
            return f"<figure>{svg}<figcaption>{escape(title)}</figcaption></figure>"
        case Folded(summary, inner):
            inside = "\n".join(_html(each, pictures, anchors) for each in inner)
            return f"<details><summary>{escape(summary)}</summary>\n{inside}\n</details>"


def inline_svg(svg: str, name: str, title: str) -> str:
    """A matplotlib SVG file as an element: no prolog, no namespaces, names that are its own."""
    element = svg[svg.index("<svg") :].rstrip()
    element = re.sub(r"<!--.*?-->\n?|<metadata>.*?</metadata>\n?", "", element, flags=re.DOTALL)
    opening, rest = element.split(">", 1)
    box = re.search(r'viewBox="[^"]*"', opening)
    opening = f'<svg {box.group() if box else ""} role="img" aria-label="{escape(title)}"'
    rest = re.sub(r'\bid="', f'id="{name}-', rest)
    rest = re.sub(r"url\(#", f"url(#{name}-", rest)
    return f"{opening}>" + re.sub(r'(xlink:)?href="#', f'href="#{name}-', rest)


def _table(rows: list[list[str]]) -> str:
    head, *body = rows
    numeric = [_numeric([row[i] for row in body]) for i in range(len(head))]
    cells = "".join(_cell("th", cell, numeric[i], "col") for i, cell in enumerate(head))
    lines = [f"<thead><tr>{cells}</tr></thead>", "<tbody>"]
    for row in body:
        first, *others = row
        rest = "".join(_cell("td", cell, numeric[i]) for i, cell in enumerate(others, start=1))
        lines.append(f"<tr>{_cell('th', first, numeric[0], 'row')}{rest}</tr>")
    return '<div class="wide"><table>\n' + "\n".join(lines) + "\n</tbody></table></div>"


def _cell(tag: str, text: str, numeric: bool, scope: str = "") -> str:
    attributes = (f' scope="{scope}"' if scope else "") + (' class="n"' if numeric else "")
    return f"<{tag}{attributes}>{escape(text)}</{tag}>"


def _numeric(cells: Sequence[str]) -> bool:
    filled = [cell for cell in cells if cell]
    return bool(filled) and all(_NUMBER.match(cell) for cell in filled)


def _paragraph(block: Text) -> str:
    strong = f"<strong>{escape(block.strong)}</strong> " if block.strong else ""
    return strong + re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(block.text))


def _anchors(blocks: Sequence[Block]) -> dict[int, str]:
    """Of the headings of the second level, by identity; all different."""
    headings = [b for b in blocks if isinstance(b, Heading) and b.level == 2]
    return {id(heading): f"part-{i}" for i, heading in enumerate(headings, start=1)}
