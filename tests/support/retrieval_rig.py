"""A recall over each place where its ranking may run, with memories that look real."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rememberd.encryption.keyring import Keyring
from rememberd.encryption.store import SealedStore
from rememberd.memory.embedding.indexing import to_point
from rememberd.memory.recall.recall import Recall, Recalled
from rememberd.memory.recall.retrieve import Retrieved, Wanted
from rememberd.memory.safety.privacy import Privacy
from rememberd.ports import MemoryStore
from rememberd.settings.schema import Store
from rememberd.storage.edge.client import EdgeClient
from rememberd.storage.edge.server import serving
from rememberd.storage.edge.store import EdgeStore
from rememberd.types import Evidence, Kind, Memory, Source, Space, Sparse
from tests.support.fakes import EmbedderFake
from tests.support.qdrant_double import QdrantDouble, server_store
from tests.support.sealing import opened

ADA = Space("ada")
NOW = 1_750_000_000_000
DAY = 86_400_000
PLACES = ("in process", "socket", "sealed", "sealed socket", "server")


class Embedder(EmbedderFake):
    """Remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    async def dense(self, text: str) -> list[float]:
        self.asked.append(text)
        return await super().dense(text)


@dataclass
class Rig:
    """`edge` stands behind everything but the server; `store` is what its users see of it."""

    store: MemoryStore
    recall: Recall
    embedder: Embedder
    edge: EdgeStore | None = None
    keyring: Keyring | None = None
    retrieved: list[Retrieved] = field(default_factory=list)

    async def tell(self, space: Space, *memories: Memory) -> None:
        await self.store.put(space, [await to_point(each, EmbedderFake()) for each in memories])

    async def ask(
        self,
        question: str,
        space: Space = ADA,
        *,
        turn: str | None = None,
        conversation: str | None = None,
        private: bool = True,
    ) -> Recalled:
        return await self.recall.recall(
            space, question, now=NOW, turn_id=turn, conversation=conversation, private=private
        )

    async def watched(self, space: Space, dense: list[float], sparse: Sparse, wanted: Wanted) -> Retrieved:
        found = await self._retrieve(space, dense, sparse, wanted)
        self.retrieved.append(found)
        return found

    def __post_init__(self) -> None:
        self._retrieve, self.recall.retrieve = self.recall.retrieve, self.watched


def memory(
    text: str,
    kind: Kind = "fact",
    *,
    days_ago: int = 10,
    turn: str | None = None,
    conversation: str | None = None,
    **more: Any,
) -> Memory:
    at = NOW - days_ago * DAY
    evidence = Evidence(text, "user", turn or text)
    source = Source(conversation or f"c{days_ago}")
    fields: dict[str, Any] = {"id": f"{kind} {text}", "evidence": evidence, "source": source} | more
    return Memory(text=text, kind=kind, created_at=at, updated_at=at, valid_from=at, **fields)


@asynccontextmanager
async def rig(place: str, folder: Path, privacy: Privacy | None = None, budget: int = 600) -> AsyncIterator[Rig]:
    """`place` is one of `PLACES`."""
    kept = privacy or Privacy()
    async with AsyncExitStack() as stack:
        if place == "server":
            double = await stack.enter_async_context(QdrantDouble())
            server = server_store(Store(double.url), EmbedderFake())
            stack.push_async_callback(server.close)
            yield _rig(server, kept, budget)
            return
        edge = EdgeStore.open(folder / "store", dim=EmbedderFake.dim, embedder="fake")
        stack.push_async_callback(edge.close)
        keyring = await stack.enter_async_context(opened(folder)) if "sealed" in place else None
        if "socket" not in place:
            yield _rig(SealedStore(edge, keyring) if keyring else edge, kept, budget, edge=edge, keyring=keyring)
            return
        seen = SealedStore(edge, keyring) if keyring else edge
        await stack.enter_async_context(serving(edge, folder / "s", seen))
        client = EdgeClient(folder / "s")
        stack.push_async_callback(client.close)
        store = SealedStore(client, keyring) if keyring else client
        yield _rig(store, kept, budget, client, edge=edge, keyring=keyring)


def _rig(store: MemoryStore, privacy: Privacy, budget: int, client: EdgeClient | None = None, **behind: Any) -> Rig:
    embedder = Embedder()
    near = client.retrieve if client else None
    recall = Recall(store, embedder, budget, deadline_ms=30_000, privacy=privacy, retrieving=near)
    return Rig(store, recall, embedder, **behind)


def lines(recalled: Recalled) -> Sequence[str]:
    return [line for line in recalled.block.splitlines() if line.startswith("- ")]
