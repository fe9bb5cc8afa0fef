"""A cluster has several addresses: a call goes on to the next within its time, and requests spread over them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from rememberd.errors import ConfigError, StoreUnavailable
from rememberd.settings.schema import Store, load
from rememberd.storage.qdrant import connection
from rememberd.storage.qdrant.store import QdrantStore
from tests.support.fakes import EmbedderFake
from tests.support.qdrant_double import Faults, QdrantDouble, server_store
from tests.support.store_contract import ANN, DIM, NOW, listed, point, recallable


class Four(EmbedderFake):
    name, dim = "org/four", DIM


@pytest.fixture
async def cluster() -> AsyncIterator[QdrantDouble]:
    async with QdrantDouble(nodes=3) as double:
        yield double


@pytest.fixture
async def store(cluster: QdrantDouble) -> AsyncIterator[QdrantStore]:
    """With patience for a busy machine."""
    store = server_store(Store(cluster.url), Four())
    store.connection.search_patience_s = 1.0
    for node in store.connection.nodes.all:
        node.settles_s = 0.2
    await store.put(ANN, [point("a")])
    yield store
    await store.close()


async def reached(cluster: QdrantDouble, store: QdrantStore, number: int) -> list[int]:
    """How many of so many searches each node had to answer."""
    before = [node.asked for node in cluster.nodes]
    for _ in range(number):
        assert "a" in await recallable(store, ANN)
    return [node.asked - then for node, then in zip(cluster.nodes, before, strict=True)]


async def test_requests_spread_over_the_addresses(cluster: QdrantDouble, store: QdrantStore) -> None:
    """Each node answers its share of the searches."""
    await reached(cluster, store, 1)
    assert all(asked >= 5 for asked in await reached(cluster, store, 30))


@pytest.mark.parametrize(
    "fault", [Faults(disconnect="before"), Faults(delay=60), Faults(status=503), Faults(disconnect="after")], ids=str
)
async def test_a_dead_or_hung_address_is_left_out_and_taken_back(
    cluster: QdrantDouble, store: QdrantStore, fault: Faults
) -> None:
    """No call fails, neither a search nor a write; and when it is well again, it is asked again."""
    ill = cluster.nodes[1]
    ill.faults = fault
    for number in range(6):
        assert "a" in await recallable(store, ANN)
        await store.put(ANN, [point(f"b{number}", "goes by train")])
        assert len(await listed(store, ANN)) == number + 2
    assert [node for node in store.connection.nodes.all if node.left_out]
    asked = ill.asked
    await reached(cluster, store, 6)
    assert ill.asked - asked <= 4, "only whether it is ready again"
    ill.faults = None
    async with asyncio.timeout(30):
        while any(node.left_out for node in store.connection.nodes.all):
            await recallable(store, ANN)
            await asyncio.sleep(0.05)
    asked = ill.asked
    async with asyncio.timeout(30):
        while ill.asked < asked + 3:
            await recallable(store, ANN)


async def test_a_hung_address_costs_one_deadline(cluster: QdrantDouble, store: QdrantStore) -> None:
    """Although the deadline of whoever reads is shorter than the patience of the read."""
    store.connection.search_patience_s = 60.0
    cluster.nodes[1].faults = Faults(delay=60)
    count = partial(store.count, ANN, now=NOW)
    missed = []
    for number in range(24):
        try:
            async with asyncio.timeout(2):
                await (count() if number % 2 else recallable(store, ANN))
        except TimeoutError:
            missed.append(number)
    assert len(missed) == 1


async def test_what_every_address_would_refuse_is_asked_of_one(cluster: QdrantDouble, store: QdrantStore) -> None:
    """A bad request is not repeated; the cluster is not ill."""
    cluster.refuse = '"id":"bad"'
    before = sum(node.asked for node in cluster.nodes)
    with pytest.raises(connection.Refused, match="refused by the test"):
        await store.put(ANN, [point("bad")])
    assert sum(node.asked for node in cluster.nodes) == before + 2  # the look for tombstones, and the write
    assert not any(node.left_out for node in store.connection.nodes.all)


async def test_all_addresses_away_is_an_error_in_time(cluster: QdrantDouble) -> None:
    """And all are asked again as soon as one of them answers."""
    store = server_store(Store(cluster.url), Four(), call_seconds=1.0)
    await store.put(ANN, [point("a")])
    cluster.faults = Faults(delay=60)
    async with asyncio.timeout(20):
        with pytest.raises(StoreUnavailable, match="no answer in time"):
            await store.ping()
    cluster.faults = Faults(disconnect="before")
    with pytest.raises(StoreUnavailable):
        await store.ping()
    cluster.faults = Faults()
    assert "a" in await recallable(store, ANN)
    await store.close()


async def test_a_collection_that_is_being_made_is_waited_for(cluster: QdrantDouble, store: QdrantStore) -> None:
    """A server then answers a read with status 500, which is no fault."""
    cluster.faults = Faults(status=500, message="Service internal error: 0 of 0 read operations failed")
    waiting = asyncio.create_task(store.page(ANN, limit=5, now=NOW))
    asked = sum(node.asked for node in cluster.nodes)
    async with asyncio.timeout(20):
        while sum(node.asked for node in cluster.nodes) < asked + 4:
            await asyncio.sleep(0.02)
    cluster.faults = Faults()
    assert [memory.id for memory in (await waiting)[0]] == ["a"]


@pytest.mark.parametrize(
    ("yaml", "environ"),
    [
        ('"http://a:6333, http://b:6333"', {}),
        ("[http://a:6333, http://b:6333]", {}),
        ("null", {"REMEMBERD_MEMORY_STORE_URL": "http://a:6333,http://b:6333"}),
        ("os.environ/NODES", {"NODES": "http://a:6333,http://b:6333"}),
    ],
)
def test_addresses_are_a_list_or_have_commas_between(tmp_path: Path, yaml: str, environ: dict[str, str]) -> None:
    """In the file and in the environment, where a text is taken literally."""
    file = tmp_path / "rememberd.yaml"
    file.write_text(f"memory:\n  store:\n    url: {yaml}\n")
    assert load(file, environ).memory.store.urls == ["http://a:6333", "http://b:6333"]


def test_a_list_that_is_none_of_addresses_is_refused(tmp_path: Path) -> None:
    """The error names the setting."""
    file = tmp_path / "rememberd.yaml"
    file.write_text("memory:\n  store:\n    url: [1, 2]\n")
    with pytest.raises(ConfigError, match=r"memory\.store\.url"):
        load(file, {})


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://qdrant", "qdrant:6333"),
        ("https://qdrant/", "qdrant:6333"),
        ("http://qdrant:80", "qdrant"),
        ("https://q.example:443/api", "q.example"),
    ],
)
def test_without_a_port_qdrants_own_is_meant(url: str, host: str) -> None:
    (node,) = connection.Connection([url]).nodes.all
    assert node.address.host == host


async def test_a_node_that_is_back_is_used_when_it_has_settled(cluster: QdrantDouble) -> None:
    """For some seconds it answers with what it had before it hung, so it is only asked whether it is ready."""
    store = server_store(Store(cluster.url), Four())
    store.connection.search_patience_s = 1.0
    await store.put(ANN, [point("a")])
    ill = cluster.nodes[1]
    ill.faults = Faults(disconnect="before")
    while not any(node.left_out for node in store.connection.nodes.all):
        await recallable(store, ANN)
    ill.faults = None
    async with asyncio.timeout(20):
        while not any(node.settling for node in store.connection.nodes.all):
            await recallable(store, ANN)
            await asyncio.sleep(0.05)
    asked = ill.asked
    await reached(cluster, store, 10)
    assert ill.asked == asked
    await store.close()


async def test_a_node_that_was_away_answers_no_listing_because_another_is_slow(cluster: QdrantDouble) -> None:
    """It may have an old state, on which a new fact would not replace the old one. The slow node is in step: it stays
    in use, and does not have to settle."""
    store = server_store(Store(cluster.url), Four())
    await store.put(ANN, [point("a")])
    up, *away = store.connection.nodes.all
    for node in away:
        node.leave_out()
        cluster.nodes[[each.url for each in cluster.nodes].index(node.where)].lags = True
    await store.put(ANN, [point("b")])
    slow = cluster.nodes[[each.url for each in cluster.nodes].index(up.where)]
    slow.faults = Faults(delay=0.5)
    asked = slow.asked
    answer = await store.connection.ask("GET", "/collections", patience=0.05)
    assert answer["collections"]
    assert slow.asked == asked + 1
    assert sorted(await listed(store, ANN)) == ["a", "b"]
    assert not up.left_out
    await store.close()


def test_a_slow_node_is_taken_back_at_once_and_one_that_was_away_later() -> None:
    """Only a node that was away may have old data."""
    (node,) = connection.Connection(["http://a"]).nodes.all
    node.leave_out(only_slow=True)
    node.is_ready()
    assert not node.left_out
    node.leave_out(only_slow=True)
    node.leave_out()
    node.is_ready()
    assert node.left_out
    assert node.settling
    node.is_ready()
    assert not node.left_out
