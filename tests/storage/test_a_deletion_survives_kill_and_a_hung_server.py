"""A deletion that a Qdrant server could not make is in force at once, outlives the proxy, and is made at last."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.fake_model import FakeModel
from tests.support.proxy_server import PATIENCE, Proxy, ask, eventually, memories, remembered, running
from tests.support.qdrant_double import Faults, QdrantDouble

_WRITES_HANG = Faults(delay=3600, paths="PUT|points/delete")


@pytest.mark.slow
@pytest.mark.parametrize("how", ["one memory", "everything", "in the chat"])
async def test_what_was_deleted_while_the_server_hung_stays_away(
    tmp_path: Path, upstream: FakeModel, how: str
) -> None:
    """Killed right after the answer; neither the next proxy nor the server, once it is well, shows it again. One node
    has not heard of anything meanwhile."""
    async with QdrantDouble(nodes=2) as qdrant:
        await asyncio.to_thread(_suffered, tmp_path, upstream, qdrant, how)
        await qdrant.catch_up()


def _suffered(folder: Path, upstream: FakeModel, qdrant: QdrantDouble, how: str) -> None:
    settings: dict[str, Any] = {"memory": {"deadline_ms": 5000, "store": {"url": qdrant.url}}}
    with running(folder, {"model-a": upstream.url}, **settings) as proxy, proxy.client("ann") as client:
        ask(client, "I live in Kiruna.")
        ask(client, "My cat is called Minna.")
        remembered(client, "Minna", "fact")
        gone = [each["id"] for each in memories(client) if how == "everything" or "Kiruna" in each["text"]]
        assert gone
        qdrant.faults = _WRITES_HANG
        if how == "everything":
            client.delete("/v1/memories")  # may not be able to say how many there were
        elif how == "in the chat":
            assert ask(client, "Please forget that I live in Kiruna.").status_code == 200
        else:
            for id_ in gone:
                assert client.delete(f"/v1/memories/{id_}").status_code in (200, 404)  # gone with the first
        assert not _shown(client, gone)
        _kill(proxy)
    qdrant.nodes[1].lags = True
    with running(folder, {"model-a": upstream.url}, **settings) as proxy, proxy.client("ann") as client:
        assert not _shown(client, gone)
        assert "Kiruna" not in ask(client, "Where do I live?").text
        qdrant.faults = Faults()
        eventually(lambda: not any(_lie_there(qdrant, id_) for id_ in gone))
        for _ in range(4):  # of both nodes, of which one still has everything
            assert not _shown(client, gone)


def _shown(client: httpx.Client, ids: list[str]) -> list[str]:
    there = {each["id"] for each in eventually(lambda: [*memories(client), {"id": ""}])}
    return [id_ for id_ in ids if id_ in there]


def _lie_there(qdrant: QdrantDouble, id_: str) -> bool:
    """As a memory, and not as a tombstone, on the node that is in step."""
    name = next(iter(qdrant.nodes[0].collections))
    body = {"limit": 1000, "with_payload": ["id", "space"]}
    found = httpx.post(f"{qdrant.nodes[0].url}/collections/{name}/points/scroll", json=body).json()["result"][
        "points"
    ]
    return any(each["payload"].get("id") == id_ and "space" in each["payload"] for each in found)


def _kill(proxy: Proxy) -> None:
    """Every process of it at once, the supervisor first, so that it starts none again."""
    pids = [proxy.process.pid, *proxy.pids("web"), *proxy.pids("writer")]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    proxy.process.wait(PATIENCE)
