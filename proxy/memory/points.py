"""From a memory to the point that the store keeps: its vectors, its size, its surface features."""

from __future__ import annotations

from proxy.memory.block import tokens
from proxy.ports import Embedder
from proxy.types import Memory, Point


async def to_point(memory: Memory, embedder: Embedder) -> Point:
    """Raises `EmbedderUnavailable`."""
    return Point(memory, await embedder.dense(memory.text), embedder.document(memory.text), tokens(memory.text))
