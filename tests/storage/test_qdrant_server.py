"""What a Qdrant server may do to us, and what we never do to it."""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from rememberd import __version__
from rememberd.cli.check import check
from rememberd.errors import ConfigError, StoreUnavailable
from rememberd.settings.schema import Memory, Queue, Settings, Store
from rememberd.storage.format_version import FORMAT
from rememberd.storage.qdrant import removals as qdrant_removals
from rememberd.storage.qdrant import store as qdrant_store
from rememberd.storage.qdrant.collection import aliases_of, create, point_alias
from rememberd.storage.qdrant.connection import Connection, Refused
from rememberd.storage.qdrant.store import QdrantStore
from rememberd.types import Space
from rememberd.wiring.components import build_embedder
from tests.support.fake_model import FakeModel
from tests.support.fakes import EmbedderFake
from tests.support.proxy_in_process import running_here
from tests.support.proxy_server import ask, eventually, remembered
from tests.support.qdrant_double import Faults, QdrantDouble, server_store
from tests.support.store_contract import ANN, DIM, EAST, NOW, UP, listed, point, recallable, words


class Four(EmbedderFake):
    name, dim = "org/four", DIM


class Five(EmbedderFake):
    name, dim = "five", 5


@pytest.fixture
async def qdrant() -> AsyncIterator[QdrantDouble]:
    async with QdrantDouble() as double:
        yield double


@pytest.fixture
async def store(qdrant: QdrantDouble) -> AsyncIterator[QdrantStore]:
    store = server_store(Store(qdrant.url), Four(), call_seconds=1.0)
    yield store
    await store.close()


@pytest.fixture
async def patient(qdrant: QdrantDouble) -> AsyncIterator[QdrantStore]:
    """For tests of many calls that all succeed, however busy the machine is."""
    store = server_store(Store(qdrant.url), Four(), call_seconds=60.0)
    yield store
    await store.close()


async def test_the_collection_is_made_for_many_users(qdrant: QdrantDouble) -> None:
    """A tenant index on the space, no index over all users, no filter without an index; and what was set."""
    settings = Store(qdrant.url, shards=2, shard_by_user=True, replicas=3, write_consistency=2, quantize=True)
    store = server_store(settings, Four())
    await store.ping()
    await store.close()
    made = qdrant.collections["rememberd-org_four-4"]
    assert made.config["hnsw_config"] | {"m": 0, "payload_m": 16} == made.config["hnsw_config"]
    assert made.config["strict_mode_config"]["unindexed_filtering_retrieve"] is False
    assert (made.config["replication_factor"], made.config["write_consistency_factor"]) == (3, 2)
    assert made.config["sharding_method"] == "custom"
    assert made.shard_keys == {"users-0", "users-1"}
    assert made.config["quantization_config"]["scalar"]["type"] == "int8"
    assert made.config["vectors"]["dense"]["on_disk"] is True  # beside them, in memory, nothing would be gained
    indexed = {
        body["field_name"]: body["field_schema"] for _, body in qdrant.requests if "field_name" in (body or {})
    }
    assert indexed["space"]["is_tenant"] is True
    fields = {
        "space",
        "buried",
        "user_id",
        "kind",
        "slot",
        "pinned",
        "until",
        "order",
        "user_order",
        "standing",
        "names",
    }
    assert set(indexed) == fields | {"written_at"}


async def test_a_collection_of_a_later_version_is_refused(qdrant: QdrantDouble) -> None:
    """Both versions are named, and nothing in it is touched. One without a mark, as 0.1 left it, gets ours."""
    for _ in range(2):
        store = server_store(Store(qdrant.url), Four())
        await store.ping()
        await store.close()
    at = Connection((qdrant.url,), None)
    marks = {alias: name for alias, name in (await aliases_of(at)).items() if "-format-" in alias}
    assert marks == {f"rememberd-format-{FORMAT}-{__version__}": "rememberd-org_four-4"}
    await point_alias(at, "rememberd-format-99-9.9.9", "rememberd-org_four-4")
    await at.close()
    before = len(qdrant.requests)
    store = server_store(Store(qdrant.url), Four())
    with pytest.raises(ConfigError, match=r"has the format 99 of rememberd 9\.9\.9; this is rememberd 0\."):
        await store.open()
    await store.close()
    assert [body for _, body in qdrant.requests[before:] if body] == []


