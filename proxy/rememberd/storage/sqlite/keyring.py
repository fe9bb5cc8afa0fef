"""The encrypted keys of one host, in an SQLite file of their own."""

import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from rememberd.encryption.keyring import ROOT, Row
from rememberd.storage.sqlite.database import Database

FILE = "keyring.db"

SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (
    owner TEXT PRIMARY KEY, master TEXT NOT NULL, wrapped BLOB NOT NULL
) WITHOUT ROWID;
"""
OLD = "SELECT owner, master, wrapped FROM keys WHERE master <> ?"
REWRAP = "UPDATE keys SET master = ?, wrapped = ? WHERE owner = ?"
GET = "SELECT master, wrapped FROM keys WHERE owner = ?"


class SqliteKeyring:
    """`Keys`. A deleted key is wiped from the file, its free pages and its log, or the call raises."""

    def __init__(self, database: Database) -> None:
        self.database, self.place = database, str(database.path)
        database.declare(SCHEMA)

    async def begun(self) -> bool:
        return self.database.path.exists() and await self.get(ROOT) is not None

    async def begin(self, root: Row, turned: bool, fresh: bool) -> tuple[Row, bool] | None:
        def work(db: sqlite3.Connection) -> Row | None:
            found = db.execute(GET, (ROOT,)).fetchone()
            if found is None and fresh:
                db.execute("INSERT INTO keys VALUES (?, ?, ?)", (ROOT, *root))
                db.execute(f"PRAGMA user_version = {int(turned)}")
                found = root
            return found and Row(*found)

        row = await self.get(ROOT) or await self.database.write(work)
        return row and (row, bool(self.database.read("PRAGMA user_version")[0][0]))

    async def get(self, owner: str) -> Row | None:
        rows = self.database.read(GET, (owner,))
        return Row(*rows[0]) if rows else None

    async def get_or_add(self, owner: str, made: Row) -> Row:
        def work(db: sqlite3.Connection) -> Row:
            db.execute("INSERT OR IGNORE INTO keys VALUES (?, ?, ?)", (owner, *made))
            return Row(*db.execute(GET, (owner,)).fetchone())  # another process may have added it first

        return await self.database.write(work)

    async def drop(self, owner: str) -> str:
        await self.database.write(lambda db: db.execute("DELETE FROM keys WHERE owner = ?", (owner,)), scrub=True)
        return ""

    async def rewrap(self, newest: str, again: Callable[[str, Row], Row]) -> int:
        def work(db: sqlite3.Connection) -> int:
            old = db.execute(OLD, (newest,)).fetchall()
            for owner, *row in old:
                db.execute(REWRAP, (*again(owner, Row(*row)), owner))
            return len(old)

        return await self.database.write(work, scrub=True)

    async def versions(self) -> Counter[str]:
        return Counter(dict(self.database.read("SELECT master, count(*) FROM keys GROUP BY master")))

    async def close(self) -> None:
        await self.database.close()


def file_of(data_dir: Path) -> Path:
    return data_dir / FILE
