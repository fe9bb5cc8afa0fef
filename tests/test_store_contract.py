"""The embedded store keeps the store's promises, in process and through its socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from proxy.memory.store.edge import EdgeStore
from proxy.memory.store.edge_client import EdgeClient
from proxy.memory.store.edge_server import serving
from proxy.ports import MemoryStore
from tests.store_contract import DIM, StoreContract, erase_everybody


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeStore]:
    store = EdgeStore.open(tmp_path_factory.mktemp("store"), dim=DIM, embedder="test")
    yield store
    asyncio.run(store.close())


class TestInProcess(StoreContract):
    @pytest.fixture
    async def store(self, edge: EdgeStore) -> AsyncIterator[MemoryStore]:
        yield edge
        await erase_everybody(edge)


class TestThroughTheSocket(StoreContract):
    @pytest.fixture
    async def store(self, edge: EdgeStore, tmp_path: Path) -> AsyncIterator[MemoryStore]:
        async with serving(edge, tmp_path / "s"):
            client = EdgeClient(tmp_path / "s")
            yield client
            await erase_everybody(client)
            await client.close()
