"""The groups that were created on one host, in a file of its data directory."""

import sqlite3

from rememberd.access.groups import Change, Group
from rememberd.encryption.groups import GroupCodec
from rememberd.storage.sqlite.database import Database

SCHEMA = "CREATE TABLE IF NOT EXISTS groups (name TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;"


class SqliteGroups:
    """A `GroupStore` in a file of its own, so that SQLite's `data_version` changes with groups only. There is no file
    until the first group is created."""

    def __init__(self, database: Database, codec: GroupCodec) -> None:
        self.database, self.codec = database, codec
        database.declare(SCHEMA)

    async def all(self) -> list[Group]:
        if not self.database.path.exists():
            return []
        rows = self.database.read("SELECT name, body FROM groups")
        return [group for name, body in rows if (group := self.codec.opened(name, body))]

    async def change(self, name: str, change: Change) -> Group | None:
        place = self.codec.place(name)

        def work(db: sqlite3.Connection) -> Group | None:
            row = db.execute("SELECT body FROM groups WHERE name = ?", (place,)).fetchone()
            group = change(self.codec.opened(place, row[0]) if row else None)
            if group is None:
                db.execute("DELETE FROM groups WHERE name = ?", (place,))
            else:
                db.execute("REPLACE INTO groups VALUES (?, ?)", (place, self.codec.stored(group)))
            return group

        return await self.database.write(work, scrub=True)

    async def version(self) -> str:
        return str(self.database.read("PRAGMA data_version")[0][0]) if self.database.path.exists() else ""

    async def close(self) -> None:
        await self.database.close()
