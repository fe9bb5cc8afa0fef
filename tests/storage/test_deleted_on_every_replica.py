"""What was deleted is not shown, whatever a replica that was away still has, and whatever the server does."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rememberd.errors import StoreUnavailable
from rememberd.memory.ids import fact_id
from rememberd.memory.learn.reconcile import merge
from rememberd.settings.schema import Store
from rememberd.storage.changes import NEWEST, Change, ChangeLog, Removal
from rememberd.storage.payload import point_id
from rememberd.storage.qdrant import put_batches, removals
from rememberd.storage.qdrant.store import QdrantStore
from rememberd.storage.redis.changes import RedisChangeLog
from rememberd.storage.redis.client import RedisClient
from rememberd.storage.sqlite.changes import SqliteChangeLog
from rememberd.storage.sqlite.database import Database
from rememberd.types import Memory, Space
from tests.support.change_log import LocalChangeLog
from tests.support.fakes import EmbedderFake
from tests.support.qdrant_double import Faults, QdrantDouble, server_store
from tests.support.store_contract import ANN, DIM, EAST, NOW, listed, point, recallable, words

EVERYTHING = [f"m{i}" for i in range(6)]


class Four(EmbedderFake):
    name, dim = "org/four", DIM


def on(cluster: QdrantDouble, changes: ChangeLog) -> QdrantStore:
    """A store that leaves no node out because a busy machine is slow."""
    store = server_store(Store(cluster.url), Four(), changes=changes)
    store.connection.search_patience_s = 1.0
    return store


@pytest.fixture
async def cluster() -> AsyncIterator[QdrantDouble]:
    async with QdrantDouble(nodes=2) as double:
        yield double


@pytest.fixture(params=["sqlite", "redis"])
def make_log(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], ChangeLog]:
    """What each process opens for itself."""
    if request.param == "sqlite":
        return lambda: SqliteChangeLog(Database(tmp_path / "changes.db"))
    url: str = request.getfixturevalue("redis_url")
    return lambda: RedisChangeLog(RedisClient(url, soon_ms=2000))


@asynccontextmanager
async def two_processes(
    cluster: QdrantDouble, make_log: Callable[[], ChangeLog]
) -> AsyncIterator[tuple[QdrantStore, QdrantStore]]:
    """Each with a store of its own, after six memories were put and read by both."""
    one, other = (on(cluster, make_log()) for _ in range(2))
    await one.put(ANN, [point(id_) for id_ in EVERYTHING])
    for store in (one, other):
        await recallable(store, ANN)
        await store.get(ANN, EVERYTHING)
    try:
        yield one, other
    finally:
        await one.close()
        await other.close()


def past(memory: Memory) -> Memory:
    return replace(memory, valid_to=NOW - 1, updated_at=NOW + 1)


async def shown(store: QdrantStore) -> set[str]:
    """All ids that any way of reading shows, asked of both nodes."""
    seen: set[str] = set()
    for _ in range(4):
        seen |= await recallable(store, ANN)
        seen |= {memory.id for memory in await store.get(ANN, EVERYTHING)}
        seen |= set(await listed(store, ANN, limit=2, include_past=True))
    return seen


async def test_a_replica_that_lags_shows_nothing_deleted(
    cluster: QdrantDouble, make_log: Callable[[], ChangeLog]
) -> None:
    """No process shows it: not in a search, by id, in a listing, or in a count."""
    async with two_processes(cluster, make_log) as (one, other):
        cluster.nodes[1].lags = True
        assert await one.delete(ANN, ["m1", "m3"], at=NOW + 1) == ["m1", "m3"]
        for store in (one, other):
            assert await shown(store) == {"m0", "m2", "m4", "m5"}
            for _ in range(4):
                assert await store.count(ANN, now=NOW) == 4
                assert await store.deleted_at(ANN, ["m1", "m2"]) == {"m1": NOW + 1}


async def test_a_replica_that_lags_shows_nothing_erased(
    cluster: QdrantDouble, make_log: Callable[[], ChangeLog]
) -> None:
    """What the person says again afterwards is there."""
    async with two_processes(cluster, make_log) as (one, other):
        cluster.nodes[1].lags = True
        assert await one.erase("ann") == 6
        assert await shown(one) == await shown(other) == set()
        await other.put(ANN, [point("m1", "likes milk")])
        await cluster.catch_up()
        for store in (one, other):
            assert await shown(store) == {"m1"}
            assert [memory.text for memory in await store.get(ANN, ["m1"])] == ["likes milk"]


@pytest.mark.parametrize("private", [False, True])
async def test_a_replica_that_lags_shows_nothing_that_was_deleted_during_a_write(
    cluster: QdrantDouble, make_log: Callable[[], ChangeLog], monkeypatch: pytest.MonkeyPatch, private: bool
) -> None:
    """A writer that learns a turn once more, or a change of it, has looked before the deletion and tells all
    processes of its write after it: the deletion counts."""
    async with two_processes(cluster, make_log) as (one, other):
        cluster.nodes[1].lags = True
        write = other.write

        async def after_a_deletion(*points: Any, **options: Any) -> None:
            await one.delete(ANN, ["m1", "m3"], at=NOW + 1)
            await write(*points, **options)

        with monkeypatch.context() as patched:
            patched.setattr(other, "write", after_a_deletion)
            await other.put(ANN, [point("m1", private=private), point("m2")])
        for store in (one, other):
            assert await shown(store) == {"m0", "m2", "m4", "m5"}


async def test_what_is_told_again_is_kept_whichever_node_is_asked(
    cluster: QdrantDouble, make_log: Callable[[], ChangeLog]
) -> None:
    """A node that lags does not know that there is a tombstone to be replaced."""
    async with two_processes(cluster, make_log) as (one, other):
        cluster.nodes[1].lags = True
        await one.delete(ANN, EVERYTHING, at=NOW + 1)
        for number, id_ in enumerate(EVERYTHING):
            writer = on(cluster, make_log())
            writer.connection.nodes._next = number  # whose turn it is
            await writer.put(ANN, [point(id_, "likes milk", updated_at=NOW + 2)])
            await writer.close()
        await cluster.catch_up()
        for store in (one, other):
            assert await shown(store) == set(EVERYTHING)


async def test_a_replica_that_lags_shows_no_older_text(
    cluster: QdrantDouble, make_log: Callable[[], ChangeLog]
) -> None:
    """Nor does it show a memory that was marked private since, although the mark changes no time."""
    async with two_processes(cluster, make_log) as (one, other):
        cluster.nodes[1].lags = True
        await one.put(ANN, [point("m1", "likes milk", updated_at=NOW + 1)])
        await one.put(ANN, [point("m2", private=True)])
        for store in (one, other):
            for _ in range(4):
                known = {memory.id: memory for memory in await store.get(ANN, ["m1", "m2"])}
                assert known["m1"].text == "likes milk"
                assert known["m2"].private
                page, _ = await store.page(ANN, limit=10, now=NOW)
                assert [each.text for each in page if each.id == "m1"] == ["likes milk"]
                assert [each.private for each in page if each.id == "m2"] == [True]


async def test_a_replica_that_lags_hides_nothing_new(
    cluster: QdrantDouble, make_log: Callable[[], ChangeLog]
) -> None:
    """In no process and in no way of reading: else a writer would let the old home hold beside the new one."""
    async with two_processes(cluster, make_log) as (one, other):
        await one.put(ANN, [point("m0", slot="home")])
        cluster.nodes[1].lags = True
        await one.put(ANN, [replace(point("m0", slot="home"), memory=past(point("m0", slot="home").memory))])
        await one.put(ANN, [point("new", "moved", slot="home")])
        for store in (one, other):
            for _ in range(4):
                home, _ = await store.page(ANN, limit=10, now=NOW, slot="home")
                assert [each.id for each in home] == ["new"]
                assert await recallable(store, ANN) == {*EVERYTHING[1:], "new"}
                assert [each.id for each in await store.get(ANN, ["new"])] == ["new"]
                assert await store.count(ANN, now=NOW) == 6
                store._forget(str(point_id(ANN, "new")))


async def test_a_replica_that_lags_hides_nothing_new_when_what_came_after_it_is_deleted(
    cluster: QdrantDouble, make_log: Callable[[], ChangeLog]
) -> None:
    """However many writes were deleted: a node with everything has their tombstones."""
    async with two_processes(cluster, make_log) as (one, other):
        cluster.nodes[1].lags = True
        await one.put(ANN, [point("new")])
        later = [f"later{number}" for number in range(NEWEST)]
        await one.put(ANN, [point(id_) for id_ in later])
        await one.delete(ANN, later, at=NOW + 1)
        for store in (one, other):
            for _ in range(4):
                assert await recallable(store, ANN) == {*EVERYTHING, "new"}
                assert await store.count(ANN, now=NOW) == 7
                store._forget(str(point_id(ANN, "new")))


async def test_two_writers_leave_one_home_although_a_replica_lags(
    cluster: QdrantDouble, make_log: Callable[[], ChangeLog]
) -> None:
    """Whichever of them learns it, and whichever node it asks for the home that there was."""
    async with two_processes(cluster, make_log) as writers:
        cluster.nodes[1].lags = True
        for number, city in enumerate(["Oslo", "Rome", "Ghent", "Bern", "Turin", "Porto"]):
            text, at = f"I moved to {city}.", NOW + 1000 * number
            home = Memory(fact_id(ANN, text), text, "fact", at, at, at, slot="home")
            await merge(writers[number % 2], Four(), ANN, [home], at)
        for store in writers:
            current, _ = await store.page(ANN, limit=10, now=NOW + 10_000, slot="home")
            assert [memory.text for memory in current] == ["I moved to Porto."]


async def test_a_write_that_no_node_has_stops_no_reading(cluster: QdrantDouble) -> None:
    """As after a snapshot of yesterday was restored everywhere."""
    log = LocalChangeLog()
    store = on(cluster, log)
    await store.put(ANN, [point(id_) for id_ in EVERYTHING])
    await log.record(f"{store.collection()} ann", [], written={str(point_id(ANN, "lost")): 2**52})
    assert await shown(store) == set(EVERYTHING)
    assert await store.count(ANN, now=NOW) == 6
    await store.close()


async def test_an_import_leaves_only_its_last_writes_in_the_log(make_log: Callable[[], ChangeLog]) -> None:
    """And the oldest place of a user's log is no longer for it."""
    log = make_log()
    await log.record("ann", [], written={f"p{n}": n for n in range(1000)})
    await log.record("ann", [], written={"p3": 2000})
    news = await log.since("ann", "")
    assert news.changes == []
    assert len(news.written) <= NEWEST
    assert (news.written["p3"], news.written["p999"]) == (2000, 999)
    await log.close()


