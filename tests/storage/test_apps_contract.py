"""The apps of a user are counted and limited, are nobody else's, and go with the user."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rememberd.access.apps import (
    ALL_RIGHTS,
    MOST_APPS,
    UNNAMED,
    App,
    AppLog,
    AppRights,
    AppStore,
    Sighting,
    app_name,
    app_of,
    client_name,
)
from rememberd.encryption.preferences import SealedApps
from rememberd.errors import QueueUnavailable
from rememberd.storage.redis.records import RedisApps
from rememberd.storage.sqlite.apps import SqliteApps
from rememberd.storage.sqlite.database import Database
from tests.support.sealing import PLACES, kept_in, opened

MINUTE, NOW = 60_000, 1_790_000_000_000


@pytest.fixture(params=PLACES)
async def apps(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AppStore]:
    """One promise, two adapters, and either of them under seal."""
    async with kept_in(request, tmp_path, SqliteApps, RedisApps, SealedApps) as apps:
        yield apps


def seen(app: str, at: int, requests: int = 1, key: str = "laptop") -> Sighting:
    return Sighting(app, key, requests, NOW + at, NOW + at)


async def test_sightings_add_up_whatever_their_order(apps: AppStore) -> None:
    """Several processes write them. The app that was seen last comes first."""
    await apps.saw("ada", [seen("Open WebUI", 20, 2), seen("claude-cli", 10)])
    await apps.saw("ada", [seen("Open WebUI", 15, 3, key="phone")])
    assert await apps.all("ada") == [
        App(Sighting("Open WebUI", "laptop", 5, NOW + 15, NOW + 20)),
        App(seen("claude-cli", 10)),
    ]
    await apps.saw("ada", [seen("claude-cli", 30, key="phone")])
    assert [each.seen.app for each in await apps.all("ada")] == ["claude-cli", "Open WebUI"]
    assert (await apps.all("ada"))[0].seen == Sighting("claude-cli", "phone", 2, NOW + 10, NOW + 30)
    assert await apps.all("bob") == []


async def test_rights_are_one_apps_of_one_user(apps: AppStore) -> None:
    """They stay when the app is seen again, and nobody can set any for an app that was never seen."""
    for user in ("ada", "bob"):
        await apps.saw(user, [seen("a/b: c", 1), seen("other", 1)])
    limited = AppRights(reads=False, scope="work")
    assert await apps.set("ada", "a/b: c", limited)
    assert not await apps.set("ada", "never seen", limited)
    await apps.saw("ada", [seen("a/b: c", 2)])
    assert await apps.rights("ada", "a/b: c") == limited
    assert {each.seen.app: each.rights for each in await apps.all("ada")} == {"a/b: c": limited, "other": ALL_RIGHTS}
    for user, app in (("ada", "other"), ("ada", "never seen"), ("bob", "a/b: c")):
        assert await apps.rights(user, app) == ALL_RIGHTS
    assert await apps.set("ada", "a/b: c", ALL_RIGHTS)
    assert await apps.rights("ada", "a/b: c") == ALL_RIGHTS


async def test_an_erased_users_apps_are_gone_and_late_sightings_refused(apps: AppStore) -> None:
    """What comes after the erasure is seen, with all rights."""
    for user in ("ada", "bob"):
        await apps.saw(user, [seen("claude-cli", 1_000)])
        await apps.set(user, "claude-cli", AppRights(writes=False))
    await apps.erase("ada", NOW + 2_000)
    await apps.saw("ada", [seen("claude-cli", 2_000)])
    assert await apps.all("ada") == []
    await apps.saw("ada", [seen("claude-cli", 2_001)])
    assert await apps.all("ada") == [App(seen("claude-cli", 2_001))]
    assert [each.rights.writes for each in await apps.all("bob")] == [False]


async def test_no_client_fills_the_store_with_names(apps: AppStore) -> None:
    """The apps away longest make room, but none whose rights the user has set."""
    await apps.saw("ada", [seen("limited", 1), seen("old", 2)])
    await apps.set("ada", "limited", AppRights(reads=False))
    for at in range(3, MOST_APPS + 3):
        await apps.saw("ada", [seen(f"app {at}", at)])
    names = {each.seen.app for each in await apps.all("ada")}
    assert "limited" in names
    assert "old" not in names
    assert MOST_APPS <= len(names) <= MOST_APPS + 1


async def test_an_app_is_written_at_once_and_then_once_a_minute(tmp_path: Path) -> None:
    """And its requests meanwhile are counted, also those that could not be written."""
    database = Database(tmp_path / "queue.db")
    store = SqliteApps(database)
    log = AppLog(store)

    async def counted() -> dict[str, int]:
        return {each.seen.app: each.seen.requests for each in await store.all("ada")}

    log.note("ada", "a", "k", 1)
    await log.flush(1)
    assert await counted() == {"a": 1}
    log.note("ada", "a", "k", 2)
    log.note("ada", "a", "k", 3)
    log.note("ada", "b", "k", 3)
    await log.flush(MINUTE)
    assert await counted() == {"a": 1, "b": 1}
    await log.flush(MINUTE + 1)
    assert await counted() == {"a": 3, "b": 1}
    log.note("ada", "a", "k", MINUTE + 2)
    await log.close()
    assert await counted() == {"a": 4, "b": 1}
    await database.close()


async def test_what_could_not_be_written_is_counted_later(tmp_path: Path) -> None:
    """With what came meanwhile."""
    gone = Database(tmp_path / "queue.db")
    await gone.close()
    log = AppLog(SqliteApps(gone))
    log.note("ada", "a", "k", 1)
    with pytest.raises(QueueUnavailable):
        await log.flush(1)
    log.note("ada", "a", "k", 2)
    log.store = SqliteApps(again := Database(tmp_path / "queue.db"))
    await log.flush(2)
    assert await log.store.all("ada") == [App(Sighting("a", "k", 2, 1, 2))]
    await again.close()


async def test_under_seal_no_name_is_readable(tmp_path: Path) -> None:
    """Neither the user's nor the app's nor the scope's."""
    async with opened(tmp_path) as keyring:
        apps = SealedApps(file := SqliteApps(Database(tmp_path / "queue.db")), keyring)
        await apps.saw("ada-of-lovelace", [seen("Zwitscherling", 1)])
        assert await apps.set("ada-of-lovelace", "Zwitscherling", AppRights(scope="workplace"))
        await file.database.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("queue.db*"))
    assert [word for word in (b"lovelace", b"workplace", b"Zwitscherling") if word in kept] == []


