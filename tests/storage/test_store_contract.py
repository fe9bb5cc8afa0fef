"""The embedded store keeps the store's promises, in process and through its socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from qdrant_edge import QueryRequest

from rememberd.ports import MemoryStore
from rememberd.storage.edge.client import EdgeClient
from rememberd.storage.edge.points import engine_id
from rememberd.storage.edge.server import serving
from rememberd.storage.edge.store import AHEAD, DROPPED_SINGLY, EdgeStore
from rememberd.storage.payload import point_id
from rememberd.storage.row_cache import RowCache, RowRefs
from rememberd.types import Space
from tests.support.store_contract import ANN, DIM, EAST, NOW, StoreContract, erase_everybody, point, words


class Counted(EdgeStore):
    queries = 0

    def _placed(self, wanted: list[QueryRequest]) -> list[RowRefs]:
        self.queries += len(wanted)
        return super()._placed(wanted)


@pytest.fixture
async def counted(tmp_path: Path) -> AsyncIterator[Counted]:
    store = Counted.open(tmp_path / "counted", dim=DIM, embedder="test")
    assert isinstance(store, Counted)
    yield store
    await store.close()


class TestInProcess(StoreContract):
    @pytest.fixture
    async def store(self, edge: EdgeStore) -> AsyncIterator[MemoryStore]:
        yield edge
        await erase_everybody(edge)


class TestThroughTheSocket(StoreContract):
    @pytest.fixture
    async def store(self, edge: EdgeStore, tmp_path: Path) -> AsyncIterator[MemoryStore]:
        async with serving(edge, tmp_path / "s"):
            client = EdgeClient(tmp_path / "s")
            yield client
            await erase_everybody(client)
            await client.close()


async def test_what_was_looked_up_ahead_is_not_looked_up_again(counted: Counted) -> None:
    """While a question is embedded the store finds its words; then it searches by meaning only. Once: a hint is used
    up, and one for other words, another moment or another space is no use."""
    await counted.put(ANN, [point("a")])
    await counted.prefetch(ANN, words("tea"), now=NOW)
    assert counted.queries == 3
    await counted.search(ANN, EAST, words("tea"), now=NOW)
    assert counted.queries == 5
    await counted.search(ANN, EAST, words("tea"), now=NOW)
    assert counted.queries == 10
    await counted.prefetch(ANN, words("tea"), now=NOW)
    for space, text, now in ((ANN, "milk", NOW), (ANN, "tea", NOW + 1), (Space("bob"), "tea", NOW)):
        before = counted.queries
        await counted.search(space, EAST, words(text), now=now)
        assert counted.queries == before + 5


async def test_hints_that_nobody_comes_back_for_are_bounded(counted: Counted) -> None:
    """The oldest go first: a client that left before its question was embedded leaves a hint behind."""
    await counted.put(ANN, [point("a")])
    for at in range(AHEAD + 1):
        await counted.prefetch(ANN, words("tea"), now=NOW + at)
    before = counted.queries
    await counted.search(ANN, EAST, words("tea"), now=NOW + AHEAD)
    assert counted.queries == before + 2
    await counted.search(ANN, EAST, words("tea"), now=NOW)
    assert counted.queries == before + 7


async def test_a_hint_outlives_no_row_that_it_needs(counted: Counted) -> None:
    """Rows give way to others when there are too many of them; what was placed among them before is not used."""
    counted._rows = RowCache(3)
    await counted.put(ANN, [point(each) for each in "abc"])
    await counted.put(Space("bob"), [point(each, "likes tea in secret") for each in "xyz"])
    expected = list(await counted.search(ANN, EAST, words("tea"), now=NOW))
    await counted.prefetch(ANN, words("tea"), now=NOW)
    await counted.search(Space("bob"), EAST, words("tea"), now=NOW)
    assert list(await counted.search(ANN, EAST, words("tea"), now=NOW)) == expected


@pytest.mark.parametrize("singly", [0, DROPPED_SINGLY])
async def test_who_is_erased_costs_nobody_else_what_is_kept_of_them(counted: Counted, singly: int) -> None:
    """Rows and memories of others stay in the process, unless there were too many to be dropped one by one; of the
    user nothing stays, tombstones included."""
    counted.dropped_singly = singly
    bob = Space("bob")
    for space in (ANN, Space("ann", "work"), bob):
        await counted.put(space, [point(each) for each in "abcd"])
        await counted.delete(space, ["d"], at=NOW)
        await counted.get(space, ["a", "b"])
    known = {space: list(await counted.search(space, EAST, words("tea"), now=NOW)) for space in (ANN, bob)}
    assert len(known[ANN]) == len(known[bob]) == 3
    assert await counted.erase("ann") == 6
    places = [engine_id(point_id(bob, each)) for each in "abc"]
    assert counted._rows.missing(places) == ([] if singly else places)
    assert not await counted.get(ANN, ["a"])
    assert not list(await counted.search(ANN, EAST, words("tea"), now=NOW))
    assert list(await counted.search(bob, EAST, words("tea"), now=NOW)) == known[bob]
    assert await counted.spaces() == await counted.spaces("bob") == [bob]
    assert await counted.spaces("ann") == []
