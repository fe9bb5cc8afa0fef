"""Splits a message into typed segments and handed-in ones (quoted, pasted, attached or generated text).

Structure decides: fences, tags, quotations, labels and headings with a block below, lists of documents, separators
and position. The words of `attribution_words` only distinguish two meanings of one structure. In doubt a text is
handed in: it stays in the episode and becomes no fact. Every rule runs in linear time.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rememberd.dialects.attribution_words import MASK
from rememberd.dialects.blocks import BlockReader
from rememberd.dialects.marks import Span, blanked, inside_quotation, marked_spans, merged


@dataclass(frozen=True, slots=True)
class Segment:
    """`start` is the position of `text` in the message, in characters."""

    text: str
    start: int
    kind: Literal["typed", "handed_in"]


@dataclass(frozen=True, slots=True)
class Segmentation:
    """The segments cover the whole message, in order. `sure` is False if the typed segments may contain somebody
    else's words: then they must not change a name, home or employer."""

    segments: tuple[Segment, ...]
    sure: bool = True

    @property
    def typed(self) -> tuple[Segment, ...]:
        return tuple(each for each in self.segments if each.kind == "typed")

    def masked(self) -> str:
        """The message with every handed-in character except line ends replaced by `MASK`; offsets stay."""
        return "".join(
            each.text if each.kind == "typed" else re.sub(r"[^\n]", MASK, each.text) for each in self.segments
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
