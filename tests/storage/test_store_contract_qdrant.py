"""The server store keeps the store's promises: on a stand-in, and on a real server."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from rememberd.ports import MemoryStore
from rememberd.settings.schema import Store
from tests.support.fakes import EmbedderFake
from tests.support.qdrant_double import QdrantDouble, server_store
from tests.support.store_contract import DIM, StoreContract, erase_everybody


class Four(EmbedderFake):
    name, dim = "four", DIM


@pytest.fixture(scope="module")
def double() -> Iterator[QdrantDouble]:
    double = QdrantDouble(api_key="qd-key")
    asyncio.run(double.__aenter__())
    yield double
    asyncio.run(double.__aexit__())


class TestOverHttp(StoreContract):
    @pytest.fixture
    async def store(self, double: QdrantDouble) -> AsyncIterator[MemoryStore]:
        store = server_store(Store(double.url, "qd-key"), Four())
        yield store
        await erase_everybody(store)
        await store.close()

    @pytest.mark.slow  # local mode sorts a thousand points in Python at every page
    async def test_paging_loses_and_repeats_nothing(self, store: MemoryStore) -> None:
        await super().test_paging_loses_and_repeats_nothing(store)


@pytest.mark.slow
class TestShardedByUser(StoreContract):
    @pytest.fixture
    async def store(self, double: QdrantDouble) -> AsyncIterator[MemoryStore]:
        sharded = Store(double.url, "qd-key", collection="split", shards=3, shard_by_user=True, quantize=True)
        store = server_store(sharded, Four())
        yield store
        await erase_everybody(store)
        await store.close()


@pytest.fixture(scope="module")
def settings() -> Store:
    if "QDRANT_URL" not in os.environ:
        pytest.skip("QDRANT_URL is not set")
    name = f"test-{uuid.uuid4().hex[:8]}"
    return Store(os.environ["QDRANT_URL"], os.environ.get("QDRANT_API_KEY"), collection=name)


@pytest.mark.qdrant
class TestOnAServer(StoreContract):
    """`QDRANT_URL=http://…:6333 QDRANT_API_KEY=… pytest -m qdrant`; its collections begin with `test-`."""

    @pytest.fixture
    async def store(self, settings: Store) -> AsyncIterator[MemoryStore]:
        store = server_store(settings, Four())
        yield store
        await erase_everybody(store)
        await store.close()
