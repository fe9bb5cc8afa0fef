from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from rememberd.storage.edge.store import EdgeStore
from tests.support.store_contract import DIM


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeStore]:
    store = EdgeStore.open(tmp_path_factory.mktemp("store"), dim=DIM, embedder="test")
    yield store
    asyncio.run(store.close())
