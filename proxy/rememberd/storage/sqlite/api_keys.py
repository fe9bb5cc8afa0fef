"""The keys made on one host, in a file of its data directory."""

from __future__ import annotations

import secrets
import sqlite3
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
"""

COLUMNS = "id, digest, principal, created_at, revoked_at"


class SqliteApiKeys:
    """`MadeKeys`. In a file of its own, so that SQLite's `data_version` tells of changes of keys only. Until the
    first key is made there is no file."""

    def __init__(self, database: Database) -> None:
        self.database = database
        database.declare(SCHEMA)

    async def create(self, principal: Principal, at: Millis) -> tuple[ApiKey, str]:
        key = new_key()
        made = ApiKey(f"key_{secrets.token_hex(8)}", digest(key), principal, at, None)
        row = (made.id, principal.name, made.digest, orjson.dumps(principal), at)

        def work(db: sqlite3.Connection) -> None:
            if _in_force(db, principal.name):
                raise name_taken(principal.name)
            db.execute("INSERT INTO keys VALUES (?, ?, ?, ?, ?, NULL)", row)

        await self.database.write(work)
        return made, key

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
        rows = self.database.read(f"SELECT {COLUMNS} FROM keys ORDER BY created_at, id")  # noqa: S608 - ours
        return [_made(*row) for row in rows]

    async def version(self) -> str:
        return str(self.database.read("PRAGMA data_version")[0][0]) if self.database.path.exists() else "no file"

    async def close(self) -> None:
        await self.database.close()


def _in_force(db: sqlite3.Connection, id_or_name: str) -> list[Any]:
    sql = f"SELECT {COLUMNS} FROM keys WHERE ? IN (id, name) AND revoked_at IS NULL"  # noqa: S608 - ours
    return db.execute(sql, (id_or_name,)).fetchall()


def _made(id: str, hashed: bytes, principal: bytes, created_at: Millis, revoked_at: Millis | None) -> ApiKey:
    return stored_key(id, hashed, lambda: principal, created_at, revoked_at)
