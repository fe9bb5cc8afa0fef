"""Sessions of browsers, in a file of their own, so that a backup of the memories holds no session."""

import sqlite3

from rememberd.storage.sqlite.database import Database
from rememberd.telemetry.clock import wall_clock
from rememberd.types import Millis

SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (id BLOB PRIMARY KEY, record BLOB NOT NULL, expires_at INTEGER NOT NULL)
WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sessions_expire ON sessions (expires_at);
CREATE TABLE IF NOT EXISTS session_owners (owner BLOB, id BLOB, PRIMARY KEY (owner, id)) WITHOUT ROWID;
"""


class SqliteSessions:
    """A `SessionStore`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        database.declare(SCHEMA)

    async def create(self, id: bytes, record: bytes, expires_at: Millis, owner: bytes = b"") -> bool:
        def work(db: sqlite3.Connection) -> bool:
            db.execute("DELETE FROM sessions WHERE expires_at <= ?", (wall_clock(),))
            db.execute("DELETE FROM session_owners WHERE id NOT IN (SELECT id FROM sessions)")
            if owner:
                db.execute("INSERT OR IGNORE INTO session_owners VALUES (?, ?)", (owner, id))
            values = (id, record, expires_at)
            return db.execute("INSERT OR IGNORE INTO sessions VALUES (?, ?, ?)", values).rowcount == 1

        return await self.database.write(work)

    async def get(self, id: bytes, now: Millis) -> bytes | None:
        found = self.database.read("SELECT record FROM sessions WHERE id = ? AND expires_at > ?", (id, now))
        return found[0][0] if found else None

    async def end_all(self, owner: bytes) -> None:
        def work(db: sqlite3.Connection) -> None:
            theirs = "SELECT id FROM session_owners WHERE owner = ?"
            db.execute(f"DELETE FROM sessions WHERE id IN ({theirs})", (owner,))  # noqa: S608 - no value in it
            db.execute("DELETE FROM session_owners WHERE owner = ?", (owner,))

        await self.database.write(work)

    async def close(self) -> None:
        await self.database.close()
