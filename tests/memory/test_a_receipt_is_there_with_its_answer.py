"""Whoever has the whole answer can ask for its receipt, of any web process; one that does not exist is a short wait
and a 404."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.support.fake_model import FakeModel
from tests.support.proxy_server import Proxy, ask, remembered, running


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, upstream: FakeModel) -> Iterator[Proxy]:
    """Two web processes."""
    with running(
        tmp_path_factory.mktemp("own"), {"model-a": upstream.url}, server={"port": 0, "workers": 2}
    ) as proxy:
        yield proxy


def fresh(proxy: Proxy, user: str, **headers: str) -> httpx.Client:
    """Each request on a connection of its own, so that both processes answer."""
    client = proxy.client(user, **headers)
    client.headers["Connection"] = "close"
    return client


@pytest.mark.parametrize("tries", [20, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.parametrize("stream", [False, True])
def test_a_receipt_that_holds_up_no_answer_is_found_all_the_same(
    own: Proxy, user: str, stream: bool, tries: int
) -> None:
    """So many times, `X-Memory: read`: now and then a new question, whose block is kept too, else only the receipt
    is filed behind the answer."""
    with own.client(user) as client:
        ask(client, "I live in Oslo.")
        remembered(client, "Oslo", "fact")
    seen = set[str]()
    with fresh(own, user, **{"X-Memory": "read"}) as reading:
        for number in range(tries):
            answer = ask(reading, f"Where do I live, try {number // 10}?", stream=stream)
            receipt = answer.headers["x-memory-receipt"]
            found = reading.get(f"/v1/receipts/{receipt}")
            assert (found.status_code, found.json().get("id")) == (200, receipt), number
            assert found.json()["write"] == "off"
            seen.add(receipt)
    assert len(seen) == tries


def test_a_receipt_nobody_has_is_no_way_to_tie_the_proxy_up(own: Proxy, user: str) -> None:
    """Each such question waits for less than a second, hundreds at once wait together, and chats go on meanwhile.
    Somebody else's receipt looks like none."""
    with own.client(user) as client, own.client(f"not {user}") as other:
        theirs = ask(other, "I live in Ghent.").headers["x-memory-receipt"]
        for unknown in ("rcpt_0", "x" * 2000, theirs):
            began = time.monotonic()
            assert client.get(f"/v1/receipts/{unknown}").status_code == 404
            assert time.monotonic() - began < 15
        asyncio.run(_many(own, user))


async def _many(own: Proxy, user: str) -> None:
    headers = {"Authorization": "Bearer sk-webui", "X-Memory-User": user}
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=own.url, headers=headers, timeout=120, limits=limits) as client:
        began = time.monotonic()
        flood = [asyncio.create_task(client.get(f"/v1/receipts/rcpt_{n}")) for n in range(100)]
        await asyncio.sleep(0.2)
        chat = {"model": "model-a", "messages": [{"role": "user", "content": "Hello?"}]}
        assert (await client.post("/v1/chat/completions", json=chat)).status_code == 200
        answers = await asyncio.gather(*flood)
        assert {each.status_code for each in answers} == {404}
        assert time.monotonic() - began < 30  # one after the other it would be 42 s