async def test_rows_that_another_process_rewrote_are_read_again(
    cluster: QdrantDouble, make_log: Callable[[], ChangeLog]
) -> None:
    """A search finds the new fields at once."""
    async with two_processes(cluster, make_log) as (one, other):
        await one.put(ANN, [point("m1", slot="home", updated_at=NOW + 1)])
        found = await other.search(ANN, EAST, words("tea"), now=NOW)
        assert {each.id: each.slot for each in found}["m1"] == "home"


@pytest.mark.parametrize(
    "fault", [Faults(delay=30, paths="PUT"), Faults(status=503, paths="PUT")], ids=["hangs", "503"]
)
async def test_a_deletion_is_in_force_while_the_server_cannot_make_it(
    cluster: QdrantDouble, make_log: Callable[[], ChangeLog], fault: Faults
) -> None:
    """At once, for all processes; whoever lives then carries it out. A later memory of the same id stays."""
    async with two_processes(cluster, make_log) as (one, other):
        cluster.faults = fault
        async with asyncio.timeout(8):
            assert await one.delete(ANN, ["m1", "m2"], at=NOW + 1) == ["m1", "m2"]
        assert await shown(one) == await shown(other) == {"m0", "m3", "m4", "m5"}
        await one.close()  # as if it had been killed: it does nothing more
        cluster.faults = Faults()
        await other.put(ANN, [point("m2", "told again", updated_at=NOW + 2)])
        await other.removals.carry_out()
        assert not await other._changes.shared.waiting()
        stranger = on(cluster, LocalChangeLog())  # who knows of no deletion
        assert set(await listed(stranger, ANN)) == {"m0", "m2", "m3", "m4", "m5"}
        assert await stranger.deleted_at(ANN, ["m1"]) == {"m1": NOW + 1}
        await stranger.close()


