"""`rememberd migrate` moves every point, as it is, and says so only when it is true."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from rememberd.cli.migrate import migrate
from rememberd.errors import ConfigError, StoreUnavailable
from rememberd.memory.embedding.embedder import FastEmbedder
from rememberd.ports import MemoryStore
from rememberd.settings.schema import Memory, Settings, Store
from rememberd.storage.edge.store import EdgeStore
from rememberd.storage.migrate import Points, Stored, same
from rememberd.storage.qdrant.store import QdrantStore
from rememberd.types import Space, Sparse
from tests.support.fakes import EmbedderFake
from tests.support.qdrant_double import Faults, QdrantDouble, server_store
from tests.support.store_contract import ANN, NOW, point
from tests.support.tables import each_row

DIM = 384  # of the packaged embedder, which the command loads
USERS = [Space(f"user{i}", scope) for i in range(10) for scope in ("default", "work")]


class Packaged(EmbedderFake):
    name, dim = FastEmbedder().name, DIM


@pytest.fixture
async def qdrant() -> AsyncIterator[QdrantDouble]:
    async with QdrantDouble(api_key="qd-key") as double:
        yield double


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "data").mkdir()
    store = Store(api_key="qd-key", shards=3, shard_by_user=True)
    return Settings(data_dir=str(tmp_path / "data"), memory=Memory(store=store))


def folder(settings: Settings) -> Path:
    return settings.data_path / "qdrant"


async def embedded(settings: Settings, then: Callable[[EdgeStore], Awaitable[None]]) -> None:
    store = EdgeStore.open(folder(settings), dim=DIM, embedder=Packaged.name)
    await then(store)
    await store.close()


async def on_server(settings: Settings, url: str, then: Callable[[QdrantStore], Awaitable[None]]) -> None:
    store = server_store(replace(settings.memory.store, url=url), Packaged())
    await then(store)
    await store.close()


async def filled(store: MemoryStore) -> None:
    """570 memories of twenty spaces, past and pinned ones among them, and forty tombstones."""
    for which, space in enumerate(USERS):
        text = "wohnt seit 1999 in Oslo – 好 🙂"
        await store.put(
            space,
            [
                point(f"m{i}", text, [0.5] * 4 + [0.0] * 380, pinned=i == 3, valid_to=NOW if i == 4 else None)
                for i in range(30 + which % 2)
            ],
        )
        await store.delete(space, ["m0", "m1"], at=NOW + which)


async def the_same(store: MemoryStore) -> None:
    for which, space in enumerate(USERS):
        memories, _ = await store.page(space, limit=100, now=NOW, include_past=True)
        assert len(memories) == 28 + which % 2
        assert await store.deleted_at(space, ["m0", "m1"]) == {"m0": NOW + which, "m1": NOW + which}
    assert await store.spaces() == sorted(USERS)


async def test_everything_gets_there_and_back(
    settings: Settings, qdrant: QdrantDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    """Memories, tombstones and vectors, to the server and from there into a new folder; checked, with progress."""
    await embedded(settings, filled)
    assert await migrate(settings, str(folder(settings)), qdrant.url) == 0
    out, err = capsys.readouterr()
    assert "610 points" in out
    assert "moved 610 of 610 points" in err
    assert "checked 610 of 610 points" in err
    await on_server(settings, qdrant.url, the_same)
    folder(settings).rename(settings.data_path / "before")
    assert await migrate(settings, qdrant.url, str(folder(settings))) == 0
    assert capsys.readouterr().out.split()[-1] == out.split()[-1], "the checksum"
    await embedded(settings, the_same)
    assert not list(settings.data_path.glob("migrate.json"))


async def test_interrupted_it_goes_on_where_it_was(settings: Settings, qdrant: QdrantDouble) -> None:
    """The second run sends what is missing, not all again; and another move is not taken for this one."""
    await embedded(settings, filled)
    failing = asyncio.create_task(_fail_in_the_second_batch(qdrant))
    with pytest.raises(StoreUnavailable, match="503"):
        await migrate(settings, str(folder(settings)), qdrant.url)
    await failing
    qdrant.faults = Faults()
    with pytest.raises(ConfigError, match="empty store"):
        await migrate(settings, f"{folder(settings)}/.", qdrant.url)
    before = len(qdrant.requests)
    assert await migrate(settings, str(folder(settings)), qdrant.url) == 0
    sent = [len(body["points"]) for what, body in qdrant.requests[before:] if what.startswith("PUT")]
    assert 0 < sum(sent) < 610
    await on_server(settings, qdrant.url, the_same)


async def _fail_in_the_second_batch(qdrant: QdrantDouble) -> None:
    while sum(what.endswith("/points") for what, _ in qdrant.requests) < 6:
        await asyncio.sleep(0)
    qdrant.faults = Faults(status=503, paths="PUT .*/points$")


async def test_a_difference_is_found(
    settings: Settings, qdrant: QdrantDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever it is: here a point that was in the target's way when it went on."""
    await embedded(settings, filled)
    place = settings.data_path / "migrate.json"
    place.write_text(
        f'{{"from": "{folder(settings)}", "to": "{qdrant.url}", "after": "00000000-0000-0000-0000-000000000000"}}'
    )

    async def one_more(store: MemoryStore) -> None:
        await store.put(ANN, [point("stranger", dense=[1.0] + [0.0] * 383)])

    await on_server(settings, qdrant.url, one_more)
    assert await migrate(settings, str(folder(settings)), qdrant.url) == 1
    assert "start again" in capsys.readouterr().err


