"""Ten million memories on a Qdrant server: no answer grows with them, and each operation makes few requests.

The server is simulated: it computes its answers from the numbers of users and memories, and keeps nothing."""

from __future__ import annotations

import asyncio
import re
from typing import Any, cast
from uuid import UUID

import orjson
import pytest

from rememberd.memory.ids import episode_id
from rememberd.storage.payload import USER_ORDER_SINCE, living, space_of, user_order
from rememberd.storage.qdrant.collection import Layout
from rememberd.storage.qdrant.connection import Connection, Work
from rememberd.storage.qdrant.store import QdrantStore
from rememberd.types import Memory, Point, Space, Sparse
from tests.support.change_log import LocalChangeLog
from tests.support.fakes import EmbedderFake

USERS, EACH = 10_000, 1_000
MOST_BYTES = 2_000_000
NOW = 1_700_000_000_000


class Small(EmbedderFake):
    name, dim = "small", 4


class Simulated:
    """In the place of a `Connection`. `requests` holds the path and the bytes of each answer."""

    def __init__(self) -> None:
        self.nodes = self
        self.all = ["one"]
        self.where, self.search_patience_s = "simulated", 1.0
        self.requests: list[tuple[str, int]] = []
        self.erased: dict[str, int] = {}
        self._users = sorted((user_order(f"user{n}"), f"user{n}") for n in range(USERS))
        self._collection = "rememberd-small-4"

    async def at_one_node(self, work: Work, *, patience: float = 1.0) -> Any:
        async def send(method: str, path: str, body: Any = None) -> Any:
            return await self.ask(method, path, body)

        return await work(send)

    async def ask(self, method: str, path: str, body: Any = None, *, patience: float = 1.0) -> Any:
        await asyncio.sleep(0)
        name = re.sub("^/collections/[^/]+", "", path) if path.startswith("/collections/") else path
        answer = getattr(self, f"_{re.sub('[^a-z]+', '_', f'{method}{name}'.lower()).strip('_')}")(body)
        self.requests.append((f"{method} {name}", len(orjson.dumps(answer))))
        return answer

    async def close(self) -> None: ...

    def _get(self, _: Any) -> Any:
        return {"version": "1.19.0", "status": "green", "payload_schema": {}}

    def _get_aliases(self, _: Any) -> Any:
        names = ["rememberd", f"rememberd-indexed-{USER_ORDER_SINCE}"]
        return {"aliases": [{"alias_name": name, "collection_name": self._collection} for name in names]}

    def _post(self, _: Any) -> Any:
        """Aliases are changed."""
        return True

    def _get_cluster(self, _: Any) -> Any:
        return {"local_shards": [], "remote_shards": []}

    def _put_index_wait_true(self, _: Any) -> Any:
        return {}

    def _post_points_scroll(self, body: Any) -> Any:
        conditions = {each["key"]: each for each in body.get("filter", {}).get("must", [])}
        if "user_order" in conditions:
            above = conditions["user_order"]["range"]["gt"]
            found = next((place for place, _ in self._users if place > above), None)
            first_of_next = [] if found is None else [{"id": "", "payload": {"user_order": found}}]
            return {"points": first_of_next, "next_page_offset": None}
        of = conditions.get("space", conditions.get("user_id"))
        assert of is not None, "a listing of everybody's points"
        space = space_of(of["match"]["value"]) if "space" in conditions else Space(of["match"]["value"])
        ordered = conditions.get("order", {})
        below, at = ordered.get("range", {}).get("lt", 2**53), ordered.get("match", {}).get("value")
        first = int(body.get("offset") or 0)
        keys = body.get("with_payload", True)
        points: list[Any] = []
        for number in range(first, EACH):
            payload = _payload(space, number)
            if payload["order"] < below and at in (None, payload["order"]):
                wanted = payload if keys is True else {key: payload[key] for key in keys if key in payload}
                points.append({"id": str(UUID(int=number)), "payload": wanted})
            if len(points) == body["limit"]:
                break
        following = first + len(points)
        return {"points": points, "next_page_offset": None if ordered or following >= EACH else following}

    def _post_points_count(self, body: Any) -> Any:
        return {"count": EACH}

    def _post_points_delete_wait_true(self, body: Any) -> Any:
        must = body["filter"]["must"][0]
        if "has_id" in must:
            self.erased["user7"] = self.erased.get("user7", 0) + len(must["has_id"])
        return {"status": "completed"}

    def _post_facet(self, body: Any) -> Any:
        place = body["filter"]["must"][0]["match"]["value"]
        spaces = [_payload(Space(user), 0)["space"] for at, user in self._users if at == place]
        return {"hits": [{"value": space, "count": EACH} for space in spaces]}


def _payload(space: Space, number: int) -> dict[str, Any]:
    """The newest memory has the number 0."""
    at = NOW - number * 60_000
    text = "The quick brown fox jumps over the lazy dog. " * 20
    memory = Memory(episode_id(space, str(number)), text, "episode", at, at, at)
    return living(space, Point(memory, [0.0] * 4, Sparse([], []), 20, 0))


@pytest.fixture
def server() -> Simulated:
    return Simulated()


@pytest.fixture
def store(server: Simulated) -> QdrantStore:
    return QdrantStore(cast(Connection, server), Layout(), Small(), "alone", LocalChangeLog())


async def spent(server: Simulated, most_requests: int) -> None:
    """Since the last call, apart from what the first request of a process asks."""
    asked = [each for each in server.requests if "index" not in each[0]]
    assert len(asked) <= most_requests, asked[:20]
    assert max(size for _, size in asked) <= MOST_BYTES, max(asked, key=lambda each: each[1])
    server.requests.clear()


async def test_users_are_listed_without_reading_their_memories(server: Simulated, store: QdrantStore) -> None:
    """Two requests a user and one for the version of the index, whoever has how much; nobody is left out."""
    await store.ping()
    server.requests.clear()
    first = await store.users("", 51)
    assert len(first) == 51
    await spent(server, 2 * 51 + 1)
    second = await store.users(first[-1].user, 51)
    assert not set(first) & set(second)
    orders = [user_order(space.user) for space in (*first, *second)]
    assert orders == sorted(orders)
    for space in first[:3]:
        assert await store.count(space, now=NOW, include_past=True) == EACH
        assert len((await store.page(space, limit=1, now=NOW, include_past=True))[0]) == 1
    await spent(server, 200)


async def test_a_listing_and_an_audit_read_a_page_at_a_time(server: Simulated, store: QdrantStore) -> None:
    """All of one user in pages of 500: two requests each."""
    await store.ping()
    server.requests.clear()
    found, cursor = await store.page(Space("user7"), limit=500, now=NOW, include_past=True)
    while cursor is not None:
        page, cursor = await store.page(Space("user7"), limit=500, now=NOW, include_past=True, cursor=cursor)
        found += page
    assert len({memory.id for memory in found}) == EACH
    await spent(server, 8)


async def test_a_user_is_erased_a_page_at_a_time(server: Simulated, store: QdrantStore) -> None:
    """A count, two requests a page, and one for what no page showed."""
    await store.ping()
    server.requests.clear()
    assert await store.erase("user7") == EACH
    assert server.erased["user7"] == EACH
    await spent(server, 10)
