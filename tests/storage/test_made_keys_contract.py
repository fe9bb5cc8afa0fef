"""Made keys behave the same in a host's file and in Redis, sealed or not: kept as hashes, one name one key, and every
process sees each change."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from rememberd.access.api_keys import ApiKey, ApiKeyStore, KeyMark, KeyWatcher
from rememberd.access.auth import Auth
from rememberd.encryption.api_keys import ApiKeyCodec
from rememberd.encryption.cipher import Cipher
from rememberd.errors import ConfigError, InputRejected, QueueUnavailable, RequestError
from rememberd.settings.schema import Key, configured_keys
from rememberd.storage.redis.api_keys import RedisApiKeys
from rememberd.storage.redis.client import PREFIX, RedisClient
from rememberd.storage.sqlite.api_keys import SqliteApiKeys
from rememberd.storage.sqlite.database import Database
from rememberd.types import Principal
from tests.support.redis_process import RedisServer
from tests.support.sealing import opened_in_redis

ROOT = Cipher(b"r" * 32, "")
ADA = Principal("ada's", user="ada", models=("gpt-*",), scopes=("work", "team"), requests_per_minute=7, expires_at=9)
EVE = replace(ADA, name="eve's", expires_at=None)


@pytest.fixture(params=["file", "sealed file", "redis", "sealed redis"])
async def two(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[ApiKeyStore, ApiKeyStore]]:
    """Of two processes: of one host if the keys are in a file, else of two."""
    one: ApiKeyStore
    other: ApiKeyStore
    root = ROOT if "sealed" in request.param else None
    if "file" in request.param:
        one, other = in_file(tmp_path, root), in_file(tmp_path, root)
    else:
        url = request.getfixturevalue("redis_url")
        one, other = in_redis(url, tmp_path / "one", root), in_redis(url, tmp_path / "other", root)
    yield one, other
    await one.close()
    await other.close()


def in_file(folder: Path, root: Cipher | None = None) -> SqliteApiKeys:
    return SqliteApiKeys(Database(folder / "keys.db"), ApiKeyCodec(root))


def in_redis(url: str, folder: Path, root: Cipher | None = None) -> RedisApiKeys:
    return RedisApiKeys(RedisClient(url), ApiKeyCodec(root), in_file(folder, root))


def let_in(auth: Auth, key: str) -> bool:
    try:
        auth.principal({"x-api-key": key}, {})
    except RequestError:
        return False
    return True


async def test_a_key_made_here_is_listed_there(two: tuple[ApiKeyStore, ApiKeyStore]) -> None:
    """With all that was asked for, in the order they were made; the key itself is nowhere, only its hash."""
    one, other = two
    assert await other.all() == []
    made, key = await one.create(ADA, 20)
    earlier, _ = await other.create(Principal("bob's", user="bob"), 10)
    assert await other.all() == [earlier, made] == await one.all()
    assert (made.principal, made.digest) == (ADA, sha256(key.encode()).digest())


async def test_of_two_who_take_a_name_at_once_one_is_refused(two: tuple[ApiKeyStore, ApiKeyStore]) -> None:
    """Whichever process they ask; once it is revoked the name is free again."""
    asked = [each.create(ADA, 1) for _ in range(4) for each in two]
    results = await asyncio.gather(*asked, return_exceptions=True)
    refused = [each for each in results if isinstance(each, InputRejected)]
    assert (len(refused), {each.code for each in refused}) == (7, {"key_exists"})
    await two[1].revoke("ada's", 2)
    await two[0].create(ADA, 3)


async def test_who_is_revoked_stays_in_the_list(two: tuple[ApiKeyStore, ApiKeyStore]) -> None:
    """By name or id, once; who has the name next is not meant."""
    one, other = two
    first, _ = await one.create(ADA, 1)
    assert await other.revoke(first.id, 5) == ApiKey(first.id, first.digest, ADA, 1, 5)
    second, _ = await other.create(ADA, 6)
    for gone in (first.id, "nobody's"):
        with pytest.raises(InputRejected, match="there is no valid key"):
            await one.revoke(gone, 7)
    assert (await one.revoke("ada's", 8)).id == second.id
    assert [each.revoked_at for each in await other.all()] == [5, 8]


async def test_a_rotated_key_has_a_successor_with_its_rights(two: tuple[ApiKeyStore, ApiKeyStore]) -> None:
    """Under the same name; the old key ends at the given time, or earlier if it ended earlier. It can be revoked by
    its id meanwhile."""
    one, other = two
    first, _ = await one.create(EVE, 1)
    second, key = await other.rotate("eve's", 20, 50)
    assert (second.principal, second.digest) == (EVE, sha256(key.encode()).digest())
    third, _ = await one.rotate("eve's", 30, 60)
    ends = {each.id: each.principal.expires_at for each in await one.all()}
    assert ends == {first.id: 50, second.id: 60, third.id: None}
    assert {each.principal.name for each in await other.all()} == {"eve's"}
    await one.revoke(second.id, 31)
    assert [each.revoked_at for each in await other.all()] == [None, 31, None]
    await other.create(ADA, 40)
    await other.rotate("ada's", 41, 50)
    assert [each.principal.expires_at for each in await one.all()][3:] == [9, 9]
    for gone in (second.id, "nobody's"):
        with pytest.raises(InputRejected, match="there is no valid key"):
            await one.rotate(gone, 7, 8)


async def test_when_a_key_was_last_used_is_listed(two: tuple[ApiKeyStore, ApiKeyStore], tmp_path: Path) -> None:
    """The latest time that any process saw, over the keys that exist."""
    one, other = two
    (ada, key), (eve, _) = await one.create(ADA, 1), await one.create(EVE, 2)
    auth = Auth({})
    watcher = KeyWatcher(auth, other, KeyMark(tmp_path / "mark"))
    await watcher.refresh()
    with pytest.raises(RequestError, match="expired"):
        auth.principal({"x-api-key": key}, {})
    await watcher.record_uses()
    assert [each.last_used_at for each in await one.all()] == [None, None]
    await one.record_uses({ada.digest: 70, eve.digest: 10})
    await other.record_uses({ada.digest: 60, b"gone": 99})
    assert [each.last_used_at for each in await other.all()] == [70, 10]


async def test_every_change_has_a_version_of_its_own(two: tuple[ApiKeyStore, ApiKeyStore]) -> None:
    """As the other process sees it; what was refused changes nothing."""
    one, other = two
    seen = [await other.version()]
    made, _ = await one.create(ADA, 1)
    seen.append(await other.version())
    await one.revoke(made.id, 2)
    seen.append(await other.version())
    with pytest.raises(InputRejected):
        await one.revoke(made.id, 3)
    assert len(set(seen)) == 3
    assert await other.version() == seen[-1]


async def test_what_was_changed_elsewhere_is_in_force_after_a_look(
    two: tuple[ApiKeyStore, ApiKeyStore], tmp_path: Path
) -> None:
    """Until it looks again, a process uses the keys that it knows, and does not know whether keys are needed now. No
    restart is needed."""
    auth = Auth({})
    watch = KeyWatcher(auth, two[1], KeyMark(tmp_path / "mark"))
    assert not let_in(auth, "any")
    await watch.refresh()
    assert let_in(auth, "any")
    made, key = await two[0].create(ADA, 1)
    await watch.refresh()
    assert not let_in(auth, "any")
    with pytest.raises(RequestError, match="expired"):
        auth.principal({"x-api-key": key}, {})
    await two[0].revoke(made.id, 2)
    await watch.refresh()
    with pytest.raises(RequestError, match="not known"):
        auth.principal({"x-api-key": key}, {})


class Keys:
    """`ApiKeyStore` as a test would have them: away, hanging, or restored from an older copy."""

    def __init__(self) -> None:
        self.made: list[ApiKey] = []
        self.away: Exception | None = None
        self.named = 0

    def reload(self, *made: ApiKey) -> None:
        self.made, self.named = list(made), self.named + 1

    async def create(self, principal: Principal, at: int) -> tuple[ApiKey, str]:
        raise NotImplementedError

    async def revoke(self, id_or_name: str, at: int) -> ApiKey:
        raise NotImplementedError

    async def rotate(self, id_or_name: str, at: int, until: int) -> tuple[ApiKey, str]:
        raise NotImplementedError

    async def record_uses(self, times: Mapping[bytes, int]) -> None:
        raise NotImplementedError

    async def all(self) -> list[ApiKey]:
        return self.made

    async def version(self) -> str:
        if self.away:
            raise self.away
        return str(self.named)

    async def close(self) -> None: ...


def of(key: str, revoked_at: int | None = None, *, readable: bool = True) -> ApiKey:
    return ApiKey(f"key_{key}", sha256(key.encode()).digest(), Principal(key, user="u"), 1, revoked_at, readable)


async def test_while_they_are_away_nobody_new_gets_in_and_nobody_known_is_put_out(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """The log says so once, whatever the reasons are, and once when they are back."""
    caplog.set_level(logging.INFO)
    keys, auth = Keys(), Auth({})
    watch = KeyWatcher(auth, keys, KeyMark(tmp_path / "mark"))
    keys.reload(of("known"), of("gone", 5))
    await watch.refresh()
    keys.away = QueueUnavailable("refused")
    await watch.refresh()
    keys.away = TimeoutError()
    await watch.refresh()
    assert [let_in(auth, each) for each in ("known", "gone", "new")] == [True, False, False]
    keys.away = None
    keys.reload(of("known", 9), of("gone", 5), of("new"))
    await watch.refresh()
    assert [let_in(auth, each) for each in ("known", "gone", "new")] == [False, False, True]
    assert [record.message.partition(";")[0] for record in caplog.records] == [
        "created keys cannot be read",
        "created keys can be read again",
    ]


async def test_who_starts_while_they_are_away_lets_in_the_keys_of_the_settings_only(tmp_path: Path) -> None:
    """Nobody without a key, though there may turn out to be none; nor is anybody known to be the only user."""
    keys = Keys()
    keys.away = QueueUnavailable("refused")
    for configured in ([], [Key(name="alice", key="sk-alice", user="alice")]):
        auth = Auth(configured_keys(configured))
        await KeyWatcher(auth, keys, KeyMark(tmp_path / "mark")).refresh()
        assert [let_in(auth, each) for each in ("", "sk-alice", "made")] == [False, bool(configured), False]
        assert not auth.one_user


async def test_an_older_copy_brings_no_key_back_and_opens_nothing(tmp_path: Path) -> None:
    """Redis restored, or emptied: what this process saw revoked stays so, and keys stay needed."""
    keys, auth = Keys(), Auth({})
    watch = KeyWatcher(auth, keys, KeyMark(tmp_path / "mark"))
    keys.reload(of("ada", 5), of("bob"))
    await watch.refresh()
    keys.reload(of("ada"), of("bob"))
    await watch.refresh()
    assert [let_in(auth, each) for each in ("ada", "bob", "")] == [False, True, False]
    keys.reload()
    await watch.refresh()
    assert [let_in(auth, each) for each in ("ada", "bob", "")] == [False, False, False]


async def test_one_that_cannot_be_read_opens_nothing_and_holds_up_no_other(tmp_path: Path) -> None:
    """Nor is a proxy that needs keys taken for one that needs none."""
    keys, auth = Keys(), Auth({})
    keys.reload(of("torn", readable=False))
    await KeyWatcher(auth, keys, KeyMark(tmp_path / "mark")).refresh()
    assert [let_in(auth, each) for each in ("torn", "")] == [False, False]
    keys.reload(of("torn", readable=False), of("bob"))
    await KeyWatcher(auth, keys, KeyMark(tmp_path / "mark")).refresh()
    assert let_in(auth, "bob")


def raw(server: RedisServer) -> dict[bytes, dict[bytes, bytes]]:
    with server.client() as client:
        return {name: client.hgetall(name) for name in client.keys(f"{PREFIX}api_key:*")}


async def test_sealed_no_name_stands_in_redis_and_who_writes_there_makes_no_key(
    redis_server: RedisServer, redis_url: str, tmp_path: Path
) -> None:
    """Neither with the record of another key nor with one of its own; the others hold."""
    keys = in_redis(redis_url, tmp_path, ROOT)
    made, key = await keys.create(ADA, 1)
    await keys.create(Principal("bob's", user="bob"), 2)
    ((name, fields),) = [each for each in raw(redis_server).items() if made.id.encode() in each[0]]
    for kept in raw(redis_server).values():
        for value in kept.values():
            assert not any(each in value for each in (b"ada", b"bob", b"work", key.encode()))
    forged = sha256(b"mine").digest()
    with redis_server.client() as client:
        client.hset(name, "digest", forged)
        client.hset(f"{PREFIX}api_key:key_x", mapping=fields | {b"digest": forged})
        client.zadd(f"{PREFIX}api_keys", {"key_x": 3})
        client.set(f"{PREFIX}api_keys_version", "forged")
    auth = Auth({})
    await KeyWatcher(auth, keys, KeyMark(tmp_path / "mark")).refresh()
    assert not let_in(auth, "mine")
    assert [each.readable for each in await keys.all()] == [False, True, False]
    await keys.close()


@pytest.mark.parametrize("change", ["a new key", "a use", "a revocation", "a rotation"])
async def test_keys_of_an_earlier_version_hold_and_are_sealed_by_the_next_change(tmp_path: Path, change: str) -> None:
    """0.1 stored their names in clear beside encrypted memories. Then neither the file nor its log has one."""
    before = in_file(tmp_path)
    (made, key), (gone, _) = await before.create(EVE, 1), await before.create(Principal("bob's", user="bob"), 2)
    (old, _), _ = await before.create(Principal("cyril's", user="cyril"), 3), await before.rotate("cyril's", 4, 5)
    await before.revoke(gone.id, 6)
    listed = await before.all()
    await before.close()
    keys, auth = in_file(tmp_path, ROOT), Auth({})
    await KeyWatcher(auth, keys, KeyMark(tmp_path / "mark")).refresh()
    assert let_in(auth, key)
    assert await keys.all() == listed
    match change:
        case "a new key":
            with pytest.raises(InputRejected, match="there is already a key"):
                await keys.create(EVE, 7)
        case "a use":
            await keys.record_uses({made.digest: 7})
        case "a revocation":
            assert (await keys.revoke("eve's", 7)).id == made.id
        case _:
            await keys.rotate("eve's", 7, 8)
    assert {each.id: each.principal.name for each in await keys.all()}[old.id] == "cyril's"
    for file in tmp_path.glob("keys.db*"):
        assert not any(each in file.read_bytes() for each in (b"eve", b"bob", b"cyril", b"work", b"gpt")), file
    with pytest.raises(InputRejected, match="there is already a key"):
        await keys.create(Principal("cyril's", user="cyril"), 9)
    await keys.close()


async def test_a_redis_with_keys_in_clear_text_is_not_encrypted_later(redis_url: str, tmp_path: Path) -> None:
    """A Redis with any unencrypted data is refused."""
    keys = in_redis(redis_url, tmp_path)
    await keys.create(ADA, 1)
    await keys.close()
    with pytest.raises(ConfigError, match="are not encrypted"):
        async with opened_in_redis(redis_url):
            pass


async def test_keys_made_before_there_was_redis_come_along(redis_url: str, tmp_path: Path) -> None:
    """Of every host, in force and revoked ones, by whichever process is first, again after a kill; of two hosts with
    one name both hold. What is revoked afterwards is so in the file too: no way back to it, and no empty Redis,
    brings a key back or opens a proxy that needs keys."""
    files = [in_file(tmp_path / name) for name in ("a", "b")]
    (eve, key), (bob, _) = await files[0].create(EVE, 1), await files[0].create(Principal("bob's", user="bob"), 2)
    await files[0].revoke(bob.id, 3)
    namesake, _ = await files[1].create(EVE, 4)
    async with AsyncExitStack() as stack:
        hosts = [in_redis(redis_url, tmp_path / name) for name in ("a", "a", "b", "c")]
        for close in [each.close for each in hosts] + [each.close for each in files]:
            stack.push_async_callback(close)
        await hosts[0]._add(eve)  # and then it was killed
        await asyncio.gather(*(host.version() for host in hosts))
        found = {each.id: each for each in await hosts[3].all()}
        assert found[eve.id] == eve
        assert found[bob.id].revoked_at == 3
        assert (found[namesake.id].digest, found[namesake.id].revoked_at) == (namesake.digest, None)
        assert found[namesake.id].principal.name == f"{EVE.name} {namesake.id}"
        await hosts[3].revoke(eve.id, 5)
        again = in_redis(redis_url, tmp_path / "a")
        stack.push_async_callback(again.close)
        assert {each.id: each.revoked_at for each in await again.all()}[eve.id] == 5
        auth = Auth({})
        await KeyWatcher(auth, files[0], KeyMark(tmp_path / "mark")).refresh()
        assert not let_in(auth, key)
        assert not let_in(auth, "")


async def test_a_call_whose_answer_was_lost_is_sent_again_in_vain(redis_url: str, tmp_path: Path) -> None:
    """The client retries: neither is a key made twice nor a revocation said to have failed."""
    keys = in_redis(redis_url, tmp_path)
    made, _ = await keys.create(EVE, 1)
    assert await keys._add(made)
    for _ in range(2):
        assert (await keys.revoke(made.id, 5)).revoked_at == 5
    assert len(await keys.all()) == 1
    await keys.close()


async def test_an_emptied_redis_opens_no_host_that_had_keys(
    redis_server: RedisServer, redis_url: str, tmp_path: Path
) -> None:
    """Its file still says that it did."""
    file = in_file(tmp_path)
    _, key = await file.create(EVE, 1)
    keys = in_redis(redis_url, tmp_path)
    assert len(await keys.all()) == 1
    with redis_server.client() as client:
        client.flushall()
    again, auth = in_redis(redis_url, tmp_path), Auth({})
    await KeyWatcher(auth, again, KeyMark(tmp_path / "mark")).refresh()
    assert not let_in(auth, "")
    assert not let_in(auth, key)
    for kept in (file, keys, again):
        await kept.close()


async def test_a_proxy_whose_keys_were_lost_stays_closed(tmp_path: Path) -> None:
    """Also at its next start, without an admin key; until the operator deletes the file that says so."""
    mark = KeyMark(tmp_path / "data" / "mark")
    keys, auth = Keys(), Auth({})
    await KeyWatcher(auth, keys, mark).refresh()
    assert let_in(auth, "")
    keys.reload(of("ada", 5))  # one that was revoked
    await KeyWatcher(auth, keys, mark).refresh()
    keys.reload()
    for gone, opens in ((False, False), (True, True)):
        if gone:
            mark.path.unlink()
        after_a_start = Auth({})
        await KeyWatcher(after_a_start, keys, mark).refresh()
        assert let_in(after_a_start, "") is opens
