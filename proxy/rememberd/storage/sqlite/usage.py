"""What the requests of this host cost, in the file of the queue."""

import sqlite3
from collections.abc import Mapping

from rememberd.storage.sqlite.database import Database
from rememberd.telemetry.usage.counts import FIELDS, KEPT_DAYS, Counts, UsageKey, days_before, today

_COLUMNS = ", ".join(f"{name} INTEGER NOT NULL" for name in FIELDS)
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS usage (
    day TEXT, key TEXT, user TEXT, model TEXT, priced TEXT, {_COLUMNS}, PRIMARY KEY (day, key, user, model, priced)
) WITHOUT ROWID;
"""
_PLACES = ", ".join("?" * (len(UsageKey._fields) + len(FIELDS)))
_ADDED = ", ".join(f"{name} = {name} + excluded.{name}" for name in FIELDS)
ADD = f"INSERT INTO usage VALUES ({_PLACES}) ON CONFLICT DO UPDATE SET {_ADDED}"  # noqa: S608 - ours
SPENT = "SELECT key, sum(input + output) FROM usage WHERE day = ? GROUP BY key"
NAMELESS = f"""
INSERT INTO usage SELECT day, key, '', model, priced, {", ".join(FIELDS)} FROM usage WHERE user = ?
ON CONFLICT DO UPDATE SET {_ADDED}
"""  # noqa: S608 - ours


class SqliteUsage:
    """A `UsageStore`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        database.declare(SCHEMA)

    async def add(self, counted: Mapping[UsageKey, Counts]) -> None:
        rows = [(*at, *counts.values()) for at, counts in counted.items()]

        def work(db: sqlite3.Connection) -> None:
            db.executemany(ADD, rows)
            db.execute("DELETE FROM usage WHERE day < ?", (days_before(today(), KEPT_DAYS),))

        await self.database.write(work, durable=False)

    async def rows(self, since: str, until: str) -> dict[UsageKey, Counts]:
        found = self.database.read("SELECT * FROM usage WHERE day BETWEEN ? AND ?", (since, until))
        width = len(UsageKey._fields)
        return {UsageKey(*row[:width]): Counts(*row[width:]) for row in found}

    async def spent(self, day: str) -> dict[str, int]:
        return dict(self.database.read(SPENT, (day,)))

    async def erase(self, user: str) -> None:
        def work(db: sqlite3.Connection) -> None:
            db.execute(NAMELESS, (user,))
            db.execute("DELETE FROM usage WHERE user = ?", (user,))

        if user:
            await self.database.write(work)