async def test_a_creation_cut_short_is_completed(qdrant: QdrantDouble, store: QdrantStore) -> None:
    """Whoever comes next makes the missing indexes, without which every list would be refused."""
    await store.ping()
    qdrant.collections["rememberd-org_four-4"].indexes.clear()
    other = server_store(Store(qdrant.url), Four())
    await other.put(ANN, [point("a")])
    assert await listed(other, ANN) == ["a"]
    await other.close()


async def test_two_processes_may_create_it_at_the_same_time(qdrant: QdrantDouble) -> None:
    """As all of them do at the first start."""
    stores = [server_store(Store(qdrant.url, shards=2, shard_by_user=True), Four()) for _ in range(4)]
    await asyncio.gather(*(store.put(ANN, [point(f"m{i}")]) for i, store in enumerate(stores)))
    assert len(await listed(stores[0], ANN)) == 4
    await asyncio.gather(*(store.close() for store in stores))


async def test_another_embedders_memories_are_refused(qdrant: QdrantDouble, store: QdrantStore) -> None:
    """At the start, by name; and later too if the server was away at the start."""
    await store.put(ANN, [point("a")])
    other = server_store(Store(qdrant.url), Five())
    with pytest.raises(ConfigError, match=r"rememberd-org_four-4.*memory\.embedding"):
        await other.open()
    with pytest.raises(StoreUnavailable, match="rememberd-org_four-4"):
        await other.page(ANN, limit=1, now=NOW)
    assert list(qdrant.collections) == ["rememberd-org_four-4"]
    await other.close()


async def test_a_recall_is_one_request_for_light_fields(qdrant: QdrantDouble, store: QdrantStore) -> None:
    """All five branches together, ids and scores only; what is not known yet is read once, without its text."""
    await store.put(ANN, [point("a", pinned=True)])
    before = len(qdrant.requests)
    first = await store.search(ANN, EAST, words("tea"), now=NOW)
    (_, searched), (_, rows) = qdrant.requests[before:]
    assert len(searched["searches"]) == 5
    assert not any(each["with_payload"] for each in searched["searches"])
    assert "memory" not in rows["with_payload"]
    again = await store.search(ANN, EAST, words("tea"), now=NOW)
    assert len(qdrant.requests) == before + 3
    assert list(again) == list(first)


async def test_texts_that_were_read_are_not_asked_for_again(qdrant: QdrantDouble, store: QdrantStore) -> None:
    """Only the others are; and what was written since is read."""
    await store.put(ANN, [point(f"m{n}") for n in range(4)])
    await store.get(ANN, ["m0", "m1"])
    before = len(qdrant.requests)
    assert [each.id for each in await store.get(ANN, ["m1", "m0"])] == ["m1", "m0"]
    assert len(qdrant.requests) == before
    await store.put(ANN, [point("m0", "another text", updated_at=NOW + 1)])
    before = len(qdrant.requests)
    newest, *_ = await store.get(ANN, ["m0", "m1", "m2"])
    assert newest.text == "another text"
    assert len([id_ for _, asked in qdrant.requests[before:] for id_ in asked["ids"]]) == 2


@pytest.mark.parametrize("other", [{"shards": 3, "shard_by_user": True}, {"shards": 2}])
async def test_another_number_of_shards_is_refused(qdrant: QdrantDouble, other: dict[str, Any]) -> None:
    """Users would be looked for in other shards than they were written to."""
    made = server_store(Store(qdrant.url, shards=2, shard_by_user=True), Four())
    await made.put(ANN, [point("a")])
    changed = server_store(Store(qdrant.url, **other), Four())
    with pytest.raises(ConfigError, match="shard_by_user true and shards 2"):
        await changed.open()
    again = server_store(Store(qdrant.url, shards=2, shard_by_user=True), Four())
    assert await listed(again, ANN) == ["a"]
    for store in (made, changed, again):
        await store.close()


