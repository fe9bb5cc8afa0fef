"""Who has paused their memory: nothing is recalled for them and nothing learned, in any scope."""

from __future__ import annotations

from rememberd.storage.sqlite.database import Database

SCHEMA = "CREATE TABLE IF NOT EXISTS paused (user TEXT PRIMARY KEY) WITHOUT ROWID;"


class SqlitePauses:
    """In the same file as the SQLite queue: where a pause cannot be read, no turn can be queued either.

    Each method raises `QueueUnavailable`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        database.declare(SCHEMA)

    async def paused(self, user: str) -> bool:
        """One look-up by key."""
        return bool(self.database.read("SELECT 1 FROM paused WHERE user = ?", (user,)))

    async def pause(self, user: str) -> None:
        await self.database.write(lambda db: db.execute("INSERT OR IGNORE INTO paused VALUES (?)", (user,)).rowcount)

    async def resume(self, user: str) -> None:
        await self.database.write(lambda db: db.execute("DELETE FROM paused WHERE user = ?", (user,)).rowcount)
