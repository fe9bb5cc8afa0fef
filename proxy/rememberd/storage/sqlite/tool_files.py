"""The files of Anthropic's memory tool, in the queue's file: all files of a space in one row, at most 1 MB."""

import sqlite3

from rememberd.storage.sqlite.database import Database, is_erased
from rememberd.types import Millis, Space

SCHEMA = """
CREATE TABLE IF NOT EXISTS tool_files (
    user TEXT, scope TEXT, version INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (user, scope)
);
"""
GET = "SELECT version, body FROM tool_files WHERE user = ? AND scope = ?"


class SqliteToolFiles:
    """A `ToolFileStore`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        database.declare(SCHEMA)

    async def get(self, space: Space) -> tuple[int, bytes]:
        for version, body in self.database.read(GET, space):
            return version, body
        return 0, b""

    async def put(self, space: Space, version: int, body: bytes, *, at: Millis) -> bool:
        def work(db: sqlite3.Connection) -> bool:
            found = db.execute(GET, space).fetchone()
            if is_erased(db, space.user, at) or (found[0] if found else 0) != version:
                return False
            db.execute("INSERT OR REPLACE INTO tool_files VALUES (?, ?, ?, ?)", (*space, version + 1, body))
            return True

        return await self.database.write(work)

    async def erase(self, user: str, at: Millis) -> None:
        await self.database.erase("tool_files", user, at)
