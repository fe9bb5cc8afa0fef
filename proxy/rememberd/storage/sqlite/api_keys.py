"""The API keys that were created on one host, in a file of its data directory."""

import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from rememberd.access.api_keys import ApiKey, name_taken, no_such_key, stored_key
from rememberd.access.principals import digest, new_key
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


class SqliteApiKeys:
    """An `ApiKeyStore` in a file of its own, so that SQLite's `data_version` changes with keys and their uses only.
    There is no file until the first key is made."""

    def __init__(self, database: Database) -> None:
        self.database = database
        database.declare(SCHEMA)

    async def create(self, principal: Principal, at: Millis) -> tuple[ApiKey, str]:
        made, key = _new(principal, at)

        def work(db: sqlite3.Connection) -> None:
            if _in_force(db, principal.name):
                raise name_taken(principal.name)
            _insert(db, made)

        await self.database.write(work)
        return made, key

    async def rotate(self, id_or_name: str, at: Millis, until: Millis) -> tuple[ApiKey, str]:
        def work(db: sqlite3.Connection) -> tuple[ApiKey, str]:
            found = _in_force(db, id_or_name)
            old = _made(*found[0]) if found else None
            if old is None or not old.readable:
                raise no_such_key(id_or_name)
            db.execute(ENDS, (orjson.dumps(old.expiring(until).principal), old.id))
            made, key = _new(old.principal, at)
            _insert(db, made)
            return made, key

        return await self.database.write(work)

    async def record_uses(self, times: Mapping[bytes, Millis]) -> None:
        await self.database.write(lambda db: db.executemany(USED, times.items()), durable=False)

    async def revoke(self, id_or_name: str, at: Millis) -> ApiKey:
        def work(db: sqlite3.Connection) -> ApiKey:
            found = _in_force(db, id_or_name)
            if not found:
                raise no_such_key(id_or_name)
            db.execute("UPDATE keys SET revoked_at = ? WHERE id = ?", (at, found[0][0]))
            return replace(_made(*found[0]), revoked_at=at)

        return await self.database.write(work)

    async def all(self) -> list[ApiKey]:
        if not self.database.path.exists():
            return []
        return [_made(*row) for row in self.database.read(ALL)]

    async def version(self) -> str:
        return str(self.database.read("PRAGMA data_version")[0][0]) if self.database.path.exists() else "no file"

    async def close(self) -> None:
        await self.database.close()


def _new(principal: Principal, at: Millis) -> tuple[ApiKey, str]:
    key = new_key()
    return ApiKey(f"key_{secrets.token_hex(8)}", digest(key), principal, at, None), key


def _insert(db: sqlite3.Connection, key: ApiKey) -> None:
    row = (key.id, key.principal.name, key.digest, orjson.dumps(key.principal), key.created_at)
    db.execute("INSERT INTO keys VALUES (?, ?, ?, ?, ?, NULL)", row)


def _in_force(db: sqlite3.Connection, id_or_name: str) -> list[Any]:
    sql = f"SELECT {COLUMNS} FROM keys WHERE ? IN (id, name) AND revoked_at IS NULL"  # noqa: S608 - ours
    return db.execute(sql, (id_or_name,)).fetchall()


def _made(
    id: str,
    hashed: bytes,
    principal: bytes,
    created_at: Millis,
    revoked_at: Millis | None,
    last_used_at: Millis | None = None,
) -> ApiKey:
    return stored_key(id, hashed, lambda: principal, created_at, revoked_at, last_used_at)
