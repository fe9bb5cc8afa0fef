"""The API keys that were created on one host, in a file of its data directory."""

import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from rememberd.access.api_keys import ApiKey, made_key, name_taken, no_such_key
from rememberd.encryption.api_keys import ApiKeyCodec
from rememberd.errors import QueueUnavailable
from rememberd.storage.sqlite.database import Database
from rememberd.types import Millis, Principal

SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, digest BLOB NOT NULL, principal BLOB NOT NULL,
    created_at INTEGER NOT NULL, revoked_at INTEGER
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS uses (digest BLOB PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
"""

COLUMNS = "id, keys.digest, principal, created_at, revoked_at"
ALL = f"SELECT {COLUMNS}, uses.at FROM keys LEFT JOIN uses USING (digest) ORDER BY created_at, id"  # noqa: S608 - ours
USED = "INSERT INTO uses VALUES (?, ?) ON CONFLICT DO UPDATE SET at = max(at, excluded.at)"
# The next key can then have the name; the list shows the holder's name from `principal`.
ENDS = "UPDATE keys SET name = id, principal = ? WHERE id = ?"
IN_FORCE = f"SELECT {COLUMNS} FROM keys WHERE (id = ? OR name IN (?, ?)) AND revoked_at IS NULL"  # noqa: S608 - ours
SEAL = "UPDATE keys SET name = iif(name = id, id, ?), principal = ? WHERE id = ?"


class SqliteApiKeys:
    """An `ApiKeyStore` in a file of its own, so that SQLite's `data_version` changes with keys and their uses only.
    There is no file until the first key is created. Before 0.2 nothing in it was sealed: such keys are valid, and
    sealed by the next change."""

    def __init__(self, database: Database, codec: ApiKeyCodec) -> None:
        self.database, self.codec = database, codec
        self._all_sealed = codec.root is None
        database.declare(SCHEMA)

    async def create(self, principal: Principal, at: Millis) -> tuple[ApiKey, str]:
        made, key = made_key(principal, at)

        def work(db: sqlite3.Connection) -> None:
            if self._in_force(db, principal.name):
                raise name_taken(principal.name)
            self._insert(db, made)

        await self._seal()
        await self.database.write(work)
        return made, key

    async def rotate(self, id_or_name: str, at: Millis, until: Millis) -> tuple[ApiKey, str]:
        def work(db: sqlite3.Connection) -> tuple[ApiKey, str]:
            old = self._in_force(db, id_or_name)
            if old is None or not old.readable:
                raise no_such_key(id_or_name)
            db.execute(ENDS, (self.codec.stored(old.expiring(until)), old.id))
            made, key = made_key(old.principal, at)
            self._insert(db, made)
            return made, key

        await self._seal()
        return await self.database.write(work)

    async def record_uses(self, times: Mapping[bytes, Millis]) -> None:
        await self._seal()
        await self.database.write(lambda db: db.executemany(USED, times.items()), durable=False)

    async def revoke(self, id_or_name: str, at: Millis) -> ApiKey:
        def work(db: sqlite3.Connection) -> ApiKey:
            found = self._in_force(db, id_or_name)
            if found is None:
                raise no_such_key(id_or_name)
            db.execute("UPDATE keys SET revoked_at = ? WHERE id = ?", (at, found.id))
            return replace(found, revoked_at=at)

        await self._seal()
        return await self.database.write(work)

    async def all(self) -> list[ApiKey]:
        if not self.database.path.exists():
            return []
        return [self._made(*row) for row in self.database.read(ALL)]

    async def version(self) -> str:
        return str(self.database.read("PRAGMA data_version")[0][0]) if self.database.path.exists() else "no file"

    async def close(self) -> None:
        await self.database.close()

    async def _seal(self) -> None:
        """Seal the unsealed keys, and wipe their old form from the file and its log."""
        if self._all_sealed or not self.database.path.exists():
            return

        def work(db: sqlite3.Connection) -> None:
            for row in db.execute(ALL).fetchall():
                key = self._made(*row)
                if key.readable and not self.codec.is_sealed(*row[:3]):
                    db.execute(SEAL, (self.codec.name(key.principal.name), self.codec.stored(key), key.id))

        with suppress(QueueUnavailable):  # another process reads the log: it is wiped when the file is closed
            await self.database.write(work, scrub=True)
        self._all_sealed = True

    def _insert(self, db: sqlite3.Connection, key: ApiKey) -> None:
        row = (key.id, self.codec.name(key.principal.name), key.digest, self.codec.stored(key), key.created_at)
        db.execute("INSERT INTO keys VALUES (?, ?, ?, ?, ?, NULL)", row)

    def _in_force(self, db: sqlite3.Connection, id_or_name: str) -> ApiKey | None:
        found = db.execute(IN_FORCE, (id_or_name, id_or_name, self.codec.name(id_or_name))).fetchall()
        return self._made(*found[0]) if found else None

    def _made(self, id: str, hashed: bytes, principal: bytes, *times: Any) -> ApiKey:
        in_clear = not self.codec.is_sealed(id, hashed, principal) and principal.startswith(b"{")
        return (_CLEAR if in_clear else self.codec).key(id, hashed, principal, *times)


_CLEAR = ApiKeyCodec(None)
