"""API keys made while it runs: their hashes in a file of the data directory, in force everywhere within a second."""

from __future__ import annotations

import asyncio
import logging
import secrets
import sqlite3
from dataclasses import dataclass
from typing import Any

import orjson

from proxy.auth import Auth
from proxy.errors import QueueUnavailable, RequestError
from proxy.memory.database import Database
from proxy.principals import digest, new_key
from proxy.types import Millis, Principal

log = logging.getLogger("rememberd.keys")

# A revoked key stays in the list: it says who had access, and that this proxy is not one that needs no keys.
SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, digest BLOB NOT NULL, principal BLOB NOT NULL,
    created_at INTEGER NOT NULL, revoked_at INTEGER
) WITHOUT ROWID;
"""

COLUMNS = "id, digest, principal, created_at, revoked_at"
_LOOK_EVERY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class MadeKey:
    """`digest` is all that is kept of the key itself."""

    id: str
    digest: bytes
    principal: Principal
    created_at: Millis
    revoked_at: Millis | None


class MadeKeys:
    """In a file of its own, so that SQLite's `data_version` tells of changes of keys only. Until the first key is
    made there is no file. Each raises `QueueUnavailable`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        database.declare(SCHEMA)
        self._seen = -1

    async def create(self, principal: Principal, at: Millis) -> tuple[MadeKey, str]:
        """The key itself is returned this once. Raises `RequestError` 409 if a key in force has the name."""
        key = new_key()
        made = MadeKey(f"key_{secrets.token_hex(8)}", digest(key), principal, at, None)
        row = (made.id, principal.name, made.digest, orjson.dumps(principal), at)

        def work(db: sqlite3.Connection) -> None:
            if _in_force(db, principal.name):
                message = f"there is a key {principal.name!r}: revoke it first, or take another name"
                raise RequestError(409, "key_exists", message, param="name")
            db.execute("INSERT INTO keys VALUES (?, ?, ?, ?, ?, NULL)", row)

        await self.database.write(work)
        return made, key

    async def revoke(self, id_or_name: str, at: Millis) -> MadeKey:
        """Raises `RequestError` 404 if no key in force has that id or name."""

        def work(db: sqlite3.Connection) -> MadeKey:
            found = _in_force(db, id_or_name)
            if not found:
                raise RequestError(404, "key_not_found", f"no key in force is called {id_or_name[:64]!r}")
            db.execute("UPDATE keys SET revoked_at = ? WHERE id = ?", (at, found[0][0]))
            return _made(found[0])

        return await self.database.write(work)

    def all(self) -> list[MadeKey]:
        """In the order they were made, revoked ones too."""
        if not self.database.path.exists():
            return []
        rows = self.database.read(f"SELECT {COLUMNS} FROM keys ORDER BY created_at, id")  # noqa: S608 - ours
        return [_made(row) for row in rows]

    def changed(self) -> bool:
        """Since it was last asked, by any process; True at first."""
        version = self.database.read("PRAGMA data_version")[0][0] if self.database.path.exists() else 0
        changed, self._seen = version != self._seen, version
        return bool(changed)


class Watch:
    """Hands `auth` the keys that were made, and does so again when one was made or revoked somewhere."""

    def __init__(self, auth: Auth, keys: MadeKeys) -> None:
        self.auth, self.keys = auth, keys
        self._trouble = ""

    def look(self) -> None:
        """While the keys cannot be read, those known so far hold; at a start nobody's but those of the settings."""
        try:
            if self.keys.changed() or self._trouble:
                made = self.keys.all()
                in_force = {key.digest: key.principal for key in made if key.revoked_at is None}
                self.auth.adopt(in_force, ever_made=bool(made))
        except (QueueUnavailable, ValueError, TypeError) as error:  # the last two: a later version's rows
            if str(error) != self._trouble:
                log.error("made keys cannot be read, those known so far stay in force: %s", error)
            self._trouble = str(error)
        else:
            self._trouble = ""

    async def run(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
            self.look()


def _in_force(db: sqlite3.Connection, id_or_name: str) -> list[Any]:
    sql = f"SELECT {COLUMNS} FROM keys WHERE ? IN (id, name) AND revoked_at IS NULL"  # noqa: S608 - ours
    return db.execute(sql, (id_or_name,)).fetchall()


def _made(row: tuple[Any, ...]) -> MadeKey:
    id, hashed, principal, created_at, revoked_at = row
    fields = orjson.loads(principal)
    for name in ("models", "scopes"):
        fields[name] = None if fields[name] is None else tuple(fields[name])
    return MadeKey(id, hashed, Principal(**fields), created_at, revoked_at)