NAMES: dict[str, dict[str, str]] = {
    "claude-cli": {"user-agent": "claude-cli/2.0.14 (external, cli)"},
    "codex_cli_rs": {"user-agent": "codex_cli_rs/0.50.0 (Debian 12; x86_64) vscode/1.105"},
    "OpenAI/Python": {"user-agent": "OpenAI/Python 2.20.0"},
    "ai-sdk/openai-compatible": {"user-agent": "ai-sdk/openai-compatible/2.0.91 ai-sdk/provider-utils/4.0.64"},
    "Open WebUI": {"user-agent": "Python/3.11 aiohttp/3.14.5", "x-openwebui-chat-id": "1"},
    "browser": {"user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"},
    "My App 2": {"user-agent": "OpenAI/JS 6.1.0", "x-title": "My App 2"},
    "unnamed": {"user-agent": ""},
    "x" * 64: {"user-agent": "x" * 500},
    "ab": {"user-agent": "a\x00b\x7f/1.0"},
}


@pytest.mark.parametrize("name", NAMES)
def test_an_app_is_called_as_it_calls_itself(name: str) -> None:
    """Without the version, so that an update is not another app."""
    assert app_name(NAMES[name]) == name


@pytest.mark.parametrize("name", NAMES)
def test_memories_receipts_and_the_list_of_apps_call_it_the_same(name: str) -> None:
    """Whatever a memory's `source.client` holds: the version, where the app is called by its User-Agent."""
    assert (app_of(client_name(NAMES[name])) or UNNAMED) == name
