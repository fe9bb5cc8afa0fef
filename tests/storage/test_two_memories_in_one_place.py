"""The embedded store knows a point by half of its id. Where two meet, neither person sees or touches the other's.

`ANNS` and `BOBS` were searched for (five billion hashes): really two memories with one place."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from rememberd.cli.migrate import migrate
from rememberd.errors import InputRejected
from rememberd.ports import MemoryStore
from rememberd.settings.schema import Memory, Settings, Store
from rememberd.storage.edge.client import EdgeClient
from rememberd.storage.edge.server import serving
from rememberd.storage.edge.store import EdgeStore
from rememberd.storage.migrate import Stored
from rememberd.storage.payload import living, point_id
from rememberd.types import Space
from tests.storage.test_migrate_moves_everything import DIM as PACKAGED_DIM
from tests.storage.test_migrate_moves_everything import Packaged
from tests.support.qdrant_double import QdrantDouble, server_store
from tests.support.store_contract import ANN, EAST, NOW, erase_everybody, listed, point, recallable, words

BOB = Space("bob")
ANNS, BOBS = "7aed6a99-0000-4000-8000-ff264a870000", "d050a939-0000-4000-8000-2aa049560000"


@pytest.fixture(params=["in process", "socket"])
async def store(request: pytest.FixtureRequest, edge: EdgeStore, tmp_path: Path) -> AsyncIterator[MemoryStore]:
    if request.param == "in process":
        yield edge
        await erase_everybody(edge)
        return
    async with serving(edge, tmp_path / "s"):
        client = EdgeClient(tmp_path / "s")
        yield client
        await erase_everybody(client)
        await client.close()


def test_they_do_meet() -> None:
    """In their first 64 bits, and not in the rest."""
    anns, bobs = point_id(ANN, ANNS), point_id(BOB, BOBS)
    assert anns.int >> 64 == bobs.int >> 64
    assert anns != bobs


async def refused(store: MemoryStore, space: Space, *ids: str) -> None:
    with pytest.raises(InputRejected, match="say it in other words") as told:
        await store.put(space, [point(each, updated_at=NOW + 9) for each in ids])
    assert told.value.code == "place_taken"


async def test_the_later_one_is_refused_and_sees_nothing(store: MemoryStore, edge: EdgeStore) -> None:
    """By no method, and what stood beside it in the call is not stored; the first one is as it was."""
    await store.put(ANN, [point(ANNS, "Ann's secret", pinned=True)])
    await refused(store, BOB, "another", BOBS)
    assert await store.get(BOB, [BOBS, "another"]) == []
    assert await store.deleted_at(BOB, [BOBS]) == {}
    assert await recallable(store, BOB) == set()
    assert await listed(store, BOB, include_past=True) == []
    assert await store.delete(BOB, [BOBS], at=NOW) == []
    assert await edge.take([point_id(BOB, BOBS)]) == []
    assert [each.payload["id"] for each in await edge.take([point_id(ANN, ANNS)])] == [ANNS]
    assert await store.erase("bob") == 0
    assert [memory.text for memory in await store.get(ANN, [ANNS])] == ["Ann's secret"]
    assert await recallable(store, ANN) == {ANNS}
    assert await store.spaces() == [ANN]


async def test_a_grave_is_a_place_too(store: MemoryStore) -> None:
    """Its owner alone knows of it and may dig there; once the owner is erased the place is free."""
    await store.put(ANN, [point(ANNS)])
    await store.delete(ANN, [ANNS], at=NOW)
    await refused(store, BOB, BOBS)
    assert await store.deleted_at(BOB, [BOBS]) == {}
    assert await store.deleted_at(ANN, [ANNS]) == {ANNS: NOW}
    await store.put(ANN, [point(ANNS, updated_at=NOW + 1)])
    assert await recallable(store, ANN) == {ANNS}
    await store.erase("ann")
    await store.put(BOB, [point(BOBS, "Bob's")])
    assert await store.get(ANN, [ANNS]) == []
    assert await recallable(store, ANN) == set()
    (found,) = await store.search(BOB, EAST, words("tea"), now=NOW)
    assert found.id == BOBS
    assert [memory.text for memory in await store.get(BOB, [BOBS])] == ["Bob's"]
    await refused(store, ANN, ANNS)


async def test_what_is_moved_into_the_place_is_what_is_found_there(store: MemoryStore, edge: EdgeStore) -> None:
    """`load` asks nobody; afterwards the rows that searches keep are those of the new one, or of its grave."""
    await store.put(ANN, [point(ANNS, "likes tea")])
    assert await recallable(store, ANN) == {ANNS}
    (anns,) = await edge.scan(None, 10)
    bobs = Stored(point_id(BOB, BOBS), living(BOB, point(BOBS, "likes tea", speaker="Bob")), anns.dense, anns.sparse)
    await edge.load([bobs])
    assert await recallable(store, ANN) == set()
    (found,) = await store.search(BOB, EAST, words("tea"), now=NOW)
    assert (found.id, found.speaker) == (BOBS, "Bob")
    assert await edge.take([anns.id]) == []
    assert [each.id for each in await edge.scan(None, 10)] == [bobs.id]
    await store.delete(BOB, [BOBS], at=NOW)
    assert await recallable(store, BOB) == set()
    assert await store.deleted_at(ANN, [ANNS]) == {}


async def test_a_move_that_would_lose_one_of_them_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A server has room for both. Moved into a folder one of them is missing, which is told; nothing of the server's
    is touched."""
    settings = Settings(data_dir=str(tmp_path), memory=Memory(store=Store()))
    async with QdrantDouble() as qdrant:
        server = server_store(Store(qdrant.url), Packaged())
        dense = [1.0] + [0.0] * (PACKAGED_DIM - 1)
        await server.put(ANN, [point(ANNS, "Ann's", dense), *(point(f"m{n}", "likes tea", dense) for n in range(9))])
        await server.put(BOB, [point(BOBS, "Bob's", dense)])
        assert await migrate(settings, qdrant.url, str(tmp_path / "qdrant")) == 1
        assert "is not the same in both" in capsys.readouterr().err
        for space, id_, text in ((ANN, ANNS, "Ann's"), (BOB, BOBS, "Bob's")):
            assert [memory.text for memory in await server.get(space, [id_])] == [text]
        await server.close()


async def test_both_ends_of_the_range_are_places(store: MemoryStore, edge: EdgeStore) -> None:
    """The first and the last of all are stored, listed and scanned once, and behind the last one is nothing."""
    first, last = UUID(int=0), UUID(int=2**128 - 1)
    await store.put(ANN, [point(f"m{n}") for n in range(40)])
    between = [each.id for each in await edge.scan(None, 100)]
    sparse = words("tea")
    for at, id_ in ((first, "first"), (last, "last")):
        payload = living(ANN, point(id_)) | {"order": living(ANN, point("m0"))["order"]}  # all in one group of equals
        await edge.load([Stored(at, payload, EAST, sparse)])
    assert len(between) == 40
    assert between == sorted(between)
    assert [each.payload["id"] for each in await edge.scan(None, 1)] == ["first"]
    assert [each.id for each in await edge.scan(first, 40)] == between
    assert [each.payload["id"] for each in await edge.scan(between[-1], 5)] == ["last"]
    assert await edge.scan(last, 5) == []
    assert await recallable(store, ANN) == {"first", "last", *(f"m{n}" for n in range(40))}
    for limit in (1, 2, 41, 42, 100):
        shown = await listed(store, ANN, limit=limit)
        assert sorted(shown) == sorted({"first", "last", *(f"m{n}" for n in range(40))})
