from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser import chromium
from tests.fake_model import FakeModel
from tests.proxy_server import Proxy, entry, running


@pytest.fixture(scope="session")
def upstream() -> Iterator[FakeModel]:
    """One fake provider behind all the models of `proxy`; it echoes unless a test scripts it."""
    model = FakeModel(("model-a", "model-b"))
    asyncio.run(model.__aenter__())
    yield model
    asyncio.run(model.__aexit__())


@pytest.fixture(scope="session")
def proxy(tmp_path_factory: pytest.TempPathFactory, upstream: FakeModel) -> Iterator[Proxy]:
    """One proxy for all tests that only talk to it; each takes users of its own. `model-a` and `model-b` speak chat
    only, `claude` Messages only, `open` all three dialects."""
    models = {"model-a": upstream.url, "model-b": upstream.url}
    others = [
        entry("claude", "anthropic/claude-x", upstream.origin),
        entry("open", "hosted_vllm/open-x", upstream.url),
    ]
    with running(tmp_path_factory.mktemp("proxy"), models, others=others) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of the memory page; each opens a profile of its own."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def user(request: pytest.FixtureRequest) -> str:
    """A user nobody else has."""
    return f"user of {request.node.name}"
