"""The users' keys in Redis: one for each user whoever makes it, gone for everybody at once, and from its files."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from rememberd.errors import ConfigError, StoreUnavailable
from rememberd.storage.redis.client import PREFIX
from tests.support.proxy_server import eventually, memories, running
from tests.support.redis_process import RedisServer, redis_running
from tests.support.sealing import NEW, OLD, opened_in_redis

UNPACKED = ("--rdbcompression", "no", "--appendfsync", "always")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """With both kinds of files, and one of its own: cleaning up rewrites them."""
    with redis_running(tmp_path, *UNPACKED, "--save", "3600", "1") as server:
        yield server


def wrapped(server: RedisServer) -> dict[bytes, bytes]:
    with server.client() as client:
        found: dict[bytes, bytes] = client.hgetall(f"{PREFIX}keys")
        return found


def lies_in_a_file(server: RedisServer, data: bytes) -> bool:
    return any(data in path.read_bytes() for path in server.folder.rglob("*") if path.is_file())


async def test_processes_that_meet_a_new_user_at_once_have_one_key(redis_url: str) -> None:
    """And an erasure by one is noticed by the other at its next look; then the user has a new key."""
    async with opened_in_redis(redis_url) as one, opened_in_redis(redis_url) as other:
        first, second = await asyncio.gather(one.own("ada"), other.own("ada"))
        assert first.fingerprint == second.fingerprint
        assert one.owner("ada") == other.owner("ada")
        await one.delete_key("ada")
        assert await other.known("ada") is None
        assert not await other.holds("ada", second)
        assert (await other.own("ada")).fingerprint != first.fingerprint


async def test_a_key_that_is_thrown_away_is_gone_from_redis_files(server: RedisServer) -> None:
    """Both the append-only file and the snapshot, which are written anew."""
    async with opened_in_redis(server.url) as keyring:
        await keyring.own("ada")
        await keyring.own("bob")
        (gone,) = [value for owner, value in wrapped(server).items() if owner == keyring.owner("ada").encode()]
        with server.client() as client:
            client.save()
        assert lies_in_a_file(server, gone)
        await keyring.delete_key("ada")
        assert keyring.left == ""
        eventually(lambda: not lies_in_a_file(server, gone))
        (kept,) = [value for owner, value in wrapped(server).items() if owner == keyring.owner("bob").encode()]
        assert lies_in_a_file(server, kept)


async def test_a_redis_that_may_not_rewrite_its_files_is_told_of(server: RedisServer) -> None:
    """The key is gone for all processes; that its bytes may be left is said, and no erasure fails for ever."""
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "default", "-bgrewriteaof")
    async with opened_in_redis(server.url) as keyring:
        await keyring.own("ada")
        await keyring.delete_key("ada")
        assert await keyring.known("ada") is None
        assert "refuses BGREWRITEAOF" in keyring.left


async def test_the_master_key_rotates(server: RedisServer) -> None:
    """As in a file: what was sealed before is read, nothing wrapped by the old one is left on the disk."""
    async with opened_in_redis(server.url, OLD) as keyring:
        sealed = (await keyring.own("ada")).seal(b"I live in Oslo.", "here")
        before = wrapped(server).values()
    async with opened_in_redis(server.url, f"{NEW} {OLD}") as keyring:
        assert await keyring.rotate() == 2
        assert await keyring.rotate() == 0
        eventually(lambda: not any(lies_in_a_file(server, each) for each in before))
    async with opened_in_redis(server.url, NEW) as keyring:
        assert list(await keyring.versions()) == [keyring.newest.id]
        assert (await keyring.own("ada")).open(sealed, "here") == b"I live in Oslo."
    with pytest.raises(ConfigError, match="Redis needs the master key with the id"):
        async with opened_in_redis(server.url, OLD):
            pass


async def test_who_was_erased_meanwhile_is_not_brought_back_by_a_rotation(redis_url: str) -> None:
    """The old row is replaced only if it is still there."""
    async with opened_in_redis(redis_url, OLD) as old, opened_in_redis(redis_url, f"{NEW} {OLD}") as new:
        await old.own("ada")
        row = await new.keys.get(new.owner("ada"))
        assert row is not None
        await old.delete_key("ada")
        run = new.keys._run  # type: ignore[attr-defined]
        assert await run("swap", new.owner("ada"), b"%s:%s" % (row.master.encode(), row.wrapped), b"x:y") == 0
        assert await new.known("ada") is None


async def test_a_redis_that_was_used_in_clear_text_is_refused(server: RedisServer) -> None:
    """The error says what to do."""
    with server.client() as client:
        client.incr(f"{PREFIX}seq")
    with pytest.raises(ConfigError, match="memories in Redis are not encrypted"):
        async with opened_in_redis(server.url):
            pass


async def test_a_keyring_that_is_lost_while_it_is_used_is_not_made_anew(server: RedisServer) -> None:
    """Neither for a user that had a key nor for a new one; and once it is restored all is read again."""
    async with opened_in_redis(server.url) as keyring:
        sealed = (await keyring.own("ada")).seal(b"I live in Oslo.", "here")
        with server.client() as client:
            kept = client.dump(f"{PREFIX}keys")
            client.delete(f"{PREFIX}keys")
            for user in ("ada", "new"):
                with pytest.raises(StoreUnavailable, match="keyring is gone from Redis: restore"):
                    await keyring.own(user)
                with pytest.raises(StoreUnavailable, match="keyring is gone from Redis: restore"):
                    await keyring.known(user)
            assert not client.exists(f"{PREFIX}keys")
            client.restore(f"{PREFIX}keys", 0, kept)
        assert (await keyring.own("ada")).open(sealed, "here") == b"I live in Oslo."


@pytest.mark.slow
def test_no_new_keyring_is_made_beside_old_memories(tmp_path: Path, qdrant_url: str) -> None:
    """Redis was emptied; the memories on the Qdrant server are still sealed with the old keys. The start is refused
    until the keyring is restored."""
    collection = {"url": qdrant_url, "collection": f"lost-{tmp_path.name}"}
    with redis_running(tmp_path, *UNPACKED) as redis:
        memory = {
            "deadline_ms": 5000,
            "store": collection,
            "queue": {"url": redis.url},
            "encryption": {"master_key": OLD},
        }
        with running(tmp_path / "one", {}, memory=memory) as proxy, proxy.client("ada") as client:
            client.post("/v1/memories", json={"text": "I live in Oslo."}).raise_for_status()
        with redis.client() as client:
            kept = client.dump(f"{PREFIX}keys")
            client.flushall()
        with pytest.raises(AssertionError, match="their keys are lost: restore"):  # noqa: SIM117
            with running(tmp_path / "two", {}, memory=memory):
                pass
        with redis.client() as client:
            assert not client.exists(f"{PREFIX}keys")
            client.restore(f"{PREFIX}keys", 0, kept)
        with running(tmp_path / "three", {}, memory=memory) as proxy, proxy.client("ada") as client:
            assert "Oslo" in memories(client)[0]["text"]
