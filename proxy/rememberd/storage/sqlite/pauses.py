"""Which memories are paused: there nothing is recalled and nothing learned."""

import sqlite3

from rememberd.storage.sqlite.database import Database
from rememberd.types import EVERY_SCOPE, Space

SCHEMA = """
CREATE TABLE IF NOT EXISTS paused (user TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS paused_scopes (user TEXT, scope TEXT, PRIMARY KEY (user, scope)) WITHOUT ROWID;
"""


class SqlitePauses:
    """In the file of the SQLite queue: if a pause cannot be read, no turn can be queued either.

    Each method raises `QueueUnavailable`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        database.declare(SCHEMA)

    async def paused(self, space: Space) -> bool:
        """Two look-ups by key."""
        everywhere = "SELECT 1 FROM paused WHERE user = ?"
        here = "SELECT 1 FROM paused_scopes WHERE user = ? AND scope = ?"
        return bool(self.database.read(f"{everywhere} UNION ALL {here}", (space.user, *space)))

    async def pause(self, space: Space) -> None:
        everywhere = space.scope == EVERY_SCOPE
        one, both = "INSERT OR IGNORE INTO paused VALUES (?)", "INSERT OR IGNORE INTO paused_scopes VALUES (?, ?)"
        insert, values = (one, space[:1]) if everywhere else (both, space)
        await self.database.write(lambda db: db.execute(insert, values).rowcount)

    async def resume(self, space: Space) -> None:
        everywhere = space.scope == EVERY_SCOPE

        def delete(db: sqlite3.Connection) -> int:
            if not everywhere:
                return db.execute("DELETE FROM paused_scopes WHERE user = ? AND scope = ?", space).rowcount
            scoped = db.execute("DELETE FROM paused_scopes WHERE user = ?", (space.user,)).rowcount
            return scoped + db.execute("DELETE FROM paused WHERE user = ?", (space.user,)).rowcount

        await self.database.write(delete)