async def test_an_erasure_is_in_force_while_the_server_cannot_make_it(
    cluster: QdrantDouble, make_log: Callable[[], ChangeLog]
) -> None:
    """It takes nothing that was told after it, although the server makes it later."""
    async with two_processes(cluster, make_log) as (one, other):
        cluster.faults = Faults(status=503, paths="points/(scroll|delete)|PUT")
        assert await one.erase("ann") == 6
        cluster.faults = Faults(status=503, paths="points/(count|delete)|PUT")
        assert await shown(one) == await shown(other) == set()
        assert await other.count(ANN, now=NOW) == 0
        with pytest.raises(StoreUnavailable):
            await other.put(ANN, [point("new")])
        cluster.faults = Faults()
        later = replace(point("new"), memory=replace(point("new").memory, updated_at=2 * NOW))
        await other.put(ANN, [later])
        await other.removals.carry_out()
        stranger = on(cluster, LocalChangeLog())
        assert await listed(stranger, ANN) == ["new"]
        await stranger.close()
        assert await recallable(one, ANN) == {"new"}


LATE = Faults(delay=1.5, paths="PUT .*/points$|POST .*/points/delete")


async def late(cluster: QdrantDouble, work: Awaitable[Any]) -> None:
    """Make `work` while every node hangs, and give it up; the nodes make it late, when `arrived` says so."""
    cluster.faults, before = LATE, len(cluster.requests)
    doing = asyncio.ensure_future(work)
    async with asyncio.timeout(30):
        while not any(re.search(LATE.paths, what) for what, _ in cluster.requests[before:]):
            await asyncio.sleep(0.01)
    doing.cancel()
    await asyncio.gather(doing, return_exceptions=True)
    cluster.faults = Faults()


