"""Whose words a message holds: typed by the person, or handed in (quoted, pasted, attached, generated).

Structure decides: fences, tags, quotation, labels and headings with a block beneath, lists of documents, separators,
position. The words of `handing_words` only tell two meanings of one structure apart. In doubt text is handed in: then
the episode holds it and no fact is made. Every rule runs in linear time.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rememberd.dialects.blocks import BlockReader
from rememberd.dialects.handing_words import HOLE
from rememberd.dialects.marks import Span, blanked, inside_quotation, marked_spans, merged


@dataclass(frozen=True, slots=True)
class Segment:
    """`text` stands in the message from the character `start` on."""

    text: str
    start: int
    kind: Literal["typed", "handed_in"]


@dataclass(frozen=True, slots=True)
class Segmentation:
    """The segments cover the whole message, in order. `sure` is False where what counts as typed may be somebody
    else's: then no name, home or employer may change because of it."""

    segments: tuple[Segment, ...]
    sure: bool = True

    @property
    def typed(self) -> tuple[Segment, ...]:
        return tuple(each for each in self.segments if each.kind == "typed")

    def masked(self) -> str:
        """The message with every handed-in character but line ends replaced by `HOLE`: offsets stay."""
        return "".join(
            each.text if each.kind == "typed" else re.sub(r"[^\n]", HOLE, each.text) for each in self.segments
        )


def segment(text: str) -> Segmentation:
    """The segments of a user's message."""
    start, end = inside_quotation(text)
    marked = [(start + a, start + b) for a, b in marked_spans(text[start:end])]
    reader = BlockReader(blanked(text, marked), start, end)
    reader.read()
    return Segmentation(tuple(_cover(text, [*marked, *reader.handed])), reader.sure)


def _cover(text: str, handed: list[Span]) -> Iterator[Segment]:
    position = 0
    for start, end in merged(handed):
        if start > position:
            yield Segment(text[position:start], position, "typed")
        yield Segment(text[start:end], start, "handed_in")
        position = end
    if position < len(text):
        yield Segment(text[position:], position, "typed")
