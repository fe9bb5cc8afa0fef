"""Counts of several processes add up, wherever they are kept; an erased user's name goes, the counts stay."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rememberd.encryption.usage import SealedUsage
from rememberd.errors import QueueUnavailable
from rememberd.storage.redis.usage import RedisUsage
from rememberd.storage.sqlite.database import Database
from rememberd.storage.sqlite.usage import SqliteUsage
from rememberd.telemetry.usage.answers import Tokens
from rememberd.telemetry.usage.counts import KEPT_DAYS, Counts, UsageKey, UsageStore, days_before, today
from rememberd.telemetry.usage.meter import UsageMeter
from rememberd.types import Deployment, Principal
from tests.support.sealing import PLACES, kept_in

ADA = UsageKey(today(), "work", "ada", "gpt", "openai/gpt-4o")
BOB = ADA._replace(user="bob", model="claude")
SOME = Counts(requests=1, input=100, cached=40, output=10, memory=30)


@pytest.fixture(params=PLACES)
async def usage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[UsageStore]:
    """One promise, two adapters, and either of them under seal."""
    async with kept_in(request, tmp_path, SqliteUsage, RedisUsage, SealedUsage) as usage:
        yield usage


async def test_counts_add_up(usage: UsageStore) -> None:
    await usage.add({ADA: SOME, BOB: SOME})
    await usage.add({ADA: SOME})
    assert await usage.rows(today(), today()) == {ADA: SOME + SOME, BOB: SOME}
    assert await usage.rows(days_before(today(), 5), days_before(today(), 1)) == {}
    assert await usage.spent(today()) == {"work": 330}


async def test_one_request_whose_tokens_were_estimated_is_stored(usage: UsageStore) -> None:
    """Redis refuses what is no number."""
    meter = UsageMeter(usage)
    meter.note(Principal("work"), "ada", Deployment("gpt", "openai", "gpt-4o"), Tokens(5, 2, estimated=True), 0)
    await meter.flush()
    assert list((await usage.rows(today(), today())).values()) == [Counts(1, estimated=1, input=5, output=2)]


async def test_an_erased_user_leaves_the_counts_without_a_name(usage: UsageStore) -> None:
    await usage.add({ADA: SOME, BOB: SOME, ADA._replace(user=""): SOME})
    await usage.erase("ada")
    assert await usage.rows(today(), today()) == {ADA._replace(user=""): SOME + SOME, BOB: SOME}
    assert await usage.spent(today()) == {"work": 330}


async def test_old_counts_go(usage: UsageStore) -> None:
    old = ADA._replace(day=days_before(today(), KEPT_DAYS + 1))
    await usage.add({old: SOME})
    await usage.add({ADA: SOME})
    rows = await usage.rows(days_before(today(), KEPT_DAYS), today())
    assert list(rows) == [ADA]


class _Broken(SqliteUsage):
    broken = True

    async def add(self, counted: object) -> None:
        if self.broken:
            raise QueueUnavailable("broken")
        await super().add(counted)  # type: ignore[arg-type]


async def test_two_processes_share_a_limit_and_an_outage_loses_no_counts(tmp_path: Path) -> None:
    """What one has counted holds for the other after its next flush, at the latest a second later."""
    store = _Broken(Database(tmp_path / "queue.db"))
    one, other = UsageMeter(store), UsageMeter(store)
    limited, model = Principal("work", tokens_per_day=100), Deployment("gpt", "openai", "gpt-4o")
    for meter in (one, other):
        meter.note(limited, "ada", model, Tokens(100, 10), 0)
        with pytest.raises(QueueUnavailable):
            await meter.flush()
        assert meter.spent("work") == 110
    store.broken = False
    await one.flush()
    await other.flush()
    assert other.spent("work") == 220
    await one.flush()
    assert one.spent("work") == 220
    assert one.spent("another") == 0
    await store.database.close()
