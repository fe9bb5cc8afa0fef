"""Digests of the objects that providers store for users, in the queue's file."""

import sqlite3
import time

from rememberd.storage.sqlite.database import Database

KEPT_S = 30 * 86_400

SCHEMA = """
CREATE TABLE IF NOT EXISTS owned (key BLOB PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS owned_at ON owned (at);
"""


class SqliteOwnedObjects:
    """An `OwnedObjects`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        database.declare(SCHEMA)

    async def record(self, key: bytes) -> None:
        now = int(time.time())

        def work(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM owned WHERE at < ?", (now - KEPT_S,))
            db.execute("INSERT OR REPLACE INTO owned VALUES (?, ?)", (key, now))

        await self.database.write(work, durable=False)

    async def known(self, key: bytes) -> bool:
        return bool(self.database.read("SELECT 1 FROM owned WHERE key = ?", (key,)))
