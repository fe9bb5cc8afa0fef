"""The apps of each user and their rights, in the file of the queue."""

import sqlite3
from collections.abc import Sequence

from rememberd.access.apps import ALL_RIGHTS, MOST_APPS, App, AppRights, Sighting
from rememberd.storage.sqlite.database import Database, is_erased
from rememberd.types import Millis

SCHEMA = """
CREATE TABLE IF NOT EXISTS apps (
    user TEXT, app TEXT, key TEXT NOT NULL, requests INTEGER NOT NULL, first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL, reads INTEGER NOT NULL DEFAULT 1, writes INTEGER NOT NULL DEFAULT 1, scope TEXT,
    PRIMARY KEY (user, app)
) WITHOUT ROWID;
"""
ADD = """
INSERT INTO apps (user, app, key, requests, first_at, last_at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    key = iif(excluded.last_at >= last_at, excluded.key, key), requests = requests + excluded.requests,
    first_at = min(first_at, excluded.first_at), last_at = max(last_at, excluded.last_at)
"""
DROP_OLDEST = """
DELETE FROM apps WHERE user = ?1 AND reads AND writes AND scope IS NULL AND app NOT IN
    (SELECT app FROM apps WHERE user = ?1 ORDER BY last_at DESC LIMIT ?2)
"""
ALL = """
SELECT app, key, requests, first_at, last_at, reads, writes, scope FROM apps WHERE user = ? ORDER BY last_at DESC
"""


class SqliteApps:
    """An `AppStore`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        database.declare(SCHEMA)

    async def rights(self, user: str, app: str) -> AppRights:
        asked = "SELECT reads, writes, scope FROM apps WHERE user = ? AND app = ?"
        return next((_rights(row) for row in self.database.read(asked, (user, app))), ALL_RIGHTS)

    async def set(self, user: str, app: str, rights: AppRights) -> bool:
        change = "UPDATE apps SET reads = ?, writes = ?, scope = ? WHERE user = ? AND app = ?"
        return await self.database.write(lambda db: db.execute(change, (*rights, user, app)).rowcount == 1)

    async def saw(self, user: str, sightings: Sequence[Sighting]) -> None:
        def work(db: sqlite3.Connection) -> None:
            kept = [each for each in sightings if not is_erased(db, user, each.first_at)]
            db.executemany(ADD, [(user, *each) for each in kept])
            db.execute(DROP_OLDEST, (user, MOST_APPS))

        await self.database.write(work, durable=False)

    async def all(self, user: str) -> list[App]:
        return [App(Sighting(*row[:5]), _rights(row[5:])) for row in self.database.read(ALL, (user,))]

    async def erase(self, user: str, at: Millis) -> None:
        await self.database.erase("apps", user, at)


def _rights(row: Sequence[object]) -> AppRights:
    reads, writes, scope = row
    return AppRights(bool(reads), bool(writes), None if scope is None else str(scope))