async def arrived(cluster: QdrantDouble) -> None:
    async with asyncio.timeout(30):
        while cluster.under_way:
            await asyncio.sleep(0.02)


async def test_a_write_that_is_made_late_undoes_nothing(cluster: QdrantDouble) -> None:
    """Neither a newer edit, nor a change of privacy, nor a deletion, nor what was told again after one. `stranger` is
    a process that knows of no changes: it shows what really lies there."""
    store = on(cluster, LocalChangeLog())
    await store.put(ANN, [point(id_) for id_ in EVERYTHING])
    await store.delete(ANN, ["m3"], at=NOW + 1)
    older: list[Callable[[], Awaitable[Any]]] = [
        lambda: store.put(ANN, [point("m0", "an old text", updated_at=NOW + 1)]),
        lambda: store.put(ANN, [point("m1")]),
        lambda: store.put(ANN, [point("m2", "an old text", updated_at=NOW + 1)]),
        lambda: store.put(ANN, [point("m3", "told again", updated_at=NOW + 2)]),
        lambda: store.removals.delete(Removal("", *ANN, ["m4"], NOW + 1)),
    ]
    for work in older:
        await late(cluster, work())
    await store._batches.close()
    await store.put(ANN, [point("m0", "the new text", updated_at=NOW + 3), point("m1", private=True)])
    await store.delete(ANN, ["m2", "m3"], at=NOW + 3)
    await store.put(ANN, [point("m4", "told again", updated_at=NOW + 3)])
    await arrived(cluster)
    stranger = on(cluster, LocalChangeLog())
    found = {memory.id: memory for memory in await stranger.get(ANN, EVERYTHING)}
    assert {id_: memory.text for id_, memory in found.items()} == {
        "m0": "the new text", "m1": point("m1").memory.text, "m4": "told again", "m5": point("m5").memory.text
    }  # fmt: skip
    assert found["m1"].private
    await store.close()
    await stranger.close()


async def test_an_erasure_that_is_made_late_takes_nothing_told_since(cluster: QdrantDouble) -> None:
    """The new memory stays, although it has the same id."""
    store = on(cluster, LocalChangeLog())
    await store.put(ANN, [point("m0"), point("m1")])
    await late(cluster, store.erase("ann"))
    await store.put(ANN, [point("m0", "told again", updated_at=NOW + 1)])
    await arrived(cluster)
    stranger = on(cluster, LocalChangeLog())
    assert "told again" in [memory.text for memory in await stranger.get(ANN, EVERYTHING)]
    await store.close()
    await stranger.close()


