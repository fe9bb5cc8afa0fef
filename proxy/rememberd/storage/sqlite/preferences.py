"""What users set for themselves: that nothing is recalled and nothing learned, and their time zone."""

import sqlite3

from rememberd.ports import Preferences
from rememberd.storage.sqlite.database import Database
from rememberd.types import EVERY_SCOPE, Millis, Space

SCHEMA = """
CREATE TABLE IF NOT EXISTS paused (user TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS paused_scopes (user TEXT, scope TEXT, PRIMARY KEY (user, scope)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS time_zones (user TEXT, scope TEXT, zone TEXT NOT NULL, PRIMARY KEY (user, scope))
    WITHOUT ROWID;
"""
# A row without a zone is a pause. A user has few zones: to choose one here would cost more than to read them all.
OF_SPACE = """
SELECT '', NULL FROM paused WHERE user = ?1
UNION ALL SELECT '', NULL FROM paused_scopes WHERE user = ?1 AND scope = ?2
UNION ALL SELECT scope, zone FROM time_zones WHERE user = ?1
"""
NOTHING_SET = Preferences()
END_PAUSES = "DELETE FROM paused_scopes WHERE user = ?1 AND ?2 IN ('', scope)"
DROP_ZONES = "DELETE FROM time_zones WHERE user = ?1 AND ?2 IN ('', scope)"


class SqlitePreferences:
    """In the file of the SQLite queue: if a pause cannot be read, no turn can be queued either.

    Each method raises `QueueUnavailable`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        database.declare(SCHEMA)

    async def of(self, space: Space) -> Preferences:
        """Three look-ups by key."""
        rows = self.database.read(OF_SPACE, space)
        if not rows:
            return NOTHING_SET
        zones = {scope: zone for scope, zone in rows if zone}
        return Preferences(len(zones) < len(rows), zones.get(space.scope) or zones.get(EVERY_SCOPE))

    async def pause(self, space: Space) -> None:
        everywhere = space.scope == EVERY_SCOPE
        one, both = "INSERT OR IGNORE INTO paused VALUES (?)", "INSERT OR IGNORE INTO paused_scopes VALUES (?, ?)"
        insert, values = (one, space[:1]) if everywhere else (both, space)
        await self.database.write(lambda db: db.execute(insert, values).rowcount)

    async def resume(self, space: Space) -> None:
        def delete(db: sqlite3.Connection) -> None:
            db.execute(END_PAUSES, space)
            if space.scope == EVERY_SCOPE:
                db.execute("DELETE FROM paused WHERE user = ?", space[:1])

        await self.database.write(delete)

    async def set_time_zone(self, space: Space, zone: str | None) -> None:
        def change(db: sqlite3.Connection) -> None:
            db.execute(DROP_ZONES, space)
            if zone is not None:
                db.execute("INSERT INTO time_zones VALUES (?, ?, ?)", (*space, zone))

        await self.database.write(change)

    async def erase(self, user: str, at: Millis) -> None:
        await self.database.write(lambda db: db.execute(DROP_ZONES, (user, EVERY_SCOPE)).rowcount, scrub=True)
