"""Which queue, and which records beside it, the settings ask for: one SQLite file of this host, or Redis."""

from __future__ import annotations

from dataclasses import dataclass

from rememberd.ports import FrozenBlocks, PausedUsers, PendingTurns, ReceiptBook, TurnQueue
from rememberd.settings.schema import Settings
from rememberd.storage.sqlite.block_cache import Frozen
from rememberd.storage.sqlite.database import Database
from rememberd.storage.sqlite.extraction_queue import SqlitePending
from rememberd.storage.sqlite.pauses import Pauses
from rememberd.storage.sqlite.queue import SqliteQueue
from rememberd.storage.sqlite.receipts import Receipts
from rememberd.types import Millis
from rememberd.wiring.encryption import Sealing


@dataclass(frozen=True, slots=True)
class Records:
    """Closing the queue closes them all. `file` is the queue itself where it is a file: with notes for its one
    writer, about turns that were under way when their user was erased."""

    queue: TurnQueue
    pending: PendingTurns
    receipts: ReceiptBook
    frozen: FrozenBlocks
    pauses: PausedUsers
    file: SqliteQueue | None = None


def build_records(settings: Settings, seal: Sealing) -> Records:
    """Raises `ConfigError` for a URL that is none."""
    bare = _in_redis(settings) if settings.memory.queue.url else _in_sqlite(settings)
    return Records(
        seal.queue(bare.queue),
        seal.pending(bare.pending),
        seal.receipts(bare.receipts),
        seal.frozen(bare.frozen),
        seal.pauses(bare.pauses),
        bare.file,
    )


def _in_sqlite(settings: Settings) -> Records:
    database = Database(settings.data_path / "queue.db")
    queue, pending = SqliteQueue(database), SqlitePending(database, idle_ms=_idle_ms(settings))
    return Records(queue, pending, Receipts(database), Frozen(database), Pauses(database), queue)


def _in_redis(settings: Settings) -> Records:
    # Imported here: who has no Redis need not load its client.
    from rememberd.storage.redis.client import Shared
    from rememberd.storage.redis.extraction_queue import RedisPending
    from rememberd.storage.redis.queue import RedisQueue
    from rememberd.storage.redis.records import RedisFrozen, RedisPauses, RedisReceipts

    # A third of the deadline: a chat makes up to three of these look-ups.
    shared = Shared(settings.memory.queue.url or "", soon_ms=settings.memory.deadline_ms / 3)
    queue, pending = RedisQueue(shared), RedisPending(shared, idle_ms=_idle_ms(settings))
    return Records(queue, pending, RedisReceipts(shared), RedisFrozen(shared), RedisPauses(shared))


def _idle_ms(settings: Settings) -> Millis:
    return settings.memory.extract.idle_seconds * 1000


async def risks(settings: Settings) -> list[str]:
    """How turns could be lost that Redis has taken: for the operator to put right. Raises `QueueUnavailable`."""
    if settings.memory.queue.url is None:
        return []
    from rememberd.storage.redis.client import Shared

    shared = Shared(settings.memory.queue.url)
    try:
        return await shared.risks()
    finally:
        await shared.close()