@each_row(
    "changed",
    [
        {"payload": {"id": "b"}},
        {"dense": [0.6, 0.8002]},
        {"dense": None},
        {"sparse": Sparse([1, 2], [0.5, 0.3])},
        {"sparse": Sparse([1, 3], [0.5, 0.25])},
    ],
)
def test_points_are_compared_whole(changed: dict[str, Any]) -> None:
    """Payload, meaning and words; what a 32-bit float or another order of the terms changes does not count."""
    one = Stored(UUID(int=1), {"id": "a"}, [0.6, 0.8], Sparse([1, 2], [0.5, 0.25]))
    assert same(one, one._replace(dense=[0.6, 0.80000004], sparse=Sparse([2, 1], [0.25, 0.5])))
    assert not same(one, one._replace(**changed))


async def test_a_store_in_use_or_of_another_embedder_is_refused(settings: Settings, qdrant: QdrantDouble) -> None:
    """While the writer has the folder open nothing moves; nor do vectors that the target could not compare."""
    store = EdgeStore.open(folder(settings), dim=DIM, embedder=Packaged.name)
    with pytest.raises(ConfigError, match="in use by process"):
        await migrate(settings, str(folder(settings)), qdrant.url)
    await store.close()

    class Other(EmbedderFake):
        name, dim = "other", 4

    other = server_store(replace(settings.memory.store, url=qdrant.url), Other())
    await other.put(ANN, [point("a")])
    await other.close()
    with pytest.raises(ConfigError, match="rememberd-other-4"):
        await migrate(settings, str(folder(settings)), qdrant.url)
    with pytest.raises(ConfigError, match="no embedded store"):
        await migrate(settings, str(settings.data_path / "nowhere"), qdrant.url)


async def scanned(points: Points, limit: int) -> list[str]:
    found, after = [], None
    while batch := await points.scan(after, limit):
        found += [str(each.id) for each in batch]
        after = batch[-1].id
    return found


async def test_a_scan_meets_every_point_once(tmp_path: Path, qdrant: QdrantDouble) -> None:
    """In both stores, in the same order, whatever the size of a page."""
    edge = EdgeStore.open(tmp_path, dim=DIM, embedder="test")
    server = server_store(Store(qdrant.url, "qd-key"), Packaged())
    for store in (edge, server):
        await store.put(ANN, [point(f"m{i}", dense=[1.0] + [0.0] * 383) for i in range(25)])
        await store.delete(ANN, ["m7"], at=NOW)
    ids = await scanned(edge, 7)
    assert (len(ids), len(set(ids)), await edge.size()) == (25, 25, 25)
    assert ids == await scanned(server, 25) == await scanned(server, 4)
    await edge.close()
    await server.close()
