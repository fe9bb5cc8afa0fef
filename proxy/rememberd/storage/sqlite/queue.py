"""The turn queue of one host: one SQLite file, any number of web processes, one writer process."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress

from rememberd.errors import QueueUnavailable
from rememberd.memory.serialization import turn_from_json, turn_to_json
from rememberd.ports.queues import Claim, DeadLetter, QueueStats
from rememberd.storage.sqlite.database import Database, is_erased, mark_erased
from rememberd.telemetry.clock import wall_clock
from rememberd.types import Millis, Space, Turn

# The states of a turn: due, leased, then settled (stored, not flushed) or dead; `ack` deletes it. `version` counts
# the puts of an id and `claimed` is the version that was leased: a turn that was put again meanwhile is not finished.
# The state "erased": the user was erased while the turn was leased. Such a row has no text. If the writer was killed
# then, the row tells the next writer which memories the killed one may have written. `answered` is 2 for what a model
# found in a turn; such a row does not count for the age of the queue.
SCHEMA = """
CREATE TABLE IF NOT EXISTS turns (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    user TEXT NOT NULL,
    scope TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    answered INTEGER NOT NULL,
    body BLOB NOT NULL,
    state TEXT NOT NULL DEFAULT 'due',
    due INTEGER NOT NULL DEFAULT 0,
    version INTEGER NOT NULL DEFAULT 1,
    claimed INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS lines ON turns (user, seq, state, due, created_at, answered)
    WHERE state IN ('due', 'leased');
CREATE INDEX IF NOT EXISTS times ON turns (state, due);
"""

PUT = """
INSERT INTO turns (id, user, scope, created_at, answered, body) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    created_at = excluded.created_at, answered = excluded.answered, body = excluded.body,
    version = version + 1, attempts = 0,
    state = iif(state = 'leased', 'leased', 'due'), due = iif(state = 'dead' OR state = 'settled', 0, due)
WHERE excluded.answered OR NOT turns.answered
"""

ANY_DUE = "SELECT 1 FROM turns WHERE state IN ('due', 'leased', 'settled') AND due <= ? LIMIT 1"

END_LEASES = "UPDATE turns SET state = 'due', due = 0 WHERE state IN ('leased', 'settled') AND due <= ?"

# A user's oldest turn that is due or leased; only this one can be claimed.
CLAIM = """
UPDATE turns SET state = 'leased', claimed = version, due = ? WHERE seq IN (
    SELECT seq FROM (
        SELECT min(seq) AS seq, state, due FROM turns INDEXED BY lines WHERE state IN ('due', 'leased') GROUP BY user
    ) WHERE state = 'due' AND due <= ? ORDER BY seq LIMIT ?
) RETURNING seq, body, attempts
"""

PUT_MEANWHILE = "UPDATE turns SET state = 'due', due = 0 WHERE id = ? AND state = 'leased' AND claimed < version"
SETTLE = "UPDATE turns SET state = 'settled' WHERE id = ? AND state = 'leased'"
ACK = "DELETE FROM turns WHERE id = ? AND state IN ('leased', 'settled', 'erased')"
DEAD_LETTER = "UPDATE turns SET state = 'dead', attempts = attempts + 1, error = ? WHERE id = ? AND state = 'leased'"
RETRY = """
UPDATE turns SET state = 'due', due = ?, attempts = attempts + 1, error = ? WHERE id = ? AND state = 'leased'
"""
DEFER = "UPDATE turns SET state = 'due', due = ? WHERE id = ? AND state = 'leased'"
INTERRUPT = """
UPDATE turns SET state = 'erased', body = '', error = '', answered = 0, due = 0 WHERE user = ? AND state = 'leased'
"""
RELEASE = "UPDATE turns SET state = 'due', due = 0 WHERE state IN ('leased', 'settled')"
REPLAY = "UPDATE turns SET state = 'due', due = 0, attempts = 0 WHERE state = 'dead'"

OLDEST = """
SELECT created_at FROM turns INDEXED BY lines WHERE user = ? AND state IN ('due', 'leased') ORDER BY seq LIMIT 1
"""

DEPTH = """
SELECT count(*), min(iif(answered < 2, created_at, NULL)) FROM turns INDEXED BY lines
WHERE state IN ('due', 'leased')
"""
DEAD = "SELECT id, user, scope, created_at, attempts, error FROM turns WHERE state = 'dead' ORDER BY seq LIMIT ?"


class SqliteQueue:
    """A `TurnQueue`. `lease_ms` must outlast the writer's longest wait for a flush."""

    def __init__(
        self, database: Database, *, lease_ms: Millis = 900_000, clock: Callable[[], Millis] = wall_clock
    ) -> None:
        self.database, self.lease_ms, self.clock = database, lease_ms, clock
        database.declare(SCHEMA)

    async def put(self, turn: Turn) -> bool:
        row = (turn.id, *turn.space, turn.began, 2 if turn.found else bool(turn.answer), turn_to_json(turn))

        def work(db: sqlite3.Connection) -> bool:
            if is_erased(db, turn.space.user, turn.began):
                return False
            db.execute(PUT, row)
            return True

        return await self.database.write(work)

    async def claim(self, limit: int) -> list[Claim]:
        # Read first, so that an idle writer that polls never takes the write lock.
        if not self.database.read(ANY_DUE, (self.clock(),)):
            return []

        def work(db: sqlite3.Connection) -> list[Claim]:
            now = self.clock()
            db.execute(END_LEASES, (now,))
            rows = db.execute(CLAIM, (now + self.lease_ms, now, limit)).fetchall()
            return [Claim(turn_from_json(body), attempts) for _, body, attempts in sorted(rows)]

        return await self.database.write(work, durable=False)

    async def settle(self, turn_ids: Sequence[str]) -> None:
        await self._finish(SETTLE, turn_ids)

    async def ack(self, turn_ids: Sequence[str]) -> None:
        """Also wipes the words of these turns from SQLite's log."""
        await self._finish(ACK, turn_ids)
        with suppress(QueueUnavailable):  # another process reads the log: the next ack wipes it
            await self.database.write(lambda db: None, durable=False, scrub=True)

    async def retry(self, turn_id: str, error: str, delay_ms: Millis) -> None:
        await self._execute(RETRY, self.clock() + delay_ms, error, turn_id)

    async def defer(self, turn_id: str, delay_ms: Millis) -> None:
        await self._execute(DEFER, self.clock() + delay_ms, turn_id)

    async def dead_letter(self, turn_id: str, error: str) -> None:
        def work(db: sqlite3.Connection) -> None:
            db.execute(PUT_MEANWHILE, (turn_id,))
            db.execute(DEAD_LETTER, (error, turn_id))

        await self.database.write(work)

    async def release(self) -> int:
        """End every lease. Called when the only writer of this file starts: the processes that held leases are
        dead."""
        return await self._execute(RELEASE)

    def interrupted(self) -> list[tuple[Space, Millis]]:
        """The turns that were leased when their users were erased: the space, and the time when the turn began."""
        rows = self.database.read("SELECT user, scope, created_at FROM turns WHERE state = 'erased'")
        return [(Space(user, scope), at) for user, scope, at in rows]

    async def clear_interrupted(self) -> None:
        await self._execute("DELETE FROM turns WHERE state = 'erased'")

    async def alive(self, turn_id: str) -> bool:
        return bool(self.database.read("SELECT 1 FROM turns WHERE id = ? AND state <> 'erased'", (turn_id,)))

    async def erase(self, user: str, at: Millis) -> int:
        def work(db: sqlite3.Connection) -> int:
            mark_erased(db, user, at)
            begun = db.execute(INTERRUPT, (user,)).rowcount
            return begun + db.execute("DELETE FROM turns WHERE user = ? AND state <> 'erased'", (user,)).rowcount

        return await self.database.write(work, scrub=True)

    async def erased(self, user: str, since: Millis) -> bool:
        return bool(self.database.read("SELECT 1 FROM erased WHERE user = ? AND at >= ?", (user, since)))

    async def has_earlier(self, user: str, than: Millis) -> bool:
        return any(began < than for (began,) in self.database.read(OLDEST, (user,)))

    async def stats(self) -> QueueStats:
        depth, oldest = self.database.read(DEPTH)[0]
        dead = self.database.read("SELECT count(*) FROM turns WHERE state = 'dead'")[0][0]
        return QueueStats(depth, 0 if oldest is None else max(0, self.clock() - oldest), dead)

    async def dead(self, limit: int = 100) -> list[DeadLetter]:
        rows = self.database.read(DEAD, (limit,))
        return [DeadLetter(turn_id, Space(user, scope), *rest) for turn_id, user, scope, *rest in rows]

    async def replay(self) -> int:
        return await self._execute(REPLAY)

    async def close(self) -> None:
        await self.database.close()

    async def _finish(self, sql: str, turn_ids: Sequence[str]) -> None:
        """Not durable: after a power cut these turns are processed again, which changes nothing."""
        ids = [(turn_id,) for turn_id in turn_ids]

        def work(db: sqlite3.Connection) -> None:
            db.executemany(PUT_MEANWHILE, ids)
            db.executemany(sql, ids)

        await self.database.write(work, durable=False)

    async def _execute(self, sql: str, *values: str | int) -> int:
        return await self.database.write(lambda db: db.execute(sql, values).rowcount, durable=False)
