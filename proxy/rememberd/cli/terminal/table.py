"""Text in columns, as wide as the terminal and no wider."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Iterator, Sequence

from rememberd.memory.recall.block import clean

_GAP = 2
_NARROWEST = 20  # columns for the last cell, however narrow the terminal


def columns() -> int:
    return shutil.get_terminal_size((100, 24)).columns


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines. Each column is as wide as its widest cell; the last one takes what is left and is cut to it."""
    cells = [[clean(cell) for cell in row] for row in rows]
    widths = [max(width(row[at]) for row in (titles, *cells)) for at in range(len(titles) - 1)]
    left = max(_NARROWEST, columns() - sum(widths) - _GAP * len(widths))
    for row in (titles, *cells):
        fixed = [padded(cell, size) for cell, size in zip(row, widths, strict=False)]
        yield (" " * _GAP).join([*fixed, cut(row[-1], left)]).rstrip()


def cut(text: str, size: int) -> str:
    """At most `size` columns, with an ellipsis where something is missing."""
    if width(text) <= size:
        return text
    kept, used = "", 1
    for character in text:
        used += width(character)
        if used > size:
            break
        kept += character
    return kept + "…"


def padded(text: str, size: int) -> str:
    return text + " " * (size - width(text))


def width(text: str) -> int:
    """In columns: CJK and emoji take two, combining marks none (Unicode Standard Annex 11)."""
    if text.isascii():
        return len(text)
    return sum(_width(character) for character in text)


def _width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
