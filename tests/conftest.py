from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.fake_model import FakeModel
from tests.proxy_server import Proxy, running


@pytest.fixture(scope="session")
def upstream() -> Iterator[FakeModel]:
    """One fake provider behind all the models of `proxy`; it echoes unless a test scripts it."""
    model = FakeModel(("model-a", "model-b"))
    asyncio.run(model.__aenter__())
    yield model
    asyncio.run(model.__aexit__())


@pytest.fixture(scope="session")
def proxy(tmp_path_factory: pytest.TempPathFactory, upstream: FakeModel) -> Iterator[Proxy]:
    """One proxy for all tests that only talk to it; each takes users of its own."""
    models = {"model-a": upstream.url, "model-b": upstream.url}
    with running(tmp_path_factory.mktemp("proxy"), models) as proxy:
        yield proxy


@pytest.fixture
def user(request: pytest.FixtureRequest) -> str:
    """A user nobody else has."""
    return f"user of {request.node.name}"
