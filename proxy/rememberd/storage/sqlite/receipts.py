"""Receipts: which memories went into an answer, and what was written after it."""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace

import orjson

from rememberd.storage.sqlite.database import Database, is_erased
from rememberd.types import Millis, Receipt, Space

SCHEMA = """
CREATE TABLE IF NOT EXISTS receipts (
    id TEXT PRIMARY KEY,
    user TEXT NOT NULL,
    scope TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    turn_id TEXT,
    body BLOB NOT NULL,
    "write" TEXT NOT NULL,
    written BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS receipts_by_turn ON receipts (turn_id);
CREATE INDEX IF NOT EXISTS receipts_by_user ON receipts (user);
CREATE INDEX IF NOT EXISTS receipts_by_time ON receipts (created_at);
"""

PUT = "INSERT OR IGNORE INTO receipts VALUES (?, ?, ?, ?, ?, ?, ?, ?)"

# A tool loop or a client's retry makes several receipts of one turn; what was written is noted in all of them.
OF_THE_TURN = """
SELECT written, id FROM receipts
WHERE user = ? AND scope = ? AND (id = ? OR turn_id = (SELECT turn_id FROM receipts WHERE id = ?))
"""
WRITTEN = 'UPDATE receipts SET "write" = ?, written = ? WHERE id = ?'

GET = 'SELECT body, "write", written FROM receipts WHERE id = ? AND user = ? AND scope = ?'
RECENT = """
SELECT body, "write", written FROM receipts
WHERE user = ? AND scope = ? AND id NOT GLOB 'imp_*' ORDER BY created_at DESC, id LIMIT ?
"""


class SqliteReceipts:
    """In the same file as the SQLite queue, so that a turn and its receipt put at the same time share a commit."""

    def __init__(self, database: Database) -> None:
        self.database = database
        database.declare(SCHEMA)

    async def put(self, receipt: Receipt) -> bool:
        """False: the user was erased after the turn began, and nothing was kept."""
        row = (
            receipt.id, *receipt.space, receipt.created_at, receipt.turn_id,
            receipt_to_json(receipt), receipt.write, orjson.dumps(receipt.written),
        )  # fmt: skip

        def work(db: sqlite3.Connection) -> bool:
            if is_erased(db, receipt.space.user, receipt.created_at):
                return False
            db.execute(PUT, row)
            return True

        # A receipt with a turn shares the turn's commit; nobody waits for a receipt without a turn.
        return await self.database.write(work, durable=False, patient=receipt.write != "pending")

    async def written(self, space: Space, receipt_id: str, ids: Sequence[str], outcome: str) -> None:
        """Record the writer's result for the receipt's turn: the new `write`, and ids of memories, which are added to
        the earlier ones, because a turn is written in stages."""

        def work(db: sqlite3.Connection) -> None:
            for before, receipt in db.execute(OF_THE_TURN, (*space, receipt_id, receipt_id)).fetchall():
                together = list(dict.fromkeys([*orjson.loads(before), *ids]))
                db.execute(WRITTEN, (outcome, orjson.dumps(together), receipt))

        await self.database.write(work, durable=False)

    async def get(self, space: Space, receipt_id: str) -> Receipt | None:
        """None for one that does not exist, has expired, or belongs to another space."""
        for row in self.database.read(GET, (receipt_id, *space)):
            return _read(*row)
        return None

    async def recent(self, space: Space, limit: int) -> list[Receipt]:
        """Of answers given here, not of imported turns; the newest first. Parses each: about 5 µs."""
        rows = self.database.read(RECENT, (*space, limit))
        return [_read(*row) for row in rows]

    async def recalled(self, space: Space) -> tuple[Millis | None, frozenset[str]]:
        """The time of the oldest receipt (None: there is none), and all memories that went into an answer since then.
        Reads every receipt of the space: for the operator's commands only."""
        rows = self.database.read("SELECT created_at, body FROM receipts WHERE user = ? AND scope = ?", space)
        ids = frozenset(each for _, body in rows for each in orjson.loads(body)["recalled"])
        return min((at for at, _ in rows), default=None), ids

    async def erase(self, user: str, at: Millis) -> int:
        return await self.database.erase("receipts", user, at)

    async def expire(self, older_than: Millis) -> int:
        """Drop the receipts of turns that began before this time."""
        sql = "DELETE FROM receipts WHERE created_at < ?"
        return await self.database.write(lambda db: db.execute(sql, (older_than,)).rowcount, durable=False)


def receipt_to_json(receipt: Receipt) -> bytes:
    """A receipt without a `room` is written as earlier versions did, so that they can read it."""
    data = orjson.dumps(receipt, default=list)
    return data.removesuffix(b',"room":null}') + b"}" if receipt.room is None else data


def receipt_from_json(body: bytes) -> Receipt:
    fields = orjson.loads(body)
    fields["space"] = Space(*fields["space"])
    for name in ("recalled", "written", "reasons"):
        fields[name] = tuple(fields.get(name, ()))
    return Receipt(**fields)


def _read(body: bytes, write: str, written: bytes) -> Receipt:
    return replace(receipt_from_json(body), write=write, written=tuple(orjson.loads(written)))