async def test_a_user_stays_in_one_shard(qdrant: QdrantDouble) -> None:
    """Every request about one user names the same shard, and not all users the same."""
    store = server_store(Store(qdrant.url, shards=8, shard_by_user=True), Four())
    await store.ping()
    shards = set()
    for user in ("ann", "bob", "cid", "dan"):
        before = len(qdrant.requests)
        space = Space(user)
        await store.put(space, [point("a", pinned=True)])
        await recallable(store, space)
        await listed(store, space)
        await store.delete(space, ["a"], at=NOW)
        await store.erase(user)
        named = {s for _, body in qdrant.requests[before:] for s in _shards(body)}
        assert len(named) == 1
        shards |= named
    assert None not in shards
    assert len(shards) > 1
    await store.close()


def _shards(body: dict[str, Any]) -> set[str | None]:
    return {each.get("shard_key") for each in body.get("searches", [body])}


async def test_an_old_server_measures_rarity_over_all_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    """Below 1.19 it does not know our parameter, and searches work without it."""
    async with QdrantDouble(version="1.18.2") as qdrant:
        store = server_store(Store(qdrant.url), Four())
        await store.put(ANN, [point("a", "tea"), point("b", "milk")])
        for _ in range(3):
            found = await store.search(ANN, UP, words("tea"), now=NOW)
        assert {each.id for each in found if each.bm25 > 0} == {"a"}
        await store.close()
    assert len([r for r in caplog.records if "1.18.2" in r.getMessage() and r.levelno == logging.WARNING]) == 1


async def test_a_deletion_during_a_put_is_not_undone(qdrant: QdrantDouble, store: QdrantStore) -> None:
    """Another process deletes between our look for tombstones and our write: the server itself keeps it out."""
    await store.put(ANN, [point("a")])
    qdrant.faults = Faults(delay=0.5, paths="PUT .*/points$")
    before = len(qdrant.requests)
    putting = asyncio.create_task(store.put(ANN, [point("a", updated_at=NOW + 1)]))
    while not any(what.startswith("PUT") for what, _ in qdrant.requests[before:]):
        await asyncio.sleep(0.01)
    qdrant.faults = Faults()
    other = server_store(Store(qdrant.url), Four())
    assert await other.delete(ANN, ["a"], at=NOW + 2) == ["a"]
    assert not putting.done()
    await putting
    assert await other.get(ANN, ["a"]) == []
    assert await other.deleted_at(ANN, ["a"]) == {"a": NOW + 2}
    await other.close()


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        (Faults(status=503), "status 503"),
        (Faults(status=401), "memory.store.api_key"),
        (Faults(status=429), "429"),
        (Faults(disconnect="before"), "closed before the end"),
        (Faults(disconnect="after"), "closed before the end"),
        (Faults(delay=3), "no answer in time"),
        (Faults(drip=0.3), "no answer in time"),
    ],
    ids=lambda each: str(each)[:40],
)
async def test_every_fault_is_one_error_that_says_where(
    qdrant: QdrantDouble, store: QdrantStore, faults: Faults, said: str
) -> None:
    """`StoreUnavailable` with the server's address, within the time a call may take; afterwards all is well again."""
    await store.put(ANN, [point("a")])
    qdrant.faults = faults
    for call in (store.search(ANN, EAST, words("tea"), now=NOW), store.put(ANN, [point("b")])):
        with pytest.raises(StoreUnavailable, match=re.escape(qdrant.url)) as failed:
            async with asyncio.timeout(2.5):
                await call
        assert said in str(failed.value)
    qdrant.faults = Faults()
    assert "a" in await listed(store, ANN)


async def test_a_server_that_comes_later_is_found(qdrant: QdrantDouble) -> None:
    """Nothing is needed of it at the start; the first call that reaches it makes the collection."""
    qdrant.faults = Faults(status=503)
    store = server_store(Store(qdrant.url), Four())
    with pytest.raises(StoreUnavailable):
        await store.get(ANN, ["a"])
    qdrant.faults = Faults()
    await store.put(ANN, [point("a")])
    assert await listed(store, ANN) == ["a"]
    await store.close()


