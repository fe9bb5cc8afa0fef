"""The change log of one host, in an SQLite file that its processes share."""

import sqlite3
from collections.abc import Sequence

import orjson

from rememberd.storage.changes import KEPT_MS, Change, News, Removal, Stamps, newest
from rememberd.storage.sqlite.database import Database
from rememberd.telemetry.clock import wall_clock

SCHEMA = """
CREATE TABLE IF NOT EXISTS changes (
    place INTEGER PRIMARY KEY AUTOINCREMENT, user TEXT NOT NULL, at INTEGER NOT NULL, changes BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS changes_of ON changes (user, place);
CREATE INDEX IF NOT EXISTS changes_at ON changes (at);
CREATE TABLE IF NOT EXISTS newest (user TEXT PRIMARY KEY, at INTEGER NOT NULL, written BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS newest_at ON newest (at);
CREATE TABLE IF NOT EXISTS removals (name INTEGER PRIMARY KEY AUTOINCREMENT, removal BLOB NOT NULL);
"""

_NEWEST = "SELECT written FROM newest WHERE user = ?"


class SqliteChangeLog:
    """A `ChangeLog`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        database.declare(SCHEMA)

    async def record(
        self, stream: str, changes: Sequence[Change], removal: Removal | None = None, written: Stamps | None = None
    ) -> str:
        now, body = wall_clock(), orjson.dumps(changes, default=list)

        def work(db: sqlite3.Connection) -> str:
            if changes:
                db.execute("DELETE FROM changes WHERE at < ?", (now - KEPT_MS,))
                db.execute("INSERT INTO changes (user, at, changes) VALUES (?, ?, ?)", (stream, now, body))
            if written:
                db.execute("DELETE FROM newest WHERE at < ?", (now - KEPT_MS,))
                known = _written(db.execute(_NEWEST, (stream,)).fetchall())
                row = (stream, now, orjson.dumps(newest(known, written)))
                db.execute("INSERT OR REPLACE INTO newest (user, at, written) VALUES (?, ?, ?)", row)
            if removal is None:
                return ""
            kept = db.execute("INSERT INTO removals (removal) VALUES (?)", (orjson.dumps(removal, default=list),))
            return str(kept.lastrowid)

        return await self.database.write(work, durable=removal is not None)

    async def since(self, stream: str, place: str, *, patient: bool = False) -> News:
        sql = "SELECT place, changes FROM changes WHERE user = ? AND place > ? ORDER BY place"
        found = self.database.read(sql, (stream, int(place or 0)))
        changes = [Change(*each) for _, body in found for each in orjson.loads(body)]
        written = _written(self.database.read(_NEWEST, (stream,)))
        return News(str(found[-1][0]) if found else place, changes, written)

    async def waiting(self) -> dict[str, Removal]:
        found = self.database.read("SELECT name, removal FROM removals ORDER BY name")
        return {str(name): Removal(*orjson.loads(body)) for name, body in found}

    async def finished(self, removal: str) -> None:
        sql = "DELETE FROM removals WHERE name = ?"
        await self.database.write(lambda db: db.execute(sql, (int(removal),)).rowcount, durable=False)

    async def close(self) -> None:
        await self.database.close()


def _written(found: Sequence[tuple[bytes]]) -> dict[str, int]:
    return orjson.loads(found[0][0]) if found else {}
