"""The server store keeps the store's promises: on a stand-in, and on a real server."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from loadtests.servers import free_port
from rememberd.ports import MemoryStore
from rememberd.settings.schema import Store
from tests.support.fakes import EmbedderFake
from tests.support.proxy_server import eventually
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
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    name = f"test-{uuid.uuid4().hex[:8]}"
    if "QDRANT_URL" in os.environ:
        yield Store(os.environ["QDRANT_URL"], os.environ.get("QDRANT_API_KEY"), collection=name)
    elif shutil.which("qdrant"):
        with qdrant_running(tmp_path_factory.mktemp("qdrant")) as url:
            yield Store(url, collection=name)
    else:
        pytest.skip("QDRANT_URL is not set, and no qdrant is on the PATH")


@contextmanager
def qdrant_running(folder: Path) -> Iterator[str]:
    """A real server on a free port. Its address."""
    port, grpc = free_port(), free_port()
    environ = {"QDRANT__SERVICE__HTTP_PORT": str(port), "QDRANT__SERVICE__GRPC_PORT": str(grpc)}
    environ |= {"QDRANT__SERVICE__HOST": "127.0.0.1", "QDRANT__TELEMETRY_DISABLED": "true"}
    process = subprocess.Popen(["qdrant"], cwd=folder, env=os.environ | environ, stdout=subprocess.DEVNULL)
    try:
        eventually(lambda: _is_ready(f"http://127.0.0.1:{port}"))
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.qdrant
class TestOnAServer(StoreContract):
    """`QDRANT_URL=http://…:6333 QDRANT_API_KEY=… pytest -m qdrant`, or a `qdrant` on the PATH; its collections begin
    with `test-`."""

    @pytest.fixture
    async def store(self, settings: Store) -> AsyncIterator[MemoryStore]:
        store = server_store(settings, Four())
        yield store
        await erase_everybody(store)
        await store.close()
