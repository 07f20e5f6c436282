"""Damages bytes, text and JSON as disks and editors do, from a seeded generator."""

from __future__ import annotations

import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from xt_jax.errors import UserError

COUNT = int(os.environ.get("XT_JAX_FUZZ", "0"))  # inputs of each test; 0: its own small number
SEED = int(os.environ.get("XT_JAX_SEED", "0"))
SECONDS, MEGABYTES = 2.0, 500  # what an input of less than 1 MB may take

_TOKENS = [
    *(
        b"\0",
        b"\r",
        b"\n",
        b"\r\n",
        b"\t",
        b"\n\n",
        b" ",
        b'"',
        b'""',
        b"\\",
        b",",
        b"\xff",
        b"\xc3",
    ),
    *("\ufeff", "\u200b", "\u2028", "\u0085", "\u00a0", "\u0301", "\U0001f600", "\u0000é", "İ"),
    *(b"\xed\xa0\x80", b"\\ud83d", b"\\ude00", b"\\u0000", b"-", b"_", b"None", b"NaN", b"-1"),
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b"null",
        b"true",
        b"1e400",
        b"(<L",
        b")",
        b"ID=",
        b"1-2",
        b"8.1",
    ),
    *(b"9" * 400, b"9" * 5000, b"[" * 5000, b"[" * 60_000, b'{"a":' * 30_000, b"entailment"),
]
TOKENS = [token.encode() if isinstance(token, str) else token for token in _TOKENS]
ODD_VALUES = [
    *(None, True, False, 0, 1, -1, 3, 2**31, 2**63, -(2**63), 10**400, 0.5, float("nan")),
    *(float("inf"), "", " ", "\u200b", "-1", "0", "1", "a", "\ud83d", "\udc00x", "é" * 3000, "\0"),
    *([], [[]], [None], ["a"], [0, 0], {}, {"text": "a"}, {"a": [{}]}),
]


def rounds(small: int) -> int:
    """Returns the number of inputs of a test."""
    return COUNT or small


