"""What the web workers of one host share about a space: how often it changed, and the blocks of its open turns."""

import sqlite3
from collections.abc import Sequence

from rememberd.storage.sqlite.database import Database
from rememberd.types import Millis, Space

# `floor` is the version after the last erasure: a block that was made before it is refused. `frozen` has rowids:
# without them SQLite stores the keys between the blocks, and a look-up reads a dozen pages instead of four.
SCHEMA = """
CREATE TABLE IF NOT EXISTS versions (
    user TEXT NOT NULL, scope TEXT NOT NULL, version INTEGER NOT NULL, floor INTEGER NOT NULL,
    PRIMARY KEY (user, scope)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS frozen (
    user TEXT NOT NULL, scope TEXT NOT NULL, "key" TEXT NOT NULL,
    version INTEGER NOT NULL, value BLOB NOT NULL, at INTEGER NOT NULL DEFAULT (unixepoch() * 1000),
    PRIMARY KEY (user, scope, "key")
);
"""

BUMP = """
INSERT INTO versions VALUES (?, ?, 1, 0) ON CONFLICT DO UPDATE SET version = version + 1 RETURNING version
"""

# Of two blocks of one version the first is kept, unless the new block is to replace it.
PUT = """
INSERT INTO frozen (user, scope, "key", version, value, at)
SELECT :user, :scope, :key, :version, :value, :at
WHERE :version >= coalesce((SELECT floor FROM versions WHERE user = :user AND scope = :scope), 0)
ON CONFLICT DO UPDATE SET version = excluded.version, value = excluded.value, at = excluded.at
WHERE excluded.version > version OR (excluded.version = version AND at <= :replaces)
"""

GET = """
SELECT coalesce((SELECT version FROM versions WHERE user = ? AND scope = ?), 0), version, value
FROM (SELECT 1) LEFT JOIN frozen ON user = ? AND scope = ? AND "key" = ?
"""

VERSIONS = "SELECT version, floor FROM versions WHERE user = ? AND scope = ?"


class SqliteBlockCache:
    """A `BlockCache`. `get` is one look-up by key; the rest wait for a commit."""

    def __init__(self, database: Database) -> None:
        self.database = database
        database.declare(SCHEMA)

    async def bump(self, space: Space) -> int:
        rows = await self.database.write(lambda db: db.execute(BUMP, space).fetchall(), durable=False)
        return int(rows[0][0])

    async def get(self, space: Space, key: str) -> tuple[int, tuple[int, bytes] | None]:
        now, at, value = self.database.read(GET, (*space, *space, key))[0]
        return now, None if at is None else (at, value)

    async def versions(self, spaces: Sequence[Space]) -> list[tuple[int, int]]:
        return [next(iter(self.database.read(VERSIONS, space)), (0, 0)) for space in spaces]

    async def put(
        self, space: Space, key: str, version: int, value: bytes, *, at: Millis, replaces: Millis = 0
    ) -> None:
        made = {"version": version, "value": value, "at": at, "replaces": replaces}
        values = {"user": space.user, "scope": space.scope, "key": key, **made}
        await self.database.write(lambda db: db.execute(PUT, values).rowcount, durable=False, patient=True)

    async def erase(self, user: str) -> int:
        def work(db: sqlite3.Connection) -> int:
            db.execute("UPDATE versions SET version = version + 1, floor = version + 1 WHERE user = ?", (user,))
            return db.execute("DELETE FROM frozen WHERE user = ?", (user,)).rowcount

        return await self.database.write(work, scrub=True)

    async def expire(self, older_than: Millis) -> int:
        sql = "DELETE FROM frozen WHERE at < ?"
        return await self.database.write(lambda db: db.execute(sql, (older_than,)).rowcount, durable=False)
