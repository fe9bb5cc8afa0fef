"""One of two Qdrant nodes lags, hangs, dies, refuses and comes back with old data, in any order, while two processes
write, edit, delete and erase: nothing acknowledged is lost, undone or shown again."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from itertools import count

import pytest

from rememberd.errors import StoreUnavailable
from rememberd.settings.schema import Store
from rememberd.storage.qdrant.store import QdrantStore
from rememberd.telemetry.clock import wall_clock
from rememberd.types import Memory, Point, Space
from tests.support.change_log import LocalChangeLog
from tests.support.fakes import EmbedderFake
from tests.support.qdrant_double import Faults, QdrantDouble, server_store
from tests.support.store_contract import DIM, EAST, point, words

USERS, ROUNDS, OPERATIONS = 4, 8, 8
IDS = [f"m{number}" for number in range(16)]
CALL_S, HANGS_S = 4.0, 1.5
GONE = ""  # in the place of a text

TROUBLES = {
    "well": (False, None),
    "stale": (True, None),
    "dead": (True, Faults(disconnect="before")),
    "hung": (True, Faults(delay=HANGS_S)),
    "works, and does not answer": (False, Faults(disconnect="after")),
    "works late": (False, Faults(delay=HANGS_S)),
    "refuses": (False, Faults(status=503)),
    "flickers": (True, Faults(disconnect="before", share=0.5)),
}


class Four(EmbedderFake):
    name, dim = "org/four", DIM


@dataclass
class Life:
    """Of one user: the texts that each memory may have now. They are several after an operation that failed."""

    space: Space
    may_be: dict[str, set[str]] = field(default_factory=lambda: {id_: {GONE} for id_ in IDS})

    def surely_there(self) -> set[str]:
        return {id_ for id_, texts in self.may_be.items() if GONE not in texts}


class Attack:
    def __init__(self, cluster: QdrantDouble, seed: int) -> None:
        self.cluster, self.chance = cluster, random.Random(seed)
        self.log, self.lives = LocalChangeLog(), [Life(Space(f"user-{number}")) for number in range(USERS)]
        self.stores = [self.store(), self.store()]
        self.ill, self.history = cluster.nodes[0], list[str]()
        self._texts, self._last = count(), 0

    def store(self, url: str | None = None, log: LocalChangeLog | None = None) -> QdrantStore:
        """With patience for a busy machine."""
        store = server_store(Store(url or self.cluster.url), Four(), call_seconds=CALL_S, changes=log or self.log)
        store.connection.search_patience_s = 1.0
        for node in store.connection.nodes.all:
            node.settles_s = 0.2
        return store

    async def run(self) -> None:
        await self.stores[0].open()
        for _ in range(ROUNDS):
            await self.trouble()
            await asyncio.gather(*map(self.live, self.lives))
            for store in self.stores:
                await asyncio.gather(*(self.check(store, life) for life in self.lives))
        await self.repair()
        await self.stores[0].removals.carry_out()
        for node in self.cluster.nodes:  # asked by a process that knows of no change
            stranger = self.store(node.url, LocalChangeLog())
            for life in self.lives:
                await self.check(stranger, life)
            await stranger.close()
        for store in self.stores:
            await store.close()

    async def trouble(self) -> None:
        """One node at a time: it is repaired before the other one gets into trouble."""
        if self.chance.random() < 0.4:
            await self.repair()
            self.ill = self.chance.choice(self.cluster.nodes)
        what = self.chance.choice(list(TROUBLES))
        lags, self.ill.faults = TROUBLES[what]
        self.history.append(f"node {self.cluster.nodes.index(self.ill)} {what}")
        if lags:
            self.ill.lags = True
        elif self.ill.lags:
            await self.cluster.catch_up()

    async def repair(self) -> None:
        for node in self.cluster.nodes:
            node.faults = None
        await self.cluster.catch_up()
        while self.cluster.under_way:
            await asyncio.sleep(0.02)

    async def live(self, life: Life) -> None:
        for _ in range(OPERATIONS):
            store, ids = self.chance.choice(self.stores), self.chance.sample(IDS, self.chance.choice((1, 2, 9)))
            given_up = self.chance.uniform(0, 0.03) if self.chance.random() < 0.15 else CALL_S * 3
            before = {id_: set(texts) for id_, texts in life.may_be.items()}
            what = self.chance.choices(("put", "delete", "erase"), (12, 6, 1))[0]
            text = f"likes tea {next(self._texts)}" if what == "put" else GONE
            concerned = IDS if what == "erase" else ids
            for id_ in concerned:
                life.may_be[id_].add(text)
            try:
                async with asyncio.timeout(given_up):
                    done = await self.operation(store, life.space, what, ids, text)
            except (StoreUnavailable, TimeoutError) as error:
                self.history.append(f"{life.space.user} {what} {ids} {text}: {error!r}")
                continue
            self.history.append(f"{life.space.user} {what} {ids} {text}")
            for id_ in concerned:
                life.may_be[id_] = {text} if id_ in done else before[id_]
            missed = {id_ for id_ in concerned if GONE not in before[id_]}.difference(done)
            assert not missed, f"{what} did not find {missed}"

    async def operation(self, store: QdrantStore, space: Space, what: str, ids: list[str], text: str) -> list[str]:
        """The ids that it concerned."""
        at = self._last = max(self._last + 1, wall_clock())
        if what == "put":
            await store.put(space, [self.point(id_, text, at) for id_ in ids])
        elif what == "erase":
            await store.erase(space.user)
            self._last = max(self._last, wall_clock())
        else:
            return await store.delete(space, ids, at=at)
        return IDS if what == "erase" else ids

    def point(self, id_: str, text: str, at: int) -> Point:
        return point(id_, text, created_at=at, updated_at=at, valid_from=at)

    async def check(self, store: QdrantStore, life: Life) -> None:
        """Every way of reading shows what is surely there, with a text that it may have, and nothing that is gone."""
        now = self._last + 1
        found = await store.search(life.space, EAST, words("tea"), now=now)
        page, cursor = await store.page(life.space, limit=10, now=now)
        pages = [*page, *(await store.page(life.space, limit=10, now=now, cursor=cursor))[0]] if cursor else page
        await self.compare(life, {memory.id: memory for memory in pages}, "listed")
        await self.compare(life, {memory.id: memory for memory in await store.get(life.space, IDS)}, "read")
        assert len(pages) == len({memory.id for memory in pages})
        ids = set(found.names())
        assert life.surely_there() <= ids, f"searched: {life.surely_there() - ids} missing"
        assert not {id_ for id_ in ids if life.may_be[id_] == {GONE}}, "searched: gone"

    async def compare(self, life: Life, found: dict[str, Memory], how: str) -> None:
        for id_, texts in life.may_be.items():
            text = found[id_].text if id_ in found else GONE
            assert text in texts, f"{how}: {life.space.user} {id_} is {text!r}, not {texts}"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
async def test_nothing_is_lost_undone_or_shown_again(seed: int) -> None:
    """Whichever node is asked, by whichever process; and what lies on the nodes in the end is the same."""
    async with QdrantDouble(nodes=2) as cluster:
        attack = Attack(cluster, seed)
        try:
            await attack.run()
        except AssertionError as error:
            raise AssertionError(f"{error}\n" + "\n".join(attack.history)) from error