def damaged(rng: Random, data: bytes, *, others: list[bytes] = ()) -> bytes:
    """Returns the bytes with one to three damages.

    Args:
        others: other files, of which a part may get in.
    """
    kinds = [_flip, _delete, _insert, _insert, _repeat, _truncate, _swap_lines, _drop_line]
    kinds += [_line_ends, _cells, _cells, _number]
    if data.lstrip()[:1] in (b"{", b"["):
        kinds += [_json_value] * 8
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if others and rng.random() < 0.03:
            other = rng.choice(others)
            data = rng.choice((other, data + other, data[: len(data) // 2] + other))
        else:
            data = rng.choice(kinds)(rng, data)
    return data


def _place(rng: Random, data: bytes) -> int:
    return rng.randint(0, len(data))


def _flip(rng: Random, data: bytes) -> bytes:
    at = _place(rng, data)
    return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]


def _delete(rng: Random, data: bytes) -> bytes:
    at = _place(rng, data)
    return data[:at] + data[at + rng.choice((1, 1, 2, 9, 200)) :]


def _insert(rng: Random, data: bytes) -> bytes:
    at = _place(rng, data)
    if rng.random() < 0.3:  # at the beginning of a line, or at its end
        at = data.find(b"\n", at) + rng.randrange(2)
    return data[:at] + rng.choice(TOKENS) + data[at:]


def _repeat(rng: Random, data: bytes) -> bytes:
    at = _place(rng, data)
    part = data[at : at + rng.choice((1, 5, 80, 1000))]
    return data[:at] + part * rng.choice((2, 2, 3, 40)) + data[at + len(part) :]


def _truncate(rng: Random, data: bytes) -> bytes:
    return rng.choice((data[: _place(rng, data)], data[_place(rng, data) :], b""))


def _swap_lines(rng: Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[i], lines[j] = lines[j], lines[i]
    return b"\n".join(lines)


def _drop_line(rng: Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    i = rng.randrange(len(lines))
    lines[i : i + 1] = rng.choice(([], [lines[i]] * 2, [b""], [b" "], lines[i : i + 1] * 30))
    return b"\n".join(lines)


def _line_ends(rng: Random, data: bytes) -> bytes:
    return data.replace(b"\n", rng.choice((b"\r\n", b"\r", b" ", b"\n\n", b"\xe2\x80\xa8")))


def _cells(rng: Random, data: bytes) -> bytes:
    """Swaps, empties or repeats the cells of a line."""
    lines = data.split(b"\n")
    i = rng.randrange(len(lines))
    cells = lines[i].split(b"\t")
    j, k = rng.randrange(len(cells)), rng.randrange(len(cells))
    fate = rng.randrange(4)
    if fate == 0:
        cells[j], cells[k] = cells[k], cells[j]
    elif fate == 1:
        cells[j] = rng.choice((b"", b" ", rng.choice(TOKENS)))
    elif fate == 2:
        cells.insert(j, cells[k])
    else:
        del cells[j]
    lines[i] = b"\t".join(cells)
    return b"\n".join(lines)


def _number(rng: Random, data: bytes) -> bytes:
    numbers = list(re.finditer(rb"\d+", data))
    if not numbers:
        return data
    found = rng.choice(numbers)
    new = rng.choice(
        (b"-1", b"0", b"007", b"1.5", b"1e9", b"9" * 30, b"9" * 5000, b"", b"\xd9\xa3")
    )
    return data[: found.start()] + new + data[found.end() :]


def _json_value(rng: Random, data: bytes) -> bytes:
    """Replaces, removes, repeats or nests a value of a JSON document, or of a line of JSON."""
    lines = data.split(b"\n")
    at = rng.randrange(len(lines)) if data.count(b"\n{") else None
    try:
        document = json.loads(data if at is None else lines[at])
    except (ValueError, RecursionError):
        return _flip(rng, data)
    document = _changed(rng, document)
    try:
        text = json.dumps(document, ensure_ascii=rng.random() < 0.5, indent=rng.choice((None, 1)))
    except (ValueError, RecursionError):
        return data
    new = text.encode("utf-8", "surrogatepass")
    if at is None:
        return new
    lines[at] = new
    return b"\n".join(lines)


def _changed(rng: Random, document: Any) -> Any:
    holders: list[tuple[Any, Any]] = []
    pending = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            holders += [(value, key) for key in value]
            pending += value.values()
        elif isinstance(value, list):
            holders += [(value, index) for index in range(len(value))]
            pending += value
    if not holders or rng.random() < 0.03:
        return rng.choice((document, [document], *ODD_VALUES))
    holder, key = rng.choice(holders)
    fate = rng.randrange(6)
    if fate == 0:
        del holder[key]
    elif fate == 1 and isinstance(holder, list):
        holder.insert(rng.randrange(len(holder)), holder[key])
    elif fate == 2:
        holder[key] = rng.choice(([holder[key]], {"a": holder[key]}, str(holder[key])))
    elif fate == 3:
        other, name = rng.choice(holders)
        try:
            holder[key] = other[name]
            json.dumps(document)  # without a cycle
        except (ValueError, KeyError, IndexError, RecursionError):
            holder[key] = None
    else:
        holder[key] = rng.choice(ODD_VALUES)
    return document


class Outcomes(Counter[tuple[str, str]]):
    """How many inputs of each kind were read, and how many refused."""

    def attempt(self, kind: str, about: str, act: Callable[[], Any]) -> Any:
        """Returns what `act` returns; None if it refuses the input with an error for the user.

        Raises:
            AssertionError: another exception, an error that does not say what is wrong, where, and
                what to do, or too much time or memory; with `about`, which finds the input again.
        """
        base = _memory(reset=True)
        began = time.process_time()
        result = None
        try:
            result = act()
            self[kind, "read"] += 1
        except UserError as error:
            _check_error(error, about)
            self[kind, "refused"] += 1
        except Exception as error:
            raise AssertionError(f"{about}: {error!r}") from error
        seconds, megabytes = time.process_time() - began, _memory() - base
        assert seconds < SECONDS, f"{about}: {seconds:.1f} s"
        assert megabytes < MEGABYTES, f"{about}: {megabytes:.0f} MB"
        return result

    def check(self) -> None:
        """Prints the numbers and asserts that inputs were read and inputs refused."""
        sums: Counter[str] = Counter()
        for (_, outcome), count in self.items():
            sums[outcome] += count
        names = sorted({name for name, _ in self})
        each = ", ".join(f"{n} {self[n, 'read']}/{self[n, 'refused']}" for n in names)
        print(f"\n{self.total()} inputs, {sums['read']} read, {sums['refused']} refused ({each})")
        assert {*sums} == {"read", "refused"}


def _check_error(error: UserError, about: str) -> None:
    assert all((error.where, error.problem, error.remedy)), f"{about}: {error}"
    assert len(str(error)) < 5000, f"{about}: {len(str(error))} characters"


def _memory(reset: bool = False) -> float:
    """Returns this process's largest resident memory since the last reset, in MB."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        status = Path("/proc/self/status").read_text()
    except OSError:  # another system
        return 0.0
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024
