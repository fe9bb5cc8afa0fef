"""Is what is remembered kept encrypted? With a master key every adapter is put behind its seal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from proxy.errors import ConfigError
from proxy.memory.database import Database
from proxy.memory.extract.pending import Pending
from proxy.memory.sealed.keyring import Keyring, file_of, in_the_clear
from proxy.memory.sealed.master import masters
from proxy.memory.sealed.pauses import SealedPauses
from proxy.memory.sealed.pending import SealedPending
from proxy.memory.sealed.queue import SealedQueue
from proxy.memory.sealed.records import SealedFrozen, SealedReceipts
from proxy.memory.sealed.store import SealedStore
from proxy.ports import FrozenBlocks, MemoryStore, PausedUsers, ReceiptBook, TurnQueue
from proxy.settings import Settings


class Sealing:
    """Without a `keyring` everything stays as it is."""

    def __init__(self, keyring: Keyring | None) -> None:
        self.keyring = keyring

    def name(self, user: str) -> str:
        """What stands for a user where it can be read."""
        return self.keyring.owner(user) if self.keyring else user

    def store(self, store: MemoryStore) -> MemoryStore:
        return SealedStore(store, self.keyring) if self.keyring else store

    def queue(self, queue: TurnQueue) -> TurnQueue:
        return SealedQueue(queue, self.keyring) if self.keyring else queue

    def receipts(self, receipts: ReceiptBook) -> ReceiptBook:
        return SealedReceipts(receipts, self.keyring) if self.keyring else receipts

    def frozen(self, frozen: FrozenBlocks) -> FrozenBlocks:
        return SealedFrozen(frozen, self.keyring) if self.keyring else frozen

    def pending(self, database: Database, idle_ms: int) -> Pending:
        if self.keyring:
            return SealedPending(database, self.keyring, idle_ms=idle_ms)
        return Pending(database, idle_ms=idle_ms)

    def pauses(self, pauses: PausedUsers) -> PausedUsers:
        return SealedPauses(pauses, self.keyring) if self.keyring else pauses


@asynccontextmanager
async def sealing(settings: Settings) -> AsyncIterator[Sealing]:
    """Raises `ConfigError` for a wrong or missing master key, and for data that was kept in clear text."""
    encryption, path = settings.memory.encryption, file_of(settings.data_path)
    found = masters(encryption)
    if not found:
        if path.exists():
            raise ConfigError(f"the memories in {settings.data_path} are encrypted: set memory.encryption.master_key")
        yield Sealing(None)
        return
    # In this order, for another process may be making both; and before there is a keyring that tells the next start
    # that all is encrypted.
    if in_clear_text(settings.data_path) and not path.exists():
        raise in_the_clear(settings.data_path)
    keyring = Keyring(Database(path), found, rotate_vectors=encryption.rotate_vectors)
    try:
        await keyring.start(lambda: not in_clear_text(settings.data_path))
        yield Sealing(keyring)
    finally:
        await keyring.close()


def in_clear_text(data_dir: Path) -> bool:
    """Was anything kept here before? Asked while there is no key yet."""
    return (data_dir / "queue.db").exists() or (data_dir / "qdrant").exists()
