"""A pause and a time zone hold in every web process, and what was said during a pause is not learned."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from rememberd.encryption.preferences import SealedPreferences
from rememberd.memory.adoption import adopt_preferences
from rememberd.ports import Preferences, PreferenceStore
from rememberd.storage.redis.client import RedisClient
from rememberd.storage.redis.queue import RedisQueue
from rememberd.storage.redis.records import RedisPreferences
from rememberd.storage.sqlite.preferences import SqlitePreferences
from rememberd.types import EVERY_SCOPE, Space
from tests.support.queue_contract import claimed, found_in, turn
from tests.support.sealing import PLACES, kept_in


@pytest.fixture(params=PLACES)
async def preferences(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[PreferenceStore]:
    """One promise, two adapters, and either of them under seal."""
    async with kept_in(request, tmp_path, SqlitePreferences, RedisPreferences, SealedPreferences) as preferences:
        yield preferences


async def test_a_pause_lasts_until_it_is_ended(preferences: PreferenceStore) -> None:
    """Of one user only, in every scope; pausing twice is pausing once."""
    ada = Space("ada", EVERY_SCOPE)
    await preferences.pause(ada)
    await preferences.pause(ada)
    assert (await preferences.of(Space("ada"))).paused
    assert (await preferences.of(Space("ada", "work"))).paused
    assert not (await preferences.of(Space("bob"))).paused
    await preferences.resume(ada)
    assert not (await preferences.of(Space("ada"))).paused


async def test_a_pause_of_a_scope_is_of_that_scope(preferences: PreferenceStore) -> None:
    """It ends for itself, or with the pause of everything; and it does not end a pause of everything."""
    work, everywhere = Space("ada", "work"), Space("ada", EVERY_SCOPE)
    await preferences.pause(work)
    found = [(await preferences.of(each)).paused for each in (work, Space("ada"), Space("bob", "work"))]
    assert found == [True, False, False]
    await preferences.resume(Space("ada", "home"))
    assert (await preferences.of(work)).paused
    await preferences.resume(work)
    assert not (await preferences.of(work)).paused
    await preferences.pause(everywhere)
    await preferences.resume(work)
    assert (await preferences.of(work)).paused
    await preferences.pause(work)
    await preferences.resume(everywhere)
    assert not (await preferences.of(work)).paused


async def test_a_time_zone_is_one_users(preferences: PreferenceStore) -> None:
    """That of a scope comes first, and ends with a new one for every scope. A pause changes nothing about it."""
    work, everywhere = Space("ada", "work"), Space("ada", EVERY_SCOPE)
    assert await preferences.of(work) == Preferences(paused=False, time_zone=None)
    await preferences.set_time_zone(everywhere, "Europe/Oslo")
    await preferences.set_time_zone(work, "Asia/Tokyo")
    await preferences.pause(work)
    assert await preferences.of(work) == Preferences(paused=True, time_zone="Asia/Tokyo")
    assert await preferences.of(Space("ada")) == Preferences(paused=False, time_zone="Europe/Oslo")
    assert await preferences.of(Space("bob", "work")) == Preferences()
    await preferences.set_time_zone(work, None)
    assert await preferences.of(work) == Preferences(paused=True, time_zone="Europe/Oslo")
    await preferences.set_time_zone(work, "Asia/Tokyo")
    await preferences.set_time_zone(everywhere, "Africa/Lagos")
    assert (await preferences.of(work)).time_zone == "Africa/Lagos"


async def test_an_erased_user_has_no_time_zone_and_stays_paused(preferences: PreferenceStore) -> None:
    """The pause keeps apps that still send from teaching what is said."""
    everywhere = Space("ada", EVERY_SCOPE)
    await preferences.pause(everywhere)
    for space in (everywhere, Space("ada", "work"), Space("bob", EVERY_SCOPE)):
        await preferences.set_time_zone(space, "Europe/Oslo")
    await preferences.erase("ada", 1)
    assert await preferences.of(Space("ada", "work")) == Preferences(paused=True, time_zone=None)
    assert (await preferences.of(Space("bob"))).time_zone == "Europe/Oslo"


async def test_settings_move_to_another_user(preferences: PreferenceStore) -> None:
    """Nothing stays with the old one, and a time zone that the new one has set is kept."""
    local, ada, bob = (Space(user, EVERY_SCOPE) for user in ("local", "ada", "bob"))
    await preferences.set_time_zone(bob, "Africa/Lagos")
    for new in (ada, bob):
        await preferences.pause(local)
        await preferences.set_time_zone(local, "Europe/Oslo")
        await adopt_preferences(preferences, local.user, new.user)
        assert await preferences.of(local) == Preferences()
    assert await preferences.of(ada) == Preferences(paused=True, time_zone="Europe/Oslo")
    assert await preferences.of(bob) == Preferences(paused=True, time_zone="Africa/Lagos")


async def test_a_paused_users_turn_is_refused_by_redis_itself(redis_url: str) -> None:
    """A chat that could not ask in time whether its user has paused puts the turn later: it is not kept. What a
    model found in a turn from before the pause is."""
    shared = RedisClient(redis_url, soon_ms=5_000)
    queue, preferences = RedisQueue(shared), RedisPreferences(shared)
    await preferences.pause(Space("ada", EVERY_SCOPE))
    assert not await queue.put(turn("t1"))
    await preferences.pause(Space("bob", "work"))
    assert await queue.put(turn("t2", "bob"))
    assert not await queue.put(replace(turn("t5"), space=Space("bob", "work")))
    assert await queue.put(found_in(turn("t3", "cyd")))
    await preferences.pause(Space("cyd", EVERY_SCOPE))
    assert await queue.put(found_in(turn("t4", "cyd")))
    await preferences.resume(Space("ada", EVERY_SCOPE))
    assert await queue.put(turn("t1"))
    assert sorted(await claimed(queue)) == sorted(["t1", "t2", found_in(turn("t3")).id])
    await queue.close()
