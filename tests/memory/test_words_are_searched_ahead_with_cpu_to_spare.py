"""Promise: a question's words are searched while it is embedded, but not where that only takes CPU from others."""

from pathlib import Path

import pytest

from rememberd.memory.recall.recall import Recall
from rememberd.storage.edge.client import EdgeClient
from rememberd.storage.edge.server import serving
from rememberd.storage.edge.store import EdgeStore
from rememberd.types import Millis, Space, Sparse
from tests.support.fakes import EmbedderFake, MemoryStoreFake
from tests.support.store_contract import ANN, DIM, NOW, point, words


class Hinted(MemoryStoreFake):
    """Counts the hints."""

    hints = 0

    async def prefetch(self, space: Space, sparse: Sparse, *, now: Millis) -> None:
        self.hints += 1


class HintedEdge(EdgeStore):
    hints = 0

    async def prefetch(self, space: Space, sparse: Sparse, *, now: Millis) -> None:
        self.hints += 1


@pytest.mark.parametrize(("backlog_ms", "hints"), [(0.0, 1), (4.0, 0)])
async def test_a_question_that_waits_for_others_gives_no_hint(backlog_ms: float, hints: int) -> None:
    """The embedder has other texts before it: the machine is busy."""
    store, embedder = Hinted(), EmbedderFake()
    embedder.backlog_ms = backlog_ms
    recall = Recall(store, embedder, deadline_ms=60_000)
    await recall.recall(ANN, "Where is my bike?", now=NOW, turn_id=None, conversation=None)
    assert store.hints == hints


@pytest.mark.parametrize(("cores", "hints"), [(1, 0), (2, 1)])
async def test_one_core_gets_no_hint(tmp_path: Path, cores: int, hints: int) -> None:
    """Nothing runs beside the embedder there. The second call comes behind the hint on the same connection."""
    store = HintedEdge.open(tmp_path / "store", dim=DIM, embedder="test")
    async with serving(store, tmp_path / "s"):
        client = EdgeClient(tmp_path / "s")
        client.cores = cores
        await client.put(ANN, [point("a", "I like tea")])
        await client.prefetch(ANN, words("tea"), now=NOW)
        await client.ping()
        assert store.hints == hints
        await client.close()
    await store.close()
