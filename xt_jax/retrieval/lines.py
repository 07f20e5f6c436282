r"""Reads the sentences of a text file of any size as they are needed.

A line ends at "\n", less one "\r" before it; in a file without any "\n", at "\r". Nothing else
ends a line: U+2028, U+0085 and form feeds occur inside sentences.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np

from xt_jax.errors import DataError

_BYTES = 2**24  # read at a time
_BOM = b"\xef\xbb\xbf"
_INVISIBLE = ("Cc", "Cf", "Zl", "Zp", "Zs")  # Unicode's controls, joiners and the like, and spaces
# Fillers, selectors of variants and an empty pattern, which Unicode counts as letters and symbols.
_BLANK = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0" + "".join(
    map(chr, [*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)])
)


class Lines(Sequence[str]):
    """The lines of a UTF-8 file, or those at `rows`, as a sequence; 8 bytes of memory a line.

    Raises:
        DataError: the file cannot be opened, is empty, or is not UTF-8 (with the line).
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._bytes = _mapped(self.path)
        self._ends = _line_ends(self._bytes)
        self._check_utf8()
        self.rows: np.ndarray = np.arange(len(self._ends))

    def take(self, rows: np.ndarray) -> Lines:
        """Returns the lines at these places only, in this order."""
        taken = object.__new__(Lines)
        taken.path, taken._bytes, taken._ends = self.path, self._bytes, self._ends
        taken.rows = self.rows[rows]
        return taken

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Lines: ...
    def __getitem__(self, index):
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        return self._line(int(self.rows[index])).decode()

    def __iter__(self) -> Iterator[str]:
        return (self._line(int(row)).decode() for row in self.rows)

    def _line(self, row: int) -> bytes:
        start = int(self._ends[row - 1]) + 1 if row else 0
        line = self._bytes[start : int(self._ends[row])].tobytes()
        return (line if row else line.removeprefix(_BOM)).removesuffix(b"\r")

    def _check_utf8(self) -> None:
        start = 0
        while start < len(self._bytes):
            last = int(np.searchsorted(self._ends, start + _BYTES))  # whole lines
            stop = int(self._ends[min(last, len(self._ends) - 1)]) + 1
            try:
                self._bytes[start:stop].tobytes().decode()
            except UnicodeDecodeError as error:
                line = int(np.searchsorted(self._ends, start + error.start)) + 1
                raise DataError(
                    f"byte 0x{error.object[error.start]:02x} is not UTF-8 ({error.reason})",
                    where=f"{self.path}:{line}",
                    remedy="convert the file to UTF-8",
                ) from error
            start = stop


def distinct(lines: Lines) -> tuple[Lines, np.ndarray]:
    """Returns the first of each distinct line with a visible character, and how often it occurs.

    Lines that differ in white space at their ends are equal.
    """
    seen: dict[bytes, int] = {}
    first: list[int] = []
    count: list[int] = []
    for row, line in enumerate(lines):
        text = line.strip()
        if not any(map(_is_visible, text)):
            continue
        digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
        place = seen.setdefault(digest, len(first))
        if place == len(first):
            first.append(row)
            count.append(0)
        count[place] += 1
    return lines.take(np.array(first, np.int64)), np.array(count, np.int64)


def _is_visible(character: str) -> bool:
    return unicodedata.category(character) not in _INVISIBLE and character not in _BLANK


def _mapped(path: Path) -> np.ndarray:
    try:
        if path.stat().st_size == 0:
            raise DataError("the file is empty", where=path, remedy="write one sentence a line")
        return np.memmap(path, np.uint8, "r")
    except OSError as error:
        raise DataError(
            f"the file cannot be opened ({error.strerror or type(error).__name__})",
            where=path,
            remedy="check the path",
        ) from error


def _line_ends(data: np.ndarray) -> np.ndarray:
    """Returns the place where each line ends; the last one may lack a line break."""
    for end in (b"\n", b"\r"):
        places = [
            start + np.flatnonzero(data[start : start + _BYTES] == end[0])
            for start in range(0, len(data), _BYTES)
        ]
        ends = np.concatenate(places)
        if len(ends):
            break
    return ends if len(ends) and ends[-1] == len(data) - 1 else np.append(ends, len(data))
