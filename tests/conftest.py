from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import httpx2
import hypothesis
import pytest
from playwright.sync_api import Browser
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from rememberd.memory.embedding import embedder
from rememberd.memory.learn.rules import judge
from tests.support.browser import chromium
from tests.support.fake_model import FakeModel
from tests.support.proxy_in_process import running_here
from tests.support.proxy_server import Proxy, entry, eventually, running
from tests.support.qdrant_process import qdrant_running
from tests.support.redis_process import RedisServer, redis_running

# Files that one worker runs. Of `translation` it imports litellm (4 s of CPU), of `sdks` the clients of OpenAI and
# Anthropic (2 s), and litellm; of `served` it starts the processes of `served` (5 s, with litellm).
TOGETHER = {
    "translation": (
        "tests/http/test_transl", "tests/http/test_a_conversation_goes_on",
        "tests/http/test_a_server_may_lack", "tests/http/test_groups_share", "tests/clients/test_ollama",
    ),
    "served": (
        "tests/http/test_network_is_safe", "tests/http/test_nothing_is_left_open", "tests/http/test_nobodys_words",
        "tests/http/test_who_left", "tests/http/test_mcp", "tests/ops/test_metrics", "tests/ops/test_operators_see",
    ),
    "sdks": (
        "tests/http/test_bad_input", "tests/http/test_memory_tool",
        "tests/http/test_other_paths", "tests/http/test_transparent_in_every", "tests/memory/test_every_dialect",
        "tests/memory/test_remembers_across", "tests/ops/test_client_settings", "tests/ops/test_operator_changes",
    ),
}  # fmt: skip

# The longest files of the slow stage.
LONGEST = ("tests/ops/test_faults", "tests/memory/test_ten_thousand", "tests/memory/test_any_text")

# No test is timed: the machine may be busy. `.ci/run` makes the generated examples again, with more of them.
hypothesis.settings.register_profile("few", deadline=None, max_examples=20)
hypothesis.settings.register_profile("many", deadline=None, max_examples=200)
hypothesis.settings.load_profile("few")

# Python keeps the compiled modules, whatever the environment says: otherwise each of the hundred proxies that the
# tests start compiles the package again, which is a fifth of its start, and each worker compiles all tests.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# What the collection of the tests makes stays until the end: the garbage collector need not look at it again.
gc.disable()

# httpx reads all root certificates for each client, though it asks only http: addresses here: 26 ms of CPU, as much
# as fifty requests.
for library in (httpx, httpx2):
    library._transports.default.create_ssl_context = cache(library.create_ssl_context)


class Remembering(embedder.LocalModel):
    """Embeds no text twice: it takes 5 ms."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.known: dict[str, embedder.Vector] = {}

    def __call__(self, text: str) -> embedder.Vector:
        if text not in self.known:
            self.known[text] = super().__call__(text)
        return self.known[text]


# A model that a test has loaded stays for the next: it takes .4 s. The product keeps it only while it is used.
embedder._loaded = dict[Path, embedder.LocalModel]()  # type: ignore[assignment]
embedder.LocalModel = Remembering  # type: ignore[misc]
judge._RESTS_AFTER_S = 86_400.0  # else a proxy in this process takes the model from other tests in the middle of one

# A shell that runs the tests in the background has them, and what they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers() -> int:
    """Two more than there are cores: for half of their time the tests wait for a process or a deadline."""
    return (os.cpu_count() or 1) + 2


class _Scheduling(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """A worker has whole files, and all files of a group of `TOGETHER`, so that no other worker needs its imports."""

    def _split_scope(self, nodeid: str) -> str:
        together = (name for name, files in TOGETHER.items() if nodeid.startswith(files))
        return next(together, None) or str(super()._split_scope(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    return _Scheduling(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first, so that no worker ends with it while the others have nothing left to do: the
    longest files, the groups, and files that start proxies of their own."""

    def turn(item: pytest.Item) -> int:
        if item.nodeid.startswith(LONGEST) and item.get_closest_marker("slow"):
            return -1
        if any(item.nodeid.startswith(files) for files in TOGETHER.values()):
            return 0
        return 1 if hasattr(getattr(item, "module", None), "running") else 2

    items.sort(key=turn)


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()
    gc.set_threshold(10_000, 20, 20)


@pytest.fixture(scope="session")
def upstream() -> Iterator[FakeModel]:
    """One fake provider behind all the models of `proxy`; it echoes unless a test scripts it."""
    model = FakeModel(("model-a", "model-b"))
    asyncio.run(model.__aenter__())
    yield model
    asyncio.run(model.__aexit__())


def _session_proxy(upstream: FakeModel) -> dict[str, Any]:
    """`model-a` and `model-b` speak chat only, `claude` Messages only, `open` all three dialects."""
    others = [
        entry("claude", "anthropic/claude-x", upstream.origin),
        entry("open", "hosted_vllm/open-x", upstream.url),
    ]
    return {"models": {"model-a": upstream.url, "model-b": upstream.url}, "others": others}


@pytest.fixture(scope="session")
def proxy(tmp_path_factory: pytest.TempPathFactory, upstream: FakeModel) -> Iterator[Proxy]:
    """One proxy for all tests that only talk to it; each takes users of its own."""
    with running_here(tmp_path_factory.mktemp("proxy"), **_session_proxy(upstream)) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory, upstream: FakeModel) -> Iterator[Proxy]:
    """As `proxy`, in processes of its own, with a log."""
    with running(tmp_path_factory.mktemp("served"), **_session_proxy(upstream)) as proxy:
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


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """For tests that only talk to it; with the strict rules of a cluster about keys, on one node."""
    with redis_running(tmp_path_factory.mktemp("redis"), "--cluster-enabled", "yes") as server:
        with server.client() as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            eventually(lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"))
        yield server


@pytest.fixture(scope="session")
def qdrant_url() -> Iterator[str]:
    """Of a Qdrant server, or rather of what stands in for one; tests take users of their own."""
    with qdrant_running() as url:
        yield url


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """With nothing in it."""
    with redis_server.client() as client:
        client.flushall()
    return redis_server.url
