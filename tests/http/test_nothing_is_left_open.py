"""In every dialect and lane: clients that leave in the middle leave no connection upstream and no growth behind."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.fake_model import Behaviour, FakeModel
from tests.support.proxy_server import Proxy, eventually

TEXT = "what is the weather like today, and what should I wear"
SAID = [{"role": "user", "content": TEXT}]
ASKED: list[tuple[str, dict[str, Any]]] = [
    ("/v1/chat/completions", {"model": "open", "messages": SAID}),
    ("/v1/responses", {"model": "open", "input": TEXT}),
    ("/v1/messages", {"model": "open", "messages": SAID, "max_tokens": 64}),
    ("/v1/chat/completions", {"model": "claude", "messages": SAID}),
    ("/v1/responses", {"model": "model-a", "input": TEXT}),
    ("/v1/messages", {"model": "model-a", "messages": SAID, "max_tokens": 64}),
]
AT_ONCE = 12


async def storm(url: str, user: str, requests: int, asked: list[tuple[str, dict[str, Any]]]) -> None:
    """`requests` of every kind, streamed and not, of which 30 % leave at a random moment."""
    chance = random.Random(7)  # a test that can be repeated
    places = asyncio.Semaphore(AT_ONCE)
    headers = {"Authorization": "Bearer sk-webui", "X-Memory-User": user}

    async def one(session: aiohttp.ClientSession, path: str, body: dict[str, Any], patience: float | None) -> None:
        async with places:
            try:
                async with asyncio.timeout(patience), session.post(url + path, json=body) as response:
                    await response.read()
                    assert response.status == 200
            except TimeoutError:
                assert patience is not None

    kinds = itertools.cycle(itertools.product(asked, (True, False)))
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(
            *(
                one(
                    session,
                    path,
                    body | {"stream": stream},
                    chance.uniform(0, 0.1) if chance.random() < 0.3 else None,
                )
                for (path, body), stream in itertools.islice(kinds, requests)
            )
        )


def web(proxy: Proxy) -> Path:
    (pid,) = proxy.pids("web")
    return Path(f"/proc/{pid}")


def upstream_connections(proxy: Proxy, upstream: FakeModel) -> int:
    """Open sockets of the web process to the fake model's port."""
    port = int(upstream.origin.rpartition(":")[2])
    inodes = {
        fields[9]
        for line in (web(proxy) / "net/tcp").read_text().splitlines()[1:]
        if (fields := line.split()) and fields[2].endswith(f":{port:04X}")
    }
    return sum(_target(link) in {f"socket:[{inode}]" for inode in inodes} for link in (web(proxy) / "fd").iterdir())


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except FileNotFoundError:
        return ""


def resident_kb(proxy: Proxy) -> int:
    found = re.search(r"VmRSS:\s+(\d+)", (web(proxy) / "status").read_text())
    assert found is not None
    return int(found[1])


def left_open(proxy: Proxy, upstream: FakeModel, user: str, requests: int) -> tuple[int, int]:
    """Connections beyond what the pools keep for later, and how many MB the process grew."""
    upstream.default, before = Behaviour(delay_first=0.01, delay_chunk=0.002), upstream.default
    try:
        asyncio.run(
            storm(proxy.url, user, 20 * len(ASKED), ASKED)
        )  # the first ones import litellm and fill the pools
        grown = resident_kb(proxy)
        del upstream.requests[:]
        asyncio.run(storm(proxy.url, user, requests, ASKED))
    finally:
        upstream.default = before
    eventually(lambda: all(request.done or request.gone_at for request in upstream.requests))
    assert any(request.gone_at for request in upstream.requests)
    return upstream_connections(proxy, upstream), (resident_kb(proxy) - grown) // 1024


@pytest.mark.parametrize(
    "requests", [pytest.param(120, id="120"), pytest.param(10_000, id="10000", marks=pytest.mark.slow)]
)
def test_clients_that_leave_leave_nothing_behind(
    served: Proxy, upstream: FakeModel, user: str, requests: int
) -> None:
    """Every call upstream has ended; what is open is the pools' few idle connections; memory is where it was."""
    connections, grown_mb = left_open(served, upstream, user, requests)
    assert connections <= 4 * AT_ONCE  # two pools, of litellm's and ours, at most as many as were used at once
    assert grown_mb < 40
