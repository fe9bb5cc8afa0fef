"""Sessions end when they are ended or expire, on every host; and their store tells nothing of whom they are."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rememberd.access.sign_in.sessions import Sessions, Signer
from rememberd.access.signed_in import SignedIn
from rememberd.ports import SessionStore
from rememberd.storage.redis.client import RedisClient
from rememberd.storage.redis.records import RedisSessions
from rememberd.storage.sqlite.database import Database
from rememberd.storage.sqlite.sessions import SqliteSessions

HOUR_MS = 3_600_000


def now() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture(params=["sqlite", "redis"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SessionStore]:
    store: SessionStore = (
        RedisSessions(RedisClient(request.getfixturevalue("redis_url")))
        if request.param == "redis"
        else SqliteSessions(Database(tmp_path / "sessions.db"))
    )
    yield store
    await store.close()


async def test_a_record_lasts_until_it_ends_or_expires(store: SessionStore) -> None:
    """An id is given to one session only."""
    assert await store.create(b"1", b"ada", now() + HOUR_MS, b"owner")
    assert not await store.create(b"1", b"bob", now() + HOUR_MS)
    assert await store.create(b"2", b"bob", now() + HOUR_MS)
    assert await store.get(b"1", now()) == b"ada"
    await store.end_all(b"owner")
    assert await store.get(b"1", now()) is None
    assert await store.get(b"2", now()) == b"bob"
    await store.create(b"3", b"cleo", now() - 1)
    assert await store.get(b"3", now()) is None


async def test_who_reads_the_store_learns_and_can_do_nothing(store: SessionStore, tmp_path: Path) -> None:
    """Neither the names nor the cookie are in it; with another secret the cookie is worth nothing."""
    sessions = Sessions(store, Signer(b"s" * 32), HOUR_MS)
    somebody = SignedIn("ada-of-lovelace", now() + HOUR_MS, ("analysts",), admin=True)
    cookie = await sessions.start(somebody)
    assert await sessions.read(cookie) == somebody
    for file in tmp_path.iterdir():
        raw = file.read_bytes()
        assert not any(word in raw for word in (b"ada-of-lovelace", b"analysts", cookie.partition(".")[0].encode()))
    assert await Sessions(store, Signer(b"t" * 32), HOUR_MS).read(cookie) is None
    await sessions.end_all("ada-of-lovelace")
    assert await sessions.read(cookie) is None


async def test_a_users_sessions_end_together(store: SessionStore) -> None:
    """When the user signs out or is erased; those of others last."""
    sessions = Sessions(store, Signer(b"s" * 32), HOUR_MS)
    ada, bob = SignedIn("ada", now() + HOUR_MS), SignedIn("bob", now() + HOUR_MS)
    first, others = await sessions.start(ada), await sessions.start(bob)
    second = await sessions.start(ada)
    assert [await sessions.read(each) for each in (first, second, others)] == [ada, ada, bob]
    await sessions.end_all("ada")
    await sessions.end_all("nobody")
    assert [await sessions.read(each) for each in (first, second, others)] == [None, None, bob]


async def test_what_is_signed_for_one_purpose_is_worth_nothing_for_another() -> None:
    signer = Signer(b"s" * 32)
    assert signer.verified("session", signer.sign("session", "x")) == "x"
    assert signer.verified("flow", signer.sign("session", "x")) is None
    assert signer.verified_json("flow", signer.sign_json("flow", {"state": "ø"})) == {"state": "ø"}
    for forged in ("", ".", "x.", "x.ø", "ÿ.x"):
        assert signer.verified("session", forged) is None
