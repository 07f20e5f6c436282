"""The HTML page: it has the Markdown's content, needs no other file, and escapes all names."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from etils import epath
from synthetic import analysed, phase_logs, study_rows

from xt_jax.report import plots
from xt_jax.report.document import (
    Bullets,
    Command,
    Folded,
    Heading,
    Part,
    Picture,
    Table,
    Text,
    inline_svg,
    to_html,
    to_markdown,
)
from xt_jax.report.write import report

ROWS = study_rows({"mini-48": 56_544, "mini-64": 149_952}, ("direct", "mnli"), seeds=2, layers=True)
VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """The elements of a page; fails where they are not properly nested."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[str] = []
        self.text = ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            return
        if self.open and self.open[-1] in ("td", "th"):
            self.cells[-1] += data
        self.text += data


def write(folder, rows=ROWS, logs=()) -> tuple[str, str]:
    """(page, Markdown)"""
    whole = analysed(rows, phases=logs)
    drawn = plots.drawings(whole)
    blocks = report(whole, drawn)
    pictures = {each.name: plots.write_drawing(epath.Path(folder), each) for each in drawn}
    return to_html(blocks, pictures), to_markdown(blocks)


@pytest.fixture(scope="module")
def page_and_markdown(tmp_path_factory):
    return write(tmp_path_factory.mktemp("page"), logs=phase_logs(("mini-48", "mini-64")))


def test_the_page_nests_and_has_every_picture_inline(page_and_markdown):
    page = Page(page_and_markdown[0])
    drawn = re.findall(r"!\[.*\]\((.*)\.svg\)", page_and_markdown[1])
    assert len(drawn) >= 6
    assert len([tag for tag, _ in page.tags if tag == "figure"]) == len(drawn)
    labels = [attributes.get("aria-label") for tag, attributes in page.tags if tag == "svg"]
    assert len(labels) == len(drawn)
    assert all(labels)


def test_the_page_needs_no_network_and_no_script(page_and_markdown):
    text, _ = page_and_markdown
    page = Page(text)
    assert not re.search(r"(?i)https?:|//[a-z]|@import|<script|<iframe|<link", text)
    loads = ("src", "href", "xlink:href", "data", "srcset")
    for _, attributes in page.tags:
        assert "url(" not in (attributes.get("style") or "").replace("url(#", "")
        for name in loads:
            assert (attributes.get(name) or "#").startswith(("#", "data:image/png;base64,"))


def test_names_within_the_page_are_different_and_links_lead_to_them(page_and_markdown):
    page = Page(page_and_markdown[0])
    identities = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identities) == len(set(identities))
    targets = [
        value[1:]
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in ("href", "xlink:href") and value and value.startswith("#")
    ]
    assert targets
    assert set(targets) <= set(identities)
    clips = re.findall(r"url\(#([^)]+)\)", page_and_markdown[0])
    assert clips
    assert set(clips) <= set(identities)


def test_the_page_and_the_markdown_have_the_same_cells_and_headings(page_and_markdown):
    text, markdown = page_and_markdown
    page = Page(text)
    rows = [line for line in markdown.split("\n") if line.startswith("| ")]
    cells = [cell.strip() for line in rows for cell in line.strip("|").split("|")]
    assert [cell.replace("\u00a0", " ") for cell in page.cells] == cells
    for line in markdown.split("\n"):
        if line.startswith("#"):
            assert line.lstrip("# ") in page.text


def test_the_answer_stands_before_everything_else(page_and_markdown):
    page = Page(page_and_markdown[0])
    shown = page.text.index("these are the gaps")
    assert shown < page.text.index("The gap, by target and model size")
    tags = [tag for tag, _ in page.tags]
    assert tags.index("strong") < tags.index("nav")


def test_hostile_names_are_text(tmp_path):
    model, name = '<script>alert("1")</script>&-48', "a|b<img src=x>`+$"
    rows = [r | {"model": model} if r["model"] == "mini-48" else r for r in ROWS]
    rows = [r | {"intermediate": name} if r["intermediate"] == "mnli" else r for r in rows]
    text, markdown = write(tmp_path, rows)
    page = Page(text)
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert {name, model} <= {*page.cells}
    assert "<script" not in markdown
    assert "<img" not in markdown
    heads = [line for line in markdown.split("\n") if line.startswith("| ") and "direct" in line]
    assert any(r"a\|b&lt;img src=x>" in line for line in heads)


def test_blocks_in_markdown():
    blocks = [
        Command("run --x", " and 2 others"),
        Heading(1, "A <b>"),
        Text("more | of it", "Lead."),
        Bullets((Text("one", "a:"), Text("two"))),
        Table([["name", "n"], ["a|b", "1"]]),
        Picture("p", "A picture"),
        Part("Part", (Folded("details", (Heading(3, "Inner"), Text("inside"))),)),
    ]
    assert to_markdown(blocks) == (
        "`run --x` and 2 others\n# A &lt;b>\n**Lead.** more | of it\n\n- **a:** one\n- two\n\n"
        "| name | n |\n|------|---|\n| a\\|b | 1 |\n\n![A picture](p.svg)\n\n"
        "## Part\n\n### Inner\n\ninside\n"
    )


def test_blocks_in_html():
    svg = '<?xml version="1.0"?><!-- c --><svg width="9pt" viewBox="0 0 1 2"><g id="a"/></svg>'
    blocks = [
        Heading(1, "A & b"),
        Text("say `code`", "Lead <"),
        Table([["name", "n"], ["a", "+1.0"]]),
        Picture("p", "T"),
        Part("More", (Folded("details", (Text("inside"),)),)),
    ]
    page = to_html(blocks, {"p": svg})
    assert "<h1>A &amp; b</h1>" in page
    assert "<p><strong>Lead &lt;</strong> say <code>code</code></p>" in page
    assert '<th scope="row">a</th><td class="n">+1.0</td>' in page
    picture = '<svg viewBox="0 0 1 2" role="img" aria-label="T"><g id="p-a"/></svg>'
    assert f"<figure>{picture}<figcaption>T</figcaption></figure>" in page
    assert '<nav><a href="#part-0">More</a>' in page
    assert '<h2 id="part-0">More</h2>' in page
    assert "<details><summary>details</summary>\n<p>inside</p>\n</details>" in page


def test_a_picture_keeps_its_names_to_itself():
    svg = (
        '<svg viewBox="0 0 1 1" xmlns="http://www.w3.org/2000/svg"><metadata>http://x</metadata>'
        '<defs><clipPath id="c"/></defs><g clip-path="url(#c)"><use xlink:href="#m"/></g></svg>'
    )
    assert inline_svg(svg, "gap", 'a "b"') == (
        '<svg viewBox="0 0 1 1" role="img" aria-label="a &#34;b&#34;"><defs>'
        '<clipPath id="gap-c"/></defs><g clip-path="url(#gap-c)"><use href="#gap-m"/></g></svg>'
    )
