"""A text as people see it, and where each of its characters stands in what was written. Patterns read this view: a
secret in full-width letters, with invisible characters in it or with other separators is the same secret. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from itertools import chain, repeat
from typing import NamedTuple

# Blank on every screen, although Unicode calls them letters or marks: fillers, variation selectors, joiners.
_INVISIBLE = frozenset(
    (
        *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
        *(*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)),
    )
)


class _Shown(dict[int, str]):
    """What `str.translate` puts for a character: its compatibility form (NFKC), a space or a hyphen for any of their
    kind, an ASCII digit for any decimal digit, nothing for what nobody sees. Worked out once for each character."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        category = unicodedata.category(character)
        if category == "Cf" or code in _INVISIBLE:
            shown = ""
        elif category == "Zs":
            shown = " "
        elif category == "Pd" or character == "\u2212":
            shown = "-"
        elif category == "Nd":
            shown = str(unicodedata.decimal(character))
        else:
            shown = unicodedata.normalize("NFKC", character)
        self[code] = shown
        return shown


_SHOWN = _Shown()
# Between the groups of a number: up to three characters that are no letters, in one line, and no comma with a space,
# which stands between several numbers.
_GAP = r"(?!, )(?:[^\w\n]|_){1,3}"
_BETWEEN_GROUPS = re.compile(rf"(?<=[0-9A-Z]){_GAP}(?=[0-9A-Z])")
_BETWEEN_DIGITS = re.compile(rf"(?<=[0-9]){_GAP}(?=[0-9])")
_ODD = re.compile(r"[0-9A-Z](?![ -][0-9A-Z])(?!, )(?:[^\w\n]|_){1,3}[0-9A-Z]|(?<![0-9A-Z])[0-9][ -][0-9](?![0-9A-Z])")


class View(NamedTuple):
    """`text` is what patterns read; its character `i` stands for `starts[i]` to `ends[i]` of what was written."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    def replaced(self, spans: Sequence[tuple[int, int]], by: str) -> View:
        """With `by` in place of each of the `spans`, which stand in order and do not overlap."""
        if not spans:
            return self
        text: list[str] = []
        starts: list[Sequence[int]] = []
        ends: list[Sequence[int]] = []
        at = 0
        for begin, end in spans:
            text += (self.text[at:begin], by)
            starts += (self.starts[at:begin], [self.starts[begin]] * len(by))
            ends += (self.ends[at:begin], [self.ends[end - 1]] * len(by))
            at = end
        text.append(self.text[at:])
        starts.append(self.starts[at:])
        ends.append(self.ends[at:])
        return View("".join(text), list(chain(*starts)), list(chain(*ends)))

    def with_hyphens(self) -> View:
        """With a single hyphen between the groups of a number, whatever stands there."""
        return self.replaced([found.span() for found in _BETWEEN_GROUPS.finditer(self.text)], "-")

    def joined(self) -> View:
        """With nothing between the digits of a number."""
        return self.replaced([found.span() for found in _BETWEEN_DIGITS.finditer(self.text)], "")


def shown(text: str) -> str:
    """`text` as people see it."""
    return text if text.isascii() else text.translate(_SHOWN)


def view(text: str) -> View:
    """One pass over the text: some 30 ns a character, 200 if it is seen otherwise than it is written."""
    seen = shown(text)
    if seen == text:
        return View(text, range(len(text)), range(1, len(text) + 1))
    pieces = [_SHOWN[ord(character)] for character in text]
    starts = list(chain.from_iterable(repeat(at, len(piece)) for at, piece in enumerate(pieces)))
    return View(seen, starts, [at + 1 for at in starts])


def oddly_separated(text: str) -> bool:
    """Is there a number whose groups are apart by something else than one space or hyphen?"""
    return _ODD.search(text) is not None
