"""Opens the queue and the other records that the settings name: in an SQLite file of this host, or in Redis."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rememberd.access.apps import AppStore
from rememberd.encryption.extraction_queue import SealedExtractionQueue
from rememberd.encryption.keyring import Keyring
from rememberd.encryption.preferences import SealedApps, SealedPreferences
from rememberd.encryption.queue import SealedQueue
from rememberd.encryption.records import SealedBlockCache, SealedReceipts, SealedToolFiles
from rememberd.encryption.spool import SealedSpool
from rememberd.encryption.usage import SealedUsage
from rememberd.errors import QueueUnavailable
from rememberd.ports import (
    BlockCache,
    ExtractionQueue,
    OwnedObjects,
    PreferenceStore,
    ReceiptStore,
    Spool,
    ToolFileStore,
    TurnQueue,
)
from rememberd.settings.schema import Settings
from rememberd.storage.spool import FileSpool
from rememberd.storage.sqlite.apps import SqliteApps
from rememberd.storage.sqlite.block_cache import SqliteBlockCache
from rememberd.storage.sqlite.database import Database
from rememberd.storage.sqlite.extraction_queue import SqliteExtractionQueue
from rememberd.storage.sqlite.owned_objects import SqliteOwnedObjects
from rememberd.storage.sqlite.preferences import SqlitePreferences
from rememberd.storage.sqlite.queue import SqliteQueue
from rememberd.storage.sqlite.receipts import SqliteReceipts
from rememberd.storage.sqlite.tool_files import SqliteToolFiles
from rememberd.storage.sqlite.usage import SqliteUsage
from rememberd.telemetry.usage.counts import UsageStore
from rememberd.types import Millis
from rememberd.wiring.encryption import Encryption, open_encryption, spool_of

_REDIS_SECONDS = 2.0

log = logging.getLogger("rememberd.queue")


@dataclass(frozen=True, slots=True)
class QueueBundle:
    """Closing the queue closes everything except the spool. `file` is the queue if it is a file: then it also knows
    which turns were being processed when their user was erased."""

    queue: TurnQueue
    extraction_queue: ExtractionQueue
    receipts: ReceiptStore
    block_cache: BlockCache
    preferences: PreferenceStore
    spool: Spool
    owned: OwnedObjects
    usage: UsageStore
    tool_files: ToolFileStore
    apps: AppStore
    file: SqliteQueue | None = None


def open_queue(settings: Settings, seal: Encryption, *, read_only: bool = False) -> QueueBundle:
    """A `read_only` file must exist. Raises `ConfigError` for an invalid URL."""
    bare = _in_redis(settings) if settings.memory.queue.url else _in_sqlite(settings, read_only)
    return bare if seal.keyring is None else _sealed(bare, seal.keyring)


def _sealed(bare: QueueBundle, keyring: Keyring) -> QueueBundle:
    return replace(
        bare,
        queue=SealedQueue(bare.queue, keyring),
        extraction_queue=SealedExtractionQueue(bare.extraction_queue, keyring),
        receipts=SealedReceipts(bare.receipts, keyring),
        block_cache=SealedBlockCache(bare.block_cache, keyring),
        preferences=SealedPreferences(bare.preferences, keyring),
        spool=SealedSpool(bare.spool, keyring),
        usage=SealedUsage(bare.usage, keyring),
        tool_files=SealedToolFiles(bare.tool_files, keyring),
        apps=SealedApps(bare.apps, keyring),
    )


@asynccontextmanager
async def existing_queue(settings: Settings, *, read_only: bool = True) -> AsyncIterator[QueueBundle | None]:
    """The queue for a command; None if no start has created the file yet. Raises `ConfigError`. With `read_only`,
    tables that an earlier version did not have may be missing."""
    if not settings.memory.queue.url and not _file(settings).exists():
        yield None
        return
    async with open_encryption(settings, read_only=True) as seal:
        records = open_queue(settings, seal, read_only=read_only)
        try:
            yield records
        finally:
            await records.queue.close()


def _file(settings: Settings) -> Path:
    return settings.data_path / "queue.db"


def _in_sqlite(settings: Settings, read_only: bool) -> QueueBundle:
    database = Database(_file(settings), read_only=read_only)
    queue, extraction_queue = SqliteQueue(database), SqliteExtractionQueue(database, idle_ms=_idle_ms(settings))
    return QueueBundle(
        queue,
        extraction_queue,
        SqliteReceipts(database),
        SqliteBlockCache(database),
        SqlitePreferences(database),
        FileSpool(spool_of(settings.data_path)),
        SqliteOwnedObjects(database),
        SqliteUsage(database),
        SqliteToolFiles(database),
        SqliteApps(database),
        queue,
    )


def _in_redis(settings: Settings) -> QueueBundle:
    from rememberd.storage.redis.client import RedisClient
    from rememberd.storage.redis.extraction_queue import RedisExtractionQueue
    from rememberd.storage.redis.queue import RedisQueue
    from rememberd.storage.redis.records import (
        RedisApps,
        RedisBlockCache,
        RedisOwnedObjects,
        RedisPreferences,
        RedisReceipts,
        RedisToolFiles,
    )
    from rememberd.storage.redis.usage import RedisUsage

    # A quarter of the deadline: a chat makes up to four of these look-ups.
    shared = RedisClient(settings.memory.queue.url or "", soon_ms=settings.memory.deadline_ms / 4)
    queue, extraction_queue = RedisQueue(shared), RedisExtractionQueue(shared, idle_ms=_idle_ms(settings))
    return QueueBundle(
        queue,
        extraction_queue,
        RedisReceipts(shared),
        RedisBlockCache(shared),
        RedisPreferences(shared),
        FileSpool(spool_of(settings.data_path)),
        RedisOwnedObjects(shared),
        RedisUsage(shared),
        RedisToolFiles(shared),
        RedisApps(shared),
    )


def _idle_ms(settings: Settings) -> Millis:
    return settings.memory.extract.idle_seconds * 1000


async def require_format(settings: Settings) -> None:
    """Raises `ConfigError` if a newer version wrote to Redis. Does not wait if Redis is unavailable."""
    if settings.memory.queue.url is None:
        return
    from rememberd.storage.redis.client import RedisClient

    shared = RedisClient(settings.memory.queue.url)
    try:
        async with asyncio.timeout(_REDIS_SECONDS):
            await shared.require_format()
    except (QueueUnavailable, TimeoutError) as error:
        log.warning("could not read the format of the data in Redis: %s", error or "it does not answer")
    finally:
        await shared.close()


async def risks(settings: Settings) -> list[str]:
    """Redis settings with which turns could be lost, for the operator to change. Raises `QueueUnavailable`."""
    if settings.memory.queue.url is None:
        return []
    from rememberd.storage.redis.client import RedisClient

    shared = RedisClient(settings.memory.queue.url)
    try:
        return await shared.risks()
    finally:
        await shared.close()
