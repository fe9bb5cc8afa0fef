"""Keys for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from rememberd.encryption.keyring import Keyring
from rememberd.encryption.master_key import masters
from rememberd.settings.schema import Encryption
from rememberd.storage.redis.client import RedisClient
from rememberd.storage.redis.keyring import RedisKeyring
from rememberd.storage.sqlite.database import Database
from rememberd.storage.sqlite.keyring import SqliteKeyring, file_of

OLD, NEW = "11" * 32, "IiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiI="  # hex and base64


@asynccontextmanager
async def opened(
    folder: Path, master: str = OLD, *, fresh: bool = True, rotate_vectors: bool = False
) -> AsyncIterator[Keyring]:
    """The keys in `folder`, made there if `fresh`. Raises `ConfigError`."""
    found = masters(Encryption(master_key=master))
    keyring = Keyring(SqliteKeyring(Database(file_of(folder))), found, rotate_vectors=rotate_vectors)
    try:
        await keyring.start(_said(fresh))
        yield keyring
    finally:
        await keyring.close()


@asynccontextmanager
async def opened_in_redis(url: str, master: str = OLD) -> AsyncIterator[Keyring]:
    """The keys in that Redis, made there if there are none. Raises `ConfigError`."""
    keyring = Keyring(RedisKeyring(RedisClient(url, soon_ms=5_000)), masters(Encryption(master_key=master)))
    try:
        await keyring.start(_said(True))
        yield keyring
    finally:
        await keyring.close()


PLACES = ["sqlite", "redis", "sealed", "sealed redis"]


@asynccontextmanager
async def kept_in(
    request: pytest.FixtureRequest,
    folder: Path,
    in_file: Callable[[Database], Any],
    in_redis: Callable[[RedisClient], Any],
    sealed: Callable[[Any, Keyring], Any],
) -> AsyncIterator[Any]:
    """The adapter of a fixture whose parameter is one of `PLACES`."""
    if "redis" in request.param:
        url: str = request.getfixturevalue("redis_url")
        shared: Any = RedisClient(url, soon_ms=5_000)
        bare, keys = in_redis(shared), opened_in_redis(url)
    else:
        shared = Database(folder / "queue.db")
        bare, keys = in_file(shared), opened(folder)
    async with keys as keyring:
        yield sealed(bare, keyring) if "sealed" in request.param else bare
    await shared.close()


def _said(fresh: bool) -> Callable[[], Awaitable[bool]]:
    async def said() -> bool:
        return fresh

    return said
