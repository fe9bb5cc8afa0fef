"""Groups behave the same in a host's file and in Redis, sealed or not; every process sees each change at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rememberd.access.groups import Change, Group, Groups, GroupStore
from rememberd.encryption.cipher import Cipher
from rememberd.encryption.groups import GroupCodec
from rememberd.errors import InputRejected, QueueUnavailable, RequestError, StoreUnavailable
from rememberd.storage.redis.client import RedisClient
from rememberd.storage.redis.records import RedisGroups
from rememberd.storage.sqlite.database import Database
from rememberd.storage.sqlite.groups import SqliteGroups
from rememberd.types import Identity

ROOT = Cipher(b"r" * 32, "")


@pytest.fixture(params=["file", "sealed file", "redis", "sealed redis"])
async def two(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Groups, Groups]]:
    """Of two processes."""
    codec = GroupCodec(ROOT if "sealed" in request.param else None)
    stores: list[GroupStore] = (
        [RedisGroups(RedisClient(request.getfixturevalue("redis_url"), soon_ms=60_000), codec) for _ in range(2)]
        if "redis" in request.param
        else [SqliteGroups(Database(tmp_path / "groups.db"), codec) for _ in range(2)]
    )
    one, other = (Groups([Group("fixed", {"ada": "owner"})], store) for store in stores)
    yield one, other
    await one.close()
    await other.close()


def roles(groups: Groups, user: str, *claimed: str) -> dict[str, str]:
    return dict(groups.resolved(Identity(user, groups=claimed), None).roles)


async def test_each_change_is_in_force_in_the_other_process_with_its_next_look(two: tuple[Groups, Groups]) -> None:
    """A group, a member, another role, no member any more, no group."""
    one, other = two
    await one.create(Group("team", claim_role="reader"))
    await other.look()
    assert (roles(other, "bob"), roles(other, "bob", "team", "fixed", "x")) == ({}, {"team": "reader"})
    for role in ("writer", "owner", None):
        await one.set_member("team", "bob", role)
        await other.refresh()
        assert roles(other, "bob") == ({"team": role} if role else {})

    async def fails(user: str) -> int:
        raise StoreUnavailable("away")

    async def erases(user: str) -> int:
        await other.refresh()
        assert roles(other, "bob", "team") == {}  # before it begins
        return 3

    with pytest.raises(StoreUnavailable):
        await one.remove("team", fails)
    with pytest.raises(InputRejected):  # what is there must not come to a new group of this name
        await one.create(Group("team"))
    assert await one.remove("team", erases) == 3
    await one.create(Group("team"))
    await other.refresh()
    assert roles(other, "bob", "team") == {}
    assert roles(other, "ada") == {"fixed": "owner"}


async def test_changes_at_once_lose_no_member(two: tuple[Groups, Groups]) -> None:
    """Whichever process makes them."""
    await two[0].create(Group("team"))
    users = [f"user {number}" for number in range(8)]
    await asyncio.gather(*(two[at % 2].set_member("team", user, "reader") for at, user in enumerate(users)))
    await two[1].look()
    assert sorted(two[1].all["team"].members) == users


async def test_what_cannot_be_is_refused(two: tuple[Groups, Groups]) -> None:
    await two[0].create(Group("team"))
    for attempt, code in (
        (two[1].create(Group("team")), "group_exists"),
        (two[1].create(Group("fixed")), "group_is_configured"),
        (two[1].set_member("fixed", "bob", "owner"), "group_is_configured"),
        (two[1].set_member("nowhere", "bob", "owner"), "group_not_found"),
        (two[1].remove("nowhere", _none), "group_not_found"),
    ):
        with pytest.raises(InputRejected) as refused:
            await attempt
        assert refused.value.code == code


async def test_an_erased_user_is_forgotten_and_groups_of_the_settings_are_not(two: tuple[Groups, Groups]) -> None:
    """A group that is taken out of the settings has no members, but erasures still look into it."""
    one, other = two
    await one.create(Group("team", {"bob": "owner", "eve": "writer"}))
    await one.note_configured()
    await other.leave("bob")
    other.reload(Groups())
    assert other.all["team"] == Group("team", {"eve": "writer"}, former=("bob",))
    await other.forget("bob")
    await other.look()
    assert other.all == {"team": Group("team", {"eve": "writer"}), "fixed": Group("fixed", former=("ada",))}


async def test_an_erasure_looks_into_the_groups_that_the_user_was_in(two: tuple[Groups, Groups]) -> None:
    """And in no others, however many there are; also after the user has left, and after the group has gone from the
    settings. Where a sign-in names members, nobody knows who was one."""
    one, other = two
    for number in range(9):
        await one.create(Group(f"team-{number}", {"eve": "owner"}, keep_contributions=number == 3))
    await one.create(Group("claimed", claim_role="reader"))
    for name in ("team-3", "team-7"):
        await one.set_member(name, "ada", "writer")
    await one.set_member("team-7", "ada", None)
    await one.note_configured()
    other.reload(Groups())
    wanted = {"team-3": True, "team-7": False, "claimed": False, "fixed": False}
    assert await other.leave("ada") == wanted
    assert await one.leave("ada") == wanted  # again, after what came next had failed
    await one.forget("ada")
    assert await other.leave("ada") == {"claimed": False}
    assert await one.leave("bob") == {"claimed": False}


async def test_what_an_earlier_version_wrote_is_looked_into(tmp_path: Path) -> None:
    """It did not note who has left."""
    codec = GroupCodec(None)
    old = codec.opened(
        "team", b'{"name":"team","members":{"eve":"owner"},"claim_role":null,"keep_contributions":true}'
    )
    assert old is not None
    assert old.may_hold("ada")
    assert codec.opened("team", codec.stored(old)) == old


async def test_a_key_for_some_scopes_opens_only_their_groups(two: tuple[Groups, Groups]) -> None:
    await two[0].create(Group("team", {"ada": "writer"}))
    asked = Identity("ada", "@team")
    assert set(two[0].resolved(asked, ("@team", "home")).roles) == {"team"}
    assert set(two[0].resolved(asked, None).roles) == {"team", "fixed"}
    with pytest.raises(RequestError):
        two[0].resolved(asked, ("home",))


async def test_while_groups_cannot_be_read_the_made_ones_have_no_members(two: tuple[Groups, Groups]) -> None:
    """Nobody who was removed meanwhile may go on reading."""
    one, _ = two
    await one.create(Group("team", {"ada": "writer"}))
    assert set(roles(one, "ada")) == {"team", "fixed"}
    store = one.made
    one.made = _Away()
    await one.refresh()
    assert set(roles(one, "ada")) == {"fixed"}
    one.made = store
    await one.refresh()
    assert set(roles(one, "ada")) == {"team", "fixed"}


class _Away:
    """A store that cannot be reached."""

    async def all(self) -> list[Group]:
        raise QueueUnavailable("away")

    async def change(self, name: str, change: Change) -> Group | None:
        raise QueueUnavailable("away")

    async def version(self) -> str:
        raise QueueUnavailable("away")

    async def close(self) -> None: ...


async def _none(user: str) -> int:
    return 0
