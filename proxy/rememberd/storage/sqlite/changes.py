"""The change log of one host, in an SQLite file that its processes share."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence

import orjson

from rememberd.storage.changes import KEPT_MS, Change, Removal
from rememberd.storage.sqlite.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS changes (
    place INTEGER PRIMARY KEY AUTOINCREMENT, user TEXT NOT NULL, at INTEGER NOT NULL, changes BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS changes_of ON changes (user, place);
CREATE INDEX IF NOT EXISTS changes_at ON changes (at);
CREATE TABLE IF NOT EXISTS removals (name INTEGER PRIMARY KEY AUTOINCREMENT, removal BLOB NOT NULL);
"""


class SqliteChangeLog:
    """A `ChangeLog`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        database.declare(SCHEMA)

    async def record(self, stream: str, changes: Sequence[Change], removal: Removal | None = None) -> str:
        now, body = time.time_ns() // 1_000_000, orjson.dumps(changes, default=list)

        def work(db: sqlite3.Connection) -> str:
            db.execute("DELETE FROM changes WHERE at < ?", (now - KEPT_MS,))
            db.execute(
                "INSERT INTO changes (user, at, changes) VALUES (?, ?, ?)",
                (stream, now, body),
            )
            if removal is None:
                return ""
            kept = db.execute("INSERT INTO removals (removal) VALUES (?)", (orjson.dumps(removal, default=list),))
            return str(kept.lastrowid)

        return await self.database.write(work, durable=removal is not None)

    async def since(self, stream: str, place: str) -> tuple[str, list[Change]]:
        sql = "SELECT place, changes FROM changes WHERE user = ? AND place > ? ORDER BY place"
        found = self.database.read(sql, (stream, int(place or 0)))
        changes = [Change(*each) for _, body in found for each in orjson.loads(body)]
        return (str(found[-1][0]) if found else place), changes

    async def waiting(self) -> dict[str, Removal]:
        found = self.database.read("SELECT name, removal FROM removals ORDER BY name")
        return {str(name): Removal(*orjson.loads(body)) for name, body in found}

    async def finished(self, removal: str) -> None:
        sql = "DELETE FROM removals WHERE name = ?"
        await self.database.write(lambda db: db.execute(sql, (int(removal),)).rowcount, durable=False)

    async def close(self) -> None:
        await self.database.close()
