"""The server store keeps the store's promises: on a stand-in, and on a real server."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from rememberd.ports import MemoryStore
from rememberd.settings.schema import Store
from tests.support.fakes import EmbedderFake
from tests.support.qdrant_double import QdrantDouble, server_store
from tests.support.qdrant_process import qdrant_running
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
def settings() -> Iterator[Store]:
    name = f"test-{uuid.uuid4().hex[:8]}"
    if "QDRANT_URL" in os.environ:
        yield Store(os.environ["QDRANT_URL"], os.environ.get("QDRANT_API_KEY"), collection=name)
    elif shutil.which("qdrant"):
        with qdrant_running() as url:
            yield Store(url, collection=name)
    else:
        pytest.skip("QDRANT_URL is not set, and no qdrant is on the PATH")


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


def test_a_server_on_the_path_is_taken_instead_of_the_stand_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the tests on servers and by `python -m loadtests run --store server`."""
    program = tmp_path / "qdrant"
    double = f"{sys.executable} -m tests.support.qdrant_double --version 1.19.77"
    program.write_text(f'#!/bin/sh\nexec {double} --port "$QDRANT__SERVICE__HTTP_PORT"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with qdrant_running() as url:
        assert httpx.get(url).json()["version"] == "1.19.77"
