"""Small pieces of all data files, and what can be asserted of what is read of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from xt_jax.data import formats, treebanks
from xt_jax.data.sources.files import FileSource
from xt_jax.data.sources.layout import candidates
from xt_jax.tasks.table import TASKS

SPLITS = ("train", "dev", "test")
LANGUAGES = 3  # of each split


class Piece(NamedTuple):
    """The first part of the files of a split."""

    task: str
    split: str
    language: str
    read: Any
    files: tuple[tuple[str, bytes], ...]


def pieces_of(root: Path) -> Iterator[Piece]:
    """Yields small pieces of all formats and some languages that a folder of data holds."""
    source = FileSource(str(root))
    for task in TASKS:
        for split in SPLITS:
            seen: Counter[Any] = Counter()
            for candidate in candidates(task, split):
                for language in source._languages(candidate):
                    paths = source._paths(candidate, language)
                    if paths and seen[candidate.read] < LANGUAGES:
                        seen[candidate.read] += 1
                        files = tuple((path.name, Path(path).read_bytes()) for path in paths)
                        yield Piece(
                            task,
                            split,
                            language,
                            candidate.read,
                            tuple(_cut(candidate.read, files)),
                        )


def _cut(read: Any, files: tuple[tuple[str, bytes], ...]) -> Iterator[tuple[str, bytes]]:
    kept: set[bytes] = set()
    if read is formats.bucc:
        kept = set(b"\t".join(files[2][1].split(b"\n")[:6]).split(b"\t"))
    for name, data in files:
        lines = data.removesuffix(b"\n").split(b"\n")
        if name.endswith(".json"):
            document = json.loads(data)
            document["data"] = document["data"][:2]
            for article in document["data"]:
                article["paragraphs"] = article["paragraphs"][:2]
                for paragraph in article["paragraphs"]:
                    paragraph["qas"] = paragraph["qas"][:3]
            yield name, json.dumps(document, ensure_ascii=False, indent=1).encode()
        elif kept:
            chosen = [line for line in lines if line.split(b"\t")[0] in kept]
            yield name, b"\n".join([*chosen, b""])
        elif name.endswith(".csv"):
            count = next(n for n in range(8, 99) if b"\n".join(lines[:n]).count(b'"') % 2 == 0)
            yield name, b"\n".join([*lines[:count], b""])
        else:
            blank = next((n for n, line in enumerate(lines[24:], 24) if not line.strip()), 24)
            yield name, b"\n".join([*lines[: min(blank, 80)], b""])


def lines_of(data: bytes) -> list[str]:
    text = data.decode().removeprefix("\ufeff").removesuffix("\n")
    return [line.removesuffix("\r") for line in text.split("\n")]


def strings_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from strings_of(each)


def held(name: str, data: bytes) -> str:
    """Returns all that a file says, with quoting and escapes undone."""
    lines = lines_of(data)
    if name.endswith(".json"):
        return "\n".join(strings_of(json.loads("\n".join(lines))))
    if name.endswith(".jsonl"):
        return "\n".join(text for line in lines for text in strings_of(json.loads(line)))
    text = "\n".join(lines)
    return text + text.replace('""', '"')


def expected_count(piece: Piece, files: dict[str, bytes]) -> int | None:
    """Counts the examples of a split independently; None where rows may be left out."""
    (name, data), *others = files.items()
    lines = lines_of(data)
    read = piece.read
    if read in (formats.parallel, formats.sorted_parallel, formats.xtreme_pairs):
        return len(lines)
    if read is formats.bucc:
        return len(lines) + len(lines_of(others[0][1]))
    if read in (formats.hellaswag, formats.commonsense_qa, formats.anli) or (
        read is formats.cosmos_qa and name.endswith(".jsonl")
    ):
        return len(lines)
    if read in (formats.mnli, formats.snli):
        return sum(line.split("\t")[-1] != "-" for line in lines) - 1
    if read is formats.nli_jsonl:
        return sum(json.loads(line)["gold_label"] not in ("-", None) for line in lines)
    if read is formats.paws:
        return len(lines) - 1
    if read in (formats.squad, formats.squad_v2, formats.tydiqa_train):
        document = json.loads("\n".join(lines))
        return sum(len(p["qas"]) for a in document["data"] for p in a["paragraphs"])
    if read is formats.texts:
        return sum(bool(line.strip()) for line in lines)
    if read is treebanks.read_ccg:
        return sum(
            bool(line) and not line.startswith("ID=")
            for f in files.values()
            for line in lines_of(f)
        )
    return None


def check_examples(task: str, examples: list) -> None:
    """Asserts of examples what holds whatever file they are of."""
    labels = TASKS[task].labels
    assert examples
    texts = "\0".join(text for example in examples for text in example.texts)
    texts.encode()
    for example in examples:
        assert isinstance(example.id, str)
        if getattr(example, "tags", None) is not None:
            assert len(example.tags) == len(example.words) > 0
            assert all(tag and (not labels or tag in labels) for tag in example.tags)
        if getattr(example, "label", None) is not None:
            assert example.label in labels
        if hasattr(example, "choices"):
            assert len(example.choices) == len(labels)
            assert all(choice.strip() for choice in example.choices)
        for text, start in getattr(example, "answers", None) or ():
            assert type(start) is int
            assert start >= 0
            assert text
            assert example.context[start : start + len(text)] == text
    if hasattr(examples[0], "partners"):
        english = [e.id for e in examples if e.english]
        foreign = [e.id for e in examples if not e.english]
        assert len(set(english)) == len(english)
        assert len(set(foreign)) == len(foreign)
        assert {p for e in examples for p in e.partners or ()} <= set(english)
    if hasattr(examples[0], "match"):
        assert all(e.match in (None, n) for n, e in enumerate(examples))


def check_against(piece: Piece, files: dict[str, bytes], examples: list) -> None:
    """Asserts that the examples are all that the files hold, and nothing else."""
    count = expected_count(piece, files)
    assert count is None or len(examples) == count, f"{len(examples)} of {count} examples"
    if piece.read not in (treebanks.read_conllu, formats.cosmos_qa):
        said = "\n".join(held(*file) for file in files.items())
        kinds = (formats.hellaswag, formats.commonsense_qa)  # choices are joined of two texts
        for example in examples:
            for text in example.texts[: 1 if piece.read in kinds else None]:
                assert text in said, repr(text)
