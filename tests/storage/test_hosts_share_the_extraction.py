"""Two hosts, each with a writer, one Redis and one Qdrant server: what a model finds is remembered once, whoever
asked it, within the user's one budget, and never after an erasure."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import Iterator

import httpx
import pytest

from rememberd.storage.redis.client import PREFIX
from tests.support.extraction_rig import FOUND, SAID, said
from tests.support.fake_model import Behaviour, FakeModel, Recorded
from tests.support.proxy_server import Proxy, ask, eventually, memories, remembered, running
from tests.support.redis_process import RedisServer, redis_running

pytestmark = pytest.mark.slow

BUDGET = 50_000
Hosts = tuple[Proxy, Proxy]


@pytest.fixture(scope="module")
def redis_at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_running(tmp_path_factory.mktemp("redis"), "--appendfsync", "always") as server:
        yield server


@pytest.fixture(scope="module")
def extractor() -> Iterator[FakeModel]:
    model = FakeModel()
    asyncio.run(model.__aenter__())
    yield model
    asyncio.run(model.__aexit__())


@pytest.fixture
def reader(extractor: FakeModel) -> FakeModel:
    """Finds that one fact, and has not been asked yet."""
    extractor.requests.clear()
    extractor.default = Behaviour(said(FOUND))
    return extractor


@pytest.fixture(scope="module")
def hosts(
    tmp_path_factory: pytest.TempPathFactory,
    upstream: FakeModel,
    extractor: FakeModel,
    redis_at: RedisServer,
    qdrant_url: str,
) -> Iterator[Hosts]:
    memory = {
        "deadline_ms": 5000,
        "queue": {"url": redis_at.url},
        "store": {"url": qdrant_url},
        "extract": {"model": "extractor", "idle_seconds": 1, "daily_tokens": BUDGET},
    }
    models, folder = {"model-a": upstream.url, "extractor": extractor.url}, tmp_path_factory.mktemp("hosts")
    with running(folder / "a", models, memory=memory) as a, running(folder / "b", models, memory=memory) as b:
        yield a, b


def calls(reader: FakeModel) -> list[Recorded]:
    return [chat for chat in reader.chats if b"bassoon" in chat.raw]


def facts(client: httpx.Client) -> list[str]:
    return [each["text"] for each in memories(client, "fact")]


def metric(hosts: Hosts, name: str) -> float:
    pages = [httpx.get(f"{host.url}/metrics").text for host in hosts]
    return sum(float(each) for page in pages for each in re.findall(rf"^{re.escape(name)} (\S+)$", page, re.M))


def waiting(redis_at: RedisServer) -> int:
    with redis_at.client() as client:
        return int(client.scard(f"{PREFIX}reading:waiting"))


def test_what_the_model_finds_is_remembered_once(
    hosts: Hosts, reader: FakeModel, redis_at: RedisServer, user: str
) -> None:
    """Of users of both hosts, each with one call; also when Redis is killed while the turns wait. The receipt names
    the fact beside the episode, and no turn is late for it."""
    others = f"another {user}"
    with hosts[0].client(user) as here, hosts[1].client(others) as there:
        receipt = ask(here, SAID).headers["X-Memory-Receipt"]
        ask(there, SAID)
        eventually(lambda: waiting(redis_at) == 2)
        redis_at.kill(signal.SIGKILL)
        redis_at.start()
        kept = remembered(here, FOUND["text"], "fact")
        remembered(there, FOUND["text"], "fact")
        assert kept["evidence"]["text"] == FOUND["evidence"]
        written = eventually(lambda: here.get(f"/v1/receipts/{receipt}").json()["written"][1:])
        assert [each["id"] for each in written] == [kept["id"]]
        eventually(lambda: waiting(redis_at) == 0)
        assert [facts(here), facts(there)] == [[FOUND["text"]]] * 2
        assert len(calls(reader)) == 2
        assert metric(hosts, "rememberd_queue_depth") == 0


def test_the_budget_of_a_user_is_one(hosts: Hosts, reader: FakeModel, redis_at: RedisServer, user: str) -> None:
    """Told at both hosts in several conversations at once, it is spent by one call; the rest waits for tomorrow."""
    answer = {"choices": [{"index": 0, "message": {"role": "assistant", "content": said(FOUND)}}]}
    bill = json.dumps(answer | {"usage": {"total_tokens": BUDGET - 100}}).encode()
    reader.default = Behaviour(body=bill, delay_first=0.3)
    for number in range(6):
        with hosts[number % 2].client(user, **{"X-Conversation-Id": str(number)}) as client:
            ask(client, SAID)
    with hosts[0].client(user) as client, redis_at.client() as redis:
        remembered(client, FOUND["text"], "fact")
        eventually(lambda: redis.zcard(f"{PREFIX}reading:over") == 5)
        assert len(calls(reader)) == 1
        client.delete("/v1/memories").raise_for_status()
        assert (waiting(redis_at), redis.zcard(f"{PREFIX}reading:over")) == (0, 0)


def test_what_is_erased_at_one_host_while_the_other_asks_stays_erased(
    hosts: Hosts, reader: FakeModel, redis_at: RedisServer, user: str
) -> None:
    """The texts that wait are gone at once, and the answer that comes later is not taken."""
    refused = 'rememberd_extractions_total{outcome="erased"}'
    before = metric(hosts, refused)
    reader.default = Behaviour(said(FOUND), delay_first=1.0)
    with hosts[0].client(user) as here, hosts[1].client(user) as there:
        ask(here, SAID)
        eventually(lambda: calls(reader))
        here.headers["X-Conversation-Id"] = "another"
        ask(here, SAID)
        remembered(there, SAID)
        there.delete("/v1/memories").raise_for_status()
        assert not lies_in(redis_at, b"bassoon")
        eventually(lambda: metric(hosts, refused) == before + 1)
        ask(here, "I live in Narvik.")
        remembered(there, "I live in Narvik.", "fact")
        assert facts(there) == ["I live in Narvik."]
        assert not lies_in(redis_at, b"bassoon")


def lies_in(server: RedisServer, word: bytes) -> bool:
    """What a chat keeps for the next step of its tool loop is not looked at here."""
    with server.client() as client:
        hashes = [key for pattern in ("turn:*", "reading:*") for key in client.scan_iter(f"{PREFIX}{pattern}")]
        return any(word in b"".join(client.hvals(key)) for key in hashes if client.type(key) == b"hash")


@pytest.mark.slow
def test_a_writer_that_is_killed_while_the_model_thinks_is_replaced(
    hosts: Hosts, reader: FakeModel, redis_at: RedisServer, user: str
) -> None:
    """By the other one, half a minute later: nothing is lost or doubled."""
    reader.default = Behaviour(said(FOUND), delay_first=20.0)
    with hosts[0].client(user) as client:
        ask(client, SAID)
        (call,) = eventually(lambda: calls(reader))
        reader.default = Behaviour(said(FOUND))
        kill_who_asked(hosts, call)
        eventually(lambda: facts(client), 90)
        eventually(lambda: waiting(redis_at) == 0)
        assert facts(client) == [FOUND["text"]]
        assert len(memories(client)) == 2
        assert len(calls(reader)) == 2


def kill_who_asked(hosts: Hosts, call: Recorded) -> None:
    for host in hosts:
        if call.gone_at is None:
            host.kill("writer", signal.SIGKILL)
            with_patience(call)
    assert call.gone_at is not None


def with_patience(call: Recorded) -> None:
    """A second for the server to notice."""
    try:
        eventually(lambda: call.gone_at is not None, 1)
    except AssertionError:
        return  # it was the other host's
