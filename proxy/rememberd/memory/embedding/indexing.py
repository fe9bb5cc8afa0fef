"""Makes the stored point of a memory: vectors, size, topics, names, surface features."""

import asyncio
from datetime import UTC, datetime
from typing import NamedTuple

from rememberd.memory.recall.aliases import aliases_in
from rememberd.memory.recall.block import ANSWER_WORDS, USER_WORDS, all_typed, cut, line_cost, sides
from rememberd.memory.recall.names import label_of, names_in
from rememberd.memory.recall.needs import learn
from rememberd.memory.recall.rank import Feature, features
from rememberd.ports import Embedder
from rememberd.types import Memory, Millis, Point

# Raise it with any change of a point's content, also by new weights or thresholds: points of an earlier version are
# then written again. Since 9, a story that the rules take for an instruction ("For me, adoption is …") has no style;
# since 12, misspelt words are also found as they were meant.
VERSION = 12

MOST_NAMES = 64  # names of one memory; a memory with a longer list is not about them


async def to_point(memory: Memory, embedder: Embedder) -> Point:
    """Raises `EmbedderUnavailable`.

    The date is in the BM25 text only: in the embedded text it cost 7 points of recall, here it gains 2."""
    dense = await embedder.dense(searchable(memory))
    needs = await learn(embedder)
    read = await asyncio.to_thread(_read, memory)
    return Point(
        memory,
        dense,
        embedder.document(f"{_words(memory)} {_date_words(memory.valid_from)}"),
        read.cost,
        read.features,
        answer_tokens=read.answer_tokens,
        topics=needs.topics_of(memory.text, dense, memory.slot) if memory.kind == "fact" else None,
        label=read.label,
        names=embedder.document(" ".join(read.names)).indices if read.names else (),
    )


class _Read(NamedTuple):
    cost: int  # tokens
    answer_tokens: int
    features: int
    label: str | None
    names: list[str]


def _read(memory: Memory) -> _Read:
    """The fields that depend on the words alone; a long exchange takes tens of milliseconds."""
    said, _ = sides(memory)
    seen = features(said)
    if memory.private:
        seen |= Feature.PRIVATE
    if all_typed(said):
        seen |= Feature.TYPED
        if aliases_in(said):
            seen |= Feature.ALIAS
    cost = line_cost(memory)
    return _Read(
        cost,
        answer_tokens=0 if memory.kind == "fact" else cost - line_cost(memory, answers=False),
        features=int(seen),
        label=label_of(said) if memory.kind == "episode" and not memory.speaker else None,
        names=[*names_in(said)[:MOST_NAMES], *(memory.speaker or "").split()],
    )


def searchable(memory: Memory) -> str:
    """The whole fact; the start of both sides of an episode, since long messages hide their topic."""
    if memory.kind == "fact":
        return memory.text
    said, answer = sides(memory)
    spoken = f"{memory.speaker}: {cut(said, USER_WORDS)}" if memory.speaker else cut(said, USER_WORDS)
    return f"{spoken} {cut(answer, ANSWER_WORDS)}".strip()


def _words(memory: Memory) -> str:
    """The text for the search by words: everything that was said, while the vector is made of its start only."""
    if memory.kind == "fact":
        return memory.text
    said, answer = sides(memory)
    return f"{memory.speaker or ''} {said} {cut(answer, ANSWER_WORDS)}".strip()


def _date_words(at: Millis) -> str:
    """`Monday 8 May 2023`: the words a question would use."""
    moment = datetime.fromtimestamp(at / 1000, UTC)
    return f"{moment:%A} {moment.day} {moment:%B %Y}"
