"""The keys: one for each user, wrapped by the master key, in a small file of their own.

Whose row is gone, their data cannot be read any more, in whatever file or backup of the rest it still lies. One more
key, the root's, makes the pseudonyms, so that a master key can be replaced without touching anything but this table.
"""

from __future__ import annotations

import os
import sqlite3
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from proxy.errors import ConfigError, StoreUnavailable
from proxy.memory.database import Database
from proxy.memory.sealed.cipher import KEY_BYTES, Cipher
from proxy.memory.sealed.master import Master
from proxy.types import Space

FILE = "keyring.db"
_ROOT = ""  # the owner of the root's key; no pseudonym is empty
_NONCE_BYTES = 12
_CACHED = 256  # users, about 10 kB each without their cached names

SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (
    owner TEXT PRIMARY KEY, master TEXT NOT NULL, wrapped BLOB NOT NULL
) WITHOUT ROWID;
"""
OLD = "SELECT owner, master, wrapped FROM keys WHERE master <> ?"
GET = "SELECT master, wrapped FROM keys WHERE owner = ?"


class Row(NamedTuple):
    master: str
    wrapped: bytes


class Keyring:
    """`await start()` before anything else. `masters` is not empty; the first one wraps.

    Raises `QueueUnavailable` when the file cannot be read, `StoreUnavailable` when a key's master is not known."""

    def __init__(self, database: Database, masters: Sequence[Master], *, rotate_vectors: bool = False) -> None:
        self.database, self.newest, self.rotate_vectors = database, masters[0], rotate_vectors
        self._masters = {master.id: AESGCM(master.key) for master in masters}
        self._ciphers: OrderedDict[str, tuple[Row, Cipher]] = OrderedDict()
        self.root: Cipher
        database.declare(SCHEMA)

    async def start(self, fresh: Callable[[], bool]) -> None:
        """Read the root's key, or make it where `fresh()` says that nothing was kept unencrypted before. Raises
        `ConfigError`."""
        made = self._wrapped(_ROOT, os.urandom(KEY_BYTES))

        def work(db: sqlite3.Connection) -> Row | None:
            found = db.execute(GET, (_ROOT,)).fetchone()
            if found is None and fresh():
                db.execute("INSERT INTO keys VALUES (?, ?, ?)", (_ROOT, *made))
                db.execute(f"PRAGMA user_version = {int(self.rotate_vectors)}")
                found = made
            return found and Row(*found)

        row = await self.database.write(work)
        if row is None:
            raise in_the_clear(self.database.path.parent)
        if row.master not in self._masters:
            raise ConfigError(
                f"{self.database.path} needs the master key with the id {row.master}; memory.encryption names"
                f" {', '.join(self._masters)}: add it behind the newest one"
            )
        if self.database.read("PRAGMA user_version") != [(int(self.rotate_vectors),)]:
            raise ConfigError(
                "memory.encryption.rotate_vectors cannot be changed once there are memories: set it back"
            )
        self.root = Cipher(self._unwrapped(_ROOT, row), _ROOT)

    def owner(self, user: str) -> str:
        """The user's pseudonym."""
        return self.root.name(user)

    def space(self, space: Space) -> Space:
        """Both names by pseudonym; a scope of the same name is another one's for each user."""
        return Space(self.owner(space.user), self.root.name(f"{space.scope}\0{space.user}"))

    def plain_space(self, sealed: Space) -> Space:
        """Raises `Unreadable`."""
        user = self.root.named(sealed.user)
        return Space(user, self.root.named(sealed.scope).removesuffix(f"\0{user}"))

    def known(self, user: str) -> Cipher | None:
        """None: there is nothing of this user that could be read. Looked up each time (10 µs), so that every process
        notices an erasure by another."""
        owner = self.owner(user)
        rows = self.database.read(GET, (owner,))
        if not rows:
            self._ciphers.pop(owner, None)
            return None
        return self._cipher(owner, Row(*rows[0]))

    async def own(self, user: str) -> Cipher:
        """The user's cipher; a new one for a new user. The key is on disk when this returns."""
        return self.known(user) or await self._made(self.owner(user))

    def holds(self, user: str, cipher: Cipher) -> bool:
        """Is this still the user's key?"""
        current = self.known(user)
        return current is not None and current.fingerprint == cipher.fingerprint

    async def shred(self, user: str) -> None:
        """Throw the user's key away: from the table, its free pages and its log."""
        owner = self.owner(user)
        await self.database.write(lambda db: db.execute("DELETE FROM keys WHERE owner = ?", (owner,)), scrub=True)
        self._ciphers.pop(owner, None)

    async def rotate(self) -> int:
        """Wrap every key with the newest master key, and wipe how they were wrapped before. Returns how many were
        wrapped by an older one; interrupted, it can be run again."""

        def work(db: sqlite3.Connection) -> int:
            old = db.execute(OLD, (self.newest.id,)).fetchall()
            for owner, *row in old:
                again = self._wrapped(owner, self._unwrapped(owner, Row(*row)))
                db.execute("UPDATE keys SET master = ?, wrapped = ? WHERE owner = ?", (*again, owner))
            return len(old)

        return await self.database.write(work, scrub=True)

    def versions(self) -> Counter[str]:
        """How many keys each master key has wrapped, by its id."""
        return Counter(dict(self.database.read("SELECT master, count(*) FROM keys GROUP BY master")))

    async def close(self) -> None:
        self._ciphers.clear()
        await self.database.close()

    async def _made(self, owner: str) -> Cipher:
        made = self._wrapped(owner, os.urandom(KEY_BYTES))

        def work(db: sqlite3.Connection) -> Row:
            db.execute("INSERT OR IGNORE INTO keys VALUES (?, ?, ?)", (owner, *made))
            return Row(*db.execute(GET, (owner,)).fetchone())  # another process may have been first

        return self._cipher(owner, await self.database.write(work))

    def _cipher(self, owner: str, row: Row) -> Cipher:
        kept = self._ciphers.get(owner)
        if kept is None or kept[0] != row:
            kept = self._ciphers[owner] = row, Cipher(self._unwrapped(owner, row), owner)
            if len(self._ciphers) > _CACHED:
                self._ciphers.popitem(last=False)
        self._ciphers.move_to_end(owner)
        return kept[1]

    def _wrapped(self, owner: str, key: bytes) -> Row:
        nonce = os.urandom(_NONCE_BYTES)
        return Row(self.newest.id, nonce + self._masters[self.newest.id].encrypt(nonce, key, owner.encode()))

    def _unwrapped(self, owner: str, row: Row) -> bytes:
        master = self._masters.get(row.master)
        if master is None:
            raise StoreUnavailable(f"a key is wrapped by the master key {row.master}, which this process has not got")
        try:
            return master.decrypt(row.wrapped[:_NONCE_BYTES], row.wrapped[_NONCE_BYTES:], owner.encode())
        except InvalidTag as error:
            raise StoreUnavailable(f"a key in {FILE} is damaged: restore it from a backup") from error


def file_of(data_dir: Path) -> Path:
    return data_dir / FILE


def in_the_clear(data_dir: Path) -> ConfigError:
    """What to say of data that was kept before there was a master key."""
    return ConfigError(
        f"the memories in {data_dir} are not encrypted: save each user's with `rememberd memories export`,"
        " set another data_dir, and bring them in with `rememberd import`"
    )