@pytest.mark.parametrize("url", ["qdrant:6333", "7", "ftp://qdrant"])
def test_what_is_no_url_is_refused(url: str) -> None:
    """The error shows a valid URL."""
    with pytest.raises(ConfigError, match="http://qdrant:6333"):
        server_store(Store(url), Four())


async def test_secrets_of_the_url_and_the_key_are_not_shown(qdrant: QdrantDouble) -> None:
    """The key is in no error, because errors are logged."""
    url = qdrant.url.replace("://", "://admin:s3cret@") + "?token=s3cret"
    store = server_store(Store(url, api_key="s3cret"), Four())
    qdrant.faults = Faults(status=401)
    with pytest.raises(StoreUnavailable, match=re.escape(qdrant.url)) as failed:
        await store.ping()
    assert "s3cret" not in str(failed.value)
    await store.close()


async def test_the_check_asks_the_server(
    qdrant: QdrantDouble, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`check` says whether the server answers, or what is wrong."""
    settings = Settings(data_dir=str(tmp_path), memory=Memory(store=Store(qdrant.url, "s3cret")))
    await check(settings, {})
    assert "ok     store      the Qdrant server answers" in capsys.readouterr().out
    qdrant.faults = Faults(status=401)
    assert await check(settings, {}) == 1
    said = capsys.readouterr().out
    assert f"WRONG  store      Qdrant at {qdrant.url}: it refuses memory.store.api_key" in said
    assert "s3cret" not in said


async def test_the_check_changes_nothing_on_the_server(
    qdrant: QdrantDouble, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither before the first start, after which `shards`, `replicas` and `quantize` would be too late, nor while
    another embedder's collection is being filled, of which it would take the mark away."""

    async def said(**options: Any) -> str:
        capsys.readouterr()
        asked = len(qdrant.requests)
        at = Store(qdrant.url, **options)
        await check(Settings(data_dir=str(tmp_path), memory=Memory(store=at)), {})
        changes = [what for what, _ in qdrant.requests[asked:] if what.startswith(("PUT", "DELETE"))]
        assert [*changes, *(what for what, _ in qdrant.requests[asked:] if what == "POST /collections/aliases")] == []
        assert list(tmp_path.iterdir()) == []
        return next(line for line in capsys.readouterr().out.splitlines() if "  store " in line)

    assert "the Qdrant server answers; there is no collection" in await said()
    embedder = build_embedder(Settings())
    await embedder.start()
    store = server_store(Store(qdrant.url), embedder)
    await store.open()
    name = await store.name()
    await point_alias(store.connection, "rememberd-ready", name)
    assert (await said()).endswith("ok     store      the Qdrant server answers")
    assert (await aliases_of(store.connection))["rememberd-ready"] == name
    assert "WRONG  store" in await said(shard_by_user=True)
    other = name.replace("384", "5")
    await create(store.connection, store.layout, other, 5)
    await point_alias(store.connection, "rememberd", other)
    assert "until the next start changes over" in await said()
    await store.close()


async def test_the_check_does_not_blame_the_server_for_an_absent_redis(
    qdrant: QdrantDouble, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    memory = Memory(store=Store(qdrant.url), queue=Queue("redis://127.0.0.1:1/0"))
    assert await check(Settings(data_dir=str(tmp_path), memory=memory), {}) == 1
    said = capsys.readouterr().out
    assert "WRONG  Redis" in said
    assert "ok     store      the Qdrant server answers" in said


async def test_the_check_names_each_address_that_is_away(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Chats go on without it, so that nothing else tells that one is mistyped. The place that memories move to is
    asked, too."""
    async with QdrantDouble(nodes=2) as cluster:
        mistyped = cluster.nodes[0].url + ",http://127.0.0.1:1"
        for at in (Store(mistyped), Store(cluster.url, next_url=mistyped, next_collection="other")):
            assert await check(Settings(data_dir=str(tmp_path), memory=Memory(store=at)), {}) == 1
            said = capsys.readouterr().out
            part = "next store" if at.next_url else "store     "
            assert f"WRONG  {part} 1 of 2 addresses: Qdrant at http://127.0.0.1:1" in said


async def test_chats_flow_whatever_the_server_does(tmp_path: Path, upstream: FakeModel) -> None:
    """The whole proxy on a server: it remembers, goes on without memory while the server hangs, and comes back."""
    async with QdrantDouble(api_key="qd-s3cret") as qdrant:
        memory = {"store": {"url": qdrant.url, "api_key": "qd-s3cret"}, "deadline_ms": 1000}
        await asyncio.to_thread(_chat_through_an_outage, tmp_path, upstream, qdrant, memory)


def _chat_through_an_outage(
    tmp_path: Path, upstream: FakeModel, qdrant: QdrantDouble, memory: dict[str, Any]
) -> None:
    with running_here(tmp_path, {"model-a": upstream.url}, memory=memory) as proxy, proxy.client("ann") as client:
        ask(client, "I live in Oslo.")
        remembered(client, "Oslo", "fact")
        eventually(lambda: _status(client) == "hit")
        qdrant.faults = Faults(delay=3)
        assert _status(client) == "degraded"
        qdrant.faults = Faults()
        eventually(lambda: _status(client) == "hit")
        assert not list(proxy.data.glob("qdrant"))
        assert not [line for line in proxy.log if "qd-s3cret" in line]


async def test_no_answer_tells_an_address(tmp_path: Path, upstream: FakeModel, qdrant: QdrantDouble) -> None:
    """Whoever has a key learns that it may be tried again; the log says where and why."""
    await asyncio.to_thread(_ask_while_away, tmp_path, upstream, qdrant)


def _ask_while_away(tmp_path: Path, upstream: FakeModel, qdrant: QdrantDouble) -> None:
    memory = {"store": {"url": qdrant.url}}
    with running_here(tmp_path, {"model-a": upstream.url}, memory=memory) as proxy, proxy.client("ann") as client:
        qdrant.faults = Faults(disconnect="before")
        for answer in (client.get("/v1/memories"), client.post("/v1/memories", json={"text": "I like tea."})):
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "memory_unavailable")
            assert "127.0.0.1" not in answer.text
            assert "try again" in answer.text
        ready = httpx.get(f"{proxy.url}/health/ready")
        assert (ready.status_code, ready.json()["parts"]["store"]) == (503, "unavailable: see the log of the proxy")
        eventually(lambda: any(qdrant.url in line and "not ready: store" in line for line in proxy.log))
        eventually(lambda: any(qdrant.url in line and "memory is unavailable" in line for line in proxy.log))
        qdrant.faults = Faults()


def _status(client: httpx.Client) -> str:
    """Of a question that was not asked before: the answer to that is kept."""
    answer = ask(client, f"In which city do I live? {uuid.uuid4().hex}")
    assert answer.status_code == 200
    return answer.headers["X-Memory-Status"]


@pytest.mark.parametrize("version", ["1.15.5", "1.9.0", "0.11.1"])
async def test_a_server_that_could_undo_a_deletion_is_refused(version: str) -> None:
    """At the start, with the version that is needed and why; nothing is made on it."""
    async with QdrantDouble(version=version) as qdrant:
        store = server_store(Store(qdrant.url), Four())
        with pytest.raises(ConfigError, match=rf"{re.escape(version)}.*1\.16.*deleted"):
            await store.open()
        assert not qdrant.collections
        await store.close()


@pytest.mark.parametrize("path", ["/collections/aliases", "PUT /collections/[^/]+$"])
async def test_a_right_that_is_missing_is_named(qdrant: QdrantDouble, store: QdrantStore, path: str) -> None:
    """A key for one collection can write there, but make neither collections nor aliases: the key is not wrong."""
    qdrant.faults = Faults(status=403, paths=path)
    with pytest.raises(StoreUnavailable, match=r"may not (PUT|POST) /collections.*manage collections and aliases"):
        await store.open()


async def test_answers_are_asked_for_uncompressed(qdrant: QdrantDouble, store: QdrantStore) -> None:
    """A server streams compressed ones in several writes, and each waits 40 ms for a delayed ACK."""
    await store.put(ANN, [point("a")])
    await store.search(ANN, EAST, words("tea"), now=NOW)
    assert qdrant.encodings == {"identity"}


async def test_puts_of_several_turns_are_one_request(qdrant: QdrantDouble, store: QdrantStore) -> None:
    """Those that come while another is under way; tombstones are looked up once, and each user's rules hold."""
    bob = ANN._replace(user="bob")
    await store.put(ANN, [point("gone")])
    await store.delete(ANN, ["gone"], at=NOW + 5)
    await store.put(bob, [point("late")])
    await store.delete(bob, ["late"], at=NOW + 1)
    before = len(qdrant.requests)
    puts = [store.put(space, [point(f"m{i}")]) for i in range(20) for space in (ANN, bob)]
    puts += [store.put(ANN, [point("gone", updated_at=NOW)]), store.put(bob, [point("late", updated_at=NOW + 9)])]
    await asyncio.gather(*puts)
    asked = [what.partition(" ")[0] for what, _ in qdrant.requests[before:]]
    assert len(asked) <= 6, asked  # two rounds of a look-up and at most two writes
    assert sorted(await listed(store, ANN)) == sorted(f"m{i}" for i in range(20))
    assert sorted(await listed(store, bob)) == sorted([*(f"m{i}" for i in range(20)), "late"])


async def test_a_put_that_is_refused_takes_no_other_with_it(qdrant: QdrantDouble, store: QdrantStore) -> None:
    """Together they are refused; each for itself, only the one to blame."""
    await store.ping()
    qdrant.refuse = '"id":"bad"'
    good, bad = point("good"), point("bad")
    results = await asyncio.gather(
        *(store.put(ANN, [each]) for each in (point("first"), good, bad)), return_exceptions=True
    )
    assert [type(each) for each in results] == [type(None), type(None), Refused]
    assert sorted(await listed(store, ANN)) == ["first", "good"]


async def test_no_answer_holds_all_of_anything(
    qdrant: QdrantDouble, patient: QdrantStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many memories there are: spaces, the points of a user to erase, and a listing come by pages."""
    monkeypatch.setattr(qdrant_store, "_PAGE", 7)
    monkeypatch.setattr(qdrant_removals, "_PAGE", 7)
    people = [Space(f"user-{n:02}") for n in range(10)]
    for person in people:
        await patient.put(person, [point(f"m{n}") for n in range(10)])
    before = len(qdrant.requests)
    assert await patient.spaces() == people
    assert len(await listed(patient, people[0], limit=5)) == 10
    assert await patient.erase(people[3].user) == 10
    assert await patient.spaces() == people[:3] + people[4:]
    limits = [body.get("limit", 0) for _, body in qdrant.requests[before:] if body]
    assert max(limits) <= 7
    assert not any("facet" in what for what, _ in qdrant.requests)
    filters = [body["filter"]["must"][0] for what, body in qdrant.requests if what.endswith("points/delete")]
    deleted = [len(each["has_id"]) for each in filters if "has_id" in each]
    assert sum(deleted) == 10
    assert max(deleted) <= 7


async def test_the_double_streams_compressed_answers_as_a_server_does(
    qdrant: QdrantDouble, patient: QdrantStore
) -> None:
    """To who asks for them: chunked, and in several writes."""
    await patient.put(ANN, [point(f"m{n}") for n in range(100)])
    body = {"limit": 100, "with_payload": True}
    path = f"{qdrant.url}/collections/{await patient.name()}/points/scroll"
    async with httpx.AsyncClient(timeout=60) as client:
        packed = await client.post(path, json=body, headers={"accept-encoding": "gzip"})
        plain = await client.post(path, json=body, headers={"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["transfer-encoding"] == "chunked"
    assert "content-encoding" not in plain.headers
    assert packed.json()["result"] == plain.json()["result"]
