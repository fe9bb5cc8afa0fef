"""Opens the keyring if memories are encrypted, and checks that the stored data fits the settings."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rememberd.encryption.cipher import DecryptionError
from rememberd.encryption.keyring import Keyring, Keys, plaintext_error
from rememberd.encryption.master_key import masters
from rememberd.encryption.store import SealedStore
from rememberd.errors import ConfigError, QueueUnavailable, StoreUnavailable
from rememberd.ports import MemoryStore
from rememberd.settings.schema import Settings
from rememberd.storage.sqlite.database import Database
from rememberd.storage.sqlite.keyring import SqliteKeyring, file_of

if TYPE_CHECKING:
    from rememberd.storage.redis.keyring import RedisKeyring

log = logging.getLogger("rememberd.sealed")


class Encryption:
    """Encryption with `keyring`; without one, everything stays readable."""

    def __init__(self, keyring: Keyring | None) -> None:
        self.keyring = keyring

    def name(self, user: str) -> str:
        """The user's name, or their pseudonym if data is encrypted: for files that others can read."""
        return self.keyring.owner(user) if self.keyring else user

    def user(self, name: str) -> str:
        """The user that this name or pseudonym stands for."""
        try:
            return self.keyring.root.named(name) if self.keyring else name
        except DecryptionError:  # a plain name, stored before there was a master key
            return name

    def store(self, store: MemoryStore) -> MemoryStore:
        return SealedStore(store, self.keyring) if self.keyring else store


@asynccontextmanager
async def open_encryption(settings: Settings, *, read_only: bool = False) -> AsyncIterator[Encryption]:
    """`read_only` creates no keys: if there are none yet, there is nothing to read.

    Raises `ConfigError` for a wrong or missing master key, and for data that was stored unencrypted."""
    encryption = settings.memory.encryption
    found = masters(encryption)
    if not found:
        await _check_unsealed(settings)
        yield Encryption(None)
        return
    keys = _keys(settings, read_only)
    if read_only and not await keys.begun():
        await keys.close()
        yield Encryption(None)
        return
    keyring = Keyring(keys, found, rotate_vectors=encryption.rotate_vectors)
    try:
        await keyring.start(partial(_nothing_kept, settings))
        yield Encryption(keyring)
    finally:
        await keyring.close()


def _keys(settings: Settings, read_only: bool) -> Keys:
    """The keys are where the queue is. Raises `ConfigError`."""
    data_dir = settings.data_path
    path = file_of(data_dir)
    if settings.memory.queue.url:
        if path.exists():
            raise ConfigError(
                f"{path} has the keys of this host's memories, but with memory.queue.url all hosts share their keys:"
                " export each user's memories with `rememberd memories export` and import them into another data_dir"
            )
        return in_redis(settings)
    # Check in this order, because another process may be creating both. Check before a keyring is created, because a
    # keyring means that everything is encrypted.
    if holds_plaintext(data_dir) and not path.exists():
        raise plaintext_error(data_dir)
    return SqliteKeyring(Database(path, read_only=read_only))


def in_redis(settings: Settings) -> RedisKeyring:
    from rememberd.storage.redis.client import RedisClient
    from rememberd.storage.redis.keyring import RedisKeyring

    return RedisKeyring(RedisClient(settings.memory.queue.url or "", soon_ms=settings.memory.deadline_ms / 3))


async def _check_unsealed(settings: Settings) -> None:
    """Called if there is no master key. Raises `ConfigError` if the data is encrypted."""
    missing = ConfigError(f"the memories in {settings.data_path} are encrypted: set memory.encryption.master_key")
    if file_of(settings.data_path).exists():
        raise missing
    if settings.memory.queue.url is None:
        return
    keys = in_redis(settings)
    try:
        if await keys.begun():
            raise missing
    except QueueUnavailable as error:
        log.warning("could not find out whether the data in Redis is encrypted: %s", error)
    finally:
        await keys.close()


async def _nothing_kept(settings: Settings) -> bool:
    """Called while there is no keyring. Raises `ConfigError` if a Qdrant server does not answer."""
    if holds_plaintext(settings.data_path):
        return False
    if settings.memory.store.url is None:
        return True
    from rememberd.storage.qdrant.collection import holds_memories
    from rememberd.wiring.store import server_of

    connection, layout = server_of(settings)
    try:
        return not await holds_memories(connection, layout)
    except StoreUnavailable as error:
        raise ConfigError(
            f"there are no keys yet, and Qdrant does not say whether there are memories ({error}): start Qdrant first"
        ) from error
    finally:
        await connection.close()


def holds_plaintext(data_dir: Path) -> bool:
    """True if anything was stored here before. Called while there are no keys yet."""
    kept = (data_dir / "queue.db").exists() or (data_dir / "qdrant").exists()
    return kept or any(spool_of(data_dir).glob("*"))


def spool_of(data_dir: Path) -> Path:
    return data_dir / "spool"
