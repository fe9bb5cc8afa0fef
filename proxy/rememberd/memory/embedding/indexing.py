"""From a memory to the point that the store keeps: its vectors, its size, its surface features."""

from __future__ import annotations

from datetime import UTC, datetime

from rememberd.memory.recall.block import ANSWER_WORDS, USER_WORDS, cut, line_cost, sides
from rememberd.memory.recall.rank import Feature, features
from rememberd.ports import Embedder
from rememberd.types import Memory, Millis, Point


async def to_point(memory: Memory, embedder: Embedder) -> Point:
    """Raises `EmbedderUnavailable`.

    The date stands in the BM25 text only: in the embedded text it cost 7 points of recall, here it gains 2."""
    text = searchable(memory)
    dense = await embedder.dense(text)
    sparse = embedder.document(f"{text} {_date_words(memory.valid_from)}")
    seen = features(sides(memory)[0]) | (Feature.PRIVATE if memory.private else Feature(0))
    return Point(memory, dense, sparse, line_cost(memory), int(seen))


def searchable(memory: Memory) -> str:
    """A fact as it is; of an episode the start of both sides, since long messages hide what they are about."""
    if memory.kind == "fact":
        return memory.text
    said, answer = sides(memory)
    spoken = f"{memory.speaker}: {cut(said, USER_WORDS)}" if memory.speaker else cut(said, USER_WORDS)
    return f"{spoken} {cut(answer, ANSWER_WORDS)}".strip()


def _date_words(at: Millis) -> str:
    """`Monday 8 May 2023`: the words a question would use."""
    moment = datetime.fromtimestamp(at / 1000, UTC)
    return f"{moment:%A} {moment.day} {moment:%B %Y}"