async def test_a_write_that_is_made_late_comes_not_back_after_an_erasure(
    cluster: QdrantDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No process shows it, and a writer deletes it; what was told since stays, also by a host whose clock is late."""
    log = LocalChangeLog()
    store, other = (on(cluster, log) for _ in range(2))
    await store.put(ANN, [point("m0")])
    await late(cluster, store.put(ANN, [point("m1"), point("m2")]))
    await store._batches.close()
    assert await store.erase("ann") == 1
    monkeypatch.setattr(put_batches, "now_us", lambda: 0)
    await other.put(ANN, [point("m3", "told again")])
    await arrived(cluster)
    strangers = [on(cluster, LocalChangeLog()) for _ in range(2)]
    assert await shown(strangers[0]) == {"m1", "m2", "m3"}, "the nodes have written it late"
    for process in (store, other):
        assert await shown(process) == {"m3"}
        assert await process.count(ANN, now=NOW) == 1
    other.removals.latest_ms = 0
    await other.removals.carry_out()
    assert await shown(strangers[1]) == {"m3"}
    assert await log.waiting() == {}
    for each in (store, other, *strangers):
        await each.close()


async def test_a_put_that_was_given_up_replaces_nothing_written_since(cluster: QdrantDouble) -> None:
    """It may wait for long behind another one, while the next write goes through another process."""
    log = LocalChangeLog()
    store, other = (on(cluster, log) for _ in range(2))
    await store.put(ANN, [point("m0")])
    cluster.faults = Faults(delay=0.5, paths="POST .*/points$")
    behind = asyncio.create_task(store.put(ANN, [point("m5")]))
    await asyncio.sleep(0.1)
    given_up = asyncio.create_task(store.put(ANN, [point("m0", "an old text", updated_at=NOW + 1)]))
    await asyncio.sleep(0.1)
    given_up.cancel()
    cluster.faults = Faults()
    await other.put(ANN, [point("m0", "the new text", updated_at=NOW + 2)])
    await behind
    await store.put(ANN, [point("m6")])
    assert [memory.text for memory in await store.get(ANN, ["m0"])] == ["the new text"]
    await store.close()
    await other.close()


async def test_an_erasure_takes_what_a_replica_that_lags_does_not_list(cluster: QdrantDouble) -> None:
    """The newest memories, which only one of the nodes has heard of."""
    store = on(cluster, LocalChangeLog())
    await store.put(ANN, [point("m0")])
    for id_ in EVERYTHING[1:]:
        cluster.nodes[1].lags = True
        await store.put(ANN, [point(id_)])
    in_step, behind = store.connection.nodes.all
    in_step.left_out, behind.left_out = True, False  # so that the one that is behind is asked for the pages
    await store.erase("ann")
    await cluster.catch_up()
    stranger = on(cluster, LocalChangeLog())
    assert await stranger.get(ANN, EVERYTHING) == []
    await store.close()
    await stranger.close()


async def test_a_clock_that_is_set_back_loses_no_write(
    cluster: QdrantDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stamp of a write is above that of what it replaces, and a deletion's too."""
    store = on(cluster, LocalChangeLog())
    await store.put(ANN, [point("m0"), point("m1")])
    for module in (put_batches, removals):
        monkeypatch.setattr(module, "now_us", lambda: 0)
    await store.put(ANN, [point("m0", "the new text", updated_at=NOW + 1)])
    await store.delete(ANN, ["m1"], at=NOW + 1)
    stranger = on(cluster, LocalChangeLog())
    assert [memory.text for memory in await stranger.get(ANN, ["m0", "m1"])] == ["the new text"]
    await store.close()
    await stranger.close()


async def test_without_the_log_a_deletion_is_made_at_once_or_fails(cluster: QdrantDouble, tmp_path: Path) -> None:
    """A log that is away stops no deletion; a deletion that is recorded nowhere is not called done."""
    async with two_processes(cluster, lambda: SqliteChangeLog(Database(tmp_path / "no" / "changes.db"))) as (one, _):
        one._changes.shared = SqliteChangeLog(Database(Path("/dev/null/changes.db")))
        assert await one.delete(ANN, ["m1"], at=NOW + 1) == ["m1"]
        assert await shown(one) == {"m0", "m2", "m3", "m4", "m5"}
        cluster.faults = Faults(status=503, paths="PUT")
        with pytest.raises(StoreUnavailable, match="nothing was deleted"):
            await one.delete(ANN, ["m2"], at=NOW + 1)


async def test_the_log_keeps_what_was_recorded(make_log: Callable[[], ChangeLog]) -> None:
    """Each user's changes in their order, from any place on; removals until they are finished, for another process
    too."""
    log, other = make_log(), make_log()
    changes = [Change(f"p{i}", "deleted", NOW + i) for i in range(5)]
    for change in changes:
        await log.record("ann", [change])
    await log.record('b"o\n:b', [Change("x", "written", NOW, "d")])
    removal = Removal("c", "ann", "work", ["a", "b"], NOW)
    name = await log.record("ann", [], removal)
    place, found, _ = await other.since("ann", "")
    assert found == changes
    assert (await other.since("ann", place)).changes == []
    await other.record("ann", [Change("p9", "erased", NOW)])
    assert (await log.since("ann", place)).changes == [Change("p9", "erased", NOW)]
    assert (await log.since('b"o\n:b', "")).changes == [Change("x", "written", NOW, "d")]
    assert [each._replace(ids=list(each.ids)) for each in (await other.waiting()).values()] == [removal]
    await other.finished(name)
    assert await log.waiting() == {}
    await log.close()
    await other.close()


def test_a_space_of_a_removal_is_its_users() -> None:
    assert Removal("c", "ann", "work", ["a"], NOW).space == Space("ann", "work")
